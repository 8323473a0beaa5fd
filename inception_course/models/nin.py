"""Network in Network: Lin, Chen, Yan, 2013."""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from torch import nn

from .blocks import Conv, ConvUnit, MaxPool, Network, he_initialize, relu, scale, sequence


def mlpconv(name: str, window: int, *maps: int, **options) -> tuple:
    """A convolution and 1x1 convolutions after it: a small perceptron that slides over the map."""
    first, *others = maps
    return (
        Conv(name, window, first, **options),
        *(Conv(f"{name}_1x1_{number}", 1, m) for number, m in enumerate(others, 1)),
    )


# The paper describes the nets and leaves their widths to a supplement that we have not seen. These
# are the widths in common use, AlexNet's windows for ImageNet and the ones for CIFAR-10, not
# checked against the paper. The last perceptron, in the head, ends with a map for each class.
# fmt: off
IMAGENET = (
    *mlpconv("conv1", 11,  96,  96,  96, stride=4, padding=0),
    MaxPool( "pool1",  3, 2, padding=0),
    *mlpconv("conv2",  5, 256, 256, 256),
    MaxPool( "pool2",  3, 2, padding=0),
    *mlpconv("conv3",  3, 384, 384, 384),
    MaxPool( "pool3",  3, 2, padding=0),
)
SMALL = (
    *mlpconv("conv1",  5, 192, 160,  96),
    MaxPool( "pool1",  3, 2),
    *mlpconv("conv2",  5, 192, 192, 192),
    MaxPool( "pool2",  3, 2),
)
# fmt: on
NETS = {"imagenet": (IMAGENET, 1024, 1024), "small": (SMALL, 192, 192)}


def nin(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    stem: str = "imagenet",
    classifier: tuple[int, int] | None = None,
    width: float = 1.0,
    norm: Callable[[int], nn.Module] | None = None,
    act: Callable[[], nn.Module] = relu,
    dropout: float = 0.5,
) -> Network:
    """Stacked perceptrons, and the mean of a map as the logit of its class: no linear layer.

    `stem="small"` is the shallower net for images of 28 or 32 pixels. `classifier` gives the widths
    of the last perceptron before its map for each class; Dive into Deep Learning has
    (num_classes, num_classes).
    """
    if stem not in NETS:
        raise ValueError(f"stem is one of {sorted(NETS)}, not {stem!r}")
    body, *hidden = NETS[stem]
    widths = classifier or [scale(channels, width) for channels in hidden]
    unit = partial(ConvUnit, norm=norm, act=act)

    def head(channels: int, _: int) -> nn.Module:
        perceptron, _ = sequence(mlpconv("conv", 3, *widths, num_classes), channels, unit)
        return nn.Sequential(
            OrderedDict(
                dropout=nn.Dropout(dropout),
                perceptron=perceptron,
                pool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
            )
        )

    model = Network((), body, head, in_channels=in_channels, image_size=224, unit=unit, width=width)
    he_initialize(model)
    return model
