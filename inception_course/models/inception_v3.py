"""Inception-v3: Szegedy and others, Rethinking the Inception Architecture, 2015.

The paper's Table 1 gives the sizes, its figures the shapes of the blocks; the widths inside the
blocks are those of the authors' later public code. Table 1 counts five blocks on the 17x17 map, the
code has four besides the reduction; the code's fourth convolution is 1x1.
"""

from collections import OrderedDict

from torch import Tensor, nn

from . import blocks
from .blocks import Act, AvgPoolSpec, BlockSpec, ConvSpec, Logits, MaxPoolSpec, Network, Norm, Steps


def block_35(name: str, projection: int) -> BlockSpec:
    """Put two 3x3 beside a 5x5, on the 35x35 map."""
    return BlockSpec(
        name,
        {
            "1x1": (ConvSpec("conv_1x1", 1, 64),),
            "5x5": (ConvSpec("reduce_5x5", 1, 48), ConvSpec("conv_5x5", 5, 64)),
            "double_3x3": (
                ConvSpec("reduce_double", 1, 64),
                ConvSpec("double_3x3_1", 3, 96),
                ConvSpec("double_3x3_2", 3, 96),
            ),
            "pool": (AvgPoolSpec("pool", 3), ConvSpec("pool_projection", 1, projection)),
        },
    )


def block_17(name: str, width: int) -> BlockSpec:
    """Split 7x7 windows into a row and a column of seven, on the 17x17 map."""
    return BlockSpec(
        name,
        {
            "1x1": (ConvSpec("conv_1x1", 1, 192),),
            "7x7": (
                ConvSpec("reduce_7x7", 1, width),
                ConvSpec("conv_1x7", (1, 7), width),
                ConvSpec("conv_7x1", (7, 1), 192),
            ),
            "double_7x7": (
                ConvSpec("reduce_double", 1, width),
                ConvSpec("double_7x1_1", (7, 1), width),
                ConvSpec("double_1x7_1", (1, 7), width),
                ConvSpec("double_7x1_2", (7, 1), width),
                ConvSpec("double_1x7_2", (1, 7), 192),
            ),
            "pool": (AvgPoolSpec("pool", 3), ConvSpec("pool_projection", 1, 192)),
        },
    )


def block_8(name: str) -> BlockSpec:
    """Let branches widen at their end, on the 8x8 map."""
    split = {
        "1x3": (ConvSpec("conv_1x3", (1, 3), 384),),
        "3x1": (ConvSpec("conv_3x1", (3, 1), 384),),
    }
    return BlockSpec(
        name,
        {
            "1x1": (ConvSpec("conv_1x1", 1, 320),),
            "3x3": (ConvSpec("reduce_3x3", 1, 384), BlockSpec("split", split)),
            "double_3x3": (
                ConvSpec("reduce_double", 1, 448),
                ConvSpec("double_3x3", 3, 384),
                BlockSpec("split", split),
            ),
            "pool": (AvgPoolSpec("pool", 3), ConvSpec("pool_projection", 1, 192)),
        },
    )


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Make a normalization with the authors' epsilon."""
    return nn.BatchNorm2d(channels, eps=1e-3)


# fmt: off
STEM = (
    #           name   patch channels stride
    ConvSpec(   "conv1",  3,     32,     2, padding=0),
    ConvSpec(   "conv2",  3,     32,        padding=0),
    ConvSpec(   "conv3",  3,     64),
    MaxPoolSpec("pool1",  3,             2, padding=0),
    ConvSpec(   "conv4",  1,     80),
    ConvSpec(   "conv5",  3,    192,        padding=0),
    MaxPoolSpec("pool2",  3,             2, padding=0),
)
# The blocks that halve the map convolve and pool side by side.
BODY = (
    block_35("5a",  32),
    block_35("5b",  64),
    block_35("5c",  64),
    BlockSpec("6a", {
        "3x3":        (ConvSpec("conv_3x3", 3, 384, 2, padding=0),),
        "double_3x3": (ConvSpec("reduce_double", 1, 64), ConvSpec("double_3x3_1", 3, 96),
                       ConvSpec("double_3x3_2", 3, 96, 2, padding=0)),
        "pool":       (MaxPoolSpec("pool", 3, 2, padding=0),),
    }),
    block_17("6b", 128),
    block_17("6c", 160),
    block_17("6d", 160),
    block_17("6e", 192),
    BlockSpec("7a", {
        "3x3":  (ConvSpec("reduce_3x3", 1, 192), ConvSpec("conv_3x3", 3, 320, 2, padding=0)),
        "7x7":  (ConvSpec("reduce_7x7", 1, 192), ConvSpec("conv_1x7", (1, 7), 192),
                 ConvSpec("conv_7x1", (7, 1), 192), ConvSpec("conv_3x3", 3, 192, 2, padding=0)),
        "pool": (MaxPoolSpec("pool", 3, 2, padding=0),),
    }),
    block_8("7b"),
    block_8("7c"),
)
# fmt: on
AUXILIARY_AT = "6e"  # the one head that the paper leaves
AUXILIARY = (ConvSpec("reduce", 1, 128), ConvSpec("conv", 5, 768, padding=0))


class InceptionV3(Network):
    """Inception-v3 has a stem, eleven blocks and one linear layer; `aux` adds a head at 17x17.

    `image_size` matters to the auxiliary head only.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        image_size: int,
        width: float,
        norm: Norm,
        act: Act,
        dropout: float,
        aux: bool,
    ):
        stem, body = blocks.scaled(STEM, width), blocks.scaled(BODY, width)
        super().__init__(stem + body, in_channels, image_size)
        self.stem, channels = blocks.build(stem, in_channels, norm, act)
        size = blocks.output_size(stem, image_size)
        for step in body:
            stage, channels = blocks.build((step,), channels, norm, act)
            self.body[step.name] = stage[step.name]
            size = step.output_size(size)
            if aux and step.name == AUXILIARY_AT:
                steps = blocks.scaled(AUXILIARY, width)
                self.auxiliary[step.name] = auxiliary_head(
                    steps, channels, size, num_classes, norm, act
                )
        self.head = blocks.AverageHead(channels, num_classes, dropout)

    def forward(self, images: Tensor) -> Tensor | Logits:
        self.check(images)
        x = self.stem(images)
        aux = []
        for name, stage in self.body.items():
            x = stage(x)
            if self.wants_aux and name in self.auxiliary:
                aux.append(self.auxiliary[name](x))
        logits = self.head(x)
        return Logits(logits, tuple(aux)) if self.wants_aux else logits


def auxiliary_head(
    steps: Steps, c_in: int, size: int, num_classes: int, norm: Norm, act: Act
) -> nn.Sequential:
    """Make a small classifier on a map of `size` positions a side; a pooling makes 5 of 17."""
    if (size - 5) // 3 + 1 < 5:
        raise ValueError(
            f"the auxiliary head needs a map of at least 17x17, this one is {size}x{size}: "
            "use larger images or aux=False"
        )
    body, c_out = blocks.build(steps, c_in, norm, act)
    return nn.Sequential(
        OrderedDict(
            pool=nn.AvgPool2d(5, stride=3),
            body=body,
            average=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            linear=nn.Linear(c_out, num_classes),
        )
    )


def inception_v3(
    *,
    num_classes: int = 10,
    in_channels: int = 1,
    width: float = 1.0,
    norm: Norm = batch_norm,
    act: Act = blocks.relu,
    dropout: float = 0.5,
    aux: bool = False,
    image_size: int = 299,
) -> InceptionV3:
    """Make the net of Table 1, with batch normalization. Weights start after He."""
    return blocks.he_initialize(
        InceptionV3(num_classes, in_channels, image_size, width, norm, act, dropout, aux)
    )
