"""What the 1x1 reductions of an Inception block cost, save and lose."""

import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from .. import cost, data, machine, train
from ..data import Batches
from ..evaluate import eval_mode
from ..machine import usable_cores
from ..models.blocks import (
    BlockSpec,
    ConvSpec,
    MaxPoolSpec,
    Network,
    Norm,
    RowSpec,
    Steps,
    build,
    he_initialize,
    output_size,
)
from ..models.googlenet import BODY, STEM, GoogLeNet, InceptionSpec, NaiveChainedSpec
from .study import Study, Unit

# Counted and timed: the nine blocks


class BlockInput(NamedTuple):
    """A block of GoogLeNet, and the channels and the side of the map that enters it."""

    row: InceptionSpec
    c_in: int
    side: int


def block_inputs() -> list[BlockInput]:
    """List the blocks of the paper's Table 1, with their input maps for an image of 224x224."""
    found = []
    with torch.device("meta"):  # channels only
        _, channels = build(STEM, 3)
        side = output_size(STEM, 224)
        for step in BODY:
            if isinstance(step, InceptionSpec):
                found.append(BlockInput(step, channels, side))
            _, channels = build((step,), channels)
            side = step.output_size(side)
    return found


def naive(row: InceptionSpec) -> NaiveChainedSpec:
    """Return the row as in the paper's Figure 2a: no 1x1 before 3x3 and 5x5 or after the pool."""
    return NaiveChainedSpec(**vars(row))


def block_cost(row: RowSpec, c_in: int, side: int) -> cost.CostTable:
    """Count what the block costs on a map of `c_in` channels and `side` positions a side."""
    body, _ = build((row,), c_in)
    return cost.table(nn.Sequential(OrderedDict(body=body)), (c_in, side, side))


class Branch(NamedTuple):
    """Holds what one branch of a block costs; weights are counted without biases."""

    weights: int
    reduction: int  # multiply-adds of its 1x1 before a window
    multiply_adds: int  # of all its layers
    channels: int  # that it gives


def branches(row: RowSpec, c_in: int, side: int) -> dict[str, Branch]:
    """Count the cost of each branch of a block, by its name."""
    layers = block_cost(row, c_in, side).layers
    costs = {}
    for name in row.branches():
        mine = [layer for layer in layers if f".branches.{name}." in layer.name]
        costs[name] = Branch(
            sum(layer.weights for layer in mine),
            sum(layer.multiply_adds for layer in mine if ".reduce_" in layer.name),
            sum(layer.multiply_adds for layer in mine),
            mine[-1].output[0],
        )
    return costs


class BlockTimes(NamedTuple):
    """Holds a block's milliseconds per image, forward only, with and without its reductions."""

    reduced: float
    naive: float


def time_blocks(
    blocks: Iterable[BlockInput], images: int = 4, repeats: int = 5
) -> dict[str, BlockTimes]:
    """Time the blocks on this machine, both kinds in turn; the fastest of `repeats` counts.

    Other programs can only add to a time, so the fastest is the least disturbed.
    """
    times = {}
    for row, c_in, side in blocks:
        maps = torch.rand(images, c_in, side, side).to(memory_format=torch.channels_last)
        pair = [build((each,), c_in)[0] for each in (row, naive(row))]
        pair = [block.to(memory_format=torch.channels_last).eval() for block in pair]
        with torch.inference_mode(), machine.using_threads(usable_cores()):
            seconds = [[clock(block, maps) for block in pair] for _ in range(repeats + 1)]
        warm = seconds[1:]  # the first turn prepares memory
        times[row.name] = BlockTimes(
            *(1000 * min(each) / images for each in zip(*warm, strict=True))
        )
    return times


def clock(block: nn.Module, maps: Tensor) -> float:
    start = time.perf_counter()
    block(maps)
    return time.perf_counter() - start


# Lost: how much of a map a few channels can hold


def stage_input(model: Network, name: str, dataset: TensorDataset) -> Tensor:
    """Return the maps that enter the stage `name` of a network, for all images, in eval mode.

    Shape: [N, c_in, H, W]
    """
    with eval_mode(model):
        maps = []
        for images, _ in Batches(dataset, 250):
            x = model.stem(images)
            for stage, module in model.body.items():
                if stage == name:
                    break
                x = module(x)
            maps.append(x)
    return torch.cat(maps)


def pixels(maps: Tensor) -> Tensor:
    """Make every position of every map one row: [N, C, H, W] -> [N * H * W, C]."""
    return maps.permute(0, 2, 3, 1).flatten(0, 2)


def spectrum(rows: Tensor) -> Tensor:
    """Return the singular values of centered `rows` [N, C], over sqrt(N), largest first: [C].

    Their squares are the variances along the principal directions.
    """
    centered = (rows - rows.mean(dim=0)).double()
    variances = torch.linalg.eigvalsh(centered.T @ centered / len(rows))
    return variances.flip(0).clamp(min=0).sqrt()


def explained_variance(singular_values: Tensor) -> Tensor:
    """Return the share of the variance that the best k channels hold, for k = 1 to C: [C].

    The best are the first k principal components. One minus the share is the squared error of a
    reconstruction from them, divided by the variance.
    """
    variances = singular_values**2
    return variances.cumsum(0) / variances.sum()


def shuffled(rows: Tensor, generator: torch.Generator) -> Tensor:
    """Shuffle each channel in an order of its own, which leaves no correlations."""
    orders = torch.rand(rows.shape, generator=generator).argsort(dim=0)
    return rows.gather(0, orders)


def r2(rows: Tensor, reduced: Tensor) -> float:
    """Return the share of the variance of `rows` [N, C] that a linear map restores from `reduced`.

    It is the best linear map with a constant, by least squares, from [N, k] to [N, C].
    """
    x, z = ((each - each.mean(dim=0)).double() for each in (rows, reduced))
    together = z.T @ x
    back = torch.linalg.lstsq(z.T @ z, together, driver="gelsd").solution  # [k, C]
    return ((together * back).sum() / x.square().sum()).item()


# Trained: ever narrower reductions

WIDTHS = (1, 4, 16, None)  # channels after a reduction; None: no reduction
SEEDS = tuple(range(10))
SAMPLE, VAL_IMAGES = 5000, 1000  # of the packaged sample
NARROW_STEM = (ConvSpec("conv1", 3, 16, stride=2), ConvSpec("conv2", 3, 48))  # to 14x14
RECIPE = train.Recipe(
    "narrow",
    epochs=2,
    batch_size=64,
    learning_rate=0.1,
    momentum=0.9,
    weight_decay=5e-4,
    schedule="one-cycle",
)


def narrow_net(width: int | None, *, bypass: bool, norm: Norm = nn.BatchNorm2d) -> GoogLeNet:
    """Make a net of two convolutions, 3a and 3b, a quarter as wide, with reductions to `width`.

    Without `bypass` the branches 1x1 and pool are left out, so that everything passes through a
    reduction. The net is for images of 28x28 with one channel, and for ten classes.
    """
    body = []
    for row in BODY[:2]:
        chosen: dict[str, Steps] = {}
        for name, steps in row.scaled(0.25).branches().items():
            if name in ("3x3", "5x5"):
                narrow = () if width is None else (ConvSpec(steps[0].name, 1, width),)
                chosen[name] = (*narrow, steps[-1])
            elif bypass:
                chosen[name] = steps
        body.append(BlockSpec(row.name, chosen))
    return he_initialize(
        GoogLeNet(
            NARROW_STEM,
            (*body, MaxPoolSpec("pool3", 3, 2)),
            num_classes=10,
            in_channels=1,
            image_size=28,
            norm=norm,
        )
    )


@dataclass(frozen=True, slots=True)
class Trained:
    """Holds the training of a net with reductions to `width` channels."""

    width: int | None
    bypass: bool
    seed: int
    parameters: int
    accuracy: float  # validation, a fraction of 1

    @property
    def unit(self) -> Unit:
        return self.bypass, self.width, self.seed

    def __str__(self) -> str:
        around = "with" if self.bypass else "without"
        return (
            f"reductions of {self.width or 'all'} channels, {around} ways around, seed "
            f"{self.seed}: validation accuracy {self.accuracy:.4f}"
        )


def train_narrow(
    width: int | None, *, bypass: bool, seed: int, recipe: train.Recipe = RECIPE
) -> Trained:
    """Train `narrow_net` on the packaged sample."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = narrow_net(width, bypass=bypass)
    run = train.fit(
        model,
        data.fashion_mnist("train", sample=SAMPLE),
        data.fashion_mnist("val", sample=VAL_IMAGES),
        replace(recipe, seed=seed),
    )
    parameters = sum(p.numel() for p in model.parameters())
    return Trained(width, bypass, seed, parameters, run.last.val_accuracy)


@dataclass(frozen=True, slots=True)
class Widths:
    """Holds the nets that are trained."""

    title: ClassVar[str] = "trained widths"
    settings: dict
    environment: dict
    trainings: tuple[Trained, ...]


class NarrowNets(Study):
    """Trains nets with every width of the reductions, with and without branches around them."""

    name = "reductions"
    about = "What nets lose when their 1x1 reductions get narrower (80 trainings, 15 minutes)."
    record = Widths

    def settings(self) -> dict[str, Any]:
        fields = ("epochs", "batch_size", "learning_rate")
        chosen = {field: getattr(RECIPE, field) for field in fields}
        return {"name": self.name} | chosen | {"sample": SAMPLE, "val_images": VAL_IMAGES}

    def images(self) -> tuple[TensorDataset, TensorDataset]:
        val_set = data.fashion_mnist("val", sample=VAL_IMAGES)
        return data.fashion_mnist("train", sample=SAMPLE), val_set

    def units(self) -> list[Unit]:
        return list(product((False, True), WIDTHS, SEEDS))

    def measure(self, unit: Unit) -> Trained:
        bypass, width, seed = unit
        return train_narrow(width, bypass=bypass, seed=seed)
