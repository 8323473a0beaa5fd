"""GoogLeNet, from the table of its paper: Szegedy et al., Going Deeper with Convolutions, 2015."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from . import blocks
from .blocks import Act, ConvSpec, Logits, LRNSpec, MaxPoolSpec, Network, Norm, RowSpec, Steps


@dataclass(frozen=True)
class InceptionSpec(RowSpec):
    """A row has the columns of the paper's Table 1, in their order."""

    conv_1x1: int
    reduce_3x3: int
    conv_3x3: int
    reduce_5x5: int
    conv_5x5: int
    pool_projection: int

    def branches(self) -> Mapping[str, Steps]:
        return {
            "1x1": (ConvSpec("conv_1x1", 1, self.conv_1x1),),
            "3x3": (
                ConvSpec("reduce_3x3", 1, self.reduce_3x3),
                ConvSpec("conv_3x3", 3, self.conv_3x3),
            ),
            "5x5": (
                ConvSpec("reduce_5x5", 1, self.reduce_5x5),
                ConvSpec("conv_5x5", 5, self.conv_5x5),
            ),
            "pool": (MaxPoolSpec("pool", 3), ConvSpec("pool_projection", 1, self.pool_projection)),
        }


# Table 1 of the paper. Table 1 leaves out the two local response normalizations of its Figure 3.
# fmt: off
STEM = (
    #           name           patch  channels  stride
    ConvSpec(   "conv1",         7,      64,      2),
    MaxPoolSpec("pool1",         3,               2),
    LRNSpec(    "norm1"),
    ConvSpec(   "conv2_reduce",  1,      64),
    ConvSpec(   "conv2",         3,     192),
    LRNSpec(    "norm2"),
    MaxPoolSpec("pool2",         3,               2),
)
BODY = (
    #                   1x1  3x3r   3x3  5x5r   5x5  pool
    InceptionSpec("3a",  64,   96,  128,   16,   32,   32),
    InceptionSpec("3b", 128,  128,  192,   32,   96,   64),
    MaxPoolSpec("pool3", 3, 2),
    InceptionSpec("4a", 192,   96,  208,   16,   48,   64),
    InceptionSpec("4b", 160,  112,  224,   24,   64,   64),
    InceptionSpec("4c", 128,  128,  256,   24,   64,   64),
    InceptionSpec("4d", 112,  144,  288,   32,   64,   64),
    InceptionSpec("4e", 256,  160,  320,   32,  128,  128),
    MaxPoolSpec("pool4", 3, 2),
    InceptionSpec("5a", 256,  160,  320,   32,  128,  128),
    InceptionSpec("5b", 384,  192,  384,   48,  128,  128),
)
# fmt: on
AUXILIARY_AT = ("4a", "4d")  # section 5


class GoogLeNet(Network):
    """GoogLeNet has a stem, nine blocks and one linear layer; `aux` adds heads at blocks 4a and 4d.

    `width` multiplies every number of channels. `image_size` matters to the auxiliary heads only.
    """

    def __init__(
        self,
        stem: Steps,
        body: Steps,
        num_classes: int,
        in_channels: int,
        image_size: int,
        width: float = 1.0,
        norm: Norm = None,
        act: Act = blocks.relu,
        dropout: float = 0.0,
        aux: bool = False,
    ):
        stem, body = blocks.scaled(stem, width), blocks.scaled(body, width)
        super().__init__(stem + body, in_channels, image_size)
        self.stem, channels = blocks.build(stem, in_channels, norm, act)
        size = blocks.output_size(stem, image_size)
        for step in body:
            stage, channels = blocks.build((step,), channels, norm, act)
            self.body[step.name] = stage[step.name]
            size = step.output_size(size)
            if aux and step.name in AUXILIARY_AT:
                self.auxiliary[step.name] = blocks.AuxiliaryHead(
                    channels, size, num_classes, norm=norm, act=act, width=width
                )
        self.head = blocks.AverageHead(channels, num_classes, dropout)

    def forward(self, images: Tensor) -> Tensor | Logits:
        self.check(images)
        x = self.stem(images)
        aux = []
        for name, stage in self.body.items():
            x = stage(x)
            if self.wants_aux and name in self.auxiliary:
                aux.append(self.auxiliary[name](x))
        logits = self.head(x)
        return Logits(logits, tuple(aux)) if self.wants_aux else logits


# Ours, for 28x28: the first convolution sees 3x3 at stride 1 and the first pooling is left out,
# so that 28 pixels become maps of 14, 7 and 3 positions a side where 224 become 28, 14 and 7.
# fmt: off
SMALL_STEM = (
    ConvSpec(   "conv1",         3,      64),
    LRNSpec(    "norm1"),
    ConvSpec(   "conv2_reduce",  1,      64),
    ConvSpec(   "conv2",         3,     192),
    LRNSpec(    "norm2"),
    MaxPoolSpec("pool2",         3,               2),
)
# fmt: on
STEMS: dict[str, Steps] = {"imagenet": STEM, "small": SMALL_STEM}
IMAGE_SIZE = {"imagenet": 224, "small": 28}


def choose_stem(stem: str, lrn: bool) -> Steps:
    """Look up the stem of that name, with or without local response normalization."""
    if stem not in STEMS:
        raise ValueError(f"stem is one of {sorted(STEMS)}, not {stem!r}")
    return tuple(step for step in STEMS[stem] if lrn or not isinstance(step, LRNSpec))


def googlenet(
    *,
    num_classes: int = 10,
    in_channels: int = 1,
    stem: str = "imagenet",
    width: float = 1.0,
    norm: Norm = None,
    act: Act = blocks.relu,
    lrn: bool = True,
    dropout: float = 0.4,
    aux: bool = False,
    image_size: int | None = None,
    body: Steps = BODY,
) -> GoogLeNet:
    """Make the paper's net: local response normalization, 40 % dropout, auxiliary heads by option.

    `stem` is "imagenet", for images of 224 pixels, or "small", for 28; the auxiliary heads are
    built for that size unless `image_size` gives another. `width` multiplies every number of
    channels; `norm` and `act` make the normalization (from a number of channels) and the
    activation of every convolution. `body` is the table from 3a on.
    """
    steps = choose_stem(stem, lrn)
    size = IMAGE_SIZE[stem] if image_size is None else image_size
    return blocks.he_initialize(
        GoogLeNet(steps, body, num_classes, in_channels, size, width, norm, act, dropout, aux)
    )


def googlenet_bn(
    *,
    num_classes: int = 10,
    in_channels: int = 1,
    stem: str = "imagenet",
    width: float = 1.0,
    norm: Norm = nn.BatchNorm2d,
    act: Act = blocks.relu,
    lrn: bool = False,
    dropout: float = 0.0,
    aux: bool = False,
    image_size: int | None = None,
    body: Steps = BODY,
) -> GoogLeNet:
    """Make the net to train: `googlenet` with batch normalization in every convolution.

    Local response normalization and dropout are gone, as the BN paper recommends.
    """
    steps = choose_stem(stem, lrn)
    size = IMAGE_SIZE[stem] if image_size is None else image_size
    return blocks.he_initialize(
        GoogLeNet(steps, body, num_classes, in_channels, size, width, norm, act, dropout, aux)
    )


class NaiveSpec(InceptionSpec):
    """This row has no reductions (Figure 2a); its pooling branch has the projection."""

    def branches(self) -> Mapping[str, Steps]:
        reduced = super().branches()
        return {name: steps[-1:] for name, steps in reduced.items()} | {"pool": reduced["pool"]}


class NaiveChainedSpec(NaiveSpec):
    """The pooling branch of this naive row passes on every channel that comes in."""

    def branches(self) -> Mapping[str, Steps]:
        return {**super().branches(), "pool": (MaxPoolSpec("pool", 3),)}


def googlenet_naive(
    *,
    num_classes: int = 10,
    in_channels: int = 1,
    stem: str = "imagenet",
    width: float = 1.0,
    norm: Norm = None,
    act: Act = blocks.relu,
    lrn: bool = True,
    dropout: float = 0.4,
    aux: bool = False,
    image_size: int | None = None,
    pool_projection: bool = True,
) -> GoogLeNet:
    """Make GoogLeNet without its 1x1 reductions (Figure 2a in every row).

    With `pool_projection` each block gives as many channels as the paper's, so that the next one
    gets the paper's input. Without, as Figure 2a is drawn, the pooling branch passes on all
    channels and they pile up from block to block: 192 at the start, 4,944 at the end.
    """
    row = NaiveSpec if pool_projection else NaiveChainedSpec
    body = tuple(row(**vars(step)) if isinstance(step, InceptionSpec) else step for step in BODY)
    steps = choose_stem(stem, lrn)
    size = IMAGE_SIZE[stem] if image_size is None else image_size
    return blocks.he_initialize(
        GoogLeNet(steps, body, num_classes, in_channels, size, width, norm, act, dropout, aux)
    )


def googlenet_d2l(
    *, num_classes: int = 10, in_channels: int = 1, xavier: bool = False
) -> GoogLeNet:
    """Make the net of Dive into Deep Learning: one linear head, no normalization, no dropout.

    Its poolings pad by one, where the paper's count a last partial window. With `xavier` the
    weights start as `d2l.train_ch6` starts them, from which some runs never get away.
    """
    model = GoogLeNet(
        padded(choose_stem("imagenet", lrn=False)),
        padded(BODY),
        num_classes=num_classes,
        in_channels=in_channels,
        image_size=96,
    )
    return blocks.xavier_initialize(model) if xavier else blocks.he_initialize(model)


def padded(steps: Steps) -> Steps:
    """Pad every pooling by one on each side."""
    return tuple(s._replace(padding=1) if isinstance(s, MaxPoolSpec) else s for s in steps)


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
