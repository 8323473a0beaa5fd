"""Training: what a recipe decides, what a run records, what goes wrong and how that is said."""

import json
import math
import warnings
from dataclasses import replace

import pytest
import torch
from helpers import TINY, Explosive, dots, small_net, weights, without_times
from torch import nn
from torch.utils.data import TensorDataset

from inception_course import data, models, train
from inception_course.models.blocks import Logits
from inception_course.train import checkpoint, session

# What fit does


def test_a_network_learns():
    model = small_net()
    run = train.fit(model, dots(), dots(32, seed=1), replace(TINY, epochs=5))
    assert run.last.val_accuracy == 1
    assert run.last.train_loss < run.epochs[0].train_loss


def test_the_means_are_over_images_and_of_the_network_as_it_was():
    model = small_net()
    still = replace(TINY, epochs=1, learning_rate=1e-12, momentum=0.0, batch_size=24)
    dataset = dots(64)
    run = train.fit(model, dataset, dots(40, seed=1), still)
    losses, right = [], []
    model.train()
    batches = data.Batches(dataset, 24, shuffle=True, seed=still.seed)
    for images, labels in batches:  # 24, 24 and 16 images
        logits = model(images)
        losses.append(nn.functional.cross_entropy(logits, labels, reduction="none"))
        right.append((logits.argmax(dim=1) == labels).float())
    assert run.last.train_loss == pytest.approx(torch.cat(losses).mean().item(), abs=1e-4)
    assert run.last.train_accuracy == pytest.approx(torch.cat(right).mean().item(), abs=1e-6)


def test_the_same_seed_gives_the_same_run_and_another_seed_another():
    first, again, other = small_net(dropout=0.5), small_net(dropout=0.5), small_net(dropout=0.5)
    recipe = replace(TINY, translate=1, flip=True, cutout=3)
    one = train.fit(first, dots(), dots(32), recipe)
    torch.rand(7)  # whatever else draws numbers does not matter
    two = train.fit(again, dots(), dots(32), recipe)
    assert without_times(one) == without_times(two)
    assert torch.equal(weights(first), weights(again))
    train.fit(other, dots(), dots(32), replace(recipe, seed=1))
    assert not torch.equal(weights(first), weights(other))


def test_the_callers_random_state_and_threads_are_left_alone():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    threads = torch.get_num_threads()
    train.fit(small_net(dropout=0.5), dots(), dots(32), TINY)
    assert torch.equal(torch.rand(4), expected)
    assert torch.get_num_threads() == threads


def test_watch_sees_every_epoch_and_progress_wraps_every_pass(capsys):
    seen, passes = [], []

    def progress(batches):
        passes.append(len(batches))
        return batches

    run = train.fit(
        small_net(), dots(), dots(32), TINY, on_epoch_end=seen.append, progress=progress
    )
    assert tuple(seen) == run.epochs
    assert passes == [4, 4]
    assert capsys.readouterr() == ("", "")


def test_a_last_batch_of_one_trains():
    train.fit(small_net(), dots(33), dots(1), replace(TINY, batch_size=16, epochs=1))


def test_averaging_leaves_the_mean_in_the_model():
    averaged, plain = small_net(), small_net()
    start = weights(plain)
    train.fit(plain, dots(), dots(32), TINY)
    train.fit(averaged, dots(), dots(32), replace(TINY, ema_decay=0.9))
    moved = (weights(plain) - start).norm()
    assert 0 < (weights(averaged) - start).norm() < moved


def test_an_average_that_forgets_nothing_is_the_plain_mean_of_every_step():
    model = small_net()
    average = train.make_average(model, replace(TINY, ema_decay=1.0))
    steps = []
    for _ in range(5):
        model(torch.randn(8, 1, 12, 12))  # moves the statistics
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        average.update_parameters(model)
        steps.append({name: value.clone() for name, value in model.state_dict().items()})
    for name, mean in average.module.state_dict().items():
        if mean.is_floating_point():
            expected = torch.stack([step[name] for step in steps]).mean(dim=0)
            torch.testing.assert_close(mean, expected)


def test_a_recipe_may_learn_from_the_first_images_only():
    first = TensorDataset(*(tensor[:24] for tensor in dots().tensors))
    some, all_of_them = small_net(), small_net()
    run = train.fit(some, dots(), dots(32, seed=1), replace(TINY, train_images=24))
    train.fit(all_of_them, first, dots(32, seed=1), TINY)
    assert run.environment["train_images"] == 24
    for a, b in zip(some.state_dict().values(), all_of_them.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(ValueError, match="train_images is 1 or more, or None, not 0"):
        replace(TINY, train_images=0)


def test_without_averaging_the_last_weights_are_judged():
    model = small_net()
    run = train.fit(model, dots(), dots(32, seed=1), TINY)
    model.eval()
    images, labels = next(iter(data.Batches(dots(32, seed=1), 32)))
    with torch.no_grad():
        loss = nn.functional.cross_entropy(model(images), labels).item()
    assert run.last.val_loss == pytest.approx(loss, rel=1e-4)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_biases_and_norms_do_not_decay(optimizer):
    recipe = replace(TINY, optimizer=optimizer, weight_decay=0.1)
    decaying, others = train.make_optimizer(small_net(), recipe).param_groups
    assert decaying["weight_decay"] == 0.1
    assert others["weight_decay"] == 0
    assert {p.ndim for p in decaying["params"]} == {2, 4}
    assert {p.ndim for p in others["params"]} == {1}


def test_a_run_that_went_on_elsewhere_says_where_it_was():
    now = {"torch": "2.14.1", "threads": 2, "processor": "new", "classes": 10}
    first = session.merge_environments({"torch": "2.14.1", "threads": 12, "classes": 10}, now)
    assert first == now | {"threads": "12, then 2"}
    assert session.merge_environments(first, now) == first
    assert (
        session.merge_environments(first, now | {"threads": 4})["threads"] == "12, then 2, then 4"
    )


# Rate, loss, precision


def test_one_cycle_rises_and_falls_to_zero():
    recipe = replace(TINY, schedule="one-cycle", epochs=4, warmup=0.25, learning_rate=2.0)
    rates = [train.learning_rate(recipe, epoch) for epoch in (0, 0.5, 1, 2.5, 4)]
    assert rates == pytest.approx([0, 1, 2, 1, 0])


def test_the_schedule_of_2014_takes_4_per_cent_every_8_epochs():
    recipe = replace(TINY, schedule="step", learning_rate=1.0)
    rates = [train.learning_rate(recipe, epoch) for epoch in (0, 7.9, 8, 100)]
    assert rates == pytest.approx([1, 1, 0.96, 0.96**12])
    assert rates[-1] == pytest.approx(0.613, abs=1e-3)


def test_auxiliary_losses_weigh_three_tenths():
    logits, labels = torch.randn(6, 4), torch.arange(6) % 4
    plain, _ = train.objective(logits, labels, TINY)
    outputs = Logits(logits, (logits, logits))
    loss, main = train.objective(outputs, labels, TINY)
    assert loss.item() == pytest.approx(1.6 * plain.item())
    assert torch.equal(main, plain)
    loss, _ = train.objective(outputs, labels, replace(TINY, auxiliary_weight=0.0))
    assert loss.item() == pytest.approx(plain.item())


def test_a_net_with_auxiliary_heads_trains():
    torch.manual_seed(0)
    net = models.create("googlenet_bn", stem="small", width=0.125, aux=True, image_size=40)
    recipe = replace(TINY, epochs=1, image_size=40)
    before = net.auxiliary["4d"].linear.weight.clone()
    run = train.fit(net, dots(16), dots(16), recipe)
    assert not torch.equal(net.auxiliary["4d"].linear.weight, before)
    assert math.isfinite(run.last.val_loss)


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
    run = train.fit(small_net(), dots(), dots(32), replace(TINY, epochs=5, precision=precision))
    assert run.last.val_accuracy > 0.9
    assert run.environment["precision"] in ("float32", "bfloat16")


def test_a_probe_takes_the_fastest_and_leaves_the_model_alone(monkeypatch):
    times = {("float32", "channels_last"): 1.0, ("bfloat16", "channels_last"): 0.5}
    monkeypatch.setattr(
        session, "time_step", lambda *arguments: times.get(tuple(arguments[-1]), 0.95)
    )
    batches = data.Batches(dots(), 16)
    recipe = replace(TINY, precision="auto")
    assert train.choose_precision(small_net(), batches, recipe, train.objective).dtype == "bfloat16"
    times["bfloat16", "channels_last"] = 0.95  # not enough of a difference
    assert train.choose_precision(small_net(), batches, recipe, train.objective).dtype == "float32"
    monkeypatch.undo()
    model = small_net()
    before = weights(model)
    train.choose_precision(model, batches, recipe, train.objective)
    assert torch.equal(weights(model), before)


# What goes wrong


class Constant(nn.Module):
    """Knows nothing, and cannot learn anything."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, 4))

    def forward(self, images):
        return 0 * self.weight.expand(len(images), 4)


def test_a_run_stuck_at_chance_says_so():
    run = train.fit(Constant(), dots(), dots(32), replace(TINY, epochs=1))
    assert run.diagnosis.startswith("stuck at chance: the loss of epoch 1 is 1.386")
    assert "ln(4) = 1.386" in run.diagnosis
    assert run.diagnosis in str(run)


def test_a_run_that_learns_has_nothing_to_say():
    run = train.fit(small_net(), dots(), dots(32), TINY)
    assert run.diagnosis is None


def test_a_loss_that_is_no_number_stops_with_the_place_and_the_record():
    model = Explosive()
    with pytest.raises(train.Diverged, match=r"nan in epoch 2, step 3 of 4, at learning") as error:
        train.fit(model, dots(), dots(32), replace(TINY, epochs=3))
    assert [epoch.number for epoch in error.value.run.epochs] == [1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schedule": "cosine"}, "one-cycle"),
        ({"optimizer": "adam"}, "adamw"),
        ({"precision": "half"}, "bfloat16"),
        ({"ema_decay": 1.5}, "from 0 to 1"),
        ({"epochs": 0}, "at least one epoch"),
        ({"learning_rate": 0.0}, "learning rate above 0"),
    ],
)
def test_an_impossible_recipe_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(TINY, **change)


# Records


def test_a_record_comes_back_from_json():
    run = train.fit(small_net(), dots(), dots(32), TINY)
    assert train.Run.from_json(run.to_json()) == run
    assert run.best == max(run.epochs, key=lambda epoch: epoch.val_accuracy)
    assert json.loads(run.to_json())["environment"]["train_images"] == 64


@pytest.mark.parametrize("text", ["", "{}", '{"epochs": [{}]}', "[1]"])
def test_something_else_is_no_record(text):
    with pytest.raises(ValueError, match="not the record of a run"):
        train.Run.from_json(text)


def test_the_rate_of_a_run_is_images_over_time():
    epoch = train.Epoch(1, 0.1, 1.0, 0.5, 1.0, 0.5, 2.0, 100.0)
    run = train.Run((epoch, replace(epoch, images_per_second=300.0)), TINY, {"classes": 4})
    assert run.images_per_second == pytest.approx(150)


def test_every_named_recipe_fits_its_network():
    assert train.NETWORKS.keys() == train.RECIPES.keys()
    for name, recipe in train.RECIPES.items():
        assert recipe.name == name
        model, options = train.NETWORKS[name]
        with torch.device("meta"):
            models.create(model, **options)


def test_recipes_can_be_compared_and_hashed():
    assert len({TINY, replace(TINY), replace(TINY, seed=1)}) == 2


# Checkpoints


def test_a_run_goes_on_where_it_stopped(tmp_path):
    recipe = replace(TINY, epochs=4, schedule="one-cycle", ema_decay=0.8, translate=1)
    whole, stopped = small_net(dropout=0.5), small_net(dropout=0.5)
    one = train.fit(whole, dots(), dots(32), recipe)

    def stop(epoch):
        if epoch.number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train.fit(stopped, dots(), dots(32), recipe, on_epoch_end=stop, checkpoint=tmp_path)
    record = train.Run.from_json((tmp_path / "run.json").read_text())
    assert [epoch.number for epoch in record.epochs] == [1, 2]

    fresh = small_net(seed=5, dropout=0.5)
    two = train.fit(fresh, dots(), dots(32), recipe, checkpoint=tmp_path, resume=True)
    assert without_times(one) == without_times(two)
    assert torch.equal(weights(whole), weights(fresh))


def test_a_run_is_not_overwritten_by_accident(tmp_path):
    train.fit(small_net(), dots(), dots(32), TINY, checkpoint=tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(checkpoint.CheckpointError, match="resume=True"):
        train.fit(small_net(), dots(), dots(32), TINY, checkpoint=tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_another_recipe_is_refused_by_name(tmp_path):
    train.fit(small_net(), dots(), dots(32), TINY, checkpoint=tmp_path)
    other = replace(TINY, learning_rate=0.1)
    with pytest.raises(checkpoint.CheckpointError, match=r"learning_rate was 0\.05, now 0\.1"):
        train.fit(small_net(), dots(), dots(32), other, checkpoint=tmp_path, resume=True)


def test_the_run_of_another_network_is_refused(tmp_path):
    train.fit(small_net(), dots(), dots(32), TINY, checkpoint=tmp_path)
    other = nn.Sequential(nn.Flatten(), nn.Linear(144, 4))
    with pytest.raises(checkpoint.CheckpointError, match="another network"):
        train.fit(other, dots(), dots(32), TINY, checkpoint=tmp_path, resume=True)


def test_a_finished_run_resumes_to_itself(tmp_path):
    one = train.fit(small_net(), dots(), dots(32), TINY, checkpoint=tmp_path)
    fresh = small_net(seed=1)
    two = train.fit(fresh, dots(), dots(32), TINY, checkpoint=tmp_path, resume=True)
    assert one == two


def test_weights_come_back_with_their_network(tmp_path):
    torch.manual_seed(0)
    options = {"stem": "small", "width": 0.125}
    net = models.create("googlenet_bn", **options).eval()
    checkpoint.save_weights(tmp_path / "weights.pt", net, "googlenet_bn", options)
    images = torch.randn(2, 1, 28, 28)
    assert torch.equal(checkpoint.load_weights(tmp_path / "weights.pt")(images), net(images))
    with pytest.raises(checkpoint.CheckpointError, match="there is no"):
        checkpoint.load_weights(tmp_path / "other.pt")


def test_nothing_is_warned_about(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train.fit(small_net(), dots(), dots(32), TINY, checkpoint=tmp_path)
