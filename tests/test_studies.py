"""Studies: every record of the course is found by its name, and nothing in it is lost."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
import torch

from inception_course import data, records, studies, train
from inception_course.machine import usable_cores
from inception_course.studies import bench, comparison, ensembles, experiment
from inception_course.studies.study import Study

PATHS = sorted(studies.RECORDS.rglob("*.json"))
NAMES = {path.stem for path in PATHS}
KINDS = {
    "": train.Run,
    "seeds": train.Run,
    "bench": bench.Benchmark,
    "evaluation": ensembles.Table,
    "experiments": experiment.Result,
}


def test_every_record_has_a_name_of_its_own():
    assert len({path.stem for path in PATHS}) == len(PATHS)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_record_reads_from_any_folder_and_is_written_as_it_was(path, tmp_path, monkeypatch):
    """A value under a name that its kind does not know would be lost, or a default stand for it."""
    monkeypatch.chdir(tmp_path)
    record = studies.load(path.stem)
    kind = KINDS[str(path.parent.relative_to(studies.RECORDS)).removeprefix(".")]
    study = studies.STUDIES.get(path.stem)
    assert type(record) is (study.record if study else kind)
    assert records.to_json(record) == path.read_text("utf-8")


def test_an_unknown_record_is_told_with_those_that_are_there():
    with pytest.raises(ValueError, match=r"no record 'width': valid are .*depth.*bn-quick"):
        studies.load("width")


def test_a_study_that_is_not_recorded_says_how_to_record_it(monkeypatch, tmp_path):
    monkeypatch.setattr(studies, "RECORDS", tmp_path)
    with pytest.raises(ValueError, match="python -m inception_course study depth"):
        studies.load("depth")


@pytest.mark.parametrize("study", studies.STUDIES.values(), ids=list(studies.STUDIES))
def test_a_study_says_what_it_is_and_tells_what_it_measured(study):
    assert studies.STUDIES[study.name] is study
    assert study.about.endswith(" minutes).")
    assert f"({len(study.units())} trainings, " in study.about
    recorded = studies.load(study.name).trainings if study.name in NAMES else ()
    for measured in recorded:
        sentence = study.sentence(measured)
        assert f"seed {measured.seed}: " in sentence
        assert "accuracy 0." in sentence


@pytest.mark.slow
@pytest.mark.parametrize("study", studies.STUDIES.values(), ids=list(studies.STUDIES))
def test_a_record_is_complete_and_that_of_the_code(study):
    record = studies.load(study.name)
    assert record.settings.keys() == study.settings().keys()
    assert not list(study.differences(record))
    assert [each.unit for each in record.trainings] == study.units()
    known = ("device", "train_images", "val_images", "classes")
    now = study.environment()
    assert all(now[name] == record.environment.get(name, now[name]) for name in known)


class Cores(NamedTuple):
    unit: tuple
    usable: int
    threads: int


class CountCores(Study):
    """A study of how many cores each of its measurements may use."""

    name = "cores"
    record = comparison.Contest

    def settings(self):
        return {}

    def images(self):
        return 2 * (data.fashion_mnist("val", sample=10),)

    def units(self):
        return [("cores", 0), ("cores", 1)]

    def measure(self, unit):
        return Cores(unit, usable_cores(), torch.get_num_threads())


def test_measurements_side_by_side_share_the_cores():
    """With threads for every core each, two trainings take many times as long as one by one."""
    whole = usable_cores()
    part = max(1, whole // 2)
    result = studies.run(CountCores(), workers=2)
    assert [each.usable for each in result.trainings] == [part, part]
    assert all(each.threads <= part for each in result.trainings)
    assert result.environment["threads"] == part
    assert [each.usable for each in studies.run(CountCores()).trainings] == [whole, whole]
    assert usable_cores() == whole


class Sleep(CountCores):
    """A study whose measurements say which process they are in, and would take an hour."""

    def __init__(self, folder):
        self.folder = folder

    def measure(self, unit):
        (self.folder / f"{unit[-1]}.begun").write_text(str(os.getpid()))
        (self.folder / f"{unit[-1]}.begun").rename(self.folder / f"{unit[-1]}.process")
        time.sleep(3600)


@pytest.mark.slow
def test_a_killed_study_leaves_no_process_behind(tmp_path):
    (tmp_path / "script.py").write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from inception_course import studies\n"
        "from test_studies import Sleep\n"
        "if __name__ == '__main__':\n"
        "    studies.run(Sleep(Path(sys.argv[1])), workers=2)\n"
    )
    path = os.pathsep.join([str(Path(__file__).parent), os.environ["PYTHONPATH"]])
    study = subprocess.Popen(
        [sys.executable, tmp_path / "script.py", tmp_path], env=os.environ | {"PYTHONPATH": path}
    )
    try:
        while len(found := list(tmp_path.glob("*.process"))) < 2:
            assert study.poll() is None
            time.sleep(0.1)
        workers = [psutil.Process(int(file.read_text())) for file in found]
    finally:
        study.kill()
        study.wait()
    _, alive = psutil.wait_procs(workers, timeout=60)
    for worker in alive:
        worker.kill()
    assert not alive
