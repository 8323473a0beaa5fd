"""ZFNet, from Figure 3 of its paper: Zeiler and Fergus, 2013."""

from torch import Tensor

from . import blocks
from .blocks import Act, ConvSpec, DenseNetwork, LRNSpec, MaxPoolSpec, Norm

# Figure 3: AlexNet with a first window of 7x7 at stride 2, a second at stride 2, and no groups. The
# padding of the first convolution and the partial windows of the poolings are not in the paper;
# these give its sizes 110, 55, 26, 13 and 6. Contrast is normalized across maps; that it is
# AlexNet's formula is our choice.
# fmt: off
ZFNET = (
    #           name     window  maps  stride
    ConvSpec(   "conv1",     7,    96,    2, padding=1),
    MaxPoolSpec("pool1",     3,           2),
    LRNSpec(    "norm1"),
    ConvSpec(   "conv2",     5,   256,    2, padding=0),
    MaxPoolSpec("pool2",     3,           2),
    LRNSpec(    "norm2"),
    ConvSpec(   "conv3",     3,   384),
    ConvSpec(   "conv4",     3,   384),
    ConvSpec(   "conv5",     3,   256),
    MaxPoolSpec("pool5",     3,           2),
)
# fmt: on
WIDE = {"conv3": 512, "conv4": 1024, "conv5": 512}  # the paper's variant (b)


class ZFNet(DenseNetwork):
    """ZFNet has five convolutions and three fully connected layers."""

    def forward(self, images: Tensor) -> Tensor:
        self.check(images)
        return self.head(self.body(images))


def zfnet(
    *,
    num_classes: int = 10,
    in_channels: int = 1,
    wide: bool = False,
    lrn: bool = True,
    width: float = 1.0,
    norm: Norm = None,
    act: Act = blocks.relu,
    dropout: float = 0.5,
    image_size: int = 224,
) -> ZFNet:
    """Make the net of Figure 3; `wide` is the paper's variant (b). Weights start after He."""
    table = tuple(
        step._replace(channels=WIDE[step.name])
        if isinstance(step, ConvSpec) and wide and step.name in WIDE
        else step
        for step in ZFNET
        if lrn or not isinstance(step, LRNSpec)
    )
    return blocks.he_initialize(
        ZFNet(table, num_classes, in_channels, image_size, width, norm, act, dropout)
    )
