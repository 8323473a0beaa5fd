"""The building blocks that the networks share, and the steps that their tables are made of.

A table is a tuple of steps. A step knows its name, what it does to the number of channels and to
the size of the map, and how to build its module; input channels are derived, never typed.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial
from itertools import count
from typing import NamedTuple

import torch
from torch import Tensor, nn

relu = partial(nn.ReLU, inplace=True)


class ConvUnit(nn.Sequential):
    """Convolution, then normalisation if there is one, then the activation.

    The map keeps its size (divided by `stride`, rounded up). A normalisation subtracts the mean,
    which would cancel a bias, so that the convolution has one only without it (BN paper, 3.2).

    Shape: [B, c_in, H, W] -> [B, c_out, ceil(H / stride), ceil(W / stride)]
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int,
        *,
        stride: int = 1,
        norm: Callable[[int], nn.Module] | None = None,
        act: Callable[[], nn.Module] = relu,
    ):
        units = OrderedDict()
        units["convolution"] = nn.Conv2d(
            c_in, c_out, kernel, stride, padding=kernel // 2, bias=norm is None
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
    """A square convolution unit."""

    name: str
    kernel: int
    channels: int
    stride: int = 1

    def build(self, c_in: int, unit: Callable[..., nn.Module]) -> tuple[nn.Module, int]:
        return unit(c_in, self.channels, self.kernel, stride=self.stride), self.channels

    def size_after(self, size: int) -> int:
        return (size - 1) // self.stride + 1

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

    def size_after(self, size: int) -> int:
        if self.padding is not None:
            return (size + 2 * self.padding - self.kernel) // self.stride + 1
        return size if self.stride == 1 else math.ceil((size - self.kernel) / self.stride) + 1

    def scaled(self, width: float) -> "MaxPool":
        return self


class LocalResponse(NamedTuple):
    """Local response normalisation."""

    name: str

    def build(self, c_in: int, unit: Callable[..., nn.Module]) -> tuple[nn.Module, int]:
        return LocalResponseNorm(), c_in

    def size_after(self, size: int) -> int:
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


def size_after(steps: Iterable, size: int) -> int:
    """The side of the map after all `steps`, from a square map of `size`; 0 if nothing is left."""
    for step in steps:
        size = max(0, step.size_after(size))
    return size


def smallest_input(steps: Iterable) -> int:
    """The smallest image (its side, in pixels) of which something is left after all `steps`."""
    return next(size for size in count(1) if size_after(steps, size) > 0)


class InceptionBlock(nn.Module):
    """Look at the same map in several ways and stack the answers as channels.

    `branches` maps the name of a branch to its steps.

    Shape: [B, c_in, H, W] -> [B, self.channels, H, W], the branches' channels in their order
    """

    def __init__(self, c_in: int, branches: dict[str, tuple], unit: Callable[..., nn.Module]):
        super().__init__()
        self.branches = nn.ModuleDict()
        self.channels = 0
        for name, steps in branches.items():
            self.branches[name], c_out = sequence(steps, c_in, unit)
            self.channels += c_out

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches.values()], dim=1)


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
            f"{smallest}x{smallest}; resize them, or for 28x28 take a net with stem='small'"
        )


def he_initialise(model: nn.Module) -> None:
    """Start so that the signal neither fades nor grows from layer to layer, and biases at zero.

    Weights are Gaussian with variance 2 / fan-in (He et al. 2015); torch's own default is six
    times smaller for ReLU nets, and twenty layers of it leave nothing of the input.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def xavier_initialise(model: nn.Module) -> None:
    """Start as d2l's `train_ch6` does: Xavier-uniform weights, biases left at torch's default."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
