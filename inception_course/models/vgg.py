"""VGG, from Table 1 of its paper: Simonyan and Zisserman, 2014."""

from torch import Tensor

from . import blocks
from .blocks import Act, ConvSpec, DenseNetwork, MaxPoolSpec, Norm, Step, Steps

# Table 1: every window is 3x3, and each stage ends with a pooling of 2x2 at stride 2.
CHANNELS = (64, 128, 256, 512, 512)
CONVOLUTIONS = {
    11: (1, 1, 2, 2, 2),  # column A
    16: (2, 2, 3, 3, 3),  # column D
    19: (2, 2, 4, 4, 4),  # column E
}


def table(layers: int) -> Steps:
    """Write out the column that has `layers` layers with weights."""
    steps: list[Step] = []
    for stage, (channels, count) in enumerate(zip(CHANNELS, CONVOLUTIONS[layers], strict=True), 1):
        steps += [ConvSpec(f"conv{stage}_{number}", 3, channels) for number in range(1, count + 1)]
        steps.append(MaxPoolSpec(f"pool{stage}", 2, 2, padding=0))
    return tuple(steps)


class VGG(DenseNetwork):
    """VGG has five stages of 3x3 convolutions and three fully connected layers."""

    def forward(self, images: Tensor) -> Tensor:
        self.check(images)
        return self.head(self.body(images))


def vgg11(
    *,
    num_classes: int = 10,
    in_channels: int = 1,
    width: float = 1.0,
    norm: Norm = None,
    act: Act = blocks.relu,
    dropout: float = 0.5,
    image_size: int = 224,
) -> VGG:
    """Make column A of Table 1, with eight convolutions. Weights start after He."""
    return blocks.he_initialize(
        VGG(table(11), num_classes, in_channels, image_size, width, norm, act, dropout)
    )


def vgg16(
    *,
    num_classes: int = 10,
    in_channels: int = 1,
    width: float = 1.0,
    norm: Norm = None,
    act: Act = blocks.relu,
    dropout: float = 0.5,
    image_size: int = 224,
) -> VGG:
    """Make column D of Table 1, with thirteen convolutions. Weights start after He."""
    return blocks.he_initialize(
        VGG(table(16), num_classes, in_channels, image_size, width, norm, act, dropout)
    )


def vgg19(
    *,
    num_classes: int = 10,
    in_channels: int = 1,
    width: float = 1.0,
    norm: Norm = None,
    act: Act = blocks.relu,
    dropout: float = 0.5,
    image_size: int = 224,
) -> VGG:
    """Make column E of Table 1, with sixteen convolutions. Weights start after He."""
    return blocks.he_initialize(
        VGG(table(19), num_classes, in_channels, image_size, width, norm, act, dropout)
    )
