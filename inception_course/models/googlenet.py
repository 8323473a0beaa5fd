"""GoogLeNet, from the table of its paper: Szegedy et al., Going Deeper with Convolutions, 2015."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from ..layers import (
    AuxiliaryHead,
    Conv,
    ConvUnit,
    InceptionBlock,
    LocalResponse,
    Logits,
    MaxPool,
    check_images,
    he_initialise,
    relu,
    scale,
    sequence,
    size_after,
    smallest_input,
    xavier_initialise,
)


class Inception(NamedTuple):
    """One Inception row, in the column order of the paper's Table 1."""

    name: str
    conv_1x1: int
    reduce_3x3: int
    conv_3x3: int
    reduce_5x5: int
    conv_5x5: int
    pool_projection: int

    def branches(self) -> dict[str, tuple]:
        return {
            "1x1": (Conv("conv_1x1", 1, self.conv_1x1),),
            "3x3": (Conv("reduce_3x3", 1, self.reduce_3x3), Conv("conv_3x3", 3, self.conv_3x3)),
            "5x5": (Conv("reduce_5x5", 1, self.reduce_5x5), Conv("conv_5x5", 5, self.conv_5x5)),
            "pool": (MaxPool("pool", 3), Conv("pool_projection", 1, self.pool_projection)),
        }

    def build(self, c_in: int, unit: Callable[..., nn.Module]) -> tuple[nn.Module, int]:
        block = InceptionBlock(c_in, self.branches(), unit)
        return block, block.channels

    def size_after(self, size: int) -> int:
        return size

    def scaled(self, width: float) -> "Inception":
        return Inception(self.name, *(scale(channels, width) for channels in self[1:]))


# Table 1 of the paper. Table 1 leaves out the two local response normalisations of its Figure 3.
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

STEMS = {"imagenet": STEM, "small": SMALL_STEM}
IMAGE_SIZE = {"imagenet": 224, "small": 28}


class GoogLeNet(nn.Module):
    """Stem, nine Inception blocks, global average pooling and one linear layer.

    With `aux` an auxiliary head stands at the output of 4a and one at 4d, built for square images
    of `image_size` pixels.

    Shape: [B, in_channels, H, W] -> [B, num_classes]; in training mode, with auxiliary heads,
    `Logits(main, aux)`.
    """

    def __init__(
        self,
        stem: tuple,
        *,
        body: tuple = BODY,
        in_channels: int,
        num_classes: int,
        image_size: int,
        dropout: float,
        aux: bool,
        width: float,
        unit: Callable[..., nn.Module],
        act: Callable[[], nn.Module],
    ):
        super().__init__()
        stem, body = ([step.scaled(width) for step in part] for part in (stem, body))
        self.in_channels = in_channels
        self.image_size = image_size
        self.smallest = smallest_input(stem + body)

        self.stem, channels = sequence(stem, in_channels, unit)
        self.body = nn.ModuleDict()
        self.auxiliary = nn.ModuleDict()
        size = size_after(stem, image_size)
        for step in body:
            self.body[step.name], channels = step.build(channels, unit)
            size = step.size_after(size)
            if aux and step.name in AUXILIARY_AT:
                self.auxiliary[step.name] = AuxiliaryHead(
                    channels, size, num_classes, unit=unit, act=act, width=width
                )
        self.head = nn.Sequential(
            OrderedDict(
                pool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                dropout=nn.Dropout(dropout),
                linear=nn.Linear(channels, num_classes),
            )
        )

    def forward(self, images: Tensor) -> Tensor | Logits:
        check_images(images, self.in_channels, self.smallest)
        asks_aux = self.training and len(self.auxiliary) > 0
        if asks_aux and images.shape[2:] != (self.image_size, self.image_size):
            raise ValueError(
                f"the auxiliary heads were built for images of {self.image_size}x{self.image_size} "
                f"pixels, these are {images.shape[2]}x{images.shape[3]}: create the net with "
                f"image_size={images.shape[2]}, or with aux=False"
            )
        x = self.stem(images)
        auxiliary = []
        for name, stage in self.body.items():
            x = stage(x)
            if asks_aux and name in self.auxiliary:
                auxiliary.append(self.auxiliary[name](x))
        logits = self.head(x)
        return Logits(logits, tuple(auxiliary)) if asks_aux else logits


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
) -> GoogLeNet:
    """The paper's net: local response normalisation, 40 % dropout, auxiliary heads by option.

    `width` multiplies every number of channels; `norm` and `act` make the normalisation (from a
    number of channels) and the activation of every convolution. `image_size` matters to the
    auxiliary heads only: 224 pixels for `stem="imagenet"`, 28 for `stem="small"`, unless given.
    """
    if stem not in STEMS:
        raise ValueError(f"stem is one of {sorted(STEMS)}, not {stem!r}")
    steps = tuple(step for step in STEMS[stem] if lrn or not isinstance(step, LocalResponse))
    model = GoogLeNet(
        steps,
        in_channels=in_channels,
        num_classes=num_classes,
        image_size=image_size or IMAGE_SIZE[stem],
        dropout=dropout,
        aux=aux,
        width=width,
        unit=partial(ConvUnit, norm=norm, act=act),
        act=act,
    )
    he_initialise(model)
    return model


googlenet_bn = partial(googlenet, norm=nn.BatchNorm2d, lrn=False, dropout=0.0)
googlenet_bn.__doc__ = """The net to train: batch normalisation in every convolution.

Local response normalisation and dropout are gone, as the BN paper recommends.
"""


def googlenet_d2l(*, num_classes: int = 10, in_channels: int = 1) -> GoogLeNet:
    """The simplified net of Dive into Deep Learning: one linear head, no normalisation, no dropout.

    Its poolings pad by one, where the paper's count a last partial window; weights start as
    `d2l.train_ch6` starts them.
    """
    model = GoogLeNet(
        padded(step for step in STEM if not isinstance(step, LocalResponse)),
        body=padded(BODY),
        in_channels=in_channels,
        num_classes=num_classes,
        image_size=96,
        dropout=0.0,
        aux=False,
        width=1.0,
        unit=ConvUnit,
        act=relu,
    )
    xavier_initialise(model)
    return model


def padded(steps: Iterable) -> tuple:
    """The same steps with every pooling padded by one on each side."""
    return tuple(step._replace(padding=1) if isinstance(step, MaxPool) else step for step in steps)
