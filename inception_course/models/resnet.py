"""ResNet, from Table 1 of its paper: He, Zhang, Ren, Sun, 2015."""

from collections.abc import Callable

from torch import Tensor, nn

from . import blocks
from .blocks import (
    Act,
    ActivationSpec,
    ConvSpec,
    MaxPoolSpec,
    Norm,
    ResidualSpec,
    Step,
    Steps,
)


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


def table(block: Callable[[int, int], Steps], counts: tuple[int, ...]) -> Steps:
    """Write out the four stages of Table 1; the first block of a stage halves the map."""
    return tuple(
        ResidualSpec(
            f"conv{stage}_{number}", block(channels, 2 if stage > 2 and number == 1 else 1)
        )
        for stage, (channels, count) in enumerate(zip(CHANNELS, counts, strict=True), 2)
        for number in range(1, count + 1)
    )


def choose_stem(stem: str) -> Steps:
    """Look up the stem of that name."""
    if stem not in STEMS:
        raise ValueError(f"stem is one of {sorted(STEMS)}, not {stem!r}")
    return STEMS[stem]


class ResNet(blocks.AverageNetwork):
    """ResNet has stages of residual blocks; shortcuts project where a shape changes (option B)."""

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
    steps, body = choose_stem(stem), table(*BLOCKS[18])
    net = ResNet(steps, body, num_classes, in_channels, 224, width, norm, act)
    return blocks.he_initialize(net)


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
    steps, body = choose_stem(stem), table(*BLOCKS[34])
    net = ResNet(steps, body, num_classes, in_channels, 224, width, norm, act)
    return blocks.he_initialize(net)


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
    steps, body = choose_stem(stem), table(*BLOCKS[50])
    net = ResNet(steps, body, num_classes, in_channels, 224, width, norm, act)
    return blocks.he_initialize(net)


# Section 4.2, the nets for CIFAR-10: three stages of n blocks of two 3x3, thus 6n + 2 layers with
# weights; shortcuts without parameters.
SMALL_CHANNELS = (16, 32, 64)
KINDS = ("residual", "plain", "preactivated")


def small_table(layers: int, kind: str) -> Steps:
    """Write out the body of a net of `layers` layers, one of `KINDS`."""
    count, rest = divmod(layers - 2, 6)
    if rest or count < 1:
        raise ValueError(f"layers is 6n + 2, such as 8, 20 or 44, not {layers}")
    if kind not in KINDS:
        raise ValueError(f"kind is one of {list(KINDS)}, not {kind!r}")
    steps: list[Step] = []
    for stage, channels in enumerate(SMALL_CHANNELS, 2):
        for number in range(1, count + 1):
            stride = 2 if stage > 2 and number == 1 else 1
            steps.append(
                ResidualSpec(
                    f"conv{stage}_{number}",
                    preactivated(channels, stride, is_first=not steps)
                    if kind == "preactivated"
                    else basic(channels, stride),
                    shortcut="none" if kind == "plain" else "padded",
                    activation=kind != "preactivated",
                )
            )
    if kind == "preactivated":  # the last sum still needs an activation
        steps.append(ActivationSpec("activation", norm=True))
    return tuple(steps)


def preactivated(channels: int, stride: int, is_first: bool) -> Steps:
    """Normalize and activate before each convolution; the stem has done so for the first block.

    He, Zhang, Ren, Sun, Identity Mappings in Deep Residual Networks, 2016: nothing stands between
    one sum and the next.
    """
    steps = (
        ActivationSpec("activation", norm=True),
        ConvSpec("conv1", 3, channels, stride),  # the normalization after it is that before conv2
        ConvSpec("conv2", 3, channels, activation=False, norm=False),
    )
    return steps[1:] if is_first else steps


def resnet_small(
    *,
    num_classes: int = 10,
    in_channels: int = 1,
    layers: int = 20,
    kind: str = "residual",
    stride: int = 1,
    width: float = 1.0,
    norm: Norm = nn.BatchNorm2d,
    act: Act = blocks.relu,
) -> ResNet:
    """Make a net of 6n + 2 `layers` for images of 28 or 32 pixels, as the paper does for CIFAR-10.

    `kind` is "residual"; "plain", the same net without the additions; or "preactivated", as in
    the authors' next paper. With `stride` 2 the first convolution halves the map, which
    saves three quarters of the work. Weights start after He.
    """
    stem = (ConvSpec("conv1", 3, SMALL_CHANNELS[0], stride),)
    body = small_table(layers, kind)
    return blocks.he_initialize(ResNet(stem, body, num_classes, in_channels, 28, width, norm, act))
