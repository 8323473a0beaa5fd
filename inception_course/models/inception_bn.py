"""BN-Inception, from Figure 5 of its paper: Ioffe and Szegedy, Batch Normalization, 2015."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from . import blocks
from .blocks import Act, AvgPoolSpec, ConvSpec, MaxPoolSpec, Norm, RowSpec, Steps
from .googlenet import choose_stem


@dataclass(frozen=True)
class DoubleInceptionSpec(RowSpec):
    """A row has the columns of Figure 5 in their order: two 3x3 stand for the 5x5.

    A row without projection has stride 2 and passes the pooled channels on.
    """

    conv_1x1: int
    reduce_3x3: int
    conv_3x3: int
    reduce_double: int
    double_3x3: int
    pool: str  # "avg" or "max"
    projection: int

    def branches(self) -> Mapping[str, Steps]:
        stride = 1 if self.projection else 2
        # Padded like the convolutions beside it, so that their windows and sizes agree.
        pool = (
            MaxPoolSpec("pool", 3, stride, padding=1)
            if self.pool == "max"
            else AvgPoolSpec("pool", 3)
        )
        branches = {
            "1x1": (ConvSpec("conv_1x1", 1, self.conv_1x1),),
            "3x3": (
                ConvSpec("reduce_3x3", 1, self.reduce_3x3),
                ConvSpec("conv_3x3", 3, self.conv_3x3, stride),
            ),
            "double_3x3": (
                ConvSpec("reduce_double", 1, self.reduce_double),
                ConvSpec("double_3x3_1", 3, self.double_3x3),
                ConvSpec("double_3x3_2", 3, self.double_3x3, stride),
            ),
            "pool": (pool, ConvSpec("pool_projection", 1, self.projection)),
        }
        if stride == 2:
            del branches["1x1"]
            branches["pool"] = (pool,)
        return branches


# Figure 5. It prints a projection of 128 in 4c and 4d, which does not add up to the 576 channels
# printed beside it; 96 does, and makes every other printed size right. It prints the sizes before
# 3c and 4e, which have stride 2. Its first convolution is separable with depth multiplier 8; this
# one is ordinary.
# fmt: off
BODY = (
    #                         1x1  3x3r   3x3  d3x3r d3x3  pool  proj
    DoubleInceptionSpec("3a",  64,   64,   64,   64,   96, "avg",  32),
    DoubleInceptionSpec("3b",  64,   64,   96,   64,   96, "avg",  64),
    DoubleInceptionSpec("3c",   0,  128,  160,   64,   96, "max",   0),
    DoubleInceptionSpec("4a", 224,   64,   96,   96,  128, "avg", 128),
    DoubleInceptionSpec("4b", 192,   96,  128,   96,  128, "avg", 128),
    DoubleInceptionSpec("4c", 160,  128,  160,  128,  160, "avg",  96),
    DoubleInceptionSpec("4d",  96,  128,  192,  160,  192, "avg",  96),
    DoubleInceptionSpec("4e",   0,  128,  192,  192,  256, "max",   0),
    DoubleInceptionSpec("5a", 352,  192,  320,  160,  224, "avg", 128),
    DoubleInceptionSpec("5b", 352,  192,  320,  192,  224, "max", 128),
)
# fmt: on


class BNInception(blocks.AverageNetwork):
    """BN-Inception has a stem, ten blocks, of which two halve the map, and one linear layer."""

    def forward(self, images: Tensor) -> Tensor:
        self.check(images)
        return self.head(self.body(self.stem(images)))


def inception_bn(
    *,
    num_classes: int = 10,
    in_channels: int = 1,
    stem: str = "imagenet",
    width: float = 1.0,
    norm: Norm = nn.BatchNorm2d,
    act: Act = blocks.relu,
    dropout: float = 0.0,
) -> BNInception:
    """Make the net with batch normalization, two 3x3 for each 5x5, and no pooling between stages.

    The stem is GoogLeNet's without local response normalization. Weights start after He.
    """
    steps = choose_stem(stem, lrn=False)
    return blocks.he_initialize(
        BNInception(steps, BODY, num_classes, in_channels, 224, width, norm, act, dropout)
    )
