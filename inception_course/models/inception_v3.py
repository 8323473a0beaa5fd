"""Inception-v3: Szegedy and others, Rethinking the Inception Architecture, 2015.

The paper's Table 1 gives the sizes, its figures the shapes of the blocks; the widths inside the
blocks are those of the authors' later public code. Table 1 counts five blocks on the 17x17 map, the
code has four besides the reduction; the code's fourth convolution is 1x1.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from torch import nn

from .blocks import (
    AverageHead,
    AveragePool,
    Block,
    Conv,
    ConvUnit,
    MaxPool,
    Network,
    he_initialize,
    relu,
    sequence,
)


def block_35(name: str, projection: int) -> Block:
    """Two 3x3 beside a 5x5, on the 35x35 map."""
    return Block(
        name,
        {
            "1x1": (Conv("conv_1x1", 1, 64),),
            "5x5": (Conv("reduce_5x5", 1, 48), Conv("conv_5x5", 5, 64)),
            "double_3x3": (
                Conv("reduce_double", 1, 64),
                Conv("double_3x3_1", 3, 96),
                Conv("double_3x3_2", 3, 96),
            ),
            "pool": (AveragePool("pool", 3), Conv("pool_projection", 1, projection)),
        },
    )


def block_17(name: str, width: int) -> Block:
    """7x7 windows as a row and a column of seven, on the 17x17 map."""
    return Block(
        name,
        {
            "1x1": (Conv("conv_1x1", 1, 192),),
            "7x7": (
                Conv("reduce_7x7", 1, width),
                Conv("conv_1x7", (1, 7), width),
                Conv("conv_7x1", (7, 1), 192),
            ),
            "double_7x7": (
                Conv("reduce_double", 1, width),
                Conv("double_7x1_1", (7, 1), width),
                Conv("double_1x7_1", (1, 7), width),
                Conv("double_7x1_2", (7, 1), width),
                Conv("double_1x7_2", (1, 7), 192),
            ),
            "pool": (AveragePool("pool", 3), Conv("pool_projection", 1, 192)),
        },
    )


def block_8(name: str) -> Block:
    """Branches that widen at their end, on the 8x8 map."""
    split = {"1x3": (Conv("conv_1x3", (1, 3), 384),), "3x1": (Conv("conv_3x1", (3, 1), 384),)}
    return Block(
        name,
        {
            "1x1": (Conv("conv_1x1", 1, 320),),
            "3x3": (Conv("reduce_3x3", 1, 384), Block("split", split)),
            "double_3x3": (
                Conv("reduce_double", 1, 448),
                Conv("double_3x3", 3, 384),
                Block("split", split),
            ),
            "pool": (AveragePool("pool", 3), Conv("pool_projection", 1, 192)),
        },
    )


batch_norm = partial(nn.BatchNorm2d, eps=1e-3)

# fmt: off
STEM = (
    #        name   patch channels stride
    Conv(   "conv1",  3,     32,     2, padding=0),
    Conv(   "conv2",  3,     32,        padding=0),
    Conv(   "conv3",  3,     64),
    MaxPool("pool1",  3,             2, padding=0),
    Conv(   "conv4",  1,     80),
    Conv(   "conv5",  3,    192,        padding=0),
    MaxPool("pool2",  3,             2, padding=0),
)
# The blocks that halve the map convolve and pool side by side.
BODY = (
    block_35("5a",  32),
    block_35("5b",  64),
    block_35("5c",  64),
    Block("6a", {
        "3x3":        (Conv("conv_3x3", 3, 384, 2, padding=0),),
        "double_3x3": (Conv("reduce_double", 1, 64), Conv("double_3x3_1", 3, 96),
                       Conv("double_3x3_2", 3, 96, 2, padding=0)),
        "pool":       (MaxPool("pool", 3, 2, padding=0),),
    }),
    block_17("6b", 128),
    block_17("6c", 160),
    block_17("6d", 160),
    block_17("6e", 192),
    Block("7a", {
        "3x3":  (Conv("reduce_3x3", 1, 192), Conv("conv_3x3", 3, 320, 2, padding=0)),
        "7x7":  (Conv("reduce_7x7", 1, 192), Conv("conv_1x7", (1, 7), 192),
                 Conv("conv_7x1", (7, 1), 192), Conv("conv_3x3", 3, 192, 2, padding=0)),
        "pool": (MaxPool("pool", 3, 2, padding=0),),
    }),
    block_8("7b"),
    block_8("7c"),
)
# fmt: on
AUXILIARY_AT = "6e"  # the one head that the paper leaves


def inception_v3(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    norm: Callable[[int], nn.Module] | None = batch_norm,
    act: Callable[[], nn.Module] = relu,
    dropout: float = 0.5,
    aux: bool = False,
    image_size: int = 299,
) -> Network:
    """The net of Table 1, with batch normalization; `image_size` matters to the `aux` head only."""
    unit = partial(ConvUnit, norm=norm, act=act)

    def auxiliary(channels: int, size: int) -> nn.Module:
        grid = (size - 5) // 3 + 1  # 5 of 17 positions
        if grid < 5:
            raise ValueError(
                f"the auxiliary head needs a map of at least 17x17, this one is {size}x{size}: "
                "use larger images or aux=False"
            )
        steps = (Conv("reduce", 1, 128), Conv("conv", 5, 768, padding=0))
        body, c_out = sequence((step.scaled(width) for step in steps), channels, unit)
        return nn.Sequential(
            OrderedDict(
                pool=nn.AvgPool2d(5, stride=3),
                body=body,
                average=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                linear=nn.Linear(c_out, num_classes),
            )
        )

    model = Network(
        STEM,
        BODY,
        lambda channels, _: AverageHead(channels, num_classes, dropout),
        in_channels=in_channels,
        image_size=image_size,
        unit=unit,
        auxiliary={AUXILIARY_AT: auxiliary} if aux else None,
        width=width,
    )
    he_initialize(model)
    return model
