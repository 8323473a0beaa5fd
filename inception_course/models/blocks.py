"""What all networks share: the steps that their tables are made of, units, blocks and heads.

A table is a series of steps. A step describes a layer or a block; `build` makes the modules from
it. Numbers of input channels are computed, never typed.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import NamedTuple, TypeAlias, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Norm: TypeAlias = Callable[[int], nn.Module] | None  # from a number of channels
Act: TypeAlias = Callable[[], nn.Module]
Model = TypeVar("Model", bound=nn.Module)


def relu() -> nn.Module:
    """Make a ReLU that overwrites its input."""
    return nn.ReLU(inplace=True)


# Steps: the descriptions of layers and blocks


class ConvSpec(NamedTuple):
    """`build` makes a `ConvUnit` of it: a convolution, its normalization and its activation."""

    name: str
    kernel: int | tuple[int, int]
    channels: int
    stride: int = 1
    padding: int | None = None  # None: the map keeps its size, divided by the stride
    groups: int = 1
    activation: bool = True
    norm: bool = True

    def make(self, c_in: int, norm: Norm, act: Act) -> tuple[nn.Module, int]:
        unit = ConvUnit(
            c_in,
            self.channels,
            self.kernel,
            stride=self.stride,
            padding=self.padding,
            groups=self.groups,
            norm=norm if self.norm else None,
            act=act if self.activation else nn.Identity,
        )
        return unit, self.channels

    def output_size(self, size: int) -> int:
        if self.padding is None:
            return (size - 1) // self.stride + 1
        window = self.kernel if isinstance(self.kernel, int) else max(self.kernel)
        return (size + 2 * self.padding - window) // self.stride + 1

    def scaled(self, width: float) -> "ConvSpec":
        return self._replace(channels=scale(self.channels, width))


class SeparableSpec(NamedTuple):
    """`build` makes a `SeparableUnit` of it; its map keeps its size."""

    name: str
    kernel: int
    channels: int
    activation: bool = True

    def make(self, c_in: int, norm: Norm, act: Act) -> tuple[nn.Module, int]:
        act = act if self.activation else nn.Identity
        return SeparableUnit(c_in, self.channels, self.kernel, norm=norm, act=act), self.channels

    def output_size(self, size: int) -> int:
        return size

    def scaled(self, width: float) -> "SeparableSpec":
        return self._replace(channels=scale(self.channels, width))


class ActivationSpec(NamedTuple):
    """An activation that stands alone, where a block begins with it; `norm` normalizes before it.

    It does not overwrite its input, which the shortcut around it needs.
    """

    name: str
    norm: bool = False

    def make(self, c_in: int, norm: Norm, act: Act) -> tuple[nn.Module, int]:
        units, activation = OrderedDict[str, nn.Module](), act()
        if "inplace" in vars(activation):
            vars(activation)["inplace"] = False
        if self.norm and norm is not None:
            units["norm"] = norm(c_in)
        units["activation"] = activation
        return nn.Sequential(units), c_in

    def output_size(self, size: int) -> int:
        return size

    def scaled(self, width: float) -> "ActivationSpec":
        return self


class MaxPoolSpec(NamedTuple):
    """Max-pooling keeps the map's size at stride 1; otherwise a last partial window counts."""

    name: str
    kernel: int
    stride: int = 1
    padding: int | None = None  # None: as above; a number: on each side, and no partial window

    def module(self) -> nn.Module:
        padding = self.kernel // 2 if self.stride == 1 else 0
        return nn.MaxPool2d(
            self.kernel,
            self.stride,
            padding=padding if self.padding is None else self.padding,
            ceil_mode=self.padding is None,
        )

    def output_size(self, size: int) -> int:
        if self.padding is not None:
            return (size + 2 * self.padding - self.kernel) // self.stride + 1
        return size if self.stride == 1 else math.ceil((size - self.kernel) / self.stride) + 1


class AvgPoolSpec(NamedTuple):
    """Average pooling has stride 1 and keeps the map's size; padding may count as zeros."""

    name: str
    kernel: int
    counts_padding: bool = True

    def module(self) -> nn.Module:
        return nn.AvgPool2d(
            self.kernel,
            1,
            padding=self.kernel // 2,
            count_include_pad=self.counts_padding,
        )

    def output_size(self, size: int) -> int:
        return size


class LRNSpec(NamedTuple):
    """Local response normalization has AlexNet's constants, always."""

    name: str

    def module(self) -> nn.Module:
        return LocalResponseNorm()

    def output_size(self, size: int) -> int:
        return size


@dataclass(frozen=True)
class RowSpec:
    """A block is a row of its paper's table: its columns are fields, and they give the branches."""

    name: str

    def branches(self) -> Mapping[str, "Steps"]:
        """Write out the steps of each branch, by the branch's name."""
        raise NotImplementedError

    def make(self, c_in: int, norm: Norm, act: Act) -> tuple[nn.Module, int]:
        built = {name: build(steps, c_in, norm, act) for name, steps in self.branches().items()}
        block = InceptionBlock({name: branch for name, (branch, _) in built.items()})
        return block, sum(channels for _, channels in built.values())

    def output_size(self, size: int) -> int:
        return min(output_size(steps, size) for steps in self.branches().values())

    def scaled(self, width: float) -> "BlockSpec":
        branches = self.branches().items()
        return BlockSpec(self.name, {name: scaled(steps, width) for name, steps in branches})


@dataclass(frozen=True)
class BlockSpec(RowSpec):
    """A block whose branches are written out, step by step."""

    steps: Mapping[str, "Steps"]

    def branches(self) -> Mapping[str, "Steps"]:
        return self.steps


@dataclass(frozen=True)
class StageSpec:
    """The steps of a stage follow one another; the network counts them as one."""

    name: str
    steps: "Steps"

    def make(self, c_in: int, norm: Norm, act: Act) -> tuple[nn.Module, int]:
        return build(self.steps, c_in, norm, act)

    def output_size(self, size: int) -> int:
        return output_size(self.steps, size)

    def scaled(self, width: float) -> "StageSpec":
        return replace(self, steps=scaled(self.steps, width))


@dataclass(frozen=True)
class ResidualSpec(StageSpec):
    """`build` makes a `ResidualBlock` of it, which adds the output of `steps` to their input.

    Where the shape changes, the shortcut is a "projection", a 1x1 convolution with normalization,
    or "padded" with zeros; "none" is a block without shortcut. With `restore`, a last 1x1 without
    normalization and activation restores the number of channels before the addition.
    """

    shortcut: str = "projection"
    scale: float = 1.0
    restore: bool = False
    activation: bool = True

    @property
    def stride(self) -> int:
        """Return the product of the strides of the steps."""
        return math.prod(getattr(step, "stride", 1) for step in self.steps)

    def make(self, c_in: int, norm: Norm, act: Act) -> tuple[nn.Module, int]:
        back = ConvSpec("restore", 1, c_in, activation=False, norm=False)
        steps = (*self.steps, back) if self.restore else self.steps
        main, c_out = build(steps, c_in, norm, act)
        shortcut: nn.Module | None = nn.Identity()
        if self.shortcut == "none":
            shortcut = None
        elif self.stride > 1 or c_in != c_out:
            shortcut = (
                PaddedShortcut(c_out - c_in, self.stride)
                if self.shortcut == "padded"
                else ConvUnit(c_in, c_out, 1, stride=self.stride, norm=norm, act=nn.Identity)
            )
        act = act if self.activation else nn.Identity
        return ResidualBlock(main, shortcut, scale=self.scale, act=act), c_out


Pooling: TypeAlias = MaxPoolSpec | AvgPoolSpec | LRNSpec  # they work on any channels
Step: TypeAlias = ConvSpec | SeparableSpec | ActivationSpec | Pooling | RowSpec | StageSpec
Steps: TypeAlias = tuple[Step, ...]


def build(
    steps: Iterable[Step], c_in: int, norm: Norm = None, act: Act = relu
) -> tuple["Chain", int]:
    """Make the modules of `steps` for maps of `c_in` channels, and tell how many come out."""
    chain = Chain()
    for step in steps:
        if isinstance(step, Pooling):
            chain[step.name] = step.module()
        else:
            chain[step.name], c_in = step.make(c_in, norm, act)
    return chain, c_in


def scale(channels: int, width: float) -> int:
    """Multiply `channels` by `width`: a multiple of 4, at least 4, but exact at width 1."""
    if not width > 0:
        raise ValueError(f"width={width} leaves no channels: it multiplies them, take one above 0")
    return channels if width == 1 else max(4, 4 * round(channels * width / 4))


def scaled(steps: Iterable[Step], width: float) -> Steps:
    """Multiply every number of channels by `width`."""
    return tuple(s if isinstance(s, Pooling) else s.scaled(width) for s in steps)


def output_size(steps: Iterable[Step], size: int) -> int:
    """Tell the side of the map after all `steps`, from a square of `size`; 0 if nothing is left."""
    for step in steps:
        size = max(0, step.output_size(size))
    return size


def min_input_size(steps: Iterable[Step]) -> int:
    """Find the side of the smallest image, in pixels, of which `steps` leave a position."""
    steps = tuple(steps)
    return next(size for size in count(1) if output_size(steps, size) > 0)


# What is built from them


class Chain(nn.ModuleDict):
    """A chain of modules, which have names and work one after the other."""

    def forward(self, x: Tensor) -> Tensor:
        for module in self.values():
            x = module(x)
        return x


class ConvUnit(nn.Sequential):
    """Convolve, then normalize if there is a normalization, then activate.

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
        norm: Norm = None,
        act: Act = relu,
    ):
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        same = (height // 2, width // 2)
        units = OrderedDict[str, nn.Module]()
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


class SeparableUnit(nn.Sequential):
    """Convolve each channel by itself, then mix the channels with 1x1; nothing stands between.

    Shape: [B, c_in, H, W] -> [B, c_out, H, W]
    """

    def __init__(self, c_in: int, c_out: int, kernel: int, *, norm: Norm = None, act: Act = relu):
        depthwise = nn.Conv2d(
            c_in, c_in, kernel, padding=kernel // 2, groups=c_in, bias=norm is None
        )
        pointwise = ConvUnit(c_in, c_out, 1, norm=norm, act=act)
        super().__init__(OrderedDict(depthwise=depthwise, pointwise=pointwise))


class LocalResponseNorm(nn.LocalResponseNorm):
    """Divide each value by a sum over its five neighboring channels, at the same position.

    k + alpha * (sum of squares) to the power beta, with AlexNet's constants k = 2, n = 5,
    alpha = 1e-4, beta = 0.75 (AlexNet paper, 3.3). torch multiplies alpha by the *mean* of the
    squares, hence n * alpha here. No statistic of the batch takes part.
    """

    def __init__(self):
        super().__init__(size=5, alpha=5e-4, beta=0.75, k=2.0)


class InceptionBlock(nn.Module):
    """Look at the same map in several ways and stack the answers as channels.

    Shape: [B, c_in, H, W] -> [B, c_out, H, W], the branches' channels in their order; a block
    whose branches have stride 2 halves H and W.
    """

    def __init__(self, branches: Mapping[str, nn.Module]):
        super().__init__()
        self.branches = nn.ModuleDict(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches.values()], dim=1)


class PaddedShortcut(nn.Module):
    """Take every `stride`-th position, and add channels of zeros: it has no parameter.

    Option A of the ResNet paper, section 3.3.

    Shape: [B, c_in, H, W] -> [B, c_in + channels, ceil(H / stride), ceil(W / stride)]
    """

    def __init__(self, channels: int, stride: int):
        super().__init__()
        self.channels, self.stride = channels, stride

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, 0, self.channels))


class ResidualBlock(nn.Module):
    """Add the output of `main`, times `scale`, to its input, then activate.

    The input goes through the `shortcut`, which gives it the shape of the output; without a
    shortcut nothing is added, and the block is plain.

    Shape: [B, c_in, H, W] -> [B, c_out, ceil(H / stride), ceil(W / stride)]
    """

    def __init__(
        self,
        main: nn.Module,
        shortcut: nn.Module | None,
        *,
        scale: float = 1.0,
        act: Act = relu,
    ):
        super().__init__()
        self.branches = nn.ModuleDict({"main": main})
        if shortcut is not None:
            self.branches["shortcut"] = shortcut
        self.scale = scale
        self.activation = act()

    def forward(self, x: Tensor) -> Tensor:
        change = self.branches["main"](x)
        if self.scale != 1:
            change = self.scale * change
        if "shortcut" in self.branches:
            change = change + self.branches["shortcut"](x)
        return self.activation(change)


class AuxiliaryHead(nn.Sequential):
    """Classify a map inside the net (GoogLeNet paper, section 5).

    It has average pooling 5x5 with stride 3, a 1x1 convolution to 128, a fully connected layer of
    1,024, which ties it to one size of map, 70 % dropout and a linear layer.

    Shape: [B, c_in, grid, grid] -> [B, num_classes]
    """

    def __init__(
        self,
        c_in: int,
        grid: int,
        num_classes: int,
        *,
        norm: Norm = None,
        act: Act = relu,
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
                reduce=ConvUnit(c_in, reduced, 1, norm=norm, act=act),
                flatten=nn.Flatten(),
                hidden=nn.Linear(reduced * cells**2, hidden),
                activation=act(),
                dropout=nn.Dropout(0.7),
                linear=nn.Linear(hidden, num_classes),
            )
        )


class AverageHead(nn.Sequential):
    """Average each channel over the whole map, for images of any size; a linear layer follows.

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
        act: Act = relu,
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


class Logits(NamedTuple):
    """A net with auxiliary heads returns this in training mode.

    `main` is [B, num_classes]; `aux` holds one tensor of the same shape per auxiliary head, in the
    order of the net.
    """

    main: Tensor
    aux: tuple[Tensor, ...]


class Network(nn.Module):
    """Every network of the course has a stem, a body of named stages, a head, and a check.

    `image_size` is the side of the square images that the net is built for. With
    `fixed_input_size` it takes no others. Auxiliary heads stand at the stages of their names; they
    answer in training mode only, and they too are for one size of image.

    Shape: [B, in_channels, H, W] -> [B, num_classes]; in training mode, with auxiliary heads,
    `Logits(main, aux)`.
    """

    head: nn.Module

    def __init__(
        self,
        steps: Iterable[Step],
        in_channels: int,
        image_size: int,
        *,
        fixed_input_size: bool = False,
    ):
        super().__init__()
        self.in_channels = in_channels
        self.image_size = image_size
        self.fixed_input_size = fixed_input_size
        self.min_input_size = min_input_size(steps)
        if image_size < (self.min_input_size if fixed_input_size else 1):
            raise ValueError(
                f"image_size={image_size} is too small: this net needs at least "
                f"{self.min_input_size}"
            )
        self.stem, self.body, self.auxiliary = Chain(), Chain(), nn.ModuleDict()

    @property
    def wants_aux(self) -> bool:
        """Tell whether the auxiliary heads answer, too."""
        return self.training and len(self.auxiliary) > 0

    def check(self, images: Tensor) -> None:
        """Raise `ValueError` unless `images` is [B, in_channels, H, W] of a size that fits."""
        shape = list(images.shape)
        if images.ndim != 4 or shape[1] != self.in_channels:
            raise ValueError(
                f"images are [B, {self.in_channels}, H, W] for this net, but these are {shape}: "
                f"pass in_channels={shape[1] if images.ndim == 4 else '…'} when creating the net, "
                "or convert the images"
            )
        height, width = shape[2:]
        if min(height, width) < self.min_input_size:
            raise ValueError(
                f"images of {height}x{width} pixels are too small: this net needs at least "
                f"{self.min_input_size}x{self.min_input_size}; resize them, or take a net for "
                "smaller ones, such as googlenet_bn with stem='small'"
            )
        one_size = self.fixed_input_size or self.wants_aux
        if one_size and (height, width) != (self.image_size, self.image_size):
            raise ValueError(
                f"this net was built for images of {self.image_size}x{self.image_size} pixels, "
                f"these are {height}x{width}: create it with image_size={height}"
                + ("" if self.fixed_input_size else ", or with aux=False for images of any size")
            )


class DenseNetwork(Network):
    """AlexNet, ZFNet and VGG have convolutions, then two hidden layers of 4,096.

    It is for images of `image_size` pixels alone. `width` multiplies every number of channels.
    """

    def __init__(
        self,
        body: Iterable[Step],
        num_classes: int,
        in_channels: int,
        image_size: int,
        width: float = 1.0,
        norm: Norm = None,
        act: Act = relu,
        dropout: float = 0.5,
    ):
        body = scaled(body, width)
        super().__init__(body, in_channels, image_size, fixed_input_size=True)
        self.body, channels = build(body, in_channels, norm, act)
        size, hidden = output_size(body, image_size), scale(4096, width)
        self.head = DenseHead(channels, size, num_classes, hidden=hidden, dropout=dropout, act=act)


class AverageNetwork(Network):
    """Nets since BN-Inception have a stem, a body, and a linear layer on averages.

    `width` multiplies every number of channels.
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
        act: Act = relu,
        dropout: float = 0.0,
    ):
        stem, body = scaled(stem, width), scaled(body, width)
        super().__init__(stem + body, in_channels, image_size)
        self.stem, channels = build(stem, in_channels, norm, act)
        self.body, channels = build(body, channels, norm, act)
        self.head = AverageHead(channels, num_classes, dropout)


def he_initialize(model: Model) -> Model:
    """Initialize so that signals neither fade nor grow from layer to layer; biases become zero.

    Weights are Gaussian with variance 2 / fan-in (He et al. 2015); torch's own default is six
    times smaller for ReLU nets, and twenty layers of it leave nothing of the input.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model


def xavier_initialize(model: Model) -> Model:
    """Initialize as d2l's `train_ch6` does: Xavier-uniform weights, torch's default biases."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
    return model
