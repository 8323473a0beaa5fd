"""ZFNet, from Figure 3 of its paper: Zeiler and Fergus, 2013."""

from collections.abc import Callable

from torch import nn

from .blocks import Conv, LocalResponse, MaxPool, Network, dense_network, relu

# Figure 3: AlexNet with a first window of 7x7 at stride 2, a second at stride 2, and no groups. The
# padding of the first convolution and the partial windows of the poolings are not in the paper;
# these give its sizes 110, 55, 26, 13 and 6. Contrast is normalized across maps; that it is
# AlexNet's formula is our choice.
# fmt: off
ZFNET = (
    #             name     window  maps  stride
    Conv(         "conv1",     7,    96,    2, padding=1),
    MaxPool(      "pool1",     3,           2),
    LocalResponse("norm1"),
    Conv(         "conv2",     5,   256,    2, padding=0),
    MaxPool(      "pool2",     3,           2),
    LocalResponse("norm2"),
    Conv(         "conv3",     3,   384),
    Conv(         "conv4",     3,   384),
    Conv(         "conv5",     3,   256),
    MaxPool(      "pool5",     3,           2),
)
# fmt: on
WIDE = {"conv3": 512, "conv4": 1024, "conv5": 512}  # the paper's variant (b)


def zfnet(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    wide: bool = False,
    lrn: bool = True,
    width: float = 1.0,
    norm: Callable[[int], nn.Module] | None = None,
    act: Callable[[], nn.Module] = relu,
    dropout: float = 0.5,
    image_size: int = 224,
) -> Network:
    """The net of Figure 3, for images of `image_size` pixels; `wide` is the paper's variant (b)."""
    return dense_network(
        (
            step._replace(channels=WIDE[step.name]) if wide and step.name in WIDE else step
            for step in ZFNET
            if lrn or not isinstance(step, LocalResponse)
        ),
        num_classes=num_classes,
        in_channels=in_channels,
        image_size=image_size,
        width=width,
        norm=norm,
        act=act,
        dropout=dropout,
    )
