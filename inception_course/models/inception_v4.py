"""Inception-v4 and Inception-ResNet-v2: Szegedy, Ioffe, Vanhoucke, Alemi, 2016.

The paper's figures give the blocks, its Table 1 the filters of Reduction-A. The order of the
windows 1x7 and 7x1, 1x3 and 3x1 is that of the authors' released code.

Inception-v4 has no residual connection. Inception-ResNet-v2 has one around each block. Two nets
have this name: the one that the authors released, and the one of the paper's figures, which has
half the blocks, another stem, and 70 % of the work.
"""

from collections.abc import Callable

from torch import Tensor

from . import blocks
from .blocks import (
    Act,
    AvgPoolSpec,
    BlockSpec,
    ConvSpec,
    MaxPoolSpec,
    Norm,
    ResidualSpec,
    StageSpec,
    Step,
    Steps,
)
from .inception_v3 import STEM as STEM_OF_V3
from .inception_v3 import batch_norm


def average(projection: int) -> Steps:
    """Average over 3x3, where the border does not count, and project."""
    return (
        AvgPoolSpec("pool", 3, counts_padding=False),
        ConvSpec("pool_projection", 1, projection),
    )


def strided(channels: int) -> ConvSpec:
    """Convolve at stride 2 with whole windows only, as the pooling beside it does."""
    return ConvSpec("strided", 3, channels, 2, padding=0)


POOL = MaxPoolSpec("pool", 3, 2, padding=0)


def repeat(name: str, count: int, block: Callable[[str], Step]) -> StageSpec:
    """Make a stage of `count` equal blocks, numbered from 1."""
    return StageSpec(name, tuple(block(f"{name}{number}") for number in range(1, count + 1)))


# Inception-v4: Figures 3 to 9


def inception_a(name: str) -> BlockSpec:
    """Look with 1x1, 3x3 and two 3x3, on the 35x35 map (Figure 4)."""
    return BlockSpec(
        name,
        {
            "1x1": (ConvSpec("conv_1x1", 1, 96),),
            "3x3": (ConvSpec("reduce_3x3", 1, 64), ConvSpec("conv_3x3", 3, 96)),
            "double_3x3": (
                ConvSpec("reduce_double", 1, 64),
                ConvSpec("double_3x3_1", 3, 96),
                ConvSpec("double_3x3_2", 3, 96),
            ),
            "pool": average(96),
        },
    )


def inception_b(name: str) -> BlockSpec:
    """Split 7x7 windows into rows and columns of seven, on the 17x17 map (Figure 5)."""
    return BlockSpec(
        name,
        {
            "1x1": (ConvSpec("conv_1x1", 1, 384),),
            "7x7": (
                ConvSpec("reduce_7x7", 1, 192),
                ConvSpec("conv_1x7", (1, 7), 224),
                ConvSpec("conv_7x1", (7, 1), 256),
            ),
            "double_7x7": (
                ConvSpec("reduce_double", 1, 192),
                ConvSpec("double_7x1_1", (7, 1), 192),
                ConvSpec("double_1x7_1", (1, 7), 224),
                ConvSpec("double_7x1_2", (7, 1), 224),
                ConvSpec("double_1x7_2", (1, 7), 256),
            ),
            "pool": average(128),
        },
    )


def inception_c(name: str) -> BlockSpec:
    """Let branches widen at their end, on the 8x8 map (Figure 6)."""
    row, column = ConvSpec("conv_1x3", (1, 3), 256), ConvSpec("conv_3x1", (3, 1), 256)
    split = BlockSpec("split", {"1x3": (row,), "3x1": (column,)})
    return BlockSpec(
        name,
        {
            "1x1": (ConvSpec("conv_1x1", 1, 256),),
            "3x3": (ConvSpec("reduce_3x3", 1, 384), split),
            "double_3x3": (
                ConvSpec("reduce_double", 1, 384),
                ConvSpec("double_3x1", (3, 1), 448),
                ConvSpec("double_1x3", (1, 3), 512),
                split,
            ),
            "pool": average(256),
        },
    )


def reduction_a(reduce: int, middle: int, last: int, single: int) -> BlockSpec:
    """Halve the 35x35 map; the numbers are k, l, m and n of Table 1 and Figure 7."""
    return BlockSpec(
        "reduction_a",
        {
            "3x3": (strided(single),),
            "double_3x3": (
                ConvSpec("reduce", 1, reduce),
                ConvSpec("conv_3x3", 3, middle),
                strided(last),
            ),
            "pool": (POOL,),
        },
    )


# fmt: off
STEM = (
    #         name   patch channels stride
    ConvSpec("conv1",  3,     32,     2, padding=0),
    ConvSpec("conv2",  3,     32,        padding=0),
    ConvSpec("conv3",  3,     64),
    BlockSpec("fork1", {
        "pool": (POOL,),
        "3x3":  (strided(96),),
    }),
    BlockSpec("fork2", {
        "3x3":  (ConvSpec("reduce", 1, 64), ConvSpec("conv_3x3", 3, 96, padding=0)),
        "7x7":  (ConvSpec("reduce", 1, 64), ConvSpec("conv_1x7", (1, 7), 64),
                 ConvSpec("conv_7x1", (7, 1), 64), ConvSpec("conv_3x3", 3, 96, padding=0)),
    }),
    BlockSpec("fork3", {
        "3x3":  (strided(192),),
        "pool": (POOL,),
    }),
)
BODY = (
    repeat("a", 4, inception_a),
    #             k    l    m    n
    reduction_a(192, 224, 256, 384),
    repeat("b", 7, inception_b),
    BlockSpec("reduction_b", {
        "3x3":  (ConvSpec("reduce_3x3", 1, 192), strided(192)),
        "7x7":  (ConvSpec("reduce_7x7", 1, 256), ConvSpec("conv_1x7", (1, 7), 256),
                 ConvSpec("conv_7x1", (7, 1), 320), strided(320)),
        "pool": (POOL,),
    }),
    repeat("c", 3, inception_c),
)
# fmt: on


# Inception-ResNet-v2: Figures 15 to 19. What is added is scaled down, against nets that died where
# they have more than 1,000 filters (section 3.3); the constants are those of the released code.
# Figure 17 prints a last 1x1 of 1154 filters and Figure 19 one of 2048, which cannot be added to
# maps of 1152 and 2144 channels; here the number follows from the map.


def residual_a(name: str) -> ResidualSpec:
    """Add the output of three small branches to the 35x35 map (Figure 16)."""
    branches = {
        "1x1": (ConvSpec("conv_1x1", 1, 32),),
        "3x3": (ConvSpec("reduce_3x3", 1, 32), ConvSpec("conv_3x3", 3, 32)),
        "double_3x3": (
            ConvSpec("reduce_double", 1, 32),
            ConvSpec("double_3x3_1", 3, 48),
            ConvSpec("double_3x3_2", 3, 64),
        ),
    }
    return ResidualSpec(name, (BlockSpec("inception", branches),), scale=0.17, restore=True)


def residual_b(name: str) -> ResidualSpec:
    """Add the output of windows 1x7 and 7x1 to the 17x17 map (Figure 17)."""
    branches = {
        "1x1": (ConvSpec("conv_1x1", 1, 192),),
        "7x7": (
            ConvSpec("reduce_7x7", 1, 128),
            ConvSpec("conv_1x7", (1, 7), 160),
            ConvSpec("conv_7x1", (7, 1), 192),
        ),
    }
    return ResidualSpec(name, (BlockSpec("inception", branches),), scale=0.1, restore=True)


def residual_c(name: str, scale: float = 0.2, activation: bool = True) -> ResidualSpec:
    """Add the output of windows 1x3 and 3x1 to the 8x8 map (Figure 19)."""
    branches = {
        "1x1": (ConvSpec("conv_1x1", 1, 192),),
        "3x3": (
            ConvSpec("reduce_3x3", 1, 192),
            ConvSpec("conv_1x3", (1, 3), 224),
            ConvSpec("conv_3x1", (3, 1), 256),
        ),
    }
    steps = (BlockSpec("inception", branches),)
    return ResidualSpec(name, steps, scale=scale, restore=True, activation=activation)


# fmt: off
#                                    k    l    m    n
RESIDUAL_REDUCTION_A = reduction_a(256, 256, 384, 384)
RESIDUAL_REDUCTION_B = BlockSpec("reduction_b", {
    "3x3":        (ConvSpec("reduce_3x3", 1, 256), strided(384)),
    "narrow_3x3": (ConvSpec("reduce_narrow", 1, 256), strided(288)),
    "double_3x3": (ConvSpec("reduce_double", 1, 256), ConvSpec("double_3x3", 3, 288),
                   strided(320)),
    "pool":       (POOL,),
})
# The released net begins as Inception-v3 does, and with one block that adds nothing.
BLOCK_5B = BlockSpec("5b", {
    "1x1":        (ConvSpec("conv_1x1", 1, 96),),
    "5x5":        (ConvSpec("reduce_5x5", 1, 48), ConvSpec("conv_5x5", 5, 64)),
    "double_3x3": (ConvSpec("reduce_double", 1, 64), ConvSpec("double_3x3_1", 3, 96),
                   ConvSpec("double_3x3_2", 3, 96)),
    "pool":       average(64),
})
# fmt: on


def drawn(a: int, b: int, c: int) -> Steps:
    """Write out Figure 15 with that many blocks of each kind; it shows 5, 10 and 5."""
    return (
        repeat("a", a, residual_a),
        RESIDUAL_REDUCTION_A,
        repeat("b", b, residual_b),
        RESIDUAL_REDUCTION_B,
        repeat("c", c, residual_c),
    )


def released(a: int, b: int, c: int) -> Steps:
    """Write out the released net with that many blocks of each kind; it has 10, 20 and 10.

    Its last block adds at full scale and ends without activation, and a 1x1 follows.
    """
    *stages, last = drawn(a, b, c - 1)
    return (
        BLOCK_5B,
        *stages,
        last,
        residual_c("last", scale=1.0, activation=False),
        ConvSpec("conv6", 1, 1536),
    )


class InceptionV4(blocks.AverageNetwork):
    """A net of this family has a stem, three stages of equal blocks, and one linear layer.

    Between the stages stand the reductions, which halve the map.
    """

    def forward(self, images: Tensor) -> Tensor:
        self.check(images)
        return self.head(self.body(self.stem(images)))


def inception_v4(
    *,
    num_classes: int = 10,
    in_channels: int = 1,
    width: float = 1.0,
    norm: Norm = batch_norm,
    act: Act = blocks.relu,
    dropout: float = 0.2,
) -> InceptionV4:
    """Make the net of Figure 9, with batch normalization. Weights start after He."""
    return blocks.he_initialize(
        InceptionV4(STEM, BODY, num_classes, in_channels, 299, width, norm, act, dropout)
    )


def inception_resnet_v2(
    *,
    num_classes: int = 10,
    in_channels: int = 1,
    as_drawn: bool = False,
    repeats: tuple[int, int, int] | None = None,
    width: float = 1.0,
    norm: Norm = batch_norm,
    act: Act = blocks.relu,
    dropout: float = 0.2,
) -> InceptionV4:
    """Make the net that the authors released, or with `as_drawn` the one of the paper's figures.

    `repeats` are the blocks on the maps of 35x35, 17x17 and 8x8: 10, 20 and 10 in the released net,
    5, 10 and 5 as drawn. Weights start after He.
    """
    stem = STEM if as_drawn else STEM_OF_V3
    body = drawn(*(repeats or (5, 10, 5))) if as_drawn else released(*(repeats or (10, 20, 10)))
    return blocks.he_initialize(
        InceptionV4(stem, body, num_classes, in_channels, 299, width, norm, act, dropout)
    )
