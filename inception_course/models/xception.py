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
    Norm,
    ResidualSpec,
    SeparableSpec,
    StageSpec,
)


def module(name: str, *channels: int, halves: bool = False, begins: bool = True) -> ResidualSpec:
    """Add the output of 3x3 separable convolutions to their input, with nothing after the sum.

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


class Xception(blocks.AverageNetwork):
    """Xception has a stem, twelve residual modules, two separable convolutions, a linear layer."""

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
    return blocks.he_initialize(
        Xception(STEM, BODY, num_classes, in_channels, 299, width, norm, act, dropout)
    )
