"""The paper's claim at equal cost: reductions allow a wider or a deeper net for the same work.

All nets have the same stem, and blocks with the proportions of 3a and 3b. The widths are chosen so
that the multiply-adds agree within 1 %, before anything is trained. Only the control differs: as
channels are whole numbers, a naive net with four blocks has 6 % less work or 11 % more. We take
the one with more.
"""

from dataclasses import replace
from functools import partial
from typing import NamedTuple

from torch import nn

from .. import cost
from ..models.blocks import BlockSpec, ConvSpec, MaxPoolSpec, Steps, he_initialize
from ..models.googlenet import BODY, GoogLeNet, InceptionSpec
from ..train import Recipe
from .comparison import Comparison, Contender
from .reduction import naive

STEM = (ConvSpec("conv1", 3, 8, stride=2), ConvSpec("conv2", 3, 24))  # to 14x14
ROWS = [row for row in BODY if isinstance(row, InceptionSpec)][:2]
RATES = (0.05, 0.2)
RECIPE = Recipe(
    "equal cost", 3, 50, RATES[0], momentum=0.9, weight_decay=5e-4, schedule="one-cycle"
)


class Blocks(NamedTuple):
    """Describes the blocks of a net: `depth` blocks, each `width` times as wide as the paper's."""

    depth: int
    width: float
    reduced: bool = True
    pool: str = "maximum"  # the pooling branch: or "1x1" for its projection alone, or "none"


NETS = {
    "naive": Blocks(2, 0.125, reduced=False),
    "reduced, wider": Blocks(2, 0.253),
    "reduced, deeper": Blocks(4, 0.152),
    "no pooling branch": Blocks(2, 0.258, pool="none"),
    "1x1 without the pool": Blocks(2, 0.253, pool="1x1"),
    "naive, deeper": Blocks(4, 0.048, reduced=False),
}
CONTROL = "naive, deeper"


def net(blocks: Blocks) -> nn.Module:
    """Make the net for images of 28x28 with one channel and ten classes."""
    body = []
    for number in range(blocks.depth):
        row = scaled(ROWS[min(number, 1)], blocks.width)
        branches = dict((row if blocks.reduced else naive(row)).branches())
        if blocks.pool == "1x1":
            branches["pool"] = branches["pool"][1:]
        elif blocks.pool == "none":
            del branches["pool"]
        body.append(BlockSpec(f"block{number + 1}", branches))
    steps: Steps = (*body, MaxPoolSpec("pool3", 3, 2))
    return he_initialize(
        GoogLeNet(STEM, steps, num_classes=10, in_channels=1, image_size=28, norm=nn.BatchNorm2d)
    )


def scaled(row: InceptionSpec, width: float) -> InceptionSpec:
    """Multiply all channels of a row by `width`, to the nearest whole number."""
    values = vars(row).items()
    return InceptionSpec(
        **{name: each if name == "name" else round(width * each) for name, each in values}
    )


def multiply_adds() -> dict[str, int]:
    """Count the multiply-adds of each net for one image."""
    return {
        name: cost.table(net(blocks), (1, 28, 28)).multiply_adds for name, blocks in NETS.items()
    }


EQUAL_COST = Comparison(
    "equal-cost",
    "Naive and reduced nets of equal work, with and without pooling, at two learning rates "
    "(120 trainings, 60 minutes).",
    tuple(
        Contender(
            f"{name}, rate {rate:g}", replace(RECIPE, learning_rate=rate), partial(net, blocks)
        )
        for name, blocks in NETS.items()
        for rate in RATES
    ),
    seeds=tuple(range(10)),
    sample=5000,
)
