"""Make three networks in torchvision's forms, so that its trained weights can be loaded.

Where torchvision's network is the paper's, as for VGG, `transplant` needs no other form.
"""

from collections.abc import Mapping

import torch
from torch import nn

from .alexnet import AlexNet
from .blocks import ConvSpec, MaxPoolSpec, Steps, he_initialize
from .googlenet import BODY, GoogLeNet, InceptionSpec, choose_stem
from .inception_v3 import batch_norm
from .resnet import BLOCKS, STEMS, ResNet, table

WEIGHTED = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)

# Krizhevsky, One weird trick, 2014: one card, other numbers of maps than in the paper of 2012, no
# normalization, images of 224 pixels.
# fmt: off
ONE_WEIRD_TRICK = (
    #           name     window  maps  stride
    ConvSpec(   "conv1",    11,    64,    4, padding=2),
    MaxPoolSpec("pool1",     3,           2, padding=0),
    ConvSpec(   "conv2",     5,   192),
    MaxPoolSpec("pool2",     3,           2, padding=0),
    ConvSpec(   "conv3",     3,   384),
    ConvSpec(   "conv4",     3,   256),
    ConvSpec(   "conv5",     3,   256),
    MaxPoolSpec("pool5",     3,           2, padding=0),
)
# fmt: on


def alexnet_torchvision(
    *, num_classes: int = 10, in_channels: int = 1, image_size: int = 224
) -> AlexNet:
    """Make what torchvision and many others call AlexNet: the author's net of 2014."""
    return he_initialize(AlexNet(ONE_WEIRD_TRICK, num_classes, in_channels, image_size))


class SmallWindowSpec(InceptionSpec):
    """This row of GoogLeNet's table has a window of 3x3 where the paper has 5x5."""

    def branches(self) -> Mapping[str, Steps]:
        branches = super().branches()
        reduce_5x5, _ = branches["5x5"]
        return {**branches, "5x5": (reduce_5x5, ConvSpec("conv_5x5", 3, self.conv_5x5))}


def googlenet_torchvision(*, num_classes: int = 10, in_channels: int = 1) -> GoogLeNet:
    """Make what torchvision calls googlenet.

    It differs from the paper in three things that its name does not announce: batch normalization,
    3x3 windows in the branch for 5x5, and a last pooling of 2x2; and its dropout is 20 %.
    """
    body = (SmallWindowSpec(**vars(s)) if isinstance(s, InceptionSpec) else s for s in BODY)
    return he_initialize(
        GoogLeNet(
            choose_stem("imagenet", lrn=False),
            tuple(MaxPoolSpec("pool4", 2, 2) if s.name == "pool4" else s for s in body),
            num_classes,
            in_channels,
            image_size=224,
            norm=batch_norm,
            dropout=0.2,
        )
    )


def bottleneck(channels: int, stride: int) -> Steps:
    """Write out the paper's bottleneck with its stride in the 3x3 instead of the first 1x1."""
    return (
        ConvSpec("reduce", 1, channels),
        ConvSpec("conv", 3, channels, stride),
        ConvSpec("restore", 1, 4 * channels, activation=False),
    )


def resnet50_torchvision(*, num_classes: int = 10, in_channels: int = 1) -> ResNet:
    """Make what torchvision calls resnet50: a bottleneck has its stride in the 3x3."""
    _, counts = BLOCKS[50]
    body = table(bottleneck, counts)
    return he_initialize(
        ResNet(STEMS["imagenet"], body, num_classes, in_channels, 224, norm=nn.BatchNorm2d)
    )


@torch.no_grad()
def transplant(source: nn.Module, target: nn.Module) -> None:
    """Copy the weights of `source` into `target`, layer by layer in their order.

    The two nets have the same convolutions, normalizations and linear layers under other names.

    Raises `ValueError`, with nothing copied, at the first layer that differs in kind or shape.
    """
    pairs = []
    givers, takers = (
        [m for m in net.modules() if isinstance(m, WEIGHTED)] for net in (source, target)
    )
    if len(givers) != len(takers):
        raise ValueError(f"{len(givers)} layers cannot go into {len(takers)}")
    for number, (giver, taker) in enumerate(zip(givers, takers, strict=True), 1):
        given, taken = giver.state_dict(), taker.state_dict()
        shapes = [{key: list(v.shape) for key, v in state.items()} for state in (given, taken)]
        if not isinstance(giver, type(taker)) or shapes[0] != shapes[1]:
            raise ValueError(f"layer {number} is {giver} there and {taker} here")
        pairs.append((taker, given))
    for taker, given in pairs:
        taker.load_state_dict(given)
