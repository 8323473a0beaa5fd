"""ResNet, from Table 1 of its paper: He, Zhang, Ren, Sun, 2015."""

from collections.abc import Callable

from torch import Tensor, nn

from . import blocks
from .blocks import Act, ConvSpec, MaxPoolSpec, Network, Norm, Steps


def basic(channels: int, stride: int) -> Steps:
    """Convolve twice with 3x3 (Figure 5, left)."""
    return (
        ConvSpec("conv1", 3, channels, stride),
        ConvSpec("conv2", 3, channels, activation=False),
    )


def bottleneck(channels: int, stride: int) -> Steps:
    """Reduce with 1x1, convolve, restore four times the width with 1x1 (Figure 5, right)."""
    return (
        ConvSpec("reduce", 1, channels, stride),
        ConvSpec("conv", 3, channels),
        ConvSpec("restore", 1, 4 * channels, activation=False),
    )


# Table 1: blocks in conv2_x to conv5_x, which have 64, 128, 256 and 512 channels.
CHANNELS = (64, 128, 256, 512)
BLOCKS = {
    18: (basic, (2, 2, 2, 2)),
    34: (basic, (3, 4, 6, 3)),
    50: (bottleneck, (3, 4, 6, 3)),
}
STEMS: dict[str, Steps] = {
    "imagenet": (ConvSpec("conv1", 7, 64, 2), MaxPoolSpec("pool1", 3, 2, padding=1)),
    "small": (ConvSpec("conv1", 3, 64),),  # as the paper starts its nets for CIFAR-10, wider
}


class ResidualBlock(nn.Module):
    """Add what `steps` make of a map to the map itself, then the activation (section 3.2).

    Shape: [B, c_in, H, W] -> [B, self.channels, ceil(H / stride), ceil(W / stride)]
    """

    def __init__(self, c_in: int, steps: Steps, stride: int, norm: Norm, act: Act):
        super().__init__()
        main, self.channels = blocks.build(steps, c_in, norm, act)
        shortcut: nn.Module = nn.Identity()
        if stride > 1 or c_in != self.channels:  # option B of section 3.3
            shortcut = blocks.ConvUnit(
                c_in, self.channels, 1, stride=stride, norm=norm, act=nn.Identity
            )
        self.branches = nn.ModuleDict({"main": main, "shortcut": shortcut})
        self.activation = act()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.branches["main"](x) + self.branches["shortcut"](x))


class ResNet(Network):
    """ResNet has four stages of residual blocks; shortcuts project where the shape changes."""

    def __init__(
        self,
        block: Callable[[int, int], Steps],
        counts: tuple[int, ...],
        num_classes: int,
        in_channels: int,
        stem: str = "imagenet",
        width: float = 1.0,
        norm: Norm = nn.BatchNorm2d,
        act: Act = blocks.relu,
    ):
        if stem not in STEMS:
            raise ValueError(f"stem is one of {sorted(STEMS)}, not {stem!r}")
        steps = blocks.scaled(STEMS[stem], width)
        super().__init__(steps, in_channels, image_size=224)
        self.stem, c_in = blocks.build(steps, in_channels, norm, act)
        for stage, (channels, count) in enumerate(zip(CHANNELS, counts, strict=True), 2):
            for number in range(1, count + 1):
                stride = 2 if stage > 2 and number == 1 else 1
                residual = ResidualBlock(
                    c_in, block(blocks.scale(channels, width), stride), stride, norm, act
                )
                self.body[f"conv{stage}_{number}"] = residual
                c_in = residual.channels
        self.head = blocks.AverageHead(c_in, num_classes, dropout=0.0)

    def forward(self, images: Tensor) -> Tensor:
        self.check(images)
        return self.head(self.body(self.stem(images)))


def resnet18(
    *,
    num_classes: int = 10,
    in_channels: int = 1,
    stem: str = "imagenet",
    width: float = 1.0,
    norm: Norm = nn.BatchNorm2d,
    act: Act = blocks.relu,
) -> ResNet:
    """Make the net of eight basic blocks. `stem="small"` is for small images.

    Weights start after He.
    """
    return blocks.he_initialize(
        ResNet(*BLOCKS[18], num_classes, in_channels, stem, width, norm, act)
    )


def resnet34(
    *,
    num_classes: int = 10,
    in_channels: int = 1,
    stem: str = "imagenet",
    width: float = 1.0,
    norm: Norm = nn.BatchNorm2d,
    act: Act = blocks.relu,
) -> ResNet:
    """Make the net of sixteen basic blocks. `stem="small"` is for small images.

    Weights start after He.
    """
    return blocks.he_initialize(
        ResNet(*BLOCKS[34], num_classes, in_channels, stem, width, norm, act)
    )


def resnet50(
    *,
    num_classes: int = 10,
    in_channels: int = 1,
    stem: str = "imagenet",
    width: float = 1.0,
    norm: Norm = nn.BatchNorm2d,
    act: Act = blocks.relu,
) -> ResNet:
    """Make the net of sixteen bottlenecks, each with its stride in the first 1x1 as in the paper.

    `stem="small"` is for small images. Weights start after He.
    """
    return blocks.he_initialize(
        ResNet(*BLOCKS[50], num_classes, in_channels, stem, width, norm, act)
    )
