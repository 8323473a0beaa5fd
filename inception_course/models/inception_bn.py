"""BN-Inception, from Figure 5 of its paper: Ioffe and Szegedy, Batch Normalization, 2015."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from .blocks import (
    AverageHead,
    AveragePool,
    Conv,
    ConvUnit,
    MaxPool,
    Network,
    Row,
    he_initialize,
    relu,
)
from .googlenet import choose_stem


@dataclass(frozen=True)
class DoubleInception(Row):
    """One Inception row, in the column order of Figure 5: two 3x3 stand for the 5x5.

    A row without projection has stride 2 and passes the pooled channels on.
    """

    conv_1x1: int
    reduce_3x3: int
    conv_3x3: int
    reduce_double: int
    double_3x3: int
    pool: str  # "avg" or "max"
    projection: int

    def branches(self) -> dict[str, tuple]:
        stride = 1 if self.projection else 2
        # Padded like the convolutions beside it, so that their windows and sizes agree.
        pool = (
            MaxPool("pool", 3, stride, padding=1) if self.pool == "max" else AveragePool("pool", 3)
        )
        branches = {
            "1x1": (Conv("conv_1x1", 1, self.conv_1x1),),
            "3x3": (
                Conv("reduce_3x3", 1, self.reduce_3x3),
                Conv("conv_3x3", 3, self.conv_3x3, stride),
            ),
            "double_3x3": (
                Conv("reduce_double", 1, self.reduce_double),
                Conv("double_3x3_1", 3, self.double_3x3),
                Conv("double_3x3_2", 3, self.double_3x3, stride),
            ),
            "pool": (pool, Conv("pool_projection", 1, self.projection)),
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
    #                     1x1  3x3r   3x3  d3x3r d3x3  pool  proj
    DoubleInception("3a",  64,   64,   64,   64,   96, "avg",  32),
    DoubleInception("3b",  64,   64,   96,   64,   96, "avg",  64),
    DoubleInception("3c",   0,  128,  160,   64,   96, "max",   0),
    DoubleInception("4a", 224,   64,   96,   96,  128, "avg", 128),
    DoubleInception("4b", 192,   96,  128,   96,  128, "avg", 128),
    DoubleInception("4c", 160,  128,  160,  128,  160, "avg",  96),
    DoubleInception("4d",  96,  128,  192,  160,  192, "avg",  96),
    DoubleInception("4e",   0,  128,  192,  192,  256, "max",   0),
    DoubleInception("5a", 352,  192,  320,  160,  224, "avg", 128),
    DoubleInception("5b", 352,  192,  320,  192,  224, "max", 128),
)
# fmt: on


def inception_bn(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    stem: str = "imagenet",
    width: float = 1.0,
    norm: Callable[[int], nn.Module] | None = nn.BatchNorm2d,
    act: Callable[[], nn.Module] = relu,
    dropout: float = 0.0,
) -> Network:
    """Batch normalization, two 3x3 in place of each 5x5, and no pooling layer between the stages.

    The stem is GoogLeNet's without local response normalization.
    """
    model = Network(
        choose_stem(stem, lrn=False),
        BODY,
        lambda channels, _: AverageHead(channels, num_classes, dropout),
        in_channels=in_channels,
        image_size=224,
        unit=partial(ConvUnit, norm=norm, act=act),
        width=width,
    )
    he_initialize(model)
    return model
