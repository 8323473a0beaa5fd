"""ResNet, from Table 1 of its paper: He, Zhang, Ren, Sun, 2015."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from torch import nn

from .blocks import (
    AverageHead,
    Conv,
    ConvUnit,
    MaxPool,
    Network,
    ResidualBlock,
    he_initialize,
    output_size,
    relu,
    scale,
    sequence,
)


@dataclass(frozen=True)
class Residual:
    """One residual block: two 3x3 (Figure 5, left)."""

    name: str
    channels: int
    stride: int = 1

    def main(self) -> tuple:
        return (
            Conv("conv1", 3, self.channels, self.stride),
            Conv("conv2", 3, self.channels, linear=True),
        )

    def build(self, c_in: int, unit: Callable[..., nn.Module]) -> tuple[nn.Module, int]:
        main, c_out = sequence(self.main(), c_in, unit)
        shortcut = nn.Identity()
        if self.stride > 1 or c_in != c_out:  # option B of section 3.3
            projection = Conv("projection", 1, c_out, self.stride, linear=True)
            shortcut, _ = projection.build(c_in, unit)
        return ResidualBlock(main, shortcut, unit.keywords["act"]), c_out

    def output_size(self, size: int) -> int:
        return output_size(self.main(), size)

    def scaled(self, width: float) -> "Residual":
        return replace(self, channels=scale(self.channels, width))


@dataclass(frozen=True)
class Bottleneck(Residual):
    """1x1 to reduce, 3x3, 1x1 to restore four times the width (Figure 5, right)."""

    stride_at: str = "1x1"

    def main(self) -> tuple:
        at = {"1x1": (self.stride, 1), "3x3": (1, self.stride)}[self.stride_at]
        return (
            Conv("reduce", 1, self.channels, at[0]),
            Conv("conv", 3, self.channels, at[1]),
            Conv("restore", 1, 4 * self.channels, linear=True),
        )


# Table 1: blocks in conv2_x to conv5_x, which have 64, 128, 256 and 512 channels.
BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
CHANNELS = (64, 128, 256, 512)
STEMS = {
    "imagenet": (Conv("conv1", 7, 64, 2), MaxPool("pool1", 3, 2, padding=1)),
    "small": (Conv("conv1", 3, 64),),  # as the paper starts its nets for CIFAR-10, wider
}


def resnet(
    layers: int,
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    stem: str = "imagenet",
    stride_at: str = "1x1",
    width: float = 1.0,
    norm: Callable[[int], nn.Module] | None = nn.BatchNorm2d,
    act: Callable[[], nn.Module] = relu,
) -> Network:
    """The net with `layers` layers, 18, 34 or 50; shortcuts project where the shape changes.

    `stride_at` says which convolution of a bottleneck takes the stride: the first `"1x1"` as in the
    paper, or the `"3x3"` as in torchvision.
    """
    if stem not in STEMS:
        raise ValueError(f"stem is one of {sorted(STEMS)}, not {stem!r}")
    if stride_at not in ("1x1", "3x3"):
        raise ValueError(f"stride_at is '1x1' or '3x3', not {stride_at!r}")
    row = partial(Bottleneck, stride_at=stride_at) if layers == 50 else Residual
    body = [
        row(f"conv{stage}_{number}", channels, 2 if stage > 2 and number == 1 else 1)
        for stage, (channels, count) in enumerate(zip(CHANNELS, BLOCKS[layers], strict=True), 2)
        for number in range(1, count + 1)
    ]
    model = Network(
        STEMS[stem],
        body,
        lambda channels, _: AverageHead(channels, num_classes, dropout=0.0),
        in_channels=in_channels,
        image_size=224,
        unit=partial(ConvUnit, norm=norm, act=act),
        width=width,
    )
    he_initialize(model)
    return model


resnet18, resnet34, resnet50 = (partial(resnet, layers) for layers in (18, 34, 50))
