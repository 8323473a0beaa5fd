"""The dilemma of deep sigmoid nets: small initial weights let signals fade, large ones saturate."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from statistics import mean
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from .. import data, probe
from ..batch_norm import fully_connected
from ..data import Batches
from ..models.blocks import Norm
from .experiment import Experiment, Result, Training, Variant, train_variant
from .study import Study, Unit

GAINS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
DEPTHS = (3, 5, 10, 20)
RATES = (0.5, 0.05)
SEEDS = {0.5: (0, 1, 2, 3, 4), 0.05: (0, 1, 2)}
STATISTICS = {"flat": probe.flat(), "gradient": probe.rms("gradient")}
TRAINED = Experiment(
    "dilemma",
    (),
    steps=1000,
    every=250,
    batch_size=60,
    sample=5000,
    val_images=1000,
    look_at=(nn.Sigmoid,),
    statistics=tuple(STATISTICS.items()),
)


class Signal(NamedTuple):
    """Holds what one forward and one backward pass show, layer by layer from the input.

    `saturated` is the share of the sigmoids' inputs where the slope is below 0.05, `gradient` the
    root mean square of the loss's gradient with respect to the sigmoids' outputs.
    """

    saturated: list[float]
    gradient: list[float]

    @property
    def ratio(self) -> float:
        """Return the gradient at the first hidden layer divided by that at the last."""
        return self.gradient[0] / self.gradient[-1]


def signal(
    gain: float, *, depth: int = 10, norm: Norm = None, seed: int = 0, images: int = 200
) -> Signal:
    """Send some images through a network that is not trained, and their gradient back.

    All initial weights are multiplied by `gain`. This takes milliseconds; the caller's random state
    is left alone.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = fully_connected(depth, norm=norm, gain=gain)
    return pass_through(model, *first_images(images))


@cache
def first_images(count: int) -> tuple[Tensor, Tensor]:
    """Load a batch of training images once, so that a slider does not wait for them."""
    return next(iter(Batches(data.fashion_mnist("train", sample=count), count)))


def pass_through(model: nn.Module, images: Tensor, labels: Tensor) -> Signal:
    """Look at every sigmoid of `model` during one forward and one backward pass."""
    names = probe.layers(model, nn.Sigmoid)
    with probe.record(model, names, **STATISTICS) as seen:
        F.cross_entropy(model(images), labels).backward()
    return Signal(*([seen[name][key][0] for name in names] for key in STATISTICS))


@dataclass(frozen=True, slots=True)
class Gained:
    """Holds the training of a network whose initial weights were multiplied by `gain`.

    `saturated` has a row for each of `steps`, with a value for each layer; `gradient` is that of
    step 0 (see `Signal`). `accuracy` is the validation accuracy at each of `steps`, as long as the
    loss was a number.
    """

    gain: float
    depth: int
    normalized: bool
    learning_rate: float
    seed: int
    steps: tuple[int, ...]
    accuracy: tuple[float, ...]
    saturated: tuple[tuple[float, ...], ...]
    gradient: tuple[float, ...]
    seconds: float

    @property
    def unit(self) -> Unit:
        return self.gain, self.depth, self.normalized, self.learning_rate, self.seed

    @property
    def ratio(self) -> float:
        """Return the first hidden layer's gradient divided by the last's, before any training."""
        return self.gradient[0] / self.gradient[-1]

    def __str__(self) -> str:
        return (
            f"gain {self.gain:g}, {self.depth} layers, {'BN' if self.normalized else 'plain'}, "
            f"learning rate {self.learning_rate:g}, seed {self.seed}: validation accuracy "
            f"{self.accuracy[-1]:.4f}, {self.seconds:.0f} s"
        )


def condensed(unit: Unit, training: Training) -> Gained:
    """Return only what the lecture draws of a training, with four digits."""
    gain, depth, normalized, rate, seed = unit
    layers = [f"unit{number}" for number in range(1, depth + 1)]
    seen = {(row["step"], row["layer"]): row for row in training.layers}
    looked = sorted({step for step, _ in seen})

    def values(step: int, statistic: str) -> tuple[float, ...]:
        return tuple(float(f"{seen[step, layer][statistic]:.4g}") for layer in layers)

    return Gained(
        gain,
        depth,
        normalized,
        rate,
        seed,
        steps=tuple(looked),
        accuracy=tuple(row["accuracy"] for row in training.rows[: len(looked)]),
        saturated=tuple(values(step, "flat") for step in looked),
        gradient=values(0, "gradient"),
        seconds=round(training.seconds, 1),
    )


@dataclass(frozen=True, slots=True)
class Gains:
    """Holds the finished trainings of the study "dilemma"."""

    title: ClassVar[str] = "the dilemma"
    settings: dict
    environment: dict
    trainings: tuple[Gained, ...]

    def of(self, depth: int, normalized: bool, rate: float = RATES[0]) -> dict[float, list[Gained]]:
        """Return the trainings of a kind of network, by gain."""
        chosen = [
            each
            for each in self.trainings
            if (each.depth, each.normalized, each.learning_rate) == (depth, normalized, rate)
        ]
        gains = sorted({each.gain for each in chosen})
        return {gain: [each for each in chosen if each.gain == gain] for gain in gains}


class Dilemma(Study):
    """Trains nets of every gain and depth, with and without batch norm, at two learning rates."""

    name = "dilemma"
    about = (
        "How saturation and the gradient of a sigmoid network depend on the size of its initial "
        "weights (384 trainings, 30 minutes)."
    )
    record = Gains
    threads = TRAINED.threads

    def settings(self) -> dict[str, Any]:
        return TRAINED.settings()

    def images(self) -> tuple[TensorDataset, TensorDataset]:
        return TRAINED.images()

    def units(self) -> list[Unit]:
        kinds = product(GAINS, DEPTHS, (False, True), RATES)
        return [(*kind, seed) for kind in kinds for seed in SEEDS[kind[-1]]]

    def measure(self, unit: Unit) -> Gained:
        gain, depth, normalized, rate, seed = unit
        norm = nn.BatchNorm1d if normalized else None
        build: Callable[[], nn.Module] = partial(fully_connected, depth, norm=norm, gain=gain)
        return condensed(unit, train_variant(TRAINED, Variant("", rate, build), seed)[1])


def saturated_shares(
    record: Result, depth: int, *, normalized: bool
) -> tuple[tuple[int, ...], list[list[float]]]:
    """Return the steps, and each layer's saturated share at each step, averaged over the seeds.

    `record` is that of the study "depth". Raises `ValueError` if it has no such network.
    """
    trainings = record.of(f"{depth} layers{', BN' if normalized else ''}")
    if not trainings:
        kind = "with BN" if normalized else "without BN"
        raise ValueError(f"the record has no net of {depth} layers {kind}")
    steps = tuple(row["step"] for row in trainings[0].rows)
    tables = [
        [[row["flat"] for row in each.layers if row["step"] == step] for step in steps]
        for each in trainings
    ]
    return steps, [
        [mean(table[moment][layer] for table in tables) for moment in range(len(steps))]
        for layer in range(depth)
    ]
