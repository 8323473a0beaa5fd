"""Training: what `fit` leaves alone, what a run records, what goes wrong and how that is said.

That the recipe is followed is in test_recipe, and saving and resuming in test_checkpoint.
"""

import json
import math
from dataclasses import replace
from importlib import metadata

import pytest
import torch
from helpers import TINY, TRAIN, VAL, Explosive, damaged, dots, small_net, weights, without_times
from torch import nn

from inception_course import data, models, train
from inception_course.models.blocks import Logits
from inception_course.train import session

pytestmark = pytest.mark.usefixtures("one_thread")

# What fit does


def test_a_network_learns():
    run = train.fit(small_net(), TRAIN, VAL, replace(TINY, epochs=5))
    assert run.last.val_accuracy == 1
    assert run.last.train_loss < run.epochs[0].train_loss
    assert run.diagnosis is None


def test_the_same_seed_gives_the_same_run_and_another_seed_another():
    first, again, other = small_net(dropout=0.5), small_net(dropout=0.5), small_net(dropout=0.5)
    recipe = replace(TINY, translate=1, flip=True, cutout=3)
    one = train.fit(first, TRAIN, VAL, recipe)
    torch.rand(7)  # whatever else draws numbers does not matter
    two = train.fit(again, TRAIN, VAL, recipe)
    assert without_times(one) == without_times(two)
    assert torch.equal(weights(first), weights(again))
    train.fit(other, TRAIN, VAL, replace(recipe, seed=1))
    assert not torch.equal(weights(first), weights(other))


def test_the_callers_random_state_and_threads_are_left_alone():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    threads, inside = torch.get_num_threads(), []
    torch.set_num_threads(2)
    try:
        train.fit(
            small_net(dropout=0.5),
            TRAIN,
            VAL,
            TINY,
            on_epoch_end=lambda _: inside.append(torch.get_num_threads()),
        )
        assert (inside, torch.get_num_threads()) == ([1, 1], 2)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.rand(4), expected)


def test_on_epoch_end_gets_every_epoch_and_progress_wraps_every_pass(capsys):
    seen, passes = [], []

    def progress(batches):
        passes.append(len(batches))
        return batches

    run = train.fit(small_net(), TRAIN, VAL, TINY, on_epoch_end=seen.append, progress=progress)
    assert tuple(seen) == run.epochs
    assert passes == [4, 4]
    assert capsys.readouterr() == ("", "")


def test_a_last_batch_of_one_trains():
    train.fit(small_net(), dots(33), dots(1), replace(TINY, epochs=1))


def test_a_recipe_may_learn_from_the_first_images_only():
    some, the_first = small_net(), small_net()
    run = train.fit(some, TRAIN, VAL, replace(TINY, train_images=24))
    train.fit(the_first, data.subset(TRAIN, torch.arange(24)), VAL, TINY)
    assert run.environment["train_images"] == 24
    assert torch.equal(weights(some), weights(the_first))


# Loss, precision


def test_auxiliary_losses_weigh_three_tenths():
    logits, labels = torch.randn(6, 4), torch.arange(6) % 4
    plain, _ = train.objective(logits, labels, TINY)
    outputs = Logits(logits, (logits, logits))
    loss, main = train.objective(outputs, labels, TINY)
    assert loss.item() == pytest.approx(1.6 * plain.item())
    assert torch.equal(main, plain)
    loss, _ = train.objective(outputs, labels, replace(TINY, auxiliary_weight=0.0))
    assert loss.item() == pytest.approx(plain.item())


@pytest.mark.slow
def test_the_recipe_of_2014_trains_the_net_of_2014():
    recipe = replace(train.RECIPES["paper_2014"], epochs=1, precision="float32")
    torch.manual_seed(0)
    net = models.create("googlenet", width=0.25, **train.NETWORKS["paper_2014"][1])
    assert sorted(m.p for m in net.modules() if isinstance(m, nn.Dropout)) == [0.4, 0.7, 0.7]
    before = {name: value.clone() for name, value in net.state_dict().items()}
    train_set = data.fashion_mnist("train", sample=3 * recipe.batch_size)
    run = train.fit(net, train_set, data.fashion_mnist("val", sample=20), recipe)
    assert all(not torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert run.last.train_loss < 3
    assert run.last.learning_rate == recipe.learning_rate


@pytest.mark.parametrize("precision", ["bfloat16", "auto"])
def test_other_precisions_train_as_well(precision):
    run = train.fit(small_net(), TRAIN, VAL, replace(TINY, epochs=5, precision=precision))
    assert run.last.val_accuracy > 0.9
    assert run.environment["precision"] in ("float32", "bfloat16")


def test_the_fastest_precision_is_chosen_and_the_model_left_alone(monkeypatch):
    model, batches, recipe = small_net(), data.Batches(TRAIN, 16), replace(TINY, precision="auto")
    before = weights(model)

    def choose():
        return train.choose_precision(model, batches, recipe, train.objective).dtype

    choose()
    assert torch.equal(weights(model), before)
    times = {("float32", "channels_last"): 1.0, ("bfloat16", "channels_last"): 0.5}
    monkeypatch.setattr(session, "time_step", lambda *given: times.get(tuple(given[-1]), 0.95))
    assert choose() == "bfloat16"
    times["bfloat16", "channels_last"] = 0.95  # not enough of a difference
    assert choose() == "float32"


# What goes wrong


class Constant(nn.Module):
    """Knows nothing, and cannot learn anything."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, 4))

    def forward(self, images):
        return 0 * self.weight.expand(len(images), 4)


def test_a_run_stuck_at_chance_says_so():
    run = train.fit(Constant(), TRAIN, VAL, replace(TINY, epochs=1))
    assert run.diagnosis.startswith("stuck at chance: the loss of epoch 1 is 1.386")
    assert "ln(4) = 1.386" in run.diagnosis
    assert run.diagnosis in str(run)


def test_a_loss_that_is_no_number_stops_with_the_place_and_the_record():
    with pytest.raises(train.Diverged, match=r"nan in epoch 2, step 3 of 4, at learning") as error:
        train.fit(Explosive(), TRAIN, VAL, replace(TINY, epochs=3))
    assert [epoch.number for epoch in error.value.run.epochs] == [1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schedule": "cosine"}, "one-cycle"),
        ({"optimizer": "adam"}, "adamw"),
        ({"precision": "half"}, "bfloat16"),
        ({"ema_decay": 1.5}, "from 0 to 1"),
        ({"warmup": -0.1}, "from 0 to below 1"),
        ({"warmup": 1.0}, "from 0 to below 1"),
        ({"epochs": 0}, "at least one epoch"),
        ({"learning_rate": 0.0}, "learning rate above 0"),
        ({"train_images": 0}, "train_images is 1 or more, or None, not 0"),
        ({"first_size": 0}, "first_size is 1 pixel or more, or None, not 0"),
        ({"epochs": 1.5}, "epochs is a whole number, 1 or more, not 1.5"),
        ({"batch_size": 0}, "batch_size is 1 or more, not 0"),
        ({"image_size": 0}, "image_size is 1 or more, not 0"),
        ({"learning_rate": math.nan}, "learning rate above 0"),
        ({"learning_rate": math.inf}, "learning_rate is a finite number, 0 or more, not inf"),
        ({"momentum": 3}, "momentum is from 0 to 1, not 3"),
        ({"weight_decay": math.nan}, "weight_decay is a finite number, 0 or more, not nan"),
        ({"label_smoothing": 5}, "label_smoothing is from 0 to 1, not 5"),
        ({"auxiliary_weight": -0.1}, "auxiliary_weight is 0 or more, not -0.1"),
        ({"translate": -1}, "translate is 0 or more, not -1"),
        ({"cutout": 2.0}, "cutout is a whole number, 0 or more, not 2.0"),
        ({"seed": -1}, "seed is 0 or more, not -1"),
    ],
)
def test_an_impossible_recipe_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(TINY, **change)


# Records


def test_a_record_comes_back_from_json():
    run = train.fit(small_net(), TRAIN, VAL, TINY)
    assert train.Run.from_json(run.to_json()) == run
    assert run.best == max(run.epochs, key=lambda epoch: epoch.val_accuracy)
    assert json.loads(run.to_json())["environment"]["train_images"] == 64


def test_a_damaged_record_is_refused_or_says_what_it_said():
    run = train.Run((train.Epoch(1, 0.1, 1.0, 0.5, 1.0, 0.5, 2.0, 100.0),), TINY, {"classes": 4})
    content = run.to_json().encode()
    refused = 0
    for seed in range(400):
        try:
            same = train.Run.from_json(damaged(content, seed).decode("utf-8"))
        except ValueError:
            refused += 1
        else:
            assert same == run
    assert refused > 300


def test_a_record_without_its_checksum_is_refused():
    values = json.loads(train.Run((), TINY, {"classes": 4}).to_json())
    assert train.Run.from_json(json.dumps(values)).recipe == TINY
    del values["sha256"]
    with pytest.raises(ValueError, match="it was changed, or is damaged"):
        train.Run.from_json(json.dumps(values))


@pytest.mark.parametrize("text", ["", "{}", '{"epochs": [{}]}', "[1]"])
def test_something_else_is_no_record(text):
    with pytest.raises(ValueError, match="not the record of a run"):
        train.Run.from_json(text)


def test_the_pace_of_a_run_is_images_over_time():
    epoch = train.Epoch(1, 0.1, 1.0, 0.5, 1.0, 0.5, 2.0, 100.0)
    run = train.Run((epoch, replace(epoch, images_per_second=300.0)), TINY, {"classes": 4})
    assert run.images_per_second == pytest.approx(150)


def test_a_run_that_went_on_elsewhere_says_where_it_was():
    now = {"torch": "2.14.1", "threads": 2, "processor": "new", "classes": 10}
    first = session.merge_environments({"torch": "2.14.1", "threads": 12, "classes": 10}, now)
    assert first == now | {"threads": "12, then 2"}
    assert session.merge_environments(first, now) == first
    third = session.merge_environments(first, now | {"threads": 4})
    assert third["threads"] == "12, then 2, then 4"


def test_the_largest_seed_of_the_command_line_trains():
    train.fit(small_net(), TRAIN, VAL, replace(TINY, seed=2**63 - 1))


def test_every_named_recipe_fits_its_network():
    assert train.NETWORKS.keys() == train.RECIPES.keys()
    for name, recipe in train.RECIPES.items():
        assert recipe.name == name
        model, options = train.NETWORKS[name]
        with torch.device("meta"):
            models.create(model, **options)


def test_recipes_can_be_compared_and_hashed():
    assert len({TINY, replace(TINY), replace(TINY, seed=1)}) == 2


def test_a_copy_that_was_never_installed_trains_and_says_so(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    run = train.fit(small_net(), TRAIN, VAL, replace(TINY, epochs=1))
    assert run.environment["course"] == "not installed"
