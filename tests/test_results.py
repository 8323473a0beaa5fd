"""Recorded runs: found by their names, made again by their command, told in tables."""

from dataclasses import replace

import pytest

from inception_course import models, records, train
from inception_course.studies import ensembles, results

EPOCH = train.Epoch(1, 0.1, 0.5, 0.8, 0.4, 0.9, 120.0, 800.0)
RECIPE = train.Recipe("made", epochs=1, batch_size=8, learning_rate=0.1)
RUN = train.Run((EPOCH,), RECIPE, {"classes": 10, "threads": 2})


@pytest.fixture
def folder(tmp_path):
    stuck = replace(EPOCH, train_loss=2.3026, val_accuracy=0.1)
    runs = {
        "net-made": replace(RUN, test_accuracy=0.8875),
        "net-fast": replace(RUN, recipe=replace(RECIPE, name="fast"), epochs=(EPOCH,)),
        "seeds/net-made-0": RUN,
        "seeds/net-made-1": replace(RUN, epochs=(stuck,)),
    }
    for name, run in runs.items():
        if name == "net-fast":
            run = replace(run, epochs=(replace(EPOCH, seconds=30.0),))
        records.save(run, tmp_path / f"{name}.json")
    return tmp_path


def test_the_shortest_run_comes_first(folder):
    assert list(results.runs(folder)) == ["net-fast", "net-made"]
    assert [run.last.val_accuracy for run in results.repetitions(folder)["net-made"]] == [0.9, 0.1]


def test_the_tables_say_what_was_recorded(folder):
    first, second = results.markdown(folder).split("\n\n")
    command = "`python -m inception_course train --model net --recipe made`"
    assert first.splitlines()[-1] == f"| {command} | 2 | 2 min | 800 | 0.9000 | 0.8875 |"
    assert first.splitlines()[-2].endswith("| 30 s | 800 | 0.9000 |  |")
    assert second.splitlines()[-1] == "| net-made | 2 | 1 | 0.1000 | 0.5000 | 0.9000 |"


def test_the_classes_are_told_of_runs_whose_confusion_is_known(folder):
    cells = {"cat": (3, 1, 0), "dog": (0, 4, 0), "emu": (0, 0, 0)}
    records.save(replace(RUN, test_confusion=cells), folder / "net-made.json")
    other = replace(RUN, epochs=(replace(EPOCH, seconds=30.0),), test_confusion={"dog": (1,)})
    records.save(other, folder / "net-fast.json")
    _, table, _ = results.markdown(folder).split("\n\n")
    assert table.splitlines()[0] == "| right about | net-fast | net-made |"
    assert table.splitlines()[2:] == ["| dog | 1.000 | 1.000 |", "| cat |  | 0.750 |"]


def test_networks_together_are_told_of_the_test_set_alone(folder):
    row = ensembles.Row(1, 10, 0.0625, 0.05, 0.07, 0.0, 0.0, 0.1, 0.0, 0.001)
    alone = ensembles.Single("net", 10, 0.0625, 0.1, 0.0, 0.001)
    for split in ("val", "test"):
        table = ensembles.Table({"data": split}, (alone,), (row,))
        records.save(table, folder / "evaluation" / f"{split}-made.json")
    *_, last = results.markdown(folder).split("\n\n")
    assert last.splitlines()[2:] == ["| made | 1 | 10 | 10 | 0.9375 |"]


def test_runs_are_found_as_train_leaves_them(tmp_path):
    network = {"model": "googlenet_bn", "options": {}}
    for name, epochs in {"first": (EPOCH,), "begun": ()}.items():
        (tmp_path / "runs" / name).mkdir(parents=True)
        run = replace(RUN, epochs=epochs, network=network)
        records.save(run, tmp_path / "runs" / name / "run.json")
    (tmp_path / "runs" / "ladder.json").write_text("the record of a study")
    for folder in (tmp_path / "runs", tmp_path / "runs" / "first"):
        assert list(results.runs(folder)) == ["first"]
        assert "train --model googlenet_bn --recipe made`" in results.markdown(folder)


def test_without_repetitions_there_is_one_table(folder):
    for path in (folder / "seeds").iterdir():
        path.unlink()
    assert "repeated" not in results.markdown(folder)


@pytest.mark.parametrize(
    ("seconds", "text"), [(57, "57 s"), (880, "15 min"), (5999, "100 min"), (7200, "2.0 h")]
)
def test_durations_are_in_a_readers_unit(seconds, text):
    assert results.duration(seconds) == text


def test_every_recorded_run_is_of_a_recipe_and_a_network_of_the_course():
    """And of the recipe as it is now, so that its command makes the run again."""
    runs = {**results.runs(), **results.runs(results.RECORDS / "seeds")}
    assert len(runs) >= 2
    for name, run in runs.items():
        recipe = train.RECIPES[run.recipe.name]
        assert replace(run.recipe, seed=0) == recipe, name
        assert len(run.epochs) == recipe.epochs, name
        assert run.environment["train_images"] == (recipe.train_images or 55_000), name
        assert name.partition("-")[0] in models.names(), name
