"""Experiments: variants of a network, each trained with several seeds, in one tidy record.

    result = experiment.run(experiment.EXPERIMENTS["batch-norm"], "batch-norm.json", workers=2)

Every training runs in one thread with its own seed, so that its record is the same, bit for bit,
however many run side by side. The file is written after each, and a second call goes on from it.
"""

import hashlib
import json
import math
import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import count, product
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from .. import data, machine, models, probe
from ..batch_norm import fully_connected
from ..data import Batches
from ..evaluate import accuracy
from ..machine import using_threads
from ..train import Precision, describe


class Variant(NamedTuple):
    """A network, made by `build()`, and the rate at which it learns."""

    name: str
    learning_rate: float
    build: Callable[[], nn.Module]


@dataclass(frozen=True)
class Experiment:
    """Everything that decides an experiment. The rate is constant, the optimizer SGD.

    Every `every` steps the validation accuracy is taken, and `statistics` (see `probe`) of the
    layers of the kinds `look_at` during the training step that follows.
    """

    name: str
    variants: tuple[Variant, ...]
    steps: int
    every: int
    batch_size: int
    seeds: tuple[int, ...] = (0, 1, 2)
    momentum: float = 0.0
    sample: int | None = None  # train on so many images of the packaged sample; None: on all
    val_images: int = 1000
    binary: bool = False  # every pixel black or white
    look_at: tuple[type, ...] = ()
    statistics: tuple[tuple[str, probe.Statistic], ...] = ()

    def settings(self) -> dict:
        """What a record must agree in to be gone on with, apart from seeds and variants' number."""
        names = ("name", "steps", "every", "batch_size", "momentum", "sample", "val_images")
        chosen = {name: getattr(self, name) for name in (*names, "binary")}
        return chosen | {"statistics": [name for name, _ in self.statistics]}


@dataclass(frozen=True, slots=True)
class Training:
    """One variant trained with one seed.

    `rows` hold step, accuracy (validation, a fraction of 1) and loss (of the training step that
    follows, in nats); `layers` hold step, layer and the statistics. `diverged` is the step whose
    loss was no number, or None.
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
    def best(self) -> float:
        """The highest validation accuracy."""
        return max(row["accuracy"] for row in self.rows)

    @property
    def last(self) -> float:
        """The validation accuracy at the end, or before it diverged."""
        return self.rows[-1]["accuracy"]

    def steps_to(self, target: float) -> int | None:
        """The first step at which the accuracy was at least `target`; None if it never was."""
        return next((row["step"] for row in self.rows if row["accuracy"] >= target), None)


@dataclass(frozen=True, slots=True)
class Result:
    """The trainings of an experiment that are done."""

    settings: dict
    environment: dict
    trainings: tuple[Training, ...]

    @property
    def rows(self) -> list[dict]:
        """A row for each variant, seed and step, for pandas or a figure."""
        return [
            {"variant": training.variant, "seed": training.seed, **row}
            for training in self.trainings
            for row in training.rows
        ]

    @property
    def variants(self) -> list[str]:
        return list(dict.fromkeys(training.variant for training in self.trainings))

    def of(self, variant: str) -> list[Training]:
        """The trainings of a variant, by seed."""
        chosen = [training for training in self.trainings if training.variant == variant]
        return sorted(chosen, key=lambda training: training.seed)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Result":
        """Raises `ValueError` if `text` is not the record of an experiment."""
        try:
            record = json.loads(text)
            trainings = []
            for each in record["trainings"]:
                rows, layers = tuple(each["rows"]), tuple(each["layers"])
                trainings.append(Training(**each | {"rows": rows, "layers": layers}))
            return cls(record["settings"], record["environment"], tuple(trainings))
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(f"this is not the record of an experiment: {error}") from error


def run(
    experiment: Experiment,
    path: str | Path | None = None,
    *,
    workers: int = 1,
    seconds: float = math.inf,
    watch: Callable[[Training], object] | None = None,
) -> Result:
    """Train every variant with every seed, and give the record of all.

    With `path`, the record is saved there after every training, and what is there already is not
    done again. `workers` trainings run side by side; after `seconds` no further one is started.
    `watch` is called with each finished training.

    Raises `ValueError` if `path` holds the record of another experiment.
    """
    result = _begin(experiment, Path(path) if path else None)
    done = {(training.variant, training.seed) for training in result.trainings}
    todo = [
        (variant, seed)
        for seed, variant in product(experiment.seeds, experiment.variants)
        if (variant.name, seed) not in done
    ]
    order = [variant.name for variant in experiment.variants]
    for training in _train_all(experiment, todo, workers, seconds):
        trainings = sorted(
            (*result.trainings, training), key=lambda each: (order.index(each.variant), each.seed)
        )
        result = replace(result, trainings=tuple(trainings))
        if path:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            machine.write_atomically(Path(path), result.to_json().encode())
        if watch:
            watch(training)
    return result


def _begin(experiment: Experiment, path: Path | None) -> Result:
    if path is None or not path.exists():
        train_set, val_set = load(experiment)
        speed = Precision("float32", "channels_last")
        with using_threads(1):
            environment = describe(torch.device("cpu"), speed, train_set, val_set)
        return Result(experiment.settings(), environment, ())
    result = Result.from_json(path.read_text("utf-8"))
    rates = {variant.name: variant.learning_rate for variant in experiment.variants}
    saved = result.settings | {each.variant: each.learning_rate for each in result.trainings}
    for name, value in (experiment.settings() | rates).items():
        if name in saved and saved[name] != value:
            raise ValueError(
                f"{path} is the record of another experiment ({name} was {saved[name]!r}, now "
                f"{value!r}): take another file"
            )
    return result


def _train_all(experiment: Experiment, todo: list, workers: int, seconds: float) -> Iterator:
    """Each finished training, in the order in which they finish."""
    end = time.monotonic() + seconds
    if workers == 1:
        for variant, seed in todo:
            if time.monotonic() < end:
                yield train_one(experiment, variant, seed)
        return
    todo = iter(todo)
    # A fresh process each: a fork of one that has used torch's threads can hang.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn) as pool:
        running = set()
        while True:
            while len(running) < workers and time.monotonic() < end:
                if (job := next(todo, None)) is None:
                    break
                running.add(pool.submit(train_one, experiment, *job))
            if not running:
                return
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()


def train_one(experiment: Experiment, variant: Variant, seed: int) -> Training:
    """The record of one variant trained with one seed."""
    return train_variant(experiment, variant, seed)[1]


def train_variant(
    experiment: Experiment, variant: Variant, seed: int
) -> tuple[nn.Module, Training]:
    """Train `variant` once, and give the network as well as the record.

    The caller's random state and number of threads are left alone.
    """
    start = time.perf_counter()
    train_set, val_set = load(experiment)
    rows, looks, diverged = [], [], None
    with torch.random.fork_rng(), using_threads(1):
        torch.manual_seed(seed)
        model = variant.build().to(memory_format=torch.channels_last).train()
        names = probe.layers(model, *experiment.look_at)
        optimizer = torch.optim.SGD(
            model.parameters(), lr=variant.learning_rate, momentum=experiment.momentum
        )
        batches = endless(Batches(train_set, experiment.batch_size, shuffle=True, seed=seed))
        for step, (images, labels) in enumerate(batches):
            looking = step % experiment.every == 0
            if looking:
                rows.append({"step": step, "accuracy": accuracy(model, val_set)})
            recording = (
                probe.record(model, names, **dict(experiment.statistics))
                if looking and names
                else nullcontext({})
            )
            with recording as seen:
                loss = F.cross_entropy(model(to_layout(images)), labels)
                optimizer.zero_grad()
                loss.backward()
            if not math.isfinite(loss.item()):
                diverged = step
                break
            if looking:
                rows[-1]["loss"] = loss.item()
                looks += [
                    {"step": step, "layer": name, **{key: value[0] for key, value in each.items()}}
                    for name, each in seen.items()
                ]
            if step == experiment.steps:
                break
            optimizer.step()
    return model, Training(
        variant=variant.name,
        seed=seed,
        learning_rate=variant.learning_rate,
        parameters=sum(p.numel() for p in model.parameters()),
        network=hashlib.sha256(repr(model).encode()).hexdigest()[:12],
        diverged=diverged,
        seconds=time.perf_counter() - start,
        rows=tuple(rows),
        layers=tuple(looks),
    )


def load(experiment: Experiment) -> tuple[TensorDataset, TensorDataset]:
    """The training and the validation images of an experiment."""
    train_set = data.fashion_mnist("train", sample=experiment.sample)
    sample = experiment.sample and experiment.val_images
    images, labels = data.fashion_mnist("val", sample=sample).tensors
    val_set = TensorDataset(images[: experiment.val_images], labels[: experiment.val_images])
    if experiment.binary:
        return black_or_white(train_set), black_or_white(val_set)
    return train_set, val_set


def black_or_white(dataset: TensorDataset) -> TensorDataset:
    """The same images with every pixel 0 or 255: white from half of full white on."""
    images, labels = dataset.tensors
    return TensorDataset((images > 127).to(torch.uint8) * 255, labels)


def endless(batches: Batches) -> Iterator[tuple[Tensor, Tensor]]:
    """Pass after pass over `batches`, each in an order of its own."""
    for _ in count():
        yield from batches


def to_layout(images: Tensor) -> Tensor:
    return images.to(memory_format=torch.channels_last)


class Line(NamedTuple):
    """A line of the paper's table (Figure 3): a value for each seed.

    `steps` to the best accuracy of the baseline with the same seed, None where it was never
    reached; `best` and `diverged` as in `Training`.
    """

    variant: str
    steps: list[int | None]
    best: list[float]
    diverged: list[int | None]

    @property
    def mean_steps(self) -> float | None:
        """None unless every seed got there."""
        return None if None in self.steps else mean(self.steps)


def table(result: Result, baseline: str) -> list[Line]:
    """How fast and how far each variant got, as in the paper's Figure 3."""
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


def narrow_googlenet(norm=None, act=None, width: float = 0.125) -> nn.Module:
    """GoogLeNet for 28x28 pixels with an eighth of the channels, without response normalization.

    Without dropout, too, so that the variants differ in what their names say and nothing else.
    """
    options = {"act": act} if act else {}
    return models.create(
        "googlenet", stem="small", width=width, norm=norm, lrn=False, dropout=0.0, **options
    )


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
            steps=2000,
            every=50,
            batch_size=32,
            momentum=0.9,
            val_images=2000,
        ),
        Experiment(
            "depth",
            tuple(
                Variant(f"{depth} layers{name}", 0.5, partial(fully_connected, depth, norm=norm))
                for name, norm in (("", None), (", BN", nn.BatchNorm1d))
                for depth in DEPTHS
            ),
            steps=2000,
            every=500,
            batch_size=60,
            val_images=2000,
            look_at=(nn.Sigmoid,),
            statistics=(
                ("outside_2", probe.outside(2)),
                ("outside_4", probe.outside(4)),
                ("flat", probe.flat()),
                ("gradient", probe.size("gradient")),
            ),
        ),
    )
}
