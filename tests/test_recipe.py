"""The recipe is followed: `fit` takes the steps that are written here by hand, and shows the
pictures that the recipe asks for. Each field of a recipe has a test that fails without it."""

import copy
import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from helpers import TINY, dots
from torch import nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from inception_course import data, train
from inception_course.models.blocks import Logits

pytestmark = pytest.mark.usefixtures("one_thread")

# 56 images make batches of 16, 16, 16 and 8: eight steps.
TRAIN, VAL = dots(56), dots(20, seed=1)
PLAIN = replace(TINY, learning_rate=0.1, momentum=0.0)
# The learning rates of eight steps, as parts of the highest: each is that of the step's middle.
CONSTANT = [1.0] * 8
ONE_CYCLE = [0.25, 0.75, *((1 + math.cos(math.radians(a))) / 2 for a in range(15, 180, 30))]


# Steps


class Net(nn.Module):
    """Has one of each thing that a recipe treats in its own way."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(144, 6, bias=False)
        self.norm = nn.BatchNorm1d(6)
        self.main, self.side = nn.Linear(6, 4), nn.Linear(6, 4)

    def forward(self, images):
        hidden = self.norm(self.first(images.flatten(1))).relu()
        main = self.main(hidden)
        return Logits(main, (self.side(hidden),)) if self.training else main


def sgd(weight, gradient, memory, rate, decay, momentum):
    """Nesterov's momentum, as Sutskever et al. (2013) write it."""
    slope = gradient + decay * weight
    memory["velocity"] = momentum * memory.get("velocity", 0) + slope
    return weight - rate * (slope + momentum * memory["velocity"])


def adamw(weight, gradient, memory, rate, decay, _):
    """Algorithm 2 of Loshchilov and Hutter (2019)."""
    step = memory["step"] = memory.get("step", 0) + 1
    mean = memory["mean"] = 0.9 * memory.get("mean", 0) + 0.1 * gradient
    square = memory["square"] = 0.999 * memory.get("square", 0) + 0.001 * gradient**2
    slope = mean / (1 - 0.9**step) / ((square / (1 - 0.999**step)).sqrt() + 1e-8)
    return (1 - rate * decay) * weight - rate * slope


def by_hand(net, passes, recipe, rates=CONSTANT):
    """What the recipe says, without the package: the weights at the end, and each epoch's means."""
    update = {"sgd": sgd, "adamw": adamw}[recipe.optimizer]
    memories = {name: {} for name, _ in net.named_parameters()}
    judged, average, step, epochs = copy.deepcopy(net), {}, 0, []
    for batches in passes:
        net.train()
        losses, right = [], []
        for images, labels in batches:
            main, (side,) = net(images)
            loss = F.cross_entropy(main, labels, label_smoothing=recipe.label_smoothing)
            side_loss = F.cross_entropy(side, labels, label_smoothing=recipe.label_smoothing)
            loss = loss + recipe.auxiliary_weight * side_loss
            gradients = torch.autograd.grad(loss, net.parameters())
            for (name, weight), gradient in zip(net.named_parameters(), gradients, strict=True):
                rate = recipe.learning_rate * rates[step]
                decays = name in ("first.weight", "main.weight", "side.weight")
                decay = recipe.weight_decay if decays else 0
                weight.data = update(
                    weight.data, gradient, memories[name], rate, decay, recipe.momentum
                )
            keep = step / (step + 1) if recipe.ema_decay == 1 else recipe.ema_decay
            for name, now in net.state_dict().items():
                average[name] = keep * average.get(name, now) + (1 - keep) * now
            step += 1
            losses.append(F.cross_entropy(main, labels, reduction="none").detach())
            right.append((main.argmax(dim=1) == labels).float())
        judged.load_state_dict(average)
        judged.eval()
        logits, labels = judged(normalized(VAL.tensors[0])).detach(), VAL.tensors[1]
        epochs.append(
            (
                torch.cat(losses).mean().item(),
                torch.cat(right).mean().item(),
                F.cross_entropy(logits, labels).item(),
                (logits.argmax(dim=1) == labels).float().mean().item(),
            )
        )
    return state(judged), epochs


def normalized(images):
    return (images.float() / 255 - data.MEAN) / data.STD


def state(net):
    return torch.cat([v.flatten() for v in net.state_dict().values() if v.is_floating_point()])


def kept(passes):
    """A `progress` for `fit` that keeps the batches of each pass."""

    def progress(batches):
        passes.append(list(batches))
        return passes[-1]

    return progress


CHANGES = {
    "a plain recipe": {},
    "label smoothing": {"label_smoothing": 0.2},
    "Nesterov momentum": {"momentum": 0.8},
    "weight decay": {"weight_decay": 0.1},
    "weight decay and momentum": {"weight_decay": 0.1, "momentum": 0.8},
    "one cycle": {"schedule": "one-cycle"},
    "AdamW": {"optimizer": "adamw", "learning_rate": 0.02},
    "AdamW, weight decay": {"optimizer": "adamw", "learning_rate": 0.02, "weight_decay": 0.5},
    "auxiliary weight": {"auxiliary_weight": 0.7},
    "averaged weights": {"ema_decay": 0.7},
    "mean of all weights": {"ema_decay": 1.0},
}
EVERYTHING = {name: value for each in list(CHANGES.values())[:6] for name, value in each.items()}
CHANGES["everything"] = EVERYTHING | {"auxiliary_weight": 0.7, "ema_decay": 0.7}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_fit_takes_the_steps_that_are_written_by_hand(changes):
    torch.manual_seed(0)
    net, passes = Net(), []
    plain_net, by_hand_net = copy.deepcopy(net), copy.deepcopy(net)
    recipe = replace(PLAIN, **changes)
    rates = ONE_CYCLE if recipe.schedule == "one-cycle" else CONSTANT
    # Whoever trains a network may have it in eval mode.
    run = train.fit(net.eval(), TRAIN, VAL, recipe, progress=kept(passes))
    expected, epochs = by_hand(by_hand_net, passes, recipe, rates)
    torch.testing.assert_close(state(net), expected, rtol=1e-4, atol=1e-5)
    for epoch, numbers in zip(run.epochs, epochs, strict=True):
        reported = epoch.train_loss, epoch.train_accuracy, epoch.val_loss, epoch.val_accuracy
        assert reported == pytest.approx(numbers, rel=1e-4)
    plain, _ = by_hand(plain_net, passes, PLAIN)
    assert not changes or (plain - expected).abs().max() > 1e-3, "the change is too small to see"


def test_one_epoch_steps_the_optimizer_and_the_schedule_that_it_is_given():
    torch.manual_seed(0)
    net = Net().eval()
    expected_net, batches = copy.deepcopy(net), list(data.Batches(TRAIN, 16))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    after = []

    def after_step(loss):
        after.append((loss.item(), net.main.bias[0].item()))

    means = train.one_epoch(net, batches, optimizer, schedule, PLAIN, after_step=after_step)
    expected, ((loss, accuracy, *_),) = by_hand(
        expected_net, [batches], PLAIN, [1, 0.5, 0.25, 0.125]
    )
    torch.testing.assert_close(state(net), expected, rtol=1e-4, atol=1e-5)
    assert (means.loss, means.accuracy, means.count) == pytest.approx((loss, accuracy, 56))
    assert after[-1][1] == net.main.bias[0].item()  # after the step, not before
    assert len({loss for loss, _ in after}) == len(after) == 4


class Meter(nn.Module):
    """Its loss has a slope of 1 everywhere, so each step is as long as the learning rate."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))
        self.places = []

    def forward(self, images):
        if self.training:
            self.places.append(self.weight.item())
        nothing = self.weight - self.weight.detach()  # 0, with a gradient
        return torch.cat([-2 * nothing, 0 * nothing]).expand(len(images), 2).float()


SCHEDULES = {
    "constant": ({}, CONSTANT),
    "one cycle": ({"schedule": "one-cycle"}, ONE_CYCLE),
    "one cycle, half of it rising": (
        {"schedule": "one-cycle", "warmup": 0.5},
        [1 / 8, 3 / 8, 5 / 8, 7 / 8]
        + [(1 + math.cos(math.radians(angle))) / 2 for angle in (22.5, 67.5, 112.5, 157.5)],
    ),
    "4 % less every 8 epochs": (
        {"schedule": "step", "epochs": 18},
        [1.0] * 32 + [0.96] * 32 + [0.9216] * 8,
    ),
}


@pytest.mark.parametrize(("changes", "parts"), SCHEDULES.values(), ids=SCHEDULES)
def test_each_step_has_the_learning_rate_of_the_schedule(changes, parts):
    recipe = replace(PLAIN, learning_rate=3.0, **changes)
    zeros = TensorDataset(TRAIN.tensors[0], torch.zeros_like(TRAIN.tensors[1]))
    meter = Meter()
    run = train.fit(meter, zeros, zeros, recipe)
    steps = [a - b for a, b in pairwise([*meter.places, meter.weight.item()])]
    assert steps == pytest.approx([3 * part for part in parts], abs=1e-6)
    last = parts[3::4]  # of the four steps of an epoch
    assert [epoch.learning_rate for epoch in run.epochs] == pytest.approx([3 * x for x in last])


# Pictures

PIXELS = torch.Generator().manual_seed(0)
COUNT = 24  # each picture is a class of its own, so that its label says which it is
PICTURES = torch.randint(1, 256, (COUNT, 1, 12, 12), generator=PIXELS, dtype=torch.uint8)
DATASET = TensorDataset(PICTURES, torch.arange(COUNT))


class Witness(nn.Module):
    """Keeps the pictures that it learns from, and those that it is only asked about."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(COUNT))
        self.learned, self.asked = [], []

    def forward(self, images):
        (self.learned if self.training else self.asked).append(images.clone())
        return self.weight.expand(len(images), COUNT)


AUGMENTATIONS = {
    "random_resized_crop": (True, data.RandomResizedCrop()),
    "flip": (True, data.RandomFlip()),
    "translate": (2, data.Translate(2)),
    "cutout": (3, data.Cutout(3)),
}


@pytest.mark.parametrize(
    "fields",
    [(), *((field,) for field in AUGMENTATIONS), tuple(AUGMENTATIONS)],
    ids=lambda fields: ", ".join(fields) or "none",
)
def test_the_pictures_are_augmented_as_the_recipe_says(fields):
    """What each augmentation does is in test_data."""
    witness, passes = Witness(), []
    changes = {field: AUGMENTATIONS[field][0] for field in fields}
    recipe = replace(PLAIN, batch_size=COUNT, **changes)
    augment = data.Compose(AUGMENTATIONS[field][1] for field in fields) or None
    assert recipe.augmentation() == augment
    train.fit(witness, DATASET, DATASET, recipe, progress=kept(passes))
    batches = data.Batches(DATASET, COUNT, augment=augment, shuffle=True)
    for learned, ((_, labels),) in zip(witness.learned, passes, strict=True):
        ((images, right),) = batches
        assert torch.equal(learned, images)
        assert torch.equal(labels, right)
    torch.testing.assert_close(torch.cat(witness.asked), normalized(PICTURES).repeat(2, 1, 1, 1))


@pytest.mark.parametrize(
    ("epochs", "first", "sizes"),
    [(1, 8, [20]), (2, 8, [8, 20]), (5, 8, [8, 8, 20, 20, 20]), (2, None, [20, 20])],
)
def test_the_first_half_of_the_epochs_can_have_another_size(epochs, first, sizes):
    witness = Witness()
    recipe = replace(PLAIN, epochs=epochs, batch_size=COUNT, image_size=20, first_size=first)
    train.fit(witness, DATASET, DATASET, recipe)
    assert [images.shape[2] for images in witness.learned] == sizes
    assert {images.shape[2] for images in witness.asked} == {20}


def test_each_epoch_has_an_order_of_its_own():
    def orders(seed):
        passes = []
        train.fit(Net(), TRAIN, VAL, replace(PLAIN, epochs=3, seed=seed), progress=kept(passes))
        assert [[len(labels) for _, labels in each] for each in passes] == [[16, 16, 16, 8]] * 3
        return [torch.cat([images for images, _ in each]) for each in passes]

    unmoved = normalized(TRAIN.tensors[0])
    all_orders = [*orders(0), *orders(1), unmoved]
    for number, one in enumerate(all_orders):
        assert all(not torch.allclose(one, other) for other in all_orders[:number])
        torch.testing.assert_close(one.sum(dim=0), unmoved.sum(dim=0))  # every picture, once
