"""Network in Network: Lin, Chen, Yan, 2013."""

from collections import OrderedDict

from torch import Tensor, nn

from . import blocks
from .blocks import Act, ConvSpec, MaxPoolSpec, Network, Norm, Steps


def mlpconv(
    name: str, window: int, *maps: int, stride: int = 1, padding: int | None = None
) -> tuple[ConvSpec, ...]:
    """Put 1x1 convolutions after a convolution: a small perceptron that slides over the map."""
    first, *others = maps
    return (
        ConvSpec(name, window, first, stride, padding),
        *(ConvSpec(f"{name}_1x1_{number}", 1, m) for number, m in enumerate(others, 1)),
    )


# The paper describes the nets and leaves their widths to a supplement that we have not seen. These
# are the widths in common use, AlexNet's windows for ImageNet and the ones for CIFAR-10, not
# checked against the paper. The last perceptron, in the head, ends with a map for each class.
# fmt: off
IMAGENET: Steps = (
    *mlpconv(   "conv1", 11,  96,  96,  96, stride=4, padding=0),
    MaxPoolSpec("pool1",  3, 2, padding=0),
    *mlpconv(   "conv2",  5, 256, 256, 256),
    MaxPoolSpec("pool2",  3, 2, padding=0),
    *mlpconv(   "conv3",  3, 384, 384, 384),
    MaxPoolSpec("pool3",  3, 2, padding=0),
)
SMALL: Steps = (
    *mlpconv(   "conv1",  5, 192, 160,  96),
    MaxPoolSpec("pool1",  3, 2),
    *mlpconv(   "conv2",  5, 192, 192, 192),
    MaxPoolSpec("pool2",  3, 2),
)
# fmt: on
NETS: dict[str, tuple[Steps, tuple[int, int]]] = {
    "imagenet": (IMAGENET, (1024, 1024)),
    "small": (SMALL, (192, 192)),
}


class NiN(Network):
    """NiN stacks perceptrons; the mean of a map is the logit of its class, without a linear layer.

    `hidden` are the widths of the last perceptron before its map for each class.
    """

    def __init__(
        self,
        table: Steps,
        hidden: tuple[int, ...],
        num_classes: int,
        in_channels: int,
        width: float = 1.0,
        norm: Norm = None,
        act: Act = blocks.relu,
        dropout: float = 0.5,
    ):
        body = blocks.scaled(table, width)
        super().__init__(body, in_channels, image_size=224)
        self.body, channels = blocks.build(body, in_channels, norm, act)
        last = mlpconv("conv", 3, *(blocks.scale(each, width) for each in hidden), num_classes)
        perceptron, _ = blocks.build(last, channels, norm, act)
        self.head = nn.Sequential(
            OrderedDict(
                dropout=nn.Dropout(dropout),
                perceptron=perceptron,
                pool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
            )
        )

    def forward(self, images: Tensor) -> Tensor:
        self.check(images)
        return self.head(self.body(images))


def nin(
    *,
    num_classes: int = 10,
    in_channels: int = 1,
    stem: str = "imagenet",
    width: float = 1.0,
    norm: Norm = None,
    act: Act = blocks.relu,
    dropout: float = 0.5,
) -> NiN:
    """Make the net for ImageNet; `stem="small"` is the shallower one for 28 or 32 pixels.

    Weights start after He.
    """
    if stem not in NETS:
        raise ValueError(f"stem is one of {sorted(NETS)}, not {stem!r}")
    return blocks.he_initialize(
        NiN(*NETS[stem], num_classes, in_channels, width, norm, act, dropout)
    )
