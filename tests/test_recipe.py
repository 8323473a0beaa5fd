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


class Witness(nn.Module):
    """Keeps the pictures that it learns from, and those that it is only asked about."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(COUNT))
        self.learned, self.asked = [], []

    def forward(self, images):
        (self.learned if self.training else self.asked).append(images.clone())
        return self.weight.expand(len(images), COUNT)


def shown(pictures=PICTURES, **changes):
    """The pictures that a network learns from, in their own order: bytes [epochs, N, 12, 12]."""
    witness, passes = Witness(), []
    dataset = TensorDataset(pictures, torch.arange(COUNT))
    recipe = replace(PLAIN, batch_size=COUNT, **changes)  # a batch is drawn at once
    train.fit(witness, dataset, dataset, recipe, progress=kept(passes))
    torch.testing.assert_close(torch.cat(witness.asked), normalized(pictures).repeat(2, 1, 1, 1))
    labels = torch.cat([labels for batches in passes for _, labels in batches])
    images = torch.cat(witness.learned).squeeze(1)
    by_label = images.view(2, COUNT, 12, 12)[torch.arange(2)[:, None], labels.view(2, -1).argsort()]
    return ((by_label * data.STD + data.MEAN) * 255).round().to(torch.uint8)


def equal(one, two):
    """Which of the pictures are equal, pixel by pixel."""
    return (one == two).flatten(-2).all(dim=-1)


def test_a_plain_recipe_shows_the_pictures_as_they_are():
    assert equal(shown(), PICTURES[:, 0]).all()


def test_flip_mirrors_every_other_picture():
    pictures = shown(flip=True)
    mirrored = equal(pictures, PICTURES[:, 0].flip(-1))
    assert (mirrored ^ equal(pictures, PICTURES[:, 0])).all()
    assert all(0.3 < share < 0.7 for share in mirrored.float().mean(dim=1))
    assert not torch.equal(*mirrored)  # another draw in the second epoch


def test_translate_moves_each_picture_and_fills_with_black():
    padded = F.pad(PICTURES[:, 0], [2] * 4)
    moved = padded.unfold(1, 12, 1).unfold(2, 12, 1)  # [N, 5 rows, 5 columns, 12, 12]
    match = equal(shown(translate=2)[:, :, None, None], moved)
    assert (match.sum(dim=(2, 3)) == 1).all()
    assert match.any(dim=3).flatten(0, 1).any(dim=0).all()  # by -2, -1, 0, 1 and 2, up or down
    assert match.any(dim=2).flatten(0, 1).any(dim=0).all()  # and left or right
    assert not torch.equal(*match)


def test_cutout_blackens_a_square_in_each_picture():
    pictures = shown(cutout=3)
    hole = pictures != PICTURES[:, 0]
    assert (pictures[hole] == 0).all()
    rows, columns = hole.any(dim=3), hole.any(dim=2)
    assert torch.equal(hole, rows[..., None] & columns[..., None, :])  # a rectangle
    for sides in (rows.sum(dim=-1), columns.sum(dim=-1)):  # smaller where it leaves the picture
        assert sides.min() >= 1
        assert sides.max() == 3
        assert (sides == 3).float().mean() > 0.5
    assert len(hole.flatten(0, 1).unique(dim=0)) > COUNT  # another draw for each picture and epoch


def test_random_resized_crop_enlarges_a_patch_of_each_picture():
    ramp = torch.arange(12, dtype=torch.uint8)
    slopes = 11 * ramp[:, None] + 11 * ramp  # enlarged, it rises as much less per pixel
    pictures = shown(slopes.expand(COUNT, 1, 12, 12), random_resized_crop=True).float()
    middle = pictures[..., 2:10, 2:10]  # the border of a patch is repeated
    height = (middle[..., -1, :] - middle[..., 0, :]).mean(dim=-1) / (7 * 11)
    width = (middle[..., :, -1] - middle[..., :, 0]).mean(dim=-1) / (7 * 11)
    area, aspect = height * width, width / height
    assert 0.07 < area.min() < 0.25
    assert 0.75 < area.max() < 1.02
    assert 0.72 < aspect.min() < 0.9
    assert 1.1 < aspect.max() < 1.37
    for drawn in (area, aspect, pictures.flatten(2).amin(dim=-1)):  # the last tells the place
        assert len(drawn.unique()) > COUNT // 2
        assert not torch.equal(*drawn)


def test_augmentations_are_combined():
    recipe = replace(PLAIN, random_resized_crop=True, flip=True, translate=2, cutout=3)
    assert PLAIN.augmentation() is None
    assert recipe.augmentation() == (
        data.RandomResizedCrop(),
        data.RandomFlip(),
        data.Translate(2),
        data.Cutout(3),
    )


def test_pictures_are_resized_to_train_and_to_validate():
    witness = Witness()
    dataset = TensorDataset(PICTURES, torch.arange(COUNT))
    train.fit(witness, dataset, dataset, replace(PLAIN, image_size=20))
    assert {images.shape[2:] for images in witness.learned + witness.asked} == {(20, 20)}


@pytest.mark.parametrize(("epochs", "sizes"), [(1, [20]), (2, [8, 20]), (5, [8, 8, 20, 20, 20])])
def test_the_first_half_of_the_epochs_can_have_another_size(epochs, sizes):
    witness = Witness()
    dataset = TensorDataset(PICTURES, torch.arange(COUNT))
    recipe = replace(PLAIN, epochs=epochs, batch_size=COUNT, image_size=20, first_size=8)
    train.fit(witness, dataset, dataset, recipe)
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
