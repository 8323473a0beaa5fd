"""GoogLeNet, from the table of its paper: Szegedy et al., Going Deeper with Convolutions, 2015."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial

from torch import nn

from .blocks import (
    AuxiliaryHead,
    AverageHead,
    Conv,
    ConvUnit,
    LocalResponse,
    MaxPool,
    Network,
    Row,
    he_initialize,
    relu,
    xavier_initialize,
)


@dataclass(frozen=True)
class Inception(Row):
    """One Inception row, in the column order of the paper's Table 1."""

    conv_1x1: int
    reduce_3x3: int
    conv_3x3: int
    reduce_5x5: int
    conv_5x5: int
    pool_projection: int
    window_5x5: int = field(default=5, repr=False)  # torchvision's net has 3 there

    def branches(self) -> dict[str, tuple]:
        return {
            "1x1": (Conv("conv_1x1", 1, self.conv_1x1),),
            "3x3": (Conv("reduce_3x3", 1, self.reduce_3x3), Conv("conv_3x3", 3, self.conv_3x3)),
            "5x5": (
                Conv("reduce_5x5", 1, self.reduce_5x5),
                Conv("conv_5x5", self.window_5x5, self.conv_5x5),
            ),
            "pool": (MaxPool("pool", 3), Conv("pool_projection", 1, self.pool_projection)),
        }


class Naive(Inception):
    """The same row without reductions (Figure 2a), its pooling branch with the projection."""

    def branches(self) -> dict[str, tuple]:
        reduced = super().branches()
        return {name: steps[-1:] for name, steps in reduced.items() if name != "pool"} | {
            "pool": reduced["pool"]
        }


class NaiveChained(Naive):
    """The naive row whose pooling branch passes on every channel that comes in."""

    def branches(self) -> dict[str, tuple]:
        return super().branches() | {"pool": (MaxPool("pool", 3),)}


# Table 1 of the paper. Table 1 leaves out the two local response normalizations of its Figure 3.
# fmt: off
STEM = (
    #             name           patch  channels  stride
    Conv(         "conv1",         7,      64,      2),
    MaxPool(      "pool1",         3,               2),
    LocalResponse("norm1"),
    Conv(         "conv2_reduce",  1,      64),
    Conv(         "conv2",         3,     192),
    LocalResponse("norm2"),
    MaxPool(      "pool2",         3,               2),
)
# Ours, for 28x28: the first convolution sees 3x3 at stride 1 and the first pooling is left out,
# so that 28 pixels become maps of 14, 7 and 3 positions a side where 224 become 28, 14 and 7.
SMALL_STEM = (
    Conv(         "conv1",         3,      64),
    LocalResponse("norm1"),
    Conv(         "conv2_reduce",  1,      64),
    Conv(         "conv2",         3,     192),
    LocalResponse("norm2"),
    MaxPool(      "pool2",         3,               2),
)
BODY = (
    #               1x1  3x3r   3x3  5x5r   5x5  pool
    Inception("3a",  64,   96,  128,   16,   32,   32),
    Inception("3b", 128,  128,  192,   32,   96,   64),
    MaxPool("pool3", 3, 2),
    Inception("4a", 192,   96,  208,   16,   48,   64),
    Inception("4b", 160,  112,  224,   24,   64,   64),
    Inception("4c", 128,  128,  256,   24,   64,   64),
    Inception("4d", 112,  144,  288,   32,   64,   64),
    Inception("4e", 256,  160,  320,   32,  128,  128),
    MaxPool("pool4", 3, 2),
    Inception("5a", 256,  160,  320,   32,  128,  128),
    Inception("5b", 384,  192,  384,   48,  128,  128),
)
# fmt: on
AUXILIARY_AT = ("4a", "4d")  # section 5

# What Table 1 prints: parameters in K, which is 1,024, and operations (multiply-adds) in M.
PRINTED = {
    "conv1": (2.7, 34),
    "conv2": (112, 360),  # its reduction included
    "3a": (159, 128),
    "3b": (380, 304),
    "4a": (364, 73),
    "4b": (437, 88),
    "4c": (463, 100),
    "4d": (580, 119),
    "4e": (840, 170),
    "5a": (1072, 54),
    "5b": (1388, 71),
    "linear": (1000, 1),
}

STEMS = {"imagenet": STEM, "small": SMALL_STEM}
IMAGE_SIZE = {"imagenet": 224, "small": 28}


def choose_stem(stem: str, lrn: bool) -> tuple:
    """The steps of the stem of that name, with or without local response normalization."""
    if stem not in STEMS:
        raise ValueError(f"stem is one of {sorted(STEMS)}, not {stem!r}")
    return tuple(step for step in STEMS[stem] if lrn or not isinstance(step, LocalResponse))


def googlenet(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    stem: str = "imagenet",
    width: float = 1.0,
    norm: Callable[[int], nn.Module] | None = None,
    act: Callable[[], nn.Module] = relu,
    lrn: bool = True,
    dropout: float = 0.4,
    aux: bool = False,
    image_size: int | None = None,
    body: Iterable = BODY,
) -> Network:
    """The paper's net: local response normalization, 40 % dropout, auxiliary heads by option.

    `width` multiplies every number of channels; `norm` and `act` make the normalization (from a
    number of channels) and the activation of every convolution. `image_size` matters to the
    auxiliary heads only: 224 pixels for `stem="imagenet"`, 28 for `stem="small"`, unless given.
    `body` is the table from 3a on.
    """
    unit = partial(ConvUnit, norm=norm, act=act)

    def auxiliary(channels: int, size: int) -> AuxiliaryHead:
        return AuxiliaryHead(channels, size, num_classes, unit=unit, act=act, width=width)

    model = Network(
        choose_stem(stem, lrn),
        body,
        lambda channels, _: AverageHead(channels, num_classes, dropout),
        in_channels=in_channels,
        image_size=image_size or IMAGE_SIZE[stem],
        unit=unit,
        auxiliary=dict.fromkeys(AUXILIARY_AT, auxiliary) if aux else None,
        width=width,
    )
    he_initialize(model)
    return model


googlenet_bn = partial(googlenet, norm=nn.BatchNorm2d, lrn=False, dropout=0.0)
googlenet_bn.__doc__ = """The net to train: batch normalization in every convolution.

Local response normalization and dropout are gone, as the BN paper recommends.
"""


def googlenet_naive(*, pool_projection: bool = True, **options) -> Network:
    """GoogLeNet without its 1x1 reductions (Figure 2a in every row); options of `googlenet`.

    With `pool_projection` each block gives as many channels as the paper's, so that the next one
    gets the paper's input. Without, as Figure 2a is drawn, the pooling branch passes on all
    channels and they pile up from block to block: 192 at the start, 4,944 at the end.
    """
    row = Naive if pool_projection else NaiveChained
    body = (row(**vars(step)) if isinstance(step, Inception) else step for step in BODY)
    return googlenet(body=tuple(body), **options)


def googlenet_torchvision(*, num_classes: int = 1000, in_channels: int = 3) -> Network:
    """What torchvision calls googlenet, so that its weights can be loaded.

    Three differences from the paper, none of them announced by the name: batch normalization,
    3x3 windows in the branch for 5x5, and a last pooling of 2x2; besides 20 % dropout.
    """
    body = tuple(
        replace(step, window_5x5=3) if isinstance(step, Inception) else step for step in BODY
    )
    return googlenet_bn(
        num_classes=num_classes,
        in_channels=in_channels,
        norm=partial(nn.BatchNorm2d, eps=1e-3),
        dropout=0.2,
        body=tuple(step._replace(kernel=2) if step.name == "pool4" else step for step in body),
    )


def googlenet_d2l(*, num_classes: int = 10, in_channels: int = 1, xavier: bool = False) -> Network:
    """The simplified net of Dive into Deep Learning: one linear head, no normalization, no dropout.

    Its poolings pad by one, where the paper's count a last partial window. With `xavier` the
    weights start as `d2l.train_ch6` starts them, from which some runs never get away.
    """
    model = Network(
        padded(choose_stem("imagenet", lrn=False)),
        padded(BODY),
        lambda channels, _: AverageHead(channels, num_classes, dropout=0.0),
        in_channels=in_channels,
        image_size=96,
        unit=ConvUnit,
    )
    (xavier_initialize if xavier else he_initialize)(model)
    return model


def padded(steps: Iterable) -> tuple:
    """The same steps with every pooling padded by one on each side."""
    return tuple(step._replace(padding=1) if isinstance(step, MaxPool) else step for step in steps)
