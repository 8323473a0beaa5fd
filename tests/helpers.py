"""What several test files share: a recipe, data and a network that train in a moment."""

import os
import random
import subprocess
import sys
from dataclasses import replace

import torch
from torch import nn
from torch.utils.data import TensorDataset
from torch.utils.flop_counter import FlopCounterMode

from inception_course import models
from inception_course.machine import CLAIM
from inception_course.train import Recipe, Run

TINY = Recipe("tiny", epochs=2, batch_size=16, learning_rate=0.05, momentum=0.9, image_size=12)
# With a part in all that a checkpoint must keep.
RICH = replace(TINY, schedule="one-cycle", ema_decay=0.8, translate=1, flip=True, cutout=3)


def dots(count=64, classes=4, seed=0):
    """Images with one bright quarter, which is the class: easy to learn."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    images = torch.randint(0, 60, (count, 1, 12, 12), generator=generator, dtype=torch.uint8)
    for image, label in zip(images, labels, strict=True):
        row, column = divmod(int(label), 2)
        image[0, 6 * row : 6 * row + 6, 6 * column : 6 * column + 6] += 150
    return TensorDataset(images, labels)


TRAIN, VAL = dots(), dots(32, seed=1)


def small_net(seed=0, dropout=0.0, batch_norm=True):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2),
            nn.BatchNorm2d(8) if batch_norm else nn.Identity(),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(8 * 25, 4),
        )


class Explosive(nn.Module):
    """Not a number after some steps."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, 4))
        self.steps = 0

    def forward(self, images):
        self.steps += self.training
        factor = float("nan") if self.steps > 6 else 1.0
        return factor * self.weight.expand(len(images), 4)


def weights(model):
    return torch.cat([value.flatten().double() for value in model.state_dict().values()])


def without_times(run):
    return [replace(epoch, seconds=0.0, images_per_second=0.0) for epoch in run.epochs]


def contents(folder):
    """Every file in a folder, byte for byte."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != CLAIM}


def recorded(folder):
    """The record that a run keeps in its folder."""
    return Run.from_json((folder / "run.json").read_text("utf-8"))


def damaged(content, seed):
    """The bytes with a bit flipped, a piece zeroed, two swapped, the end cut off, or some more."""
    draw = random.Random(seed)
    content = bytearray(content)
    length = min(draw.choice((1, 16, 1000)), len(content) // 4)
    one, two = sorted(draw.sample(range(len(content) - length), 2))
    match seed % 5:
        case 0:
            content[one] ^= 1 << draw.randrange(8)
        case 1:
            content[one : one + length] = bytes(length)
        case 2:
            first, second = content[one : one + length], content[two : two + length]
            content[one : one + length], content[two : two + length] = second, first
        case 3:
            del content[one:]
        case 4:
            content[one:one] = draw.randbytes(5)
    return bytes(content)


def course(*arguments, **environment):
    """Call the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "inception_course", *map(str, arguments)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def on_meta(name, **options):
    """The network of that name, without numbers."""
    with torch.device("meta"):
        return models.create(name, **options).eval()


def multiply_adds(model, *shape):
    """What torch counts for a network without numbers."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad(), torch.device("meta"):
        model(torch.empty(shape))
    return counter.get_total_flops() // 2
