"""The building blocks that the networks share, and the steps that their tables are made of.

A table is a tuple of steps. A step knows its name, what it does to the number of channels and to
the size of the map, and how to build its module; input channels are derived, never typed.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import NamedTuple

import torch
from torch import Tensor, nn

relu = partial(nn.ReLU, inplace=True)


class ConvUnit(nn.Sequential):
    """Convolution, then normalization if there is one, then the activation.

    `kernel` is the side of a square window, or its height and width. Without `padding` the map
    keeps its size (divided by `stride`, rounded up). A normalization subtracts the mean, which
    would cancel a bias, so that the convolution has one only without it (BN paper, 3.2).

    Shape: [B, c_in, H, W] -> [B, c_out, ceil(H / stride), ceil(W / stride)]
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int | tuple[int, int],
        *,
        stride: int = 1,
        padding: int | None = None,
        groups: int = 1,
        norm: Callable[[int], nn.Module] | None = None,
        act: Callable[[], nn.Module] = relu,
    ):
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        same = (height // 2, width // 2)
        units = OrderedDict()
        units["convolution"] = nn.Conv2d(
            c_in,
            c_out,
            (height, width),
            stride,
            padding=same if padding is None else padding,
            groups=groups,
            bias=norm is None,
        )
        if norm is not None:
            units["norm"] = norm(c_out)
        units["activation"] = act()
        super().__init__(units)


class LocalResponseNorm(nn.LocalResponseNorm):
    """Divide each value by a sum over its five neighbouring channels, at the same position.

    k + alpha * (sum of squares) to the power beta, with AlexNet's constants k = 2, n = 5,
    alpha = 1e-4, beta = 0.75 (AlexNet paper, 3.3). torch multiplies alpha by the *mean* of the
    squares, hence n * alpha here. No statistic of the batch takes part.
    """

    def __init__(self):
        super().__init__(size=5, alpha=5e-4, beta=0.75, k=2.0)


class Conv(NamedTuple):
    """A convolution unit."""

    name: str
    kernel: int | tuple[int, int]
    channels: int
    stride: int = 1
    padding: int | None = None  # None: the map keeps its size, divided by the stride
    groups: int = 1
    linear: bool = False  # without activation

    def build(self, c_in: int, unit: Callable[..., nn.Module]) -> tuple[nn.Module, int]:
        options = {"act": nn.Identity} if self.linear else {}
        module = unit(
            c_in,
            self.channels,
            self.kernel,
            stride=self.stride,
            padding=self.padding,
            groups=self.groups,
            **options,
        )
        return module, self.channels

    def output_size(self, size: int) -> int:
        if self.padding is None:
            return (size - 1) // self.stride + 1
        return (size + 2 * self.padding - self.kernel) // self.stride + 1

    def scaled(self, width: float) -> "Conv":
        return self._replace(channels=scale(self.channels, width))


class MaxPool(NamedTuple):
    """Max-pooling: at stride 1 the map keeps its size, otherwise a last partial window counts."""

    name: str
    kernel: int
    stride: int = 1
    padding: int | None = None  # None: as above; a number: that many, and no partial window

    def build(self, c_in: int, unit: Callable[..., nn.Module]) -> tuple[nn.Module, int]:
        padding = self.kernel // 2 if self.stride == 1 else 0
        pool = nn.MaxPool2d(
            self.kernel,
            self.stride,
            padding=padding if self.padding is None else self.padding,
            ceil_mode=self.padding is None,
        )
        return pool, c_in

    def output_size(self, size: int) -> int:
        if self.padding is not None:
            return (size + 2 * self.padding - self.kernel) // self.stride + 1
        return size if self.stride == 1 else math.ceil((size - self.kernel) / self.stride) + 1

    def scaled(self, width: float) -> "MaxPool":
        return self


class AveragePool(NamedTuple):
    """Average pooling at stride 1; the map keeps its size, and padding counts as zeros."""

    name: str
    kernel: int

    def build(self, c_in: int, unit: Callable[..., nn.Module]) -> tuple[nn.Module, int]:
        return nn.AvgPool2d(self.kernel, 1, padding=self.kernel // 2), c_in

    def output_size(self, size: int) -> int:
        return size

    def scaled(self, width: float) -> "AveragePool":
        return self


class LocalResponse(NamedTuple):
    """Local response normalization."""

    name: str

    def build(self, c_in: int, unit: Callable[..., nn.Module]) -> tuple[nn.Module, int]:
        return LocalResponseNorm(), c_in

    def output_size(self, size: int) -> int:
        return size

    def scaled(self, width: float) -> "LocalResponse":
        return self


def scale(channels: int, width: float) -> int:
    """`channels` times `width`, to the nearest multiple of 4 and at least 4; exact at width 1."""
    return channels if width == 1 else max(4, 4 * round(channels * width / 4))


def sequence(steps: Iterable, c_in: int, unit: Callable[..., nn.Module]):
    """The modules of `steps`, one after the other, and the number of channels that come out."""
    modules = OrderedDict()
    for step in steps:
        modules[step.name], c_in = step.build(c_in, unit)
    return nn.Sequential(modules), c_in


def output_size(steps: Iterable, size: int) -> int:
    """The side of the map after all `steps`, from a square map of `size`; 0 if nothing is left."""
    for step in steps:
        size = max(0, step.output_size(size))
    return size


def min_input_size(steps: Iterable) -> int:
    """The smallest image (its side, in pixels) of which something is left after all `steps`."""
    return next(size for size in count(1) if output_size(steps, size) > 0)


class Concatenate(nn.Module):
    """Stack the answers of several branches as channels, in their order."""

    def forward(self, answers: Mapping[str, Tensor]) -> Tensor:
        return torch.cat(list(answers.values()), dim=1)


class Add(nn.Module):
    """Add the answers of several branches."""

    def forward(self, answers: Mapping[str, Tensor]) -> Tensor:
        return sum(answers.values())


class InceptionBlock(nn.Module):
    """Look at the same map in several ways and stack the answers as channels.

    `branches` maps the name of a branch to its steps.

    Shape: [B, c_in, H, W] -> [B, self.channels, H, W], the branches' channels in their order; a
    block whose branches have stride 2 halves H and W.
    """

    def __init__(self, c_in: int, branches: dict[str, tuple], unit: Callable[..., nn.Module]):
        super().__init__()
        self.branches = nn.ModuleDict()
        self.channels = 0
        for name, steps in branches.items():
            self.branches[name], c_out = sequence(steps, c_in, unit)
            self.channels += c_out
        self.join = Concatenate()

    def forward(self, x: Tensor) -> Tensor:
        return self.join({name: branch(x) for name, branch in self.branches.items()})


@dataclass(frozen=True)
class Row:
    """A block as a row of its paper's table: its columns are fields, its branches follow."""

    name: str

    def branches(self) -> dict[str, tuple]:
        """The steps of each branch, by the branch's name."""
        raise NotImplementedError

    def build(self, c_in: int, unit: Callable[..., nn.Module]) -> tuple[nn.Module, int]:
        block = InceptionBlock(c_in, self.branches(), unit)
        return block, block.channels

    def output_size(self, size: int) -> int:
        return min(output_size(steps, size) for steps in self.branches().values())

    def scaled(self, width: float) -> "Block":
        return Block(
            self.name,
            {
                name: tuple(step.scaled(width) for step in steps)
                for name, steps in self.branches().items()
            },
        )


@dataclass(frozen=True)
class Block(Row):
    """A block with its branches written out."""

    steps: dict[str, tuple]

    def branches(self) -> dict[str, tuple]:
        return self.steps


class ResidualBlock(nn.Module):
    """Add what `main` makes of a map to the map itself, then the activation (ResNet paper, 3.2).

    `shortcut` brings the map to the shape that is needed, or leaves it as it is.

    Shape: [B, c_in, H, W] -> that of `main`
    """

    def __init__(self, main: nn.Module, shortcut: nn.Module, act: Callable[[], nn.Module]):
        super().__init__()
        self.branches = nn.ModuleDict({"main": main, "shortcut": shortcut})
        self.join = Add()
        self.activation = act()

    def forward(self, x: Tensor) -> Tensor:
        answers = {name: branch(x) for name, branch in self.branches.items()}
        return self.activation(self.join(answers))


class Logits(NamedTuple):
    """What a net with auxiliary heads returns in training mode.

    `main` is [B, num_classes]; `aux` holds one tensor of the same shape per auxiliary head, in the
    order of the net.
    """

    main: Tensor
    aux: tuple[Tensor, ...]


class AuxiliaryHead(nn.Sequential):
    """A small classifier on a map inside the net (GoogLeNet paper, section 5).

    Average pooling 5x5 stride 3, 1x1 convolution to 128, fully connected 1024, 70 % dropout,
    linear. The fully connected layer ties the head to one size of map.

    Shape: [B, c_in, grid, grid] -> [B, num_classes]
    """

    def __init__(
        self,
        c_in: int,
        grid: int,
        num_classes: int,
        *,
        unit: Callable[..., nn.Module],
        act: Callable[[], nn.Module] = relu,
        width: float = 1.0,
    ):
        cells = (grid - 5) // 3 + 1
        if cells < 1:
            raise ValueError(
                f"an auxiliary head needs a map of at least 5x5, this one is {grid}x{grid}: "
                "use larger images or aux=False"
            )
        reduced, hidden = scale(128, width), scale(1024, width)
        super().__init__(
            OrderedDict(
                pool=nn.AvgPool2d(5, stride=3),  # [B, c_in, 4, 4] from a 14x14 map
                reduce=unit(c_in, reduced, 1),
                flatten=nn.Flatten(),
                hidden=nn.Linear(reduced * cells**2, hidden),
                activation=act(),
                dropout=nn.Dropout(0.7),
                linear=nn.Linear(hidden, num_classes),
            )
        )


class AverageHead(nn.Sequential):
    """Average each channel over the whole map, then one linear layer: for images of any size.

    Shape: [B, c_in, H, W] -> [B, num_classes]
    """

    def __init__(self, c_in: int, num_classes: int, dropout: float):
        super().__init__(
            OrderedDict(
                pool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                dropout=nn.Dropout(dropout),
                linear=nn.Linear(c_in, num_classes),
            )
        )


class DenseHead(nn.Sequential):
    """Flatten the map and go through two hidden fully connected layers, as AlexNet and VGG do.

    Dropout silences a part of each hidden layer. The first layer ties the net to one size of image.

    Shape: [B, c_in, grid, grid] -> [B, num_classes]
    """

    def __init__(
        self,
        c_in: int,
        grid: int,
        num_classes: int,
        *,
        hidden: int,
        dropout: float,
        act: Callable[[], nn.Module] = relu,
    ):
        super().__init__(
            OrderedDict(
                flatten=nn.Flatten(),
                fc6=nn.Linear(c_in * grid**2, hidden),
                activation6=act(),
                dropout6=nn.Dropout(dropout),
                fc7=nn.Linear(hidden, hidden),
                activation7=act(),
                dropout7=nn.Dropout(dropout),
                fc8=nn.Linear(hidden, num_classes),
            )
        )


class Network(nn.Module):
    """A stem, a body of named stages, and a head; every network of the course.

    `stem` and `body` are steps. `head` makes the head from a number of channels and the side of
    the last map, and `auxiliary` maps the name of a stage to what makes the auxiliary head at its
    output. Heads that are tied to one size of map are built for square images of `image_size`
    pixels: `sized` says that the main head is; auxiliary heads are, and answer in training mode
    only.

    Shape: [B, in_channels, H, W] -> [B, num_classes]; in training mode, with auxiliary heads,
    `Logits(main, aux)`.
    """

    def __init__(
        self,
        stem: Iterable,
        body: Iterable,
        head: Callable[[int, int], nn.Module],
        *,
        in_channels: int,
        image_size: int,
        unit: Callable[..., nn.Module],
        sized: bool = False,
        auxiliary: Mapping[str, Callable[[int, int], nn.Module]] | None = None,
        width: float = 1.0,
    ):
        super().__init__()
        stem, body = ([step.scaled(width) for step in part] for part in (stem, body))
        self.in_channels = in_channels
        self.image_size = image_size
        self.sized = sized
        self.smallest = min_input_size(stem + body)
        if sized and image_size < self.smallest:
            raise ValueError(
                f"image_size={image_size} is too small: this net needs at least {self.smallest}"
            )
        auxiliary = auxiliary or {}
        self.stem, channels = sequence(stem, in_channels, unit)
        self.body = nn.ModuleDict()
        self.auxiliary = nn.ModuleDict()
        size = output_size(stem, image_size)
        for step in body:
            self.body[step.name], channels = step.build(channels, unit)
            size = step.output_size(size)
            if step.name in auxiliary:
                self.auxiliary[step.name] = auxiliary[step.name](channels, size)
        self.head = head(channels, size)

    def forward(self, images: Tensor) -> Tensor | Logits:
        check_images(images, self.in_channels, self.smallest)
        wants_aux = self.training and len(self.auxiliary) > 0
        if (self.sized or wants_aux) and images.shape[2:] != (self.image_size, self.image_size):
            raise ValueError(
                f"this net was built for images of {self.image_size}x{self.image_size} pixels, "
                f"these are {images.shape[2]}x{images.shape[3]}: create it with "
                f"image_size={images.shape[2]}"
                + ("" if self.sized else ", or with aux=False for images of any size")
            )
        x = self.stem(images)
        auxiliary = []
        for name, stage in self.body.items():
            x = stage(x)
            if wants_aux and name in self.auxiliary:
                auxiliary.append(self.auxiliary[name](x))
        logits = self.head(x)
        return Logits(logits, tuple(auxiliary)) if wants_aux else logits


def dense_network(
    body: Iterable,
    *,
    num_classes: int,
    in_channels: int,
    image_size: int,
    width: float,
    norm: Callable[[int], nn.Module] | None,
    act: Callable[[], nn.Module],
    dropout: float,
) -> Network:
    """Convolutions, then hidden layers of 4,096: what AlexNet, ZFNet and VGG have in common.

    Weights start after He.
    """
    model = Network(
        (),
        body,
        lambda channels, size: DenseHead(
            channels, size, num_classes, hidden=scale(4096, width), dropout=dropout, act=act
        ),
        in_channels=in_channels,
        image_size=image_size,
        unit=partial(ConvUnit, norm=norm, act=act),
        sized=True,
        width=width,
    )
    he_initialize(model)
    return model


def check_images(images: Tensor, in_channels: int, smallest: int) -> None:
    """Raise `ValueError` unless `images` is [B, in_channels, H, W] with H and W large enough."""
    shape = list(images.shape)
    if images.ndim != 4 or shape[1] != in_channels:
        raise ValueError(
            f"images are [B, {in_channels}, H, W] for this net, but these are {shape}: "
            f"pass in_channels={shape[1] if images.ndim == 4 else '…'} when creating the net, "
            "or convert the images"
        )
    if min(shape[2:]) < smallest:
        raise ValueError(
            f"images of {shape[2]}x{shape[3]} pixels are too small: this net needs at least "
            f"{smallest}x{smallest}; resize them, or take a net with stem='small'"
        )


def he_initialize(model: nn.Module) -> None:
    """Start so that the signal neither fades nor grows from layer to layer, and biases at zero.

    Weights are Gaussian with variance 2 / fan-in (He et al. 2015); torch's own default is six
    times smaller for ReLU nets, and twenty layers of it leave nothing of the input.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def xavier_initialize(model: nn.Module) -> None:
    """Start as d2l's `train_ch6` does: Xavier-uniform weights, biases left at torch's default."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
