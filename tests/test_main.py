"""The command line, called as a reader calls it."""

import re
import signal
import sys
from dataclasses import replace

import pytest
import torch
from helpers import course
from typer.testing import CliRunner

from inception_course import data, evaluate, machine, records, studies, train
from inception_course.__main__ import STUCK, app, main, many, ours
from inception_course.studies import comparison
from inception_course.train import checkpoint

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "first"
    done = course("train", "--sample", 200, "--epochs", 1, "--out", folder)
    return folder, done


def test_train_leaves_record_weights_and_curves(trained):
    folder, done = trained
    assert done.returncode in (0, STUCK), done.stderr  # so short a run may be stuck, and says so
    assert "epoch 1: training loss" in done.stdout
    assert done.stderr == ""  # nobody watches, so no bar moves
    record = train.Run.from_json((folder / "run.json").read_text())
    assert record.environment["train_images"] == 200
    assert list(record.network["options"]) == ["stem", "width"]  # in every process
    left = {path.name for path in folder.iterdir()} - {"checkpoint-2.pt"}  # on a slow machine
    assert left == {"run.json", "checkpoint-1.pt", "weights.pt", "curves.png"}


def test_evaluate_reads_what_train_left(trained):
    folder, _ = trained
    done = course("evaluate", folder, "--split", "val", "--sample", 100)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("val: accuracy 0.")
    assert done.stdout.count("\n") == 11


def test_evaluate_asks_on_the_device_that_train_takes(trained, monkeypatch):
    devices = []

    def confusion(network, dataset, **options):
        devices.append(next(network.parameters()).device.type)
        return torch.eye(10, dtype=torch.long)

    monkeypatch.setattr(machine, "pick_device", lambda: ("meta", ""))
    monkeypatch.setattr(evaluate, "confusion", confusion)
    done = CliRunner().invoke(app, ["evaluate", str(trained[0]), "--split", "val", "--sample", "9"])
    assert (done.exit_code, devices) == (0, ["meta"])


@pytest.mark.needs("data")
def test_accuracy_and_confusion_on_the_test_set_are_kept_in_the_record(trained):
    folder, _ = trained
    before = (folder / "run.json").read_text("utf-8")
    try:
        done = course("evaluate", folder)
        assert done.returncode == 0, done.stderr
        said = float(re.search(r"test: accuracy (0\.\d{4}) on 10000 images", done.stdout)[1])
        run = train.Run.from_json((folder / "run.json").read_text("utf-8"))
        assert run.test_accuracy == pytest.approx(said, abs=5e-5)
        assert list(run.test_confusion) == list(data.CLASSES)
        assert {sum(row) for row in run.test_confusion.values()} == {1000}
        for name, share in run.right.items():
            assert re.search(rf"{name} +{share:.3f}\n", done.stdout)
    finally:
        (folder / "run.json").write_text(before, "utf-8")


def test_crops_makes_a_table_and_goes_on_with_it(trained, tmp_path):
    folder, _ = trained
    arguments = ("crops", folder, "--out", tmp_path / "crops.json", "--sample", 10)
    unknown = course(*arguments, "--views", 12)
    assert unknown.stderr == "Error: --views is one of 1, 10, 144, not 12\n"
    too_many = course(*arguments, "--count", 11)
    assert too_many.stderr == "Error: --count must be 1 to 10, not 11\n"
    begun = course(*arguments, "--minutes", 0)
    assert begun.returncode == 1
    assert "run the same command again" in begun.stdout
    done = course(*arguments)
    assert done.returncode == 0, done.stderr
    assert "144 views: 10 images answered" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"crops.json", "crops.pt"}


def test_a_run_is_not_overwritten(trained):
    folder, _ = trained
    done = course("train", "--sample", 200, "--epochs", 1, "--out", folder)
    assert done.returncode == 1
    assert "already holds a run" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_finished_run_can_be_resumed(trained):
    folder, _ = trained
    done = course("train", "--sample", 200, "--epochs", 1, "--out", folder, "--resume")
    assert done.returncode in (0, STUCK)
    assert "1 of 1 epoch in" in done.stdout


def test_a_recipe_goes_on_with_what_another_learned(trained, tmp_path):
    """A step or two at a rate that rises from 0 change little: the weights are those of before."""
    first, _ = trained
    before, after = tmp_path / "before", tmp_path / "after"
    short = ("train", "--sample", 200, "--epochs", 1)
    assert course(*short, "--recipe", "overnight", "--out", before).returncode in (0, STUCK)
    done = course(*short, "--recipe", "restart", "--init-from", before, "--out", after)
    assert done.returncode in (0, STUCK), done.stderr
    old, _ = train.load_trained(before)
    new, run = train.load_trained(after)
    assert run.recipe.init_from == "overnight"
    for one, two in zip(old.parameters(), new.parameters(), strict=True):
        assert one.ndim == 1 or (one - two).norm() < 0.2 * one.norm()

    restart = train.RECIPES["restart"]
    for recipe, folder, said in (
        (restart, None, "name the folder of its run with --init-from"),
        (restart, first, "holds a googlenet_bn trained by quick"),
        (train.RECIPES["quick"], before, "begins with new weights: leave out --init-from"),
    ):
        with pytest.raises(train.CheckpointError, match=said):
            checkpoint.load_initial(recipe, "googlenet_bn", folder)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train", "--recipe", "fast"), "valid are quick, sprint, d2l"),
        (("study", "wide"), "unknown study 'wide': valid are "),
        (("train", "--model", "gogglenet", "--sample", 20), "did you mean 'googlenet'"),
        (("train", "--sample", 10**6), "1 to 5000 images"),
        (("evaluate", "no-such-folder"), "there is no"),
        (("train", "--recipe", "restart", "--init-from", "no-such-folder"), "there is no"),
        (("results", "no-such-folder"), "no records of runs in"),
        (("train", "--sample", 20, "--resume"), "there is no run in runs"),
        (("train", "--sample", 20, "--out", __file__), "nothing can be saved in"),
        (("data", "where", "--root", "no-such-folder"), "there is no folder"),
        (("train", "--model", "alexnet", "--sample", 20), "image_size=28 is too small"),
    ],
)
def test_a_mistake_is_answered_in_a_sentence(arguments, said):
    done = course(*arguments)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_only_what_the_reader_gave_is_said_without_a_traceback():
    with pytest.raises(ValueError, match="epoch") as given:
        replace(train.RECIPES["quick"], epochs=0)
    with pytest.raises(ValueError, match="invalid literal") as bug:
        int("seven")
    assert ours(given.value)
    assert not ours(bug.value)


def test_one_is_not_several():
    assert [many(n, "epoch") for n in (0, 1, 2)] == ["0 epochs", "1 epoch", "2 epochs"]
    assert [many(n, "class") for n in (1, 10)] == ["1 class", "10 classes"]


def test_a_study_is_resumed(tmp_path):
    record = tmp_path / "depth.json"
    done = course("study", "depth", "--out", record, "--minutes", 0)
    assert done.returncode == 1
    assert "0 of 60 trainings are in" in done.stdout
    finished = studies.RECORDS / "experiments" / "depth.json"
    record.write_bytes(finished.read_bytes())
    done = course("study", "depth", "--out", record)
    assert done.returncode == 0, done.stderr
    assert "60 of 60 trainings are in" in done.stdout
    assert record.read_bytes() == finished.read_bytes()
    done = course("study", "rates", "--out", record)
    assert done.returncode == 1
    assert "record of another" in done.stderr


class Stopped(studies.Study):
    """A study whose second training is stopped."""

    def __init__(self, stop):
        self.stop = stop

    name = "stopped"
    about = "What Ctrl-C leaves (2 trainings, 0 minutes)."
    record = comparison.Contest

    def settings(self):
        return {}

    def images(self):
        return 2 * (data.fashion_mnist("val", sample=10),)

    def units(self):
        return [("short", 0), ("short", 1)]

    def measure(self, unit):
        if unit[1]:
            raise self.stop
        return comparison.Trained(*unit, 1, (0.5,), (0.5,), False, 1.0)


@pytest.mark.parametrize(
    ("stop", "code"),
    [
        (KeyboardInterrupt(), 130),
        (train.Interrupted(signal.SIGTERM, "step 1 of 2 in epoch 1", None, None), 143),
    ],
    ids=["Ctrl-C", "SIGTERM"],
)
def test_a_stopped_study_says_what_is_left_and_how_to_go_on(stop, code, tmp_path, monkeypatch):
    monkeypatch.setitem(studies.STUDIES, "stopped", Stopped(stop))
    record = tmp_path / "stopped.json"
    done = CliRunner().invoke(app, ["study", "stopped", "--out", str(record)])
    assert done.exit_code == code
    assert done.stdout.startswith("What Ctrl-C leaves (2 trainings, 0 minutes). Each is told")
    assert "short, seed 0: validation accuracy 0.5000" in done.stdout
    assert done.stderr.startswith("Stopped.")
    assert str(record) in done.stderr
    (left,) = records.load(comparison.Contest, record).trainings
    assert left.unit == ("short", 0)


def test_studies_are_listed():
    done = course("study")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(studies.STUDIES)


def test_doctor_reports_and_exits_accordingly(tmp_path):
    done = course("doctor")
    assert done.returncode == 0, done.stdout
    assert done.stdout.strip().endswith("Ready for the course.")
    broken = course("doctor", **{data.VARIABLE: str(tmp_path / "nowhere")})
    assert broken.returncode == 1
    assert "Not ready: data." in broken.stdout


def test_every_command_explains_itself():
    for command in ((), ("train",), ("study",)):
        done = course(*command, "--help")
        assert done.returncode == 0
        assert "Usage" in done.stdout
        assert not re.search(r"\binf\b", done.stdout)


@pytest.mark.needs("data")
def test_data_says_where_it_is():
    done = course("data", "where")
    assert done.returncode == 0
    assert done.stdout.split(":")[0] in ("environment", "cache", "system")


@pytest.mark.parametrize(
    "arguments",
    [
        "train --sample 0",
        "train --workers -1",
        "train --seed 99999999999999999999999",
        "evaluate runs --workers -1",
        "cost googlenet --size 0",
        "study ladder --workers 0",
        "bench --repeats 0",
    ],
)
def test_a_number_out_of_range_is_refused_in_words(arguments):
    done = CliRunner().invoke(app, arguments.split())
    assert done.exit_code == 2
    assert "Invalid value for" in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("bench --quick --out {}/file", "file cannot be used"),
        ("bench --quick --out {}/file/bench", "cannot be used"),
        ("evaluate {}/file", "is a file: name the folder of the run"),
    ],
)
def test_a_place_that_will_not_do_is_told_without_a_traceback(
    arguments, said, tmp_path, capsys, monkeypatch
):
    (tmp_path / "file").touch()
    monkeypatch.setattr(sys, "argv", ["course", *arguments.format(tmp_path).split()])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    assert said in capsys.readouterr().err


def test_options_that_a_network_does_not_have_are_left_out(tmp_path):
    done = course(
        *("train", "--sample", 20, "--epochs", 1, "--model", "googlenet_d2l", "--recipe", "quick"),
        *("--out", tmp_path / "run"),
    )
    assert done.returncode in (0, STUCK), done.stderr
    assert "20 images, 1 epoch." in done.stdout
    assert "quick: 1 of 1 epoch in" in done.stdout
