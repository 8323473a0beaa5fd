"""What the later Inception papers changed, one change at a time, in nets of a few layers.

Factors: windows of 5x5 and 7x7 replaced by smaller ones. Resolution: images of three sizes for the
same work. Smoothing: targets of 0.91 and 0.01 in place of 1 and 0. Additions: Inception blocks that
add their answer to their input, or replace it.
"""

from collections import OrderedDict
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from .. import cost
from ..evaluate import calibration, calibration_error_by_chance, predict, temperature, top_1
from ..models.blocks import (
    AverageHead,
    Chain,
    ConvSpec,
    ConvUnit,
    MaxPoolSpec,
    Steps,
    build,
    he_initialize,
)
from ..models.googlenet import InceptionSpec
from ..train import Recipe
from .comparison import Comparison, Contender, Inquiry

SEEDS = (0, 1, 2, 3, 4)
RECIPE = Recipe(
    "rethinking",
    epochs=2,
    batch_size=128,
    learning_rate=0.1,
    train_images=20_000,
    momentum=0.9,
    weight_decay=5e-4,
    schedule="one-cycle",
)


def normalized_net(steps: Steps) -> nn.Module:
    """Make a net of `steps` with batch normalization, then averages of the maps, a linear layer."""
    body, channels = build(steps, 1, nn.BatchNorm2d)
    layers = OrderedDict[str, nn.Module](body=body, head=AverageHead(channels, 10, dropout=0))
    return he_initialize(nn.Sequential(layers))


# Factors of a window

CHANNELS = 16
FACTORS: dict[str, Steps] = {
    "5x5": (ConvSpec("conv", 5, CHANNELS),),
    "3x3, 3x3": (ConvSpec("first", 3, CHANNELS), ConvSpec("second", 3, CHANNELS)),
    "3x3, 3x3, no ReLU between": (
        ConvSpec("first", 3, CHANNELS, activation=False),
        ConvSpec("second", 3, CHANNELS),
    ),
    "7x7": (ConvSpec("conv", 7, CHANNELS),),
    "1x7, 7x1": (ConvSpec("first", (1, 7), CHANNELS), ConvSpec("second", (7, 1), CHANNELS)),
}


def factored_net(factors: str) -> nn.Module:
    """Make a net of three units, each with the windows of `FACTORS[factors]`, on maps of 14x14."""
    units = tuple(
        step._replace(name=f"{step.name}{number}")
        for number in (1, 2, 3)
        for step in FACTORS[factors]
        if isinstance(step, ConvSpec)
    )
    return normalized_net((ConvSpec("stem", 3, CHANNELS), MaxPoolSpec("pool", 2, 2), *units))


FACTORIZATION = Comparison(
    "factorization",
    "What it costs to replace large windows by smaller ones (25 trainings, 6 minutes).",
    tuple(Contender(name, RECIPE, partial(factored_net, name)) for name in FACTORS),
    SEEDS,
)

# The resolution of the images, for the same work

POOL = MaxPoolSpec("pool", 2, 2)
SIZES: dict[str, tuple[int, Steps]] = {  # pixels a side, and how the net begins
    "28 pixels": (28, (ConvSpec("conv1", 3, 16, stride=2), POOL)),
    "14 pixels": (14, (ConvSpec("conv1", 3, 16), POOL)),
    "7 pixels": (7, (ConvSpec("conv1", 3, 16),)),
    "14 pixels, net for 28": (14, (ConvSpec("conv1", 3, 16, stride=2), POOL)),
    "56 pixels, enlarged": (56, (ConvSpec("conv1", 3, 16, stride=2), POOL)),
    "28 pixels, map 14": (28, (ConvSpec("conv1", 3, 16), POOL)),
}
REST = (ConvSpec("conv2", 3, 32), ConvSpec("conv3", 3, 64), ConvSpec("conv4", 3, 64))


def net_for(size: str) -> nn.Module:
    """Make the net for one of `SIZES`: nets for different sizes differ only in how they begin."""
    return normalized_net((*SIZES[size][1], *REST))


def multiply_adds(size: str) -> int:
    """Count the multiply-adds for one image of that size."""
    pixels = SIZES[size][0]
    return cost.table(net_for(size), (1, pixels, pixels)).multiply_adds


RESOLUTION = Comparison(
    "resolution",
    "Images of several sizes for the same work (30 trainings, 6 minutes).",
    tuple(
        Contender(name, replace(RECIPE, image_size=pixels), partial(net_for, name))
        for name, (pixels, _) in SIZES.items()
    ),
    SEEDS,
)

# Label smoothing

SMOOTHINGS = (0.0, 0.1)
BY_HEART = replace(RECIPE, epochs=8, batch_size=64, train_images=3000, weight_decay=0.0)


def smoothed_net() -> nn.Module:
    """Make the net on which label smoothing is tried: it has four convolutions."""
    return normalized_net((ConvSpec("conv1", 3, 16, stride=2), *REST))


def confidence(net: nn.Module, val_set: TensorDataset) -> list[dict]:
    """Tell how sure the net is, how often it is right, and how far its largest logit stands out.

    `gap` is the largest logit minus the mean of the others. `by chance` is the mean calibration
    error of a perfectly calibrated net on as many images.
    """
    logits, labels = predict(net, val_set), val_set.tensors[1]
    probabilities = logits.softmax(dim=1)
    largest = logits.max(dim=1).values
    others = (logits.sum(dim=1) - largest) / (logits.shape[1] - 1)
    chance = calibration_error_by_chance(probabilities, torch.Generator().manual_seed(0))
    best = temperature(logits, labels)
    return [
        {
            "accuracy": top_1(logits, labels),
            "confidence": probabilities.max(dim=1).values.mean().item(),
            "error": calibration(probabilities, labels).error,
            "by chance": chance.mean().item(),
            "gap": (largest - others).mean().item(),
            "loss": F.cross_entropy(logits, labels).item(),
            "temperature": best,
            "error there": calibration((logits / best).softmax(dim=1), labels).error,
        }
    ]


SMOOTHING = Inquiry(
    "smoothing",
    "What label smoothing does to logits and calibration (10 trainings, 2 minutes).",
    tuple(
        Contender(f"smoothing {each:g}", replace(BY_HEART, label_smoothing=each), smoothed_net)
        for each in SMOOTHINGS
    ),
    SEEDS,
    ask=confidence,
)

# Additions around Inception blocks


class Around(nn.Module):
    """An Inception block, a 1x1 convolution back to the channels of its input, and a ReLU.

    With `added` the input is added before the ReLU, which costs no parameter and no multiply-add.

    Shape: [B, channels, H, W] -> [B, channels, H, W]
    """

    def __init__(self, channels: int, row: InceptionSpec, added: bool):
        super().__init__()
        self.block, width = build((row,), channels, nn.BatchNorm2d)
        self.back = ConvUnit(width, channels, 1, norm=nn.BatchNorm2d, act=nn.Identity)
        self.added = added

    def forward(self, x: Tensor) -> Tensor:
        answer = self.back(self.block(x))
        return F.relu(x + answer if self.added else answer)


NARROW = InceptionSpec("inception", 16, 12, 16, 4, 8, 8)
DEPTHS = (2, 8)


def inception_net(depth: int, added: bool) -> nn.Module:
    """Make a net of `depth` Inception blocks with 32 channels on maps of 14x14 and 7x7."""
    stem, channels = build((ConvSpec("conv1", 3, 32, stride=2),), 1, nn.BatchNorm2d)
    layers = Chain({"stem": stem})
    for number in range(depth):
        if number == depth // 2:
            layers["pool"] = nn.MaxPool2d(2)
        layers[f"block{number + 1}"] = Around(channels, NARROW, added)
    layers["head"] = AverageHead(channels, 10, dropout=0)
    return he_initialize(layers)


ADDITIONS = Comparison(
    "additions",
    "Inception blocks with and without additions, in nets of two depths "
    "(20 trainings, 25 minutes).",
    tuple(
        Contender(
            f"{depth} blocks, {'with' if added else 'without'} additions",
            replace(RECIPE, epochs=3),
            partial(inception_net, depth, added),
        )
        for depth in DEPTHS
        for added in (False, True)
    ),
    SEEDS,
    clean=False,
)

RETHINKING = {each.name: each for each in (FACTORIZATION, RESOLUTION, SMOOTHING, ADDITIONS)}
