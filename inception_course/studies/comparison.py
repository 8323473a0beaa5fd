"""Comparisons of recipes: networks trained by `fit`, each by its own recipe, with several seeds."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from functools import cache, partial
from itertools import product
from statistics import mean, stdev
from typing import Any, ClassVar, NamedTuple

import torch
from torch import nn
from torch.utils.data import TensorDataset

from .. import cost, data, models
from ..evaluate import accuracy
from ..models.blocks import Norm, he_initialize, xavier_initialize
from ..train import NETWORKS, RECIPES, Diverged, Epoch, Recipe, fit
from .experiment import NORMALIZED, narrow_googlenet, other_networks
from .reduction import narrow_net
from .study import Study, Unit

# The default of each setting of a recipe. A recipe that was recorded before a setting existed has
# its default.
DEFAULTS = {each.name: each.default for each in fields(Recipe) if each.default is not MISSING}


class Contender(NamedTuple):
    """A network, made by `build()`, and the recipe that trains it."""

    name: str
    recipe: Recipe
    build: Callable[[], nn.Module]

    def multiply_adds(self, images: int) -> int:
        """Return the multiply-adds of all forward passes over `images` training images."""
        sizes = (self.recipe.size_in(n + 1) for n in range(self.recipe.epochs))
        per_image = sum(multiply_adds(self.build, size) for size in sizes)
        return per_image * (self.recipe.train_images or images)


@cache
def multiply_adds(build: Callable[[], nn.Module], size: int) -> int:
    """Count the multiply-adds of a network for one gray image of `size` x `size` pixels."""
    with torch.device("meta"):
        return cost.table(build(), (1, size, size)).multiply_adds


@dataclass(frozen=True, slots=True)
class Trained:
    """Holds the training of one contender with one seed.

    `accuracies` are the validation accuracies after each pass, fractions of 1. `diverged` is true
    if the loss was no longer a number. `cpu_seconds` are summed over all cores; another program
    that runs at the same time adds little to them.
    """

    contender: str
    seed: int
    parameters: int
    accuracies: tuple[float, ...]
    train_accuracies: tuple[float, ...]
    diverged: bool
    cpu_seconds: float

    @property
    def unit(self) -> Unit:
        return self.contender, self.seed

    @property
    def accuracy(self) -> float:
        """Return the accuracy at the end, or that of a guess among ten classes if it diverged."""
        return 0.1 if self.diverged else self.accuracies[-1]

    def __str__(self) -> str:
        end = ", diverged" if self.diverged else ""
        return (
            f"{self.contender}, seed {self.seed}: validation accuracy {self.accuracy:.4f}{end}, "
            f"{self.cpu_seconds:.0f} s of one core"
        )


@dataclass(frozen=True, slots=True)
class Contest:
    """Holds the finished trainings of a comparison."""

    title: ClassVar[str] = "a comparison of recipes"
    settings: dict
    environment: dict
    trainings: tuple[Trained, ...]

    @property
    def contenders(self) -> list[str]:
        return list(dict.fromkeys(each.contender for each in self.trainings))

    def of(self, contender: str) -> list[Trained]:
        """Return the trainings of a contender, sorted by seed."""
        chosen = [each for each in self.trainings if each.contender == contender]
        return sorted(chosen, key=lambda each: each.seed)

    def measured(self, contenders: Iterable[str]) -> list[str]:
        """Return those that were trained at least once; raises `ValueError` if none was."""
        found = [name for name in contenders if name in self.contenders]
        if not found:
            asked = " or ".join(contenders) or "anything"
            raise ValueError(f"no training of {asked} is in this record yet: finish the study")
        return found


@dataclass(frozen=True)
class Comparison(Study):
    """Trains every contender with every seed, on all training images or on some of the sample.

    With `clean`, the training accuracy is measured after each pass, in eval mode and without
    augmentation, not while the network learns. `val_images=N` takes the first N validation images,
    None all of them.
    """

    record: ClassVar[type] = Contest
    name: str
    about: str
    contenders: tuple[Contender, ...]
    seeds: tuple[int, ...]
    sample: int | None = None
    clean: bool = False
    val_images: int | None = None

    def settings(self) -> dict[str, Any]:
        recipes = {
            each.name: asdict(replace(each.recipe, name="", seed=0)) for each in self.contenders
        }
        chosen = {name: getattr(self, name) for name in ("name", "sample", "clean", "val_images")}
        return chosen | {"recipes": recipes}

    def differences(self, record: Contest) -> Iterator[tuple[str, Any, Any]]:
        """Yield the settings that differ, except for new contenders and new fields of a recipe."""
        for name, before, now in super().differences(record):
            if name == "recipes":
                before = {each: DEFAULTS | recipe for each, recipe in before.items()}
                now = {each: now[each] for each in before if each in now}
            if now != before:
                yield name, before, now
        builds = {each.name: each.build for each in self.contenders}
        yield from other_networks(builds, {e.contender: e.parameters for e in record.trainings})

    def images(self) -> tuple[TensorDataset, TensorDataset]:
        val_set = TensorDataset(*data.fashion_mnist("val")[: self.val_images])
        return data.fashion_mnist("train", sample=self.sample), val_set

    def units(self) -> list[Unit]:
        return list(product((each.name for each in self.contenders), self.seeds))

    def measure(self, unit: Unit) -> Trained:
        return self.train(self.build(unit), unit)

    def contender(self, unit: Unit) -> Contender:
        (chosen,) = (each for each in self.contenders if each.name == unit[0])
        return chosen

    def build(self, unit: Unit) -> nn.Module:
        """Make the network of a unit; the caller's random state is left alone."""
        with torch.random.fork_rng():
            torch.manual_seed(unit[1])
            return self.contender(unit).build()

    def train(self, model: nn.Module, unit: Unit) -> Trained:
        """Train the network of a unit in place."""
        name, seed = unit
        train_set, val_set = self.images()
        learned: list[float] = []

        def after_pass(epoch: Epoch) -> None:
            learned.append(accuracy(model, train_set) if self.clean else epoch.train_accuracy)

        recipe = replace(self.contender(unit).recipe, seed=seed)
        start = time.process_time()
        try:
            run = fit(model, train_set, val_set, recipe, on_epoch_end=after_pass)
            diverged = False
        except Diverged as error:
            run, diverged = error.run, True
        return Trained(
            name,
            seed,
            sum(p.numel() for p in model.parameters()),
            tuple(epoch.val_accuracy for epoch in run.epochs),
            tuple(round(each, 5) for each in learned),
            diverged,
            round(time.process_time() - start, 1),
        )


@dataclass(frozen=True, slots=True)
class Asked(Trained):
    """Holds the training of one contender with one seed, and the `rows` that `ask` returned."""

    rows: tuple[dict, ...]


@dataclass(frozen=True, slots=True)
class Answers(Contest):
    """Holds the finished trainings of an inquiry."""

    title: ClassVar[str] = "an inquiry into trained networks"
    trainings: tuple[Asked, ...]

    @property
    def rows(self) -> list[dict]:
        """Return all rows, each with its contender and its seed, for pandas or a figure."""
        return [
            {"contender": each.contender, "seed": each.seed, **row}
            for each in self.trainings
            for row in each.rows
        ]

    def values(self, column: str, **where: Any) -> list[Any]:
        """Return a column of the rows that agree with `where`: values("accuracy", shift=2)."""
        return [
            row[column]
            for row in self.rows
            if all(row[name] == value for name, value in where.items())
        ]


@dataclass(frozen=True)
class Inquiry(Comparison):
    """A comparison that also examines each network: `ask(model, validation images)` returns rows.

    It asks after the training and, with `untrained`, also before it; "trained" in a row is true or
    false.
    """

    record: ClassVar[type] = Answers
    ask: Callable[[Any, TensorDataset], list[dict]] = field(kw_only=True)
    untrained: bool = False

    def measure(self, unit: Unit) -> Asked:
        model = self.build(unit)
        val_set = self.images()[1]
        rows = []
        if self.untrained:
            rows += [{"trained": False} | row for row in self.ask(model, val_set)]
        trained = self.train(model, unit)
        rows += [{"trained": True} | row for row in self.ask(model, val_set)]
        values = {each.name: getattr(trained, each.name) for each in fields(trained)}
        return Asked(**values, rows=tuple(rows))


class Difference(NamedTuple):
    """A mean difference over seeds, and twice its standard error, both in points (per cent).

    It is `seen` if the mean is larger than twice the error. Where nothing differs, chance alone
    does this 18 times in 100 with three seeds, 12 times with five, 8 times with ten.
    """

    points: float
    margin: float

    @property
    def seen(self) -> bool:
        return abs(self.points) > self.margin

    def __str__(self) -> str:
        end = "seen" if self.seen else "not seen"
        return f"{self.points:+.1f} points, ± {self.margin:.1f}: {end}"


def difference(ones: Sequence[float], others: Sequence[float]) -> Difference:
    """Compare fractions of 1, such as accuracies, seed by seed: `ones` minus `others`.

    Raises `ValueError` unless both have the same number of seeds, two at least.
    """
    if len(ones) != len(others) or len(ones) < 2:
        raise ValueError(f"needs the same seeds, two at least, not {len(ones)} and {len(others)}")
    points = [100 * (one - other) for one, other in zip(ones, others, strict=True)]
    return Difference(mean(points), 2 * stdev(points) / len(points) ** 0.5)


# The ladder: each rung changes one thing, and keeps what the rungs below it changed.

FIRST = Recipe("ladder", epochs=2, batch_size=128, learning_rate=0.1)
CYCLED = replace(FIRST, momentum=0.9, schedule="one-cycle")
AUGMENTED = replace(CYCLED, flip=True, translate=2)
AVERAGED = replace(AUGMENTED, ema_decay=0.99)
CONTROL = "Xavier, batch normalization"  # no rung: the third one without the second


def started(initialize: Callable, norm: Norm = None) -> nn.Module:
    """Make GoogLeNet for 28x28 pixels with a sixteenth of the channels, and `initialize` it."""
    return initialize(narrow_googlenet(norm=norm, width=0.0625))


BEFORE = partial(started, he_initialize, nn.BatchNorm2d)
LADDER = Comparison(
    "ladder",
    "What each trick gains in two passes over all images, one change at a time "
    "(40 trainings, 75 minutes).",
    (
        Contender("Xavier, SGD", FIRST, partial(started, xavier_initialize)),
        Contender("He", FIRST, partial(started, he_initialize)),
        Contender("batch normalization", FIRST, BEFORE),
        Contender("momentum, one-cycle", CYCLED, BEFORE),
        Contender("augmentation", AUGMENTED, BEFORE),
        Contender("weight averaging", AVERAGED, BEFORE),
        Contender("twice the width", AVERAGED, NORMALIZED),
        Contender(CONTROL, FIRST, partial(started, xavier_initialize, nn.BatchNorm2d)),
    ),
    seeds=(0, 1, 2, 3, 4),
)

# The batch size in training: the same images seen, in more steps or fewer.

BATCH_SIZES = (2, 4, 8, 16, 32, 64, 128)
SIZES_OF_CONTROL = (2, 8, 32, 128)
BASE = Recipe("batch size", epochs=4, batch_size=32, learning_rate=0.05, momentum=0.9)
KINDS = ("BN, scaled rate", "BN, one rate", "group norm, scaled rate")


def group_norm(channels: int) -> nn.Module:
    """Make group normalization with four channels in a group; other images play no part in it."""
    return nn.GroupNorm(channels // 4, channels)


def small_net(norm: Norm) -> nn.Module:
    """Make a net of two convolutions and two Inception blocks for 28x28 pixels."""
    return narrow_net(16, bypass=True, norm=norm)


def contender_of(kind: str, size: int) -> Contender:
    """Return the contender of a kind and batch size; a scaled rate is proportional to the size."""
    rate = BASE.learning_rate * (size / BASE.batch_size if kind.endswith("scaled rate") else 1)
    norm = nn.BatchNorm2d if kind.startswith("BN") else group_norm
    recipe = replace(BASE, batch_size=size, learning_rate=rate)
    return Contender(f"{kind}, {size}", recipe, partial(small_net, norm))


BATCHES = Comparison(
    "batch-size",
    "How small a batch batch normalization can learn from, with group norm as a control "
    "(54 trainings, 40 minutes).",
    tuple(
        contender_of(kind, size)
        for kind in KINDS
        for size in (BATCH_SIZES if kind.startswith("BN") else SIZES_OF_CONTROL)
    ),
    seeds=(0, 1, 2),
    sample=5000,
)

# Time against accuracy: what to spend a few minutes of one core on.

ONE_PASS = replace(RECIPES["quick"], precision="float32")
TWO_PASSES = replace(ONE_PASS, epochs=2)
AS_MODERN = replace(RECIPES["modern"], precision="float32")
THIRDS = 36_700  # two passes over them take as long as one of small images and one of large ones
QUICK_NAME, QUICK_OPTIONS = NETWORKS["quick"]
QUICK_NET = partial(models.create, QUICK_NAME, **QUICK_OPTIONS)
TWICE_AS_WIDE = partial(QUICK_NET, width=2 * QUICK_OPTIONS["width"])  # about three times the work

FRONTIER = Comparison(
    "frontier",
    "What a few minutes of one core are best spent on: new images, more passes, smaller images "
    "first, or a wider network (36 trainings, 510 minutes).",
    (
        Contender("one pass", ONE_PASS, QUICK_NET),
        Contender("one at 16 pixels, one at 28", replace(TWO_PASSES, first_size=16), QUICK_NET),
        Contender(
            "two over 2/3 of the images", replace(TWO_PASSES, train_images=THIRDS), QUICK_NET
        ),
        Contender("two passes", TWO_PASSES, QUICK_NET),
        Contender("three passes", replace(ONE_PASS, epochs=3), QUICK_NET),
        Contender("six passes", replace(ONE_PASS, epochs=6), QUICK_NET),
        Contender("six passes, mirrored", replace(ONE_PASS, epochs=6, flip=True), QUICK_NET),
        Contender("six passes, as modern", AS_MODERN, QUICK_NET),
        Contender("one pass, twice the width", ONE_PASS, TWICE_AS_WIDE),
    ),
    seeds=(0, 1, 2, 3),
)

COMPARISONS = {each.name: each for each in (LADDER, BATCHES, FRONTIER)}


def by_batch_size(result: Contest) -> dict[str, dict[int, list[float]]]:
    """Return the accuracies of the study "batch-size", by kind and by batch size."""
    return {
        kind: {
            size: [each.accuracy for each in found]
            for size in BATCH_SIZES
            if (found := result.of(f"{kind}, {size}"))
        }
        for kind in KINDS
    }
