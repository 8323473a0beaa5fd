"""Experiments: the record is complete, the same every time, and can be resumed."""

import json
from dataclasses import replace
from functools import partial
from itertools import islice

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from inception_course import evaluate, models, probe, records, studies
from inception_course.batch_norm import fully_connected
from inception_course.data import Batches
from inception_course.studies import experiment
from inception_course.studies.experiment import Experiment, Variant

PLAIN = Variant("plain", 0.5, partial(fully_connected, 1, width=8))
NORMALIZED = Variant("BN", 0.5, partial(fully_connected, 1, width=8, norm=nn.BatchNorm1d))
SMALL = Experiment(
    "small",
    (PLAIN, NORMALIZED),
    steps=6,
    every=3,
    batch_size=20,
    seeds=(0, 1),
    momentum=0.9,
    sample=100,
    val_images=50,
    look_at=(nn.Sigmoid,),
    statistics=(("outside", probe.outside(2)), ("gradient", probe.rms("gradient"))),
)


def train_one(chosen, variant):
    return experiment.train_variant(chosen, variant, 0)[1]


def without_time(result):
    return [replace(training, seconds=0.0) for training in result.trainings]


@pytest.fixture(scope="module")
def result():
    return studies.run(SMALL)


def test_every_variant_is_trained_with_every_seed(result):
    pairs = [(training.variant, training.seed) for training in result.trainings]
    assert pairs == [("plain", 0), ("plain", 1), ("BN", 0), ("BN", 1)]
    assert result.variants == ["plain", "BN"]
    assert [training.seed for training in result.of("BN")] == [0, 1]


def test_rows_are_tidy(result):
    assert len(result.rows) == 4 * 3
    assert {row["step"] for row in result.rows} == {0, 3, 6}
    for row in result.rows:
        assert row.keys() == {"variant", "seed", "step", "accuracy", "loss"}
        assert 0 <= row["accuracy"] <= 1
    layers = result.trainings[0].layers
    assert [(row["step"], row["layer"]) for row in layers] == [(s, "unit1") for s in (0, 3, 6)]
    assert all(row["gradient"] > 0 and 0 <= row["outside"] <= 1 for row in layers)


def test_same_seed_same_record_bit_for_bit(result):
    again = studies.run(SMALL)
    assert without_time(again) == without_time(result)
    first, second = result.of("plain")
    assert first.rows != second.rows


@pytest.mark.slow
def test_side_by_side_gives_the_same_record(result, tmp_path):
    parallel = studies.run(SMALL, tmp_path / "parallel.json", workers=2)
    assert without_time(parallel) == without_time(result)


def test_random_state_and_threads_are_left_alone():
    torch.manual_seed(5)
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    train_one(SMALL, PLAIN)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_a_record_survives_json(result):
    assert records.from_json(experiment.Result, records.to_json(result)) == result
    for text in ("", "[]", "{}", '{"epochs": []}'):
        with pytest.raises(ValueError, match="not the record of an experiment"):
            records.from_json(experiment.Result, text)


def test_what_is_done_is_not_done_again(tmp_path, result):
    path = tmp_path / "new" / "record.json"
    done = []
    stopped = studies.run(SMALL, path, seconds=0, on_done=done.append)
    assert done == []
    assert stopped.trainings == ()

    def interrupt(training):
        done.append(training)
        if len(done) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        studies.run(SMALL, path, on_done=interrupt)
    assert len(records.from_json(experiment.Result, path.read_text()).trainings) == 2
    finished = studies.run(SMALL, path, on_done=done.append)
    assert len(done) == 4
    assert without_time(finished) == without_time(result)
    assert studies.run(SMALL, path, on_done=done.append) == finished
    assert len(done) == 4


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (replace(SMALL, steps=7), "steps was 6, now 7"),
        (
            replace(SMALL, variants=(PLAIN._replace(learning_rate=0.1),)),
            r"plain was 0\.5, now 0\.1",
        ),
        (
            replace(SMALL, variants=(PLAIN._replace(build=NORMALIZED.build),)),
            r"parameters of plain was 6370, now 6378",
        ),
    ],
)
def test_another_experiments_record_is_not_mixed_in(tmp_path, changed, said):
    path = tmp_path / "record.json"
    studies.run(replace(SMALL, seeds=(0,)), path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=said):
        studies.run(changed, path)
    assert path.read_bytes() == before


def test_a_record_in_use_is_left_to_its_owner(tmp_path):
    path = tmp_path / "record.json"
    with records.claimed(path):
        with pytest.raises(ValueError, match=r"record\.json is in use by process \d+ .*: wait"):
            studies.run(SMALL, path)
        with records.claimed(tmp_path / "another.json"):
            pass
    assert [each.name for each in tmp_path.iterdir()] == []


def test_more_seeds_can_be_added(tmp_path, result):
    path = tmp_path / "record.json"
    studies.run(replace(SMALL, seeds=(1,)), path)
    assert without_time(studies.run(SMALL, path)) == without_time(result)


def test_a_loss_that_is_no_number_ends_the_training():
    wild = Variant("wild", 1e30, partial(fully_connected, 2, width=8, act=nn.ReLU))
    training = train_one(SMALL, wild)
    assert 0 < training.diverged <= SMALL.steps
    assert training.rows[-1]["step"] <= training.diverged
    json.dumps(training.rows, allow_nan=False)


@pytest.mark.parametrize("variant", SMALL.variants, ids=lambda each: each.name)
def test_the_losses_are_those_of_plain_gradient_descent(variant, result):
    train_set, val_set = SMALL.images()
    torch.manual_seed(1)
    net = variant.build()
    optimizer = torch.optim.SGD(net.parameters(), lr=variant.learning_rate, momentum=SMALL.momentum)
    batches = Batches(train_set, SMALL.batch_size, shuffle=True, seed=1)
    losses, accuracies = [], []
    for images, labels in islice(experiment.endless(batches), SMALL.steps + 1):
        accuracies.append(evaluate.accuracy(net, val_set))
        loss = F.cross_entropy(net(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    rows = result.of(variant.name)[1].rows
    assert [row["loss"] for row in rows] == pytest.approx(losses[:: SMALL.every], rel=1e-5)
    assert [row["accuracy"] for row in rows] == accuracies[:: SMALL.every]


def test_validation_does_not_touch_the_training():
    """Twice as many looks, the same losses."""
    often = train_one(replace(SMALL, every=1), NORMALIZED)
    seldom = train_one(SMALL, NORMALIZED)
    losses = {row["step"]: row["loss"] for row in often.rows}
    assert all(losses[row["step"]] == row["loss"] for row in seldom.rows)


def training(variant, seed, *accuracies, diverged=None):
    rows = tuple({"step": 10 * n, "accuracy": a} for n, a in enumerate(accuracies))
    return experiment.Training(variant, seed, 0.1, 1, "", diverged, 0.0, rows, ())


def test_the_table_counts_steps_to_the_same_seeds_best():
    made = experiment.Result(
        {},
        {},
        (
            training("base", 0, 0.1, 0.5, 0.7, 0.6),
            training("base", 1, 0.1, 0.4, 0.5, 0.8),
            training("fast", 0, 0.1, 0.7, 0.9, 0.8),
            training("fast", 1, 0.1, 0.9, 0.8, 0.8),
            training("slow", 0, 0.1, 0.7),
            training("slow", 1, 0.1, 0.2, diverged=13),
        ),
    )
    base, fast, slow = experiment.table(made, "base")
    assert (base.steps, base.mean_steps) == ([20, 30], 25)
    assert (fast.steps, fast.best, fast.mean_steps) == ([10, 10], [0.9, 0.9], 10)
    assert (slow.steps, slow.mean_steps, slow.diverged) == ([10, None], None, [None, 13])


def test_black_or_white():
    train_set, val_set = replace(SMALL, binary=True).images()
    assert set(train_set.tensors[0].unique().tolist()) == {0, 255}
    assert set(val_set.tensors[0].unique().tolist()) == {0, 255}
    assert len(val_set) == 50


def test_the_variants_differ_in_what_their_names_say():
    variants = {each.name: each for each in experiment.EXPERIMENTS["batch-norm"].variants}
    rates = {name: each.learning_rate / experiment.BASE_RATE for name, each in variants.items()}
    assert rates["BN"] == rates["no BN"] == 1
    assert rates["BN x5"] == rates["no BN x5"] == rates["BN x5, sigmoid"] == 5
    assert rates["BN x30"] == pytest.approx(30)

    def kinds(name):
        net = variants[name].build()
        return {
            kind: sum(isinstance(module, kind) for module in net.modules())
            for kind in (nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Sigmoid)
        }

    assert list(kinds("no BN").values()) == [57, 0, 57, 0]
    assert list(kinds("BN").values()) == [57, 57, 57, 0]
    assert list(kinds("BN x5, sigmoid").values()) == [57, 57, 0, 57]
    assert list(kinds("no BN, sigmoid").values()) == [57, 0, 0, 57]
    reference = models.create("googlenet_bn", stem="small", width=0.125)
    assert repr(variants["BN"].build()) == repr(reference)


def test_the_base_rate_is_the_best_of_those_tried():
    record = studies.load("rates")
    ends = {name: sum(each.last for each in record.of(name)) for name in record.variants}
    assert max(ends, key=ends.get) == f"rate {experiment.BASE_RATE}"
