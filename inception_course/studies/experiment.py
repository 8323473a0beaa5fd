"""Experiments: variants of a network, each trained with several seeds, in one tidy record.

Every training runs in one thread with its own seed, so that its record is the same, bit for bit,
however many run side by side.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count, islice, product
from statistics import mean
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import TensorDataset

from .. import data, models, probe
from ..batch_norm import fully_connected
from ..data import Batches
from ..evaluate import accuracy
from ..machine import using_threads
from ..models.blocks import Act, Norm, he_initialize, xavier_initialize
from ..train import Recipe, RunningMean, one_epoch
from .study import Study, Unit


class Variant(NamedTuple):
    """A network, made by `build()`, and its learning rate."""

    name: str
    learning_rate: float
    build: Callable[[], nn.Module]


@dataclass(frozen=True, slots=True)
class Training:
    """Holds the training of one variant with one seed.

    `rows` hold step, accuracy (validation, a fraction of 1) and loss (of the training step that
    follows, in nats); `layers` hold step, layer and the statistics. `diverged` is the step whose
    loss was no longer a number, or None.
    """

    variant: str
    seed: int
    learning_rate: float
    parameters: int
    network: str  # digest of the network's structure
    diverged: int | None
    seconds: float
    rows: tuple[dict, ...]
    layers: tuple[dict, ...]

    @property
    def unit(self) -> Unit:
        return self.variant, self.seed

    @property
    def best(self) -> float:
        """Return the highest validation accuracy."""
        return max(row["accuracy"] for row in self.rows)

    @property
    def last(self) -> float:
        """Return the validation accuracy at the end, or the last one before the loss diverged."""
        return self.rows[-1]["accuracy"]

    def late(self, evaluations: int = 10) -> float:
        """Return the mean of the last validation accuracies, which does not pick a lucky one."""
        return mean(row["accuracy"] for row in self.rows[-evaluations:])

    def __str__(self) -> str:
        end = "" if self.diverged is None else f", diverged at step {self.diverged}"
        return (
            f"{self.variant}, seed {self.seed}: best validation accuracy {self.best:.4f}, at the "
            f"end {self.last:.4f}{end}, {self.seconds:.0f} s"
        )

    def steps_to(self, target: float) -> int | None:
        """Return the first step with an accuracy of at least `target`; None if there was none."""
        return next((row["step"] for row in self.rows if row["accuracy"] >= target), None)


@dataclass(frozen=True, slots=True)
class Result:
    """Holds the finished trainings of an experiment."""

    title: ClassVar[str] = "an experiment"
    settings: dict
    environment: dict
    trainings: tuple[Training, ...]

    @property
    def rows(self) -> list[dict]:
        """Return a row for each variant, seed and step, for pandas or a figure."""
        return [
            {"variant": training.variant, "seed": training.seed, **row}
            for training in self.trainings
            for row in training.rows
        ]

    @property
    def variants(self) -> list[str]:
        return list(dict.fromkeys(training.variant for training in self.trainings))

    def of(self, variant: str) -> list[Training]:
        """Return the trainings of a variant, sorted by seed."""
        chosen = [training for training in self.trainings if training.variant == variant]
        return sorted(chosen, key=lambda training: training.seed)


@dataclass(frozen=True)
class Experiment(Study):
    """Holds the settings of an experiment. The learning rate is constant, the optimizer SGD.

    Every `every` steps the validation accuracy is measured. The training step that follows takes
    `statistics` (see `probe`) of the layers in `look_at`, which are given by kind or by name.
    """

    record: ClassVar[type] = Result
    threads: ClassVar[int | None] = 1
    name: str
    variants: tuple[Variant, ...]
    steps: int
    every: int
    batch_size: int
    seeds: tuple[int, ...] = (0, 1, 2)
    momentum: float = 0.0
    sample: int | None = None  # train on N images of the packaged sample; None: on all
    val_images: int = 1000
    binary: bool = False  # every pixel black or white
    look_at: tuple[type | str, ...] = ()
    statistics: tuple[tuple[str, probe.Statistic], ...] = ()
    about: str = ""

    def settings(self) -> dict[str, Any]:
        names = ("name", "steps", "every", "batch_size", "momentum", "sample", "val_images")
        chosen = {name: getattr(self, name) for name in (*names, "binary")}
        return chosen | {"statistics": [name for name, _ in self.statistics]}

    def differences(self, record: Result) -> Iterator[tuple[str, Any, Any]]:
        yield from super().differences(record)
        now = {variant.name: variant.learning_rate for variant in self.variants}
        for each in record.trainings:
            if each.learning_rate != now.get(each.variant, each.learning_rate):
                yield each.variant, each.learning_rate, now[each.variant]
        builds = {variant.name: variant.build for variant in self.variants}
        yield from other_networks(builds, {e.variant: e.parameters for e in record.trainings})

    def images(self) -> tuple[TensorDataset, TensorDataset]:
        train_set = data.fashion_mnist("train", sample=self.sample)
        sample = self.sample and self.val_images
        val_set = TensorDataset(*data.fashion_mnist("val", sample=sample)[: self.val_images])
        if self.binary:
            return black_or_white(train_set), black_or_white(val_set)
        return train_set, val_set

    def units(self) -> list[Unit]:
        return list(product((variant.name for variant in self.variants), sorted(self.seeds)))

    def measure(self, unit: Unit) -> Training:
        name, seed = unit
        (variant,) = (variant for variant in self.variants if variant.name == name)
        return train_variant(self, variant, seed)[1]


def other_networks(
    builds: Mapping[str, Callable[[], nn.Module]], recorded: Mapping[str, int]
) -> Iterator[tuple[str, int, int]]:
    """Yield the networks that are built with another number of parameters than was recorded."""
    for name in (name for name in recorded if name in builds):
        with torch.random.fork_rng():
            now = sum(p.numel() for p in builds[name]().parameters())
        if now != recorded[name]:
            yield f"parameters of {name}", recorded[name], now


def train_variant(
    experiment: Experiment, variant: Variant, seed: int
) -> tuple[nn.Module, Training]:
    """Train `variant` once; return the network and the record.

    The caller's random state and number of threads are left alone.
    """
    start = time.perf_counter()
    train_set, val_set = experiment.images()
    rows: list[dict] = []
    looks: list[dict] = []
    diverged = None
    with torch.random.fork_rng(), using_threads(1):
        torch.manual_seed(seed)
        model = variant.build().to(memory_format=torch.channels_last)
        kinds = [each for each in experiment.look_at if isinstance(each, type)]
        names = [each for each in experiment.look_at if isinstance(each, str)]
        names += probe.layers(model, *kinds)
        rate = variant.learning_rate
        optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=experiment.momentum)
        # One more step takes statistics at the end; at learning rate 0 it changes no weight.
        schedule = LambdaLR(optimizer, lambda step: float(step < experiment.steps))
        recipe = Recipe(experiment.name, 1, experiment.batch_size, rate, seed=seed)
        batches = endless(Batches(train_set, experiment.batch_size, shuffle=True, seed=seed))

        def learn(steps: int) -> RunningMean:
            chosen = ((to_layout(images), labels) for images, labels in islice(batches, steps))
            return one_epoch(model, chosen, optimizer, schedule, recipe, after_step=require_finite)

        try:
            for step in range(0, experiment.steps + 1, experiment.every):
                rows.append({"step": step, "accuracy": accuracy(model, val_set)})
                with probe.record(model, names, **dict(experiment.statistics)) as seen:
                    rows[-1]["loss"] = learn(1).loss
                for name, each in seen.items():
                    values = {key: value[0] for key, value in each.items()}
                    looks.append({"step": step, "layer": name, **values})
                if step < experiment.steps:
                    learn(experiment.every - 1)
        except FloatingPointError:
            diverged = schedule.last_epoch - 1
    return model, Training(
        variant=variant.name,
        seed=seed,
        learning_rate=rate,
        parameters=sum(p.numel() for p in model.parameters()),
        network=hashlib.sha256(repr(model).encode()).hexdigest()[:12],
        diverged=diverged,
        seconds=time.perf_counter() - start,
        rows=tuple(rows),
        layers=tuple(looks),
    )


def require_finite(loss: Tensor) -> None:
    if not loss.isfinite():
        raise FloatingPointError("the loss is no longer a number")


def to_layout(images: Tensor) -> Tensor:
    return images.to(memory_format=torch.channels_last)


def black_or_white(dataset: TensorDataset) -> TensorDataset:
    """Return the same images with every pixel 0 or 255: white from half of full white on."""
    images, labels = dataset.tensors
    return TensorDataset((images > 127).to(torch.uint8) * 255, labels)


def endless(batches: Batches) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield pass after pass over `batches`, each pass in a new order."""
    for _ in count():
        yield from batches


class Line(NamedTuple):
    """A line of the paper's table (Figure 3), with a value for each seed.

    `steps` lead to the best accuracy of the baseline with the same seed, None where it was never
    reached; `best` and `diverged` are those of `Training`.
    """

    variant: str
    steps: list[int | None]
    best: list[float]
    diverged: list[int | None]

    @property
    def mean_steps(self) -> float | None:
        """Return the mean of `steps`; None unless every seed reached the baseline's accuracy."""
        reached = [step for step in self.steps if step is not None]
        return mean(reached) if len(reached) == len(self.steps) else None


def table(result: Result, baseline: str) -> list[Line]:
    """Tell how fast and how far each variant got, as in the paper's Figure 3."""
    targets = {training.seed: training.best for training in result.of(baseline)}
    return [
        Line(
            variant,
            [training.steps_to(targets[training.seed]) for training in result.of(variant)],
            [training.best for training in result.of(variant)],
            [training.diverged for training in result.of(variant)],
        )
        for variant in result.variants
    ]


def narrow_googlenet(
    norm: Norm = None, act: Act | None = None, width: float = 0.125, aux: bool = False
) -> nn.Module:
    """Make GoogLeNet for 28x28 pixels with an eighth of the channels.

    It has neither response normalization nor dropout, so that the variants differ in what their
    names say and nothing else.
    """
    options = {"act": act} if act else {}
    return models.create(
        "googlenet",
        stem="small",
        width=width,
        norm=norm,
        lrn=False,
        dropout=0.0,
        aux=aux,
        **options,
    )


def with_heads(norm: Norm = None, *, xavier: bool = False, aux: bool = False) -> nn.Module:
    """Make the narrow GoogLeNet with or without auxiliary heads, initialized after He or Xavier.

    The heads are made last, so that the other initial weights of a seed are the same.
    """
    bare = narrow_googlenet(norm=norm)
    initialize = xavier_initialize if xavier else he_initialize
    initialize(bare)
    if not aux:
        return bare
    model = narrow_googlenet(norm=norm, aux=True)
    initialize(model)
    model.load_state_dict(bare.state_dict(), strict=False)
    return model


NORMALIZED = partial(narrow_googlenet, norm=nn.BatchNorm2d)
SQUASHED = partial(narrow_googlenet, act=nn.Sigmoid)
NORMALIZED_SQUASHED = partial(narrow_googlenet, norm=nn.BatchNorm2d, act=nn.Sigmoid)

RATES = (0.003, 0.01, 0.02, 0.03, 0.05, 0.1)
BASE_RATE = 0.01  # the best of RATES at the end, for the net without normalization

DEPTHS = (1, 2, 3, 4, 5, 6, 8, 10, 15, 20)

EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        Experiment(
            "rates",
            tuple(Variant(f"rate {rate}", rate, narrow_googlenet) for rate in RATES),
            about="Which learning rate suits a narrow GoogLeNet without "
            "batch normalization (12 trainings, 7 minutes).",
            seeds=(0, 1),
            steps=600,
            every=100,
            batch_size=32,
            momentum=0.9,
            val_images=2000,
        ),
        Experiment(
            "batch-norm",
            (
                Variant("no BN", BASE_RATE, narrow_googlenet),
                Variant("BN", BASE_RATE, NORMALIZED),
                Variant("BN x5", 5 * BASE_RATE, NORMALIZED),
                Variant("BN x30", 30 * BASE_RATE, NORMALIZED),
                Variant("BN x5, sigmoid", 5 * BASE_RATE, NORMALIZED_SQUASHED),
                Variant("no BN x5", 5 * BASE_RATE, narrow_googlenet),
                Variant("no BN, sigmoid", BASE_RATE, SQUASHED),
            ),
            about="How much faster a narrow GoogLeNet learns with batch "
            "normalization (21 trainings, 45 minutes).",
            steps=2000,
            every=50,
            batch_size=32,
            momentum=0.9,
            val_images=2000,
        ),
        Experiment(
            "batch-norm-rates",
            (
                Variant("no BN, 0.005", 0.005, narrow_googlenet),
                Variant("no BN, 0.02", 0.02, narrow_googlenet),
                Variant("BN, 0.02", 0.02, NORMALIZED),
                Variant("BN, 0.1", 0.1, NORMALIZED),
            ),
            about="Whether another learning rate suits a narrow GoogLeNet better than those of "
            "batch-norm (12 trainings, 25 minutes).",
            steps=2000,
            every=50,
            batch_size=32,
            momentum=0.9,
            val_images=2000,
        ),
        Experiment(
            "heads",
            tuple(
                Variant(
                    ", ".join(("BN" if norm else "no BN", start, "heads" if aux else "no heads")),
                    5 * BASE_RATE if norm else BASE_RATE,
                    partial(with_heads, norm, xavier=start == "Xavier", aux=aux),
                )
                for norm, start, aux in product(
                    (None, nn.BatchNorm2d), ("He", "Xavier"), (False, True)
                )
            ),
            about="What auxiliary heads do for a narrow GoogLeNet, by its initialization "
            "(24 trainings, 30 minutes).",
            steps=600,
            every=100,
            batch_size=32,
            momentum=0.9,
            val_images=2000,
            look_at=("stem.conv1", "body.3a", "body.4a", "body.4d", "body.5b"),
            statistics=(("gradient", probe.rms("gradient")),),
        ),
        Experiment(
            "depth",
            tuple(
                Variant(f"{depth} layers{name}", 0.5, partial(fully_connected, depth, norm=norm))
                for name, norm in (("", None), (", BN", nn.BatchNorm1d))
                for depth in DEPTHS
            ),
            about="How deep a plain sigmoid network may be, with and without "
            "batch normalization (60 trainings, 5 minutes).",
            steps=2000,
            every=500,
            batch_size=60,
            val_images=2000,
            look_at=(nn.Sigmoid,),
            statistics=(
                ("outside_2", probe.outside(2)),
                ("outside_4", probe.outside(4)),
                ("flat", probe.flat()),
                ("gradient", probe.rms("gradient")),
            ),
        ),
    )
}
