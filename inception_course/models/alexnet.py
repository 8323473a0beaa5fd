"""AlexNet, from section 3.5 of its paper: Krizhevsky, Sutskever, Hinton, 2012."""

from collections.abc import Callable

from torch import nn

from .blocks import Conv, LocalResponse, MaxPool, Network, dense_network, relu

# Section 3.5. The paper prints images of 224 pixels, of which (224 - 11) / 4 + 1 = 54.25 positions
# would fit; 227 pixels give the 55 of its Figure 2. Two groups: each half of the maps sees one half
# of the maps before, because each lived on a graphics card of its own.
# fmt: off
ALEXNET = (
    #             name     window  maps  stride
    Conv(         "conv1",    11,    96,    4, padding=0),
    LocalResponse("norm1"),
    MaxPool(      "pool1",     3,           2),
    Conv(         "conv2",     5,   256,       groups=2),
    LocalResponse("norm2"),
    MaxPool(      "pool2",     3,           2),
    Conv(         "conv3",     3,   384),
    Conv(         "conv4",     3,   384,       groups=2),
    Conv(         "conv5",     3,   256,       groups=2),
    MaxPool(      "pool5",     3,           2),
)
# Krizhevsky, One weird trick, 2014: what torchvision and many others call AlexNet. One card, other
# numbers of maps, no normalization, images of 224 pixels.
ONE_WEIRD_TRICK = (
    Conv(         "conv1",    11,    64,    4, padding=2),
    MaxPool(      "pool1",     3,           2, padding=0),
    Conv(         "conv2",     5,   192),
    MaxPool(      "pool2",     3,           2, padding=0),
    Conv(         "conv3",     3,   384),
    Conv(         "conv4",     3,   256),
    Conv(         "conv5",     3,   256),
    MaxPool(      "pool5",     3,           2, padding=0),
)
# fmt: on


def alexnet(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    grouped: bool = True,
    lrn: bool = True,
    one_weird_trick: bool = False,
    width: float = 1.0,
    norm: Callable[[int], nn.Module] | None = None,
    act: Callable[[], nn.Module] = relu,
    dropout: float = 0.5,
    image_size: int | None = None,
) -> Network:
    """Five convolutions and three fully connected layers, for images of `image_size` pixels.

    `grouped=False` lets every map see all maps of the layer before. `one_weird_trick` is the
    author's net of 2014, which has neither groups nor `lrn`. Images have 227 pixels, or 224 for
    the net of 2014, unless `image_size` is given. Weights start after He instead of the paper's
    standard deviation of 0.01.
    """
    table = ONE_WEIRD_TRICK if one_weird_trick else ALEXNET
    return dense_network(
        (
            step._replace(groups=1) if isinstance(step, Conv) and not grouped else step
            for step in table
            if lrn or not isinstance(step, LocalResponse)
        ),
        num_classes=num_classes,
        in_channels=in_channels,
        image_size=image_size or (224 if one_weird_trick else 227),
        width=width,
        norm=norm,
        act=act,
        dropout=dropout,
    )
