"""Xception, from Figure 5 of its paper: Chollet, 2017.

The paper is Xception: Deep Learning with Depthwise Separable Convolutions.
"""

from torch import Tensor, nn

from . import blocks
from .blocks import (
    Act,
    ActivationSpec,
    ConvSpec,
    MaxPoolSpec,
    Network,
    Norm,
    ResidualSpec,
    SeparableSpec,
    StageSpec,
)


def module(name: str, *channels: int, halves: bool = False, begins: bool = True) -> ResidualSpec:
    """Add what separable convolutions of 3x3 make of a map to the map, with nothing after the sum.

    An activation stands before each convolution, unless the module `begins` without one. A module
    that `halves` the map ends with a pooling.
    """
    separable = [
        SeparableSpec(f"separable{number}", 3, each, activation=number < len(channels))
        for number, each in enumerate(channels, 1)
    ]
    first = (ActivationSpec("activation"),) if begins else ()
    last = (MaxPoolSpec("pool", 3, 2, padding=1),) if halves else ()
    return ResidualSpec(name, (*first, *separable, *last), activation=False)


# Figure 5: 36 convolutions in 14 modules. No activation stands inside a separable convolution.
# fmt: off
STEM = (
    ConvSpec("conv1", 3, 32, 2, padding=0),
    ConvSpec("conv2", 3, 64,    padding=0),
)
BODY = (
    # entry flow
    module("module2",  128,  128, halves=True, begins=False),
    module("module3",  256,  256, halves=True),
    module("module4",  728,  728, halves=True),
    # middle flow
    *(module(f"module{number}", 728, 728, 728) for number in range(5, 13)),
    # exit flow
    module("module13", 728, 1024, halves=True),
    StageSpec("module14", (SeparableSpec("separable1", 3, 1536),
                           SeparableSpec("separable2", 3, 2048))),
)
# fmt: on


class Xception(Network):
    """Xception has a stem, twelve residual modules, two separable convolutions and a linear layer.

    `width` multiplies every number of channels.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        width: float,
        norm: Norm,
        act: Act,
        dropout: float,
    ):
        stem, body = blocks.scaled(STEM, width), blocks.scaled(BODY, width)
        super().__init__(stem + body, in_channels, image_size=299)
        self.stem, channels = blocks.build(stem, in_channels, norm, act)
        self.body, channels = blocks.build(body, channels, norm, act)
        self.head = blocks.AverageHead(channels, num_classes, dropout)

    def forward(self, images: Tensor) -> Tensor:
        self.check(images)
        return self.head(self.body(self.stem(images)))


def xception(
    *,
    num_classes: int = 10,
    in_channels: int = 1,
    width: float = 1.0,
    norm: Norm = nn.BatchNorm2d,
    act: Act = blocks.relu,
    dropout: float = 0.5,
) -> Xception:
    """Make the net of Figure 5 with one linear layer, as for ImageNet. Weights start after He."""
    return blocks.he_initialize(Xception(num_classes, in_channels, width, norm, act, dropout))
