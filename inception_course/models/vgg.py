"""VGG, from Table 1 of its paper: Simonyan and Zisserman, 2014."""

from collections.abc import Callable
from functools import partial

from torch import nn

from .blocks import Conv, MaxPool, Network, dense_network, relu

# Table 1: every window is 3x3, and each stage ends with a pooling of 2x2 at stride 2.
CHANNELS = (64, 128, 256, 512, 512)
CONVOLUTIONS = {
    11: (1, 1, 2, 2, 2),  # column A
    16: (2, 2, 3, 3, 3),  # column D
    19: (2, 2, 4, 4, 4),  # column E
}


def table(layers: int) -> tuple:
    """The steps of the column with so many layers that have weights."""
    steps = []
    for stage, (channels, count) in enumerate(zip(CHANNELS, CONVOLUTIONS[layers], strict=True), 1):
        steps += [Conv(f"conv{stage}_{number}", 3, channels) for number in range(1, count + 1)]
        steps.append(MaxPool(f"pool{stage}", 2, 2, padding=0))
    return tuple(steps)


def vgg(
    layers: int,
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    norm: Callable[[int], nn.Module] | None = None,
    act: Callable[[], nn.Module] = relu,
    dropout: float = 0.5,
    image_size: int = 224,
) -> Network:
    """The net with `layers` layers, 11, 16 or 19, for images of `image_size` pixels."""
    return dense_network(
        table(layers),
        num_classes=num_classes,
        in_channels=in_channels,
        image_size=image_size,
        width=width,
        norm=norm,
        act=act,
        dropout=dropout,
    )


vgg11, vgg16, vgg19 = (partial(vgg, layers) for layers in (11, 16, 19))
