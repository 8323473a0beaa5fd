"""Studies: every record of the course is found by its name, and nothing in it is lost."""

import pytest

from inception_course import records, studies, train
from inception_course.studies import bench, ensembles, experiment, reduction

PATHS = sorted(studies.RECORDS.rglob("*.json"))
KINDS = {
    "": train.Run,
    "seeds": train.Run,
    "bench": bench.Benchmark,
    "evaluation": ensembles.Table,
    "experiments": experiment.Result,
}


def test_every_record_has_a_name_of_its_own():
    assert len({path.stem for path in PATHS}) == len(PATHS)
    assert {path.stem for path in PATHS} >= studies.STUDIES.keys()


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_record_reads_from_any_folder_and_is_written_as_it_was(path, tmp_path, monkeypatch):
    """A value under a name that its kind does not know would be lost, or a default stand for it."""
    monkeypatch.chdir(tmp_path)
    record = studies.load(path.stem)
    kind = KINDS[str(path.parent.relative_to(studies.RECORDS)).removeprefix(".")]
    assert type(record) is (reduction.Widths if path.stem == "reductions" else kind)
    assert records.to_json(record) == path.read_text("utf-8")


def test_an_unknown_record_is_told_with_those_that_are_there():
    with pytest.raises(ValueError, match=r"no record 'width': valid are .*depth.*bn-quick"):
        studies.load("width")


@pytest.mark.parametrize("study", studies.STUDIES.values(), ids=list(studies.STUDIES))
def test_a_study_says_what_it_is_and_tells_what_it_measured(study):
    assert studies.STUDIES[study.name] is study
    assert study.about.endswith(" minutes).")
    assert f"({len(study.units())} trainings, " in study.about
    for measured in studies.load(study.name).trainings:
        sentence = study.sentence(measured)
        assert f"seed {measured.seed}: " in sentence
        assert "accuracy 0." in sentence
