"""A run is never lost: whatever stops it, it goes on to the numbers of one that was not stopped."""

import hashlib
import itertools
import json
import math
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers import (
    RICH,
    VAL,
    Explosive,
    contents,
    damaged,
    dots,
    recorded,
    small_net,
    weights,
    without_times,
)
from torch import nn

from inception_course import models, train
from inception_course.data import CLASSES
from inception_course.train import CheckpointError, CheckpointManager, checkpoint, loop, session

pytestmark = pytest.mark.usefixtures("one_thread")

RECIPE = replace(RICH, epochs=3)
TRAIN = dots(70)  # five steps an epoch
FILES = ("checkpoint-1.pt", "checkpoint-2.pt")


def net(seed=0):
    return small_net(seed, dropout=0.5)


def fit(model, recipe=RECIPE, train_set=TRAIN, val_set=VAL, **options):
    return train.fit(model, train_set, val_set, recipe, **options)


def doing(action, epoch, step):
    """A `progress` for `fit` that acts just before a step."""
    passes = []

    def progress(batches):
        passes.append(batches)
        for number, batch in enumerate(batches, start=1):
            if (len(passes), number) == (epoch, step):
                action()
            yield batch

    return progress


def fail():
    raise RuntimeError("the power is off")


def interrupt(number=signal.SIGINT):
    return lambda: signal.raise_signal(number)


@pytest.fixture(autouse=True)
def ctrl_c_is_heard():
    """Also where the tests were started in the background, which leaves SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def whole():
    """The run that was never stopped, and its network."""
    model = net()
    return fit(model), model


def resumed(folder, recipe=RECIPE, **options):
    """The run that goes on, and its network, whose initial weights and draws do not matter."""
    model = net(seed=5)
    torch.rand(3)
    return fit(model, recipe, checkpoint=folder, resume=True, **options), model


def assert_same(one, two):
    assert without_times(one[0]) == without_times(two[0])
    assert torch.equal(weights(one[1]), weights(two[1]))


def states(folder):
    """The states in a folder, by the path of their file, the newest first."""
    saved = {path: checkpoint.read_state(path) for path in folder.glob("checkpoint-*.pt")}
    newest = sorted(saved, key=lambda path: -saved[path]["count"])
    return {path: saved[path]["state"] for path in newest}


# Going on


@pytest.mark.parametrize(("epoch", "step"), [(1, 1), (1, 4), (2, 1), (2, 3), (3, 5)])
def test_a_run_goes_on_within_an_epoch(tmp_path, whole, epoch, step):
    with pytest.raises(train.Interrupted, match=f"after step {step} of 5 in epoch {epoch}"):
        fit(net(), progress=doing(interrupt(), epoch, step), checkpoint=tmp_path)
    assert without_times(recorded(tmp_path)) == without_times(whole[0])[: epoch - 1]
    assert_same(resumed(tmp_path), whole)


def test_a_run_goes_on_after_an_epoch(tmp_path, whole):
    def stop(epoch):
        if epoch.number == 2:
            fail()

    with pytest.raises(RuntimeError, match="power"):
        fit(net(), on_epoch_end=stop, checkpoint=tmp_path)
    assert [epoch.number for epoch in recorded(tmp_path).epochs] == [1, 2]
    assert_same(resumed(tmp_path), whole)


def test_a_finished_run_resumes_to_itself(tmp_path):
    model = net()
    run = fit(model, checkpoint=tmp_path)
    again, other = resumed(tmp_path)
    assert again == run
    assert torch.equal(weights(other), weights(model))


def test_a_run_stopped_again_and_again_goes_on(tmp_path, whole):
    def until_it_fails(steps):
        def progress(batches):
            for batch in batches:
                if next(left, None) is None:
                    fail()
                yield batch

        left = iter(range(steps))
        return progress

    for seed, steps in enumerate((2, 3, 1, 4, 2)):
        options = {"progress": until_it_fails(steps), "resume": True, "save_every": 0}
        with pytest.raises(RuntimeError, match="power"):
            fit(net(seed), checkpoint=tmp_path, **options)
    (state, *_) = states(tmp_path).values()
    assert (state["position"]["epoch"], state["position"]["step"]) == (3, 2)  # 12 steps
    assert_same(resumed(tmp_path), whole)


def test_adam_goes_on_within_an_epoch(tmp_path):
    recipe = replace(RECIPE, optimizer="adamw", learning_rate=0.01)
    model = net()
    expected = fit(model, recipe), model
    with pytest.raises(train.Interrupted):
        fit(net(), recipe, progress=doing(interrupt(), 2, 2), checkpoint=tmp_path)
    assert_same(resumed(tmp_path, recipe), expected)


@pytest.mark.parametrize(("save_every", "saved"), [(0, {(2, 2), (2, 3)}), (60, {(2, 0)})])
def test_a_long_epoch_is_saved_within_and_a_short_one_at_its_end(tmp_path, save_every, saved):
    with pytest.raises(RuntimeError, match="power"):
        fit(net(), progress=doing(fail, 2, 4), checkpoint=tmp_path, save_every=save_every)
    positions = [state["position"] for state in states(tmp_path).values()]
    assert {(position["epoch"], position["step"]) for position in positions} == saved


def test_the_time_before_the_stop_counts(tmp_path, monkeypatch):
    ticks = itertools.count()
    clock = SimpleNamespace(perf_counter=lambda: float(next(ticks)))
    monkeypatch.setattr(session, "time", clock)
    slow = doing(lambda: [next(ticks) for _ in range(1000)], 1, 2)

    def progress(batches):
        for number, batch in enumerate(slow(batches)):
            if number == 3:
                fail()
            yield batch

    with pytest.raises(RuntimeError, match="power"):
        fit(net(), progress=progress, checkpoint=tmp_path, save_every=0)
    run, _ = resumed(tmp_path)
    assert run.epochs[0].seconds > 1000 > run.epochs[1].seconds


def test_settings_of_the_optimizer_come_from_the_recipe(tmp_path):
    fit(net(), replace(RECIPE, epochs=1), checkpoint=tmp_path / "one")
    fit(net(), replace(RECIPE, epochs=1), checkpoint=tmp_path / "two")
    changed = replace(RECIPE, momentum=0.5, weight_decay=0.2)
    run, one = resumed(tmp_path / "one", changed, allow_changes=True)
    assert run.recipe == changed
    assert len(run.epochs) == 3
    _, two = resumed(tmp_path / "two", allow_changes=True)
    assert not torch.equal(weights(one), weights(two))


# Killed


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_run_killed_at_twenty_random_moments_ends_like_one_never_killed(tmp_path):
    script = Path(__file__).with_name("kill_and_resume.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), "20", "2014"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    kills, places, within, *_ = map(int, re.findall(r"\d+", done.stdout))
    assert kills == 20
    assert min(places, within) >= 5, done.stdout  # it was killed while it trained, not before


# Signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_leaves_the_history(tmp_path, whole, number):
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt) as stopped:
        fit(net(), progress=doing(interrupt(number), 2, 3), checkpoint=tmp_path)
    assert stopped.value.signal == number
    assert without_times(stopped.value.run) == without_times(whole[0])[:1]
    assert str(tmp_path) in str(stopped.value)
    assert signal.getsignal(number) is before
    assert_same(resumed(tmp_path), whole)


def test_a_signal_during_validation_waits_for_the_end_of_the_epoch(tmp_path, whole, monkeypatch):
    def predict(*arguments, **options):
        signal.raise_signal(signal.SIGINT)
        return ask(*arguments, **options)

    ask = loop.predict
    monkeypatch.setattr(loop, "predict", predict)
    with pytest.raises(train.Interrupted, match="stopped after epoch 1"):
        fit(net(), checkpoint=tmp_path)
    monkeypatch.setattr(loop, "predict", ask)
    assert_same(resumed(tmp_path), whole)


def test_without_a_folder_the_history_is_left(whole):
    with pytest.raises(train.Interrupted) as stopped:
        fit(net(), progress=doing(interrupt(), 3, 1))
    assert without_times(stopped.value.run) == without_times(whole[0])[:2]
    assert "resume" not in str(stopped.value)


def test_the_second_signal_stops_at_once():
    def twice():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt) as stopped:
        fit(net(), progress=doing(twice, 1, 1))
    assert not isinstance(stopped.value, train.Interrupted)
    assert signal.getsignal(signal.SIGINT) is before


def test_in_another_thread_signals_are_left_alone():
    handlers = []
    watch = doing(lambda: handlers.append(signal.getsignal(signal.SIGINT)), 1, 1)
    thread = threading.Thread(target=fit, args=[net()], kwargs={"progress": watch})
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGINT)]


# Damage


def two_checkpoints(folder):
    """A run stopped in its second epoch; the path of the newer file and that of the older."""
    with pytest.raises(RuntimeError, match="power"):
        fit(net(), progress=doing(fail, 2, 4), checkpoint=folder, save_every=0)
    return [*states(folder)]


def with_header(values):
    body = checkpoint.to_bytes(values)
    return checkpoint.HEADER + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def flipped(content, place):
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


DAMAGES = {
    "half": (lambda good: good[: len(good) // 2], "SHA-256 is not"),
    "one byte short": (lambda good: good[:-1], "SHA-256 is not"),
    "a bit": (lambda good: flipped(good, len(good) // 2), "SHA-256 is not"),
    "a bit of the sum": (lambda good: flipped(good, 40), "SHA-256 is not"),
    "empty": (lambda good: b"", "damaged or not a checkpoint"),
    "text": (lambda good: b"no", "damaged or not a checkpoint"),
    "code": (lambda good: with_header({"state": print}), "Weights only"),
    "other values": (lambda good: with_header([1]), "not the state of a run"),
}


@pytest.mark.parametrize(("change", "reason"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_checkpoint_is_refused_and_the_one_before_is_used(
    tmp_path, whole, change, reason
):
    newer, older = two_checkpoints(tmp_path)
    newer.write_bytes(change(newer.read_bytes()))
    message = f"{newer.name} .*{reason}.*; resuming from .*{older.name}"
    with pytest.warns(UserWarning, match=message):
        assert_same(resumed(tmp_path), whole)


@pytest.mark.parametrize(("change", "reason"), DAMAGES.values(), ids=DAMAGES)
def test_without_a_good_checkpoint_nothing_is_touched(tmp_path, change, reason):
    for path in two_checkpoints(tmp_path):
        path.write_bytes(change(path.read_bytes()))
    before = contents(tmp_path)
    with pytest.raises(CheckpointError, match=f"(?s)no checkpoint can be used.*{reason}.*delete"):
        resumed(tmp_path)
    assert contents(tmp_path) == before


def test_a_record_without_its_checkpoints_is_not_overwritten(tmp_path):
    for path in two_checkpoints(tmp_path):
        path.unlink()
    with pytest.raises(CheckpointError, match="has only the record of a run"):
        resumed(tmp_path)
    assert [*contents(tmp_path)] == ["run.json"]


def test_what_a_killed_process_left_half_written_goes(tmp_path, whole):
    two_checkpoints(tmp_path)
    (tmp_path / ".checkpoint-1.pt.0123.part").write_bytes(b"half")
    assert_same(resumed(tmp_path), whole)
    assert contents(tmp_path).keys() == {*FILES, "run.json"}


# Another run


def test_a_run_is_not_overwritten_by_accident(tmp_path):
    fit(net(), checkpoint=tmp_path)
    before = contents(tmp_path)
    with pytest.raises(CheckpointError, match="resume=True"):
        fit(net(), checkpoint=tmp_path)
    assert contents(tmp_path) == before


def test_another_recipe_is_refused_by_name(tmp_path):
    fit(net(), checkpoint=tmp_path)
    with pytest.raises(CheckpointError, match=r"learning_rate was 0\.05, now 0\.1"):
        resumed(tmp_path, replace(RECIPE, learning_rate=0.1))


def test_the_run_of_another_network_is_refused(tmp_path):
    fit(net(), checkpoint=tmp_path)
    other = nn.Sequential(nn.Flatten(), nn.Linear(144, 4))
    with pytest.raises(CheckpointError, match="another network"):
        fit(other, checkpoint=tmp_path, resume=True)


def test_another_optimizer_starts_without_the_memory_of_the_first(tmp_path):
    two_checkpoints(tmp_path)
    other = replace(RECIPE, optimizer="adamw", learning_rate=0.001)
    run, _ = resumed(tmp_path, other, allow_changes=True)
    assert [epoch.number for epoch in run.epochs] == [1, 2, 3]


def test_another_precision_is_taken(tmp_path):
    fit(net(), replace(RECIPE, epochs=1), checkpoint=tmp_path)
    run, _ = resumed(tmp_path, replace(RECIPE, precision="bfloat16"), allow_changes=True)
    assert run.environment["precision"] == "float32, then bfloat16"


def test_other_data_is_refused(tmp_path):
    newer, _ = two_checkpoints(tmp_path)
    others = {
        "training data was .70 images with .* now .71 images": {"train_set": dots(71)},
        "training data was .70 images with .* now .70 images": {"train_set": dots(70, seed=1)},
        "validation data was .32 images with .* now .32 images": {"val_set": dots(32)},
    }
    for message, other in others.items():
        with pytest.raises(CheckpointError, match=f"{newer.name} is of .*{message}.*allow_changes"):
            resumed(tmp_path, **other)
    run, _ = resumed(tmp_path, **other, allow_changes=True)
    assert [epoch.number for epoch in run.epochs] == [1, 2, 3]


def test_a_folder_in_use_is_not_used_by_a_second_training(tmp_path):
    refused = []

    def second(epoch):
        with pytest.raises(CheckpointError, match=rf"is in use by process {os.getpid()} on ") as no:
            fit(net(), checkpoint=tmp_path, resume=True)
        refused.append(no)

    fit(net(), checkpoint=tmp_path, on_epoch_end=second)
    assert len(refused) == RECIPE.epochs
    assert not list(tmp_path.glob(".*"))
    fit(net(), checkpoint=tmp_path, resume=True)  # free again


# What cannot be written, and what should not


@contextmanager
def small_disk():
    """Inside, no file can be larger than 2,000 bytes."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_place_that_cannot_be_written_is_refused_before_training(tmp_path):
    file = tmp_path / "file"
    file.write_text("here already")
    for folder in (file, file / "below"):
        with pytest.raises(CheckpointError, match=r"nothing can be saved in .*: take another"):
            fit(net(), checkpoint=folder)


def test_a_full_disk_loses_nothing_and_says_what_to_do(tmp_path, whole):
    before = {}

    def fill():
        before.update(contents(tmp_path))
        disk.enter_context(small_disk())

    model = net()
    message = r"could not be saved .*checkpoint-2.pt is as .*free 0"
    with ExitStack() as disk, pytest.warns(UserWarning, match=message):
        run = fit(model, progress=doing(fill, 3, 2), checkpoint=tmp_path)
    assert contents(tmp_path) == before
    assert_same((run, model), whole)  # the training itself went on
    assert_same(resumed(tmp_path), whole)


def test_weights_without_room_are_an_error_in_a_sentence(tmp_path):
    message = r"weights.pt could not be written.*it needs 0"
    with small_disk(), pytest.raises(CheckpointError, match=message):
        checkpoint.save_weights(tmp_path / "weights.pt", net(), "small", {})
    assert not [*tmp_path.iterdir()]


def test_a_diverging_run_names_its_last_good_checkpoint(tmp_path):
    with pytest.raises(train.Diverged, match=r"epoch 2, step 2 of 5, .*is .*checkpoint-\d.pt"):
        fit(Explosive(), checkpoint=tmp_path, save_every=0)
    state = checkpoint.read_state(tmp_path / "checkpoint-1.pt")["state"]
    assert json.loads(state["run"])["epochs"][0]["number"] == 1


def test_weights_that_are_no_numbers_are_not_saved(tmp_path):
    model = net()
    manager = CheckpointManager(tmp_path, {}, TRAIN, VAL, save_every=0)
    manager.save({"run": "{}", "model": model.state_dict()})
    model[0].weight.data[0] = float("inf")
    manager.save({"run": "{}", "model": model.state_dict()})
    assert manager.latest == tmp_path / "checkpoint-1.pt"
    assert not (tmp_path / "checkpoint-2.pt").exists()


# Weights


@pytest.mark.slow
def test_weights_come_back_with_their_network(tmp_path):
    torch.manual_seed(0)
    options = {"stem": "small", "width": 0.125}
    model = models.create("googlenet_bn", **options).eval()
    checkpoint.save_weights(tmp_path / "weights.pt", model, "googlenet_bn", options)
    images = torch.randn(2, 1, 28, 28)
    assert torch.equal(checkpoint.load_weights(tmp_path / "weights.pt")(images), model(images))
    with pytest.raises(CheckpointError, match="there is no"):
        checkpoint.load_weights(tmp_path / "other.pt")


def test_a_damaged_checkpoint_is_never_read_as_another(tmp_path, whole):
    fit(small_net(), checkpoint=tmp_path)
    path = tmp_path / FILES[0]
    content = path.read_bytes()
    for seed in range(400):
        if (broken := damaged(content, seed)) != content:
            path.write_bytes(broken)
            with pytest.raises(CheckpointError):
                checkpoint.read_state(path)


@pytest.mark.slow
def test_damaged_weights_are_refused_or_as_they_were(tmp_path):
    path = tmp_path / "weights.pt"
    saved = models.create("googlenet_bn", stem="small", width=0.125)
    checkpoint.save_weights(path, saved, "googlenet_bn", {"stem": "small", "width": 0.125})
    content = path.read_bytes()
    refused = []
    for seed in range(400):
        path.write_bytes(damaged(content, seed))
        try:
            network = checkpoint.load_weights(path)
        except CheckpointError as error:
            refused.append(str(error))
        else:
            assert vars(network)["classes"] == CLASSES
            assert torch.equal(weights(network), weights(saved))
    assert all(str(path) in message for message in refused)
    assert len(refused) > 300  # the rest hit bytes that mean nothing, or swapped what was the same


@pytest.mark.parametrize(
    ("saved", "said"),
    [
        ({"weights": {}}, "holds no network"),
        ({"name": "lenet", "options": {}, "weights": {}}, "does not have"),
        ({"name": "alexnet", "options": {"depth": 3}, "weights": {}}, "does not have"),
        ({"name": "alexnet", "options": {}, "weights": {"conv": torch.ones(1)}}, "does not have"),
        ({"name": "alexnet", "options": None, "weights": {}}, "does not have"),
    ],
)
def test_foreign_weights_are_refused_in_a_sentence(tmp_path, saved, said):
    torch.save(saved, tmp_path / "weights.pt")
    with pytest.raises(CheckpointError, match=said):
        checkpoint.load_weights(tmp_path / "weights.pt")


def round_one(saved):
    name, values = next(iter(saved["weights"].items()))
    saved["weights"][name] = values.long()


def change_all(change):
    return lambda saved: saved.update(
        weights={name: change(each) for name, each in saved["weights"].items()}
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            change_all(lambda values: values.half() if values.is_floating_point() else values),
            "weights.pt holds weights of torch.float16",
        ),
        (
            change_all(lambda values: values * math.nan if values.dim() > 1 else values),
            "weights.pt holds weights .*no numbers",
        ),
        (round_one, "weights.pt holds weights of torch.int64"),
        (lambda saved: saved.update(classes=5), "does not have .*not iterable"),
        (lambda saved: saved.update(classes=["a", "b", "c"]), "3 names for 10 classes"),
        (lambda saved: saved.update(classes=["a"] * 10), "1 names for 10 classes"),
    ],
    ids=["rounded", "no numbers", "one tensor rounded", "no names", "three names", "equal names"],
)
def test_weights_that_were_changed_are_refused(change, said, tmp_path):
    path, options = tmp_path / "weights.pt", {"stem": "small", "width": 0.125}
    checkpoint.save_weights(path, models.create("googlenet_bn", **options), "googlenet_bn", options)
    saved = torch.load(path, weights_only=True)
    change(saved)
    torch.save(saved, path)
    with pytest.raises(CheckpointError, match=said):
        checkpoint.load_weights(path)


# The command


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without asking it")
def test_the_command_says_how_to_go_on(tmp_path):
    folder = tmp_path / "run"
    command = [sys.executable, "-u", "-m", "inception_course", "train", "--sample", "130"]
    command += ["--epochs", "40", "--out", str(folder)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    history = 0
    for number, more in ((signal.SIGTERM, []), (signal.SIGINT, ["--resume"])):
        with subprocess.Popen(command + more, **pipes) as process:
            while not process.stdout.readline().startswith("epoch "):
                assert process.poll() is None, process.stderr.read()
            process.send_signal(number)
            _, said = process.communicate(timeout=300)
        assert process.returncode == 128 + number, said
        assert f"--resume --out {folder}" in said
        assert "Traceback" not in said
        finished = len(recorded(folder).epochs)
        assert finished > history
        history = finished
