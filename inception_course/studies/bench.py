"""Precision, measured side by side on this machine: ratios are the result, not seconds.

    result = bench.run(bench.FULL, watch=print)

Every number of ours is taken of `train.fit` itself, from outside, by a stopwatch around its
batches. Rounds of everything follow one another, so that a machine that slows down slows down
both sides of a ratio. Everything runs on the CPU, in as many threads as there are cores.
"""

import importlib
import json
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, replace
from io import StringIO
from itertools import product
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import NamedTuple

import torch
from torch import nn
from torch.autograd.profiler import record_function
from torch.profiler import ProfilerActivity, profile
from torch.utils.data import DataLoader

from .. import cost, data, models, train
from ..machine import usable_cores, using_threads
from ..studies import results
from ..train import RECIPES, Recipe, Run

NETWORK = "googlenet_bn"
RECORDS = Path(__file__).with_name("records")

# Accuracies on Fashion-MNIST to be reached: what d2l's own training of its GoogLeNet ends with,
# and what the list of results in the data set's README has for a GoogLeNet.
MILESTONES = (0.886, 0.937)
D2L_IMAGES = RECIPES["d2l"].epochs * 60_000
SOONER = ("sprint", "quick", "modern")  # the recipes that are to be there sooner

# What the operations of a training step are for, by the beginning of their names in a profile.
BACKWARD = "autograd::engine::evaluate_function: "
KINDS = {
    "convolution forward": ("aten::conv2d",),
    "convolution backward": (f"{BACKWARD}Convolution",),
    "max-pooling": ("aten::max_pool2d", f"{BACKWARD}MaxPool2D"),
    "batch normalization": ("aten::batch_norm", f"{BACKWARD}NativeBatchNorm"),
    "activation": ("aten::relu", f"{BACKWARD}Relu"),
    "concatenation": ("aten::cat", f"{BACKWARD}Cat"),
    "optimizer, averaging": ("Optimizer.", "aten::_foreach_lerp"),
    "data": ("data",),
}
REST = "rest"


class Contest(NamedTuple):
    """A race between the two loops: how large the images are and how many, and the batches."""

    image_size: int
    batch_size: int
    images: int  # at least five batches: d2l's loop divides its pass by five


@dataclass(frozen=True)
class Budget:
    """What is measured, and how long.

    `steps` are timed of each recipe in a round, `profiled` of those in the profiles. A matmul of
    every side in `matmuls` looks for the machine's peak.
    """

    contests: tuple[Contest, ...]
    recipes: tuple[Recipe, ...]  # of NETWORK
    profiles: tuple[Recipe, ...]
    matmuls: tuple[int, ...]
    steps: int
    profiled: int


def resized(recipe: Recipe, name: str, **changes) -> Recipe:
    """The recipe at another size; `width` and `stem` are the network's."""
    network = {key: changes.pop(key) for key in ("width", "stem") if key in changes}
    return replace(recipe, name=name, network=recipe.network | network, **changes)


GRID = "grid"  # the name of recipes that differ from the first one in one quantity
BASE = RECIPES["quick"]
LARGE = resized(BASE, "large", image_size=96, width=1.0, stem="imagenet")  # d2l's images
FULL = Budget(
    contests=(Contest(96, 128, 1920), Contest(224, 32, 480)),
    recipes=(
        BASE,
        RECIPES["modern"],
        LARGE,
        *(resized(BASE, GRID, image_size=size) for size in (40, 56, 96)),
        *(resized(BASE, GRID, width=width) for width in (0.5, 1.0)),
        *(resized(BASE, GRID, batch_size=size) for size in (32, 64, 256)),
    ),
    profiles=(BASE, LARGE),
    matmuls=(1024, 2048, 4096),
    steps=8,
    profiled=8,
)
TINY = resized(BASE, "tiny", width=0.125, batch_size=16, precision="float32")
QUICK = Budget(
    contests=(Contest(28, 8, 40),),
    recipes=(
        TINY,
        resized(TINY, GRID, image_size=32),
        resized(TINY, GRID, width=0.25),
        resized(TINY, GRID, batch_size=8),
    ),
    profiles=(TINY,),
    matmuls=(128, 256),
    steps=2,
    profiled=2,
)


@dataclass(frozen=True, slots=True)
class Race:
    """Images per second of `d2l.train_ch6` with d2l's own loader and of `fit`, a value per round.

    Same network, same images a batch, same size. Of both, whole passes over the training data are
    timed, from eval_mode for the first batch to the end of the last step, preparing the images
    included. Of neither is what happens once, before and after: d2l's evaluation and our
    validation, and our probe for the fastest arithmetic. d2l's figure is not drawn at all; five
    times a pass is little in a pass of 60,000 images, and would be much here.
    """

    image_size: int
    batch_size: int
    images: int
    precision: str  # of `fit`; d2l's is float32
    d2l: tuple[float, ...]
    fit: tuple[float, ...]

    @property
    def ratios(self) -> list[float]:
        """How many times as fast `fit` is, round by round."""
        return [ours / theirs for ours, theirs in zip(self.fit, self.d2l, strict=True)]


@dataclass(frozen=True, slots=True)
class Timing:
    """What a training step of `recipe` takes, and preparing its batch: a value per round.

    Seconds per image, each the median over the steps of the round. `multiply_adds` are those of a
    step, for one image.
    """

    recipe: Recipe
    precision: str
    multiply_adds: int
    step: tuple[float, ...]
    data: tuple[float, ...]

    @property
    def images_per_second(self) -> list[float]:
        return [1 / (step + wait) for step, wait in zip(self.step, self.data, strict=True)]

    @property
    def data_shares(self) -> list[float]:
        """Preparing the images against the step that uses them."""
        return [wait / step for step, wait in zip(self.step, self.data, strict=True)]


@dataclass(frozen=True, slots=True)
class Goal:
    """When a run first had a validation accuracy, seconds from its start; None if it never had.

    Accuracy is taken at the end of an epoch, so that the time is that of whole epochs.
    """

    name: str  # of the recipe
    accuracy: float
    seconds: float | None
    images_per_second: float  # of that run
    recorded: bool  # an earlier run, of notebooks/records, perhaps on another machine


@dataclass(frozen=True, slots=True)
class Profile:
    """Fractions of the time of a training step of `recipe`, data included, by what it is for."""

    recipe: Recipe
    shares: dict[str, float]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Everything that was measured, and in sentences what was left out.

    `peaks` hold the multiply-adds per second of the fastest square matmul, by precision, a value
    per round.
    """

    environment: dict
    races: tuple[Race, ...]
    peaks: dict[str, tuple[float, ...]]
    timings: tuple[Timing, ...]
    goals: tuple[Goal, ...]
    profiles: tuple[Profile, ...]
    left_out: tuple[str, ...]

    def curve(self, quantity: str) -> dict[float, Timing]:
        """The timings by their "image_size", "width" or "batch_size", the others as at first."""
        first, *others = self.timings
        base = quantities(first.recipe)
        points = {base[quantity]: first}
        for timing in others:
            here = quantities(timing.recipe)
            if timing.recipe.name == GRID and here | {quantity: base[quantity]} == base:
                points[here[quantity]] = timing
        return dict(sorted(points.items()))

    def peak_fractions(self, timing: Timing) -> list[float]:
        """The part of the machine's own peak in that precision that the step reaches, by round."""
        peaks = self.peaks[timing.precision]
        return [
            timing.multiply_adds / step / peak
            for step, peak in zip(timing.step, peaks, strict=True)
        ]

    @property
    def d2l_seconds(self) -> float | None:
        """What d2l's recipe takes here for its 600,000 images; None if its race was left out."""
        size = RECIPES["d2l"].image_size
        rates = [median(race.d2l) for race in self.races if race.image_size == size]
        return D2L_IMAGES / rates[0] if rates else None

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Benchmark":
        """Raises `ValueError` if `text` is not the record of a benchmark."""
        try:
            record = json.loads(text)
            kinds = {"races": Race, "timings": Timing, "goals": Goal, "profiles": Profile}
            for name, kind in kinds.items():
                record[name] = [_restored(kind, each) for each in record[name]]
            record["peaks"] = _restored(dict, record["peaks"])
            return _restored(cls, record)
        except (AttributeError, TypeError, KeyError, ValueError) as error:
            raise ValueError(f"this is not the record of a benchmark: {error}") from error


def _restored(kind: type, record: dict):
    """JSON knows no tuples, and no recipes."""
    values = {
        name: tuple(value) if isinstance(value, list) else value for name, value in record.items()
    }
    if "recipe" in values:
        values["recipe"] = Recipe(**values["recipe"])
    return kind(**values)


def run(
    budget: Budget = FULL,
    *,
    repeats: int = 3,
    train_recipes: bool = False,
    root: str | Path | None = None,
    watch: Callable[[str], object] = lambda sentence: None,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Benchmark:
    """Measure everything in `budget`, `repeats` times in turns.

    With `train_recipes` the times to an accuracy are those of new runs on the full data (in
    `root`, see `data.find`), otherwise those in the records of the notebooks. `watch` is told
    before each measurement what comes; `progress` wraps the batches of the new runs. The caller's
    random state is left alone.

    Raises `ValueError` for `repeats` below 1.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be 1 or more, not {repeats}")
    splits = ("train", "val") if train_recipes else ()
    sets = [data.fashion_mnist(split, root=root) for split in splits]
    d2l = import_d2l()
    left_out = [] if d2l else ["d2l is not installed, so its loop was not raced."]
    if not train_recipes and not recorded_runs():
        left_out.append(f"No records in {RECORDS}, so no times to an accuracy: train anew.")
    contests = budget.contests if d2l else ()
    if d2l and RECIPES["d2l"].image_size not in [contest.image_size for contest in contests]:
        left_out.append("No race at the size of d2l's recipe, so no time of it to compare with.")
    races: list[list[Rates]] = [[] for contest in contests]
    timings: list[list[StepTimes]] = [[] for recipe in budget.recipes]
    peaks = {}
    for number in range(1, repeats + 1):
        turn = f"round {number} of {repeats}"
        for contest, rounds in zip(contests, races, strict=True):
            watch(f"{turn}: d2l.train_ch6 and fit, {contest.image_size} pixels")
            rounds.append(race(contest, d2l))
        for recipe, rounds in zip(budget.recipes, timings, strict=True):
            watch(f"{turn}: {said(recipe)}")
            rounds.append(time_steps(settled(recipe, rounds), budget.steps))
        for precision in sorted({rounds[0].speed.precision for rounds in timings}):
            watch(f"{turn}: the fastest matmul in {precision}")
            peaks.setdefault(precision, []).append(matmul_peak(precision, budget.matmuls))
    profiles = []
    for recipe in budget.profiles:
        watch(f"where the time of a step goes: {said(recipe)}")
        profiles.append(Profile(recipe, profile_steps(recipe, budget.profiled)))
    if train_recipes:
        runs = []
        for name in SOONER:
            watch(f"training with the recipe {name} on the full data")
            runs.append(train_anew(RECIPES[name], sets, progress))
    else:
        runs = recorded_runs()
    return Benchmark(
        environment=environment(),
        races=tuple(map(gather_race, contests, races)),
        peaks={precision: tuple(rounds) for precision, rounds in peaks.items()},
        timings=tuple(map(gather_timing, budget.recipes, timings)),
        goals=tuple(
            goal(run, accuracy, recorded=not train_recipes)
            for run, accuracy in product(runs, MILESTONES)
        ),
        profiles=tuple(profiles),
        left_out=tuple(left_out),
    )


def environment() -> dict:
    """What a reader needs to compare these numbers with others."""
    sample = data.fashion_mnist("val", sample=10)
    with using_threads(usable_cores()):
        known = train.describe(torch.device("cpu"), train.Precision("", ""), sample, sample)
    names = ("course", "python", "torch", "system", "processor", "device", "threads")
    return {name: known[name] for name in names} | {"d2l_threads": torch.get_num_threads()}


def quantities(recipe: Recipe) -> dict[str, float]:
    """What the cost is drawn against."""
    return {
        "image_size": recipe.image_size,
        "width": recipe.network["width"],
        "batch_size": recipe.batch_size,
    }


def said(recipe: Recipe) -> str:
    size, width, batch = quantities(recipe).values()
    return f"{recipe.name}: {size} pixels, width {width:g}, batches of {batch}"


class Stopwatch:
    """Around batches: seconds waited for each one, and worked with it by whoever goes through."""

    def __init__(self, batches: Iterable):
        self.batches = batches
        self.waits, self.steps, self.images = [], [], 0

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator:
        start = time.perf_counter()
        for images, labels in self.batches:
            ready = time.perf_counter()
            yield images, labels
            done = time.perf_counter()
            self.waits.append(ready - start)
            self.steps.append(done - ready)
            self.images += len(images)
            start = done

    @property
    def images_per_second(self) -> float:
        return self.images / (sum(self.waits) + sum(self.steps))


class Pass(NamedTuple):
    """A pass of `fit` over its training images, as seen by a stopwatch around its batches."""

    watch: Stopwatch
    speed: train.Precision


def one_pass(
    network: str,
    recipe: Recipe,
    count: int,
    around: Callable[[Iterable], Iterable] = iter,
) -> Pass:
    """One epoch of `fit` with `count` images; `around` is put around the batches as well."""
    train_set = data.fashion_mnist("train", sample=count)
    val_set = data.fashion_mnist("val", sample=10)
    watches = []

    def progress(batches: Iterable) -> Iterable:
        watches.append(Stopwatch(batches))
        return around(watches[0])

    run = train.fit(
        create(network, recipe), train_set, val_set, replace(recipe, epochs=1), progress=progress
    )
    return Pass(
        watches[0], train.Precision(run.environment["precision"], run.environment["layout"])
    )


def create(network: str, recipe: Recipe) -> nn.Module:
    """The network of the recipe, with the same first weights each time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return models.create(network, **recipe.network)


class Rates(NamedTuple):
    """Images per second of both loops in one round of a race."""

    d2l: float
    fit: float
    precision: str  # of `fit`


def race(contest: Contest, d2l: ModuleType) -> Rates:
    """d2l's loop and then ours, once each, over the same images."""
    theirs = d2l_pass(contest, d2l)
    recipe = replace(
        RECIPES["d2l"],
        image_size=contest.image_size,
        batch_size=contest.batch_size,
        precision="auto",
    )
    ours = one_pass("googlenet_d2l", recipe, contest.images)
    return Rates(theirs.images_per_second, ours.watch.images_per_second, ours.speed.precision)


def gather_race(contest: Contest, rounds: Sequence[Rates]) -> Race:
    d2l, fit = (tuple(getattr(each, loop) for each in rounds) for loop in ("d2l", "fit"))
    return Race(*contest, rounds[0].precision, d2l, fit)


def import_d2l() -> ModuleType | None:
    """d2l's functions for torch, or None where d2l is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module("d2l.torch")
    except ImportError:
        return None


def d2l_pass(contest: Contest, d2l: ModuleType) -> Stopwatch:
    """One epoch of `d2l.train_ch6` over what d2l's own loader makes of the images."""
    with warnings.catch_warnings(), redirect_stdout(StringIO()), torch.random.fork_rng():
        warnings.simplefilter("ignore")  # its loader asks for four processes on any machine
        train_batches, test_batches = d2l_loaders(contest, d2l)
        watch = Stopwatch(train_batches)
        animator, d2l.Animator = d2l.Animator, NoFigure
        try:
            network = models.create("googlenet_d2l")  # train_ch6 gives it its first weights
            rate = RECIPES["d2l"].learning_rate
            d2l.train_ch6(network, watch, test_batches, 1, rate, torch.device("cpu"))
        finally:
            d2l.Animator = animator
    return watch


class NoFigure:
    """Takes what d2l's figure takes, and draws nothing."""

    def __init__(self, **settings):
        pass

    def add(self, x, y) -> None:
        pass


def d2l_loaders(contest: Contest, d2l: ModuleType) -> tuple[DataLoader, DataLoader]:
    """`d2l.load_data_fashion_mnist`, which finds only as many images as we give it.

    It reads the folder ../data, from which it holds all images in memory, and downloads nothing
    where that has the four files.
    """
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "data", "FashionMNIST", "raw")
        below = Path(folder, "below")
        for path in (raw, below):
            path.mkdir(parents=True)
        counts = {"train": contest.images, "t10k": contest.batch_size}
        for part, split in (("train", "train"), ("t10k", "val")):
            images, labels = data.fashion_mnist(split, sample=counts[part]).tensors
            for name, values in zip(
                data.file_names(part), (images[:, 0], labels.byte()), strict=True
            ):
                (raw / name).write_bytes(data.to_idx(values))
        here = Path.cwd()
        os.chdir(below)
        try:
            return d2l.load_data_fashion_mnist(contest.batch_size, resize=contest.image_size)
        finally:
            os.chdir(here)


class StepTimes(NamedTuple):
    """Seconds per image of a step and of preparing its batch, each the median of a round."""

    step: float
    data: float
    speed: train.Precision


def time_steps(recipe: Recipe, steps: int) -> StepTimes:
    """`steps` steps of `fit` after a first one, which sets up kernels."""
    watch, speed = one_pass(NETWORK, recipe, recipe.batch_size * (steps + 1))
    step, wait = (median(times[1:]) / recipe.batch_size for times in (watch.steps, watch.waits))
    return StepTimes(step, wait, speed)


def gather_timing(recipe: Recipe, rounds: Sequence[StepTimes]) -> Timing:
    steps, waits = (tuple(getattr(each, part) for each in rounds) for part in ("step", "data"))
    return Timing(
        recipe, rounds[0].speed.precision, step_multiply_adds(recipe), step=steps, data=waits
    )


def settled(recipe: Recipe, rounds: Sequence[StepTimes]) -> Recipe:
    """The recipe in the arithmetic of the first round, so that no later round probes again."""
    if rounds and rounds[0].speed.layout == "channels_last":
        return replace(recipe, precision=rounds[0].speed.precision)
    return recipe


def step_multiply_adds(recipe: Recipe) -> int:
    """Of a training step, for one image.

    Each layer makes three products of the same size: its answers, the gradient of its weights and
    that of what it was given. The first layer was given the image, which needs no gradient.
    """
    costs = cost.table(create(NETWORK, recipe), (1, recipe.image_size, recipe.image_size))
    first = next(row for row in costs.layers if row.multiply_adds)
    return 3 * costs.multiply_adds - first.multiply_adds


def matmul_peak(precision: str, sides: Iterable[int]) -> float:
    """Multiply-adds per second of the fastest product of square matrices, best of two tries."""
    best = 0.0
    with using_threads(usable_cores()):
        for side in sides:
            matrix = torch.ones(side, side, dtype=getattr(torch, precision))
            for _ in range(3):  # the first one sets up kernels
                start = time.perf_counter()
                matrix @ matrix
                best = max(best, side**3 / (time.perf_counter() - start))
    return best


def profile_steps(recipe: Recipe, steps: int) -> dict[str, float]:
    """Fractions of the time of `steps` steps of `fit` by KINDS, after two that set up kernels."""
    profiles = []

    def around(batches: Iterable) -> Iterator:
        batches = iter(batches)
        for _ in range(2):
            yield next(batches)
        with quiet_profiler() as profiler:
            while True:
                with record_function("data"):
                    batch = next(batches, None)
                if batch is None:
                    break
                yield batch
        profiles.append(profiler.events())

    one_pass(NETWORK, recipe, recipe.batch_size * (steps + 2), around)
    (events,) = profiles
    outermost = [event for event in events if event.cpu_parent is None]
    spans = [event.time_range for event in outermost]
    total = max(span.end for span in spans) - min(span.start for span in spans)
    shares = dict.fromkeys(KINDS, 0.0)
    for event in outermost:
        for kind, beginnings in KINDS.items():
            if event.name.startswith(beginnings):
                shares[kind] += event.time_range.elapsed_us() / total
    return shares | {REST: 1 - sum(shares.values())}


@contextmanager
def quiet_profiler() -> Iterator[profile]:
    """torch's profiler, which otherwise misses a graphics card aloud, on stderr."""
    name = "KINETO_LOG_LEVEL"
    before = os.environ.get(name)
    os.environ[name] = "99"
    try:
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            yield profiler
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def recorded_runs() -> list[Run]:
    """The records of those recipes that the notebooks show, on the full data."""
    return [run for run in results.read(RECORDS).values() if run.recipe.name in SOONER]


def train_anew(recipe: Recipe, sets: Sequence, progress) -> Run:
    """A run on all of the training and the validation images."""
    return train.fit(create(NETWORK, recipe), *sets, recipe, progress=progress)


def goal(run: Run, accuracy: float, recorded: bool) -> Goal:
    """When `run` first had the validation accuracy."""
    seconds, reached = 0.0, None
    for epoch in run.epochs:
        seconds += epoch.seconds
        if epoch.val_accuracy >= accuracy:
            reached = seconds
            break
    return Goal(run.recipe.name, accuracy, reached, run.images_per_second, recorded)


def report(result: Benchmark) -> str:
    """The ratios as a table to read, each the median over the rounds, with the lowest and highest.

    Seconds and rates stand beside them, to say what a ratio is of.
    """
    lines = ["images/s of fit against d2l.train_ch6"] if result.races else []
    for each in result.races:
        lines.append(
            line(
                f"{each.image_size} pixels, batches of {each.batch_size}",
                each.ratios,
                f"{median(each.fit):.0f} ({each.precision}) against {median(each.d2l):.0f} "
                "images/s",
            )
        )
    if result.d2l_seconds:
        lines.append("time of d2l's recipe here against the time to a validation accuracy")
        for each in result.goals:
            if each.seconds is None:
                lines.append(f"  {each.name} to {each.accuracy:<22} never")
                continue
            source = "recorded run" if each.recorded else "new run"
            lines.append(
                line(
                    f"{each.name} to {each.accuracy}",
                    [result.d2l_seconds / each.seconds],
                    f"{result.d2l_seconds:.0f} s against {each.seconds:.0f} s ({source}, "
                    f"{each.images_per_second:.0f} images/s)",
                )
            )
    lines.append("part of the fastest matmul's multiply-adds/s that a training step reaches")
    for each in result.timings:
        peak = median(result.peaks[each.precision])
        lines.append(
            line(
                said(each.recipe),
                result.peak_fractions(each),
                f"of {peak / 1e9:.0f} G/s in {each.precision}",
                ".1%",
            )
        )
    lines.append("preparing the images against the step that uses them")
    for each in result.timings:
        rate = median(each.images_per_second)
        lines.append(
            line(
                said(each.recipe),
                each.data_shares,
                f"{rate:.0f} images/s, {1e6 / rate:.0f} µs each in all",
                ".2%",
            )
        )
    for each in result.profiles:
        lines.append(f"share of a step, {said(each.recipe)}")
        lines += [line(kind, [share], form=".1%") for kind, share in each.shares.items()]
    return "\n".join((*lines, *result.left_out))


def line(name: str, ratios: Sequence[float], note: str = "", form: str = ".3g") -> str:
    middle, lowest, highest = (f"{of(ratios):{form}}" for of in (median, min, max))
    spread = f"{lowest} to {highest}" if len(ratios) > 1 else ""
    return f"  {name:48}{middle:>8}  {spread:20}{note}".rstrip()
