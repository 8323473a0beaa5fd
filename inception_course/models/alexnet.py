"""AlexNet, from section 3.5 of its paper: Krizhevsky, Sutskever, Hinton, 2012."""

from torch import Tensor

from . import blocks
from .blocks import Act, ConvSpec, DenseNetwork, LRNSpec, MaxPoolSpec, Norm

# Section 3.5. The paper prints images of 224 pixels, of which (224 - 11) / 4 + 1 = 54.25 positions
# would fit; 227 pixels give the 55 of its Figure 2. Two groups: each half of the maps sees one half
# of the maps before, because each lived on a graphics card of its own.
# fmt: off
ALEXNET = (
    #           name     window  maps  stride
    ConvSpec(   "conv1",    11,    96,    4, padding=0),
    LRNSpec(    "norm1"),
    MaxPoolSpec("pool1",     3,           2),
    ConvSpec(   "conv2",     5,   256,       groups=2),
    LRNSpec(    "norm2"),
    MaxPoolSpec("pool2",     3,           2),
    ConvSpec(   "conv3",     3,   384),
    ConvSpec(   "conv4",     3,   384,       groups=2),
    ConvSpec(   "conv5",     3,   256,       groups=2),
    MaxPoolSpec("pool5",     3,           2),
)
# fmt: on


class AlexNet(DenseNetwork):
    """AlexNet has five convolutions and three fully connected layers."""

    def forward(self, images: Tensor) -> Tensor:
        self.check(images)
        return self.head(self.body(images))


def alexnet(
    *,
    num_classes: int = 10,
    in_channels: int = 1,
    grouped: bool = True,
    lrn: bool = True,
    width: float = 1.0,
    norm: Norm = None,
    act: Act = blocks.relu,
    dropout: float = 0.5,
    image_size: int = 227,
) -> AlexNet:
    """Make the paper's net; `grouped=False` lets every map see all maps of the layer before.

    Weights start after He instead of the paper's standard deviation of 0.01.
    """
    table = tuple(
        step._replace(groups=1) if isinstance(step, ConvSpec) and not grouped else step
        for step in ALEXNET
        if lrn or not isinstance(step, LRNSpec)
    )
    return blocks.he_initialize(
        AlexNet(table, num_classes, in_channels, image_size, width, norm, act, dropout)
    )
