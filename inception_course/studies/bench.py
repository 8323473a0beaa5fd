"""Speed, measured side by side on this machine: ratios are the result, not seconds.

    result = bench.run(bench.FULL, watch=print)

Our numbers come from `train.fit` itself: a stopwatch around its batches takes them from outside.
Everything is measured in rounds, one after the other, so that a machine that gets slower slows
down both sides of a ratio. Everything runs on the CPU, in as many threads as there are cores.
"""

import importlib
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from torch import nn
from torch.autograd.profiler import record_function
from torch.profiler import ProfilerActivity, profile
from torch.utils.data import DataLoader

from .. import cost, data, models, train
from ..machine import usable_cores, using_threads
from ..train import NETWORKS, RECIPES, Recipe, Run
from . import results

D2L_ACCURACY = 0.886  # what d2l's stored training of its GoogLeNet on Fashion-MNIST ends with
D2L_IMAGES = RECIPES["d2l"].epochs * 60_000
SOONER = ("sprint", "quick", "modern")  # the recipes that should reach it sooner

# The kinds of work in a training step: how the names of their operations in a profile begin.
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
    """A race between the two loops: its image size, its batch size and its number of images."""

    image_size: int
    batch_size: int
    images: int  # at least five batches: d2l's loop divides its pass by five


@dataclass(frozen=True, slots=True)
class Case:
    """A network and the recipe that trains it; `network` is {"model": NAME, "options": {…}}."""

    recipe: Recipe
    network: dict[str, Any]

    @property
    def quantities(self) -> dict[str, float]:
        """Return the quantities on which the time of a step depends: the x axes of the figure."""
        return {
            "image_size": self.recipe.image_size,
            "width": self.network["options"].get("width", 1.0),
            "batch_size": self.recipe.batch_size,
        }

    def __str__(self) -> str:
        size, width, batch = self.quantities.values()
        return f"{self.recipe.name}: {size} pixels, width {width:g}, batches of {batch}"

    def create(self) -> nn.Module:
        """Make the network, with the same initial weights each time."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return models.create(self.network["model"], **self.network["options"])


@dataclass(frozen=True)
class Budget:
    """Says what is measured, and for how many steps.

    Each round times `steps` steps of each case; after the rounds, `profiled` steps of each case in
    `profiles` are profiled. The machine's peak is sought with square matrices of sides `matmuls`.
    """

    contests: tuple[Contest, ...]
    cases: tuple[Case, ...]
    profiles: tuple[Case, ...]
    matmuls: tuple[int, ...]
    steps: int
    profiled: int


def named(recipe: str) -> Case:
    """Return the case of a recipe of the course, with the network that it is meant for."""
    model, options = NETWORKS[recipe]
    return Case(RECIPES[recipe], {"model": model, "options": options})


def changed(case: Case, name: str, *, options: dict[str, Any] | None = None, **fields: Any) -> Case:
    """Return the case with some fields of its recipe and options of its network changed."""
    network = case.network | {"options": case.network["options"] | (options or {})}
    return Case(replace(case.recipe, name=name, **fields), network)


GRID = "grid"  # the name of recipes that differ from the first one in one quantity
BASE = named("quick")
LARGE = changed(
    BASE, "large", image_size=96, options={"width": 1.0, "stem": "imagenet"}
)  # d2l's images
FULL = Budget(
    contests=(Contest(96, 128, 1920), Contest(224, 32, 480)),
    cases=(
        BASE,
        named("modern"),
        LARGE,
        *(changed(BASE, GRID, image_size=size) for size in (40, 56, 96)),
        *(changed(BASE, GRID, options={"width": width}) for width in (0.5, 1.0)),
        *(changed(BASE, GRID, batch_size=size) for size in (32, 64, 256)),
    ),
    profiles=(BASE, LARGE),
    matmuls=(1024, 2048, 4096),
    steps=8,
    profiled=8,
)
TINY = changed(BASE, "tiny", batch_size=16, precision="float32", options={"width": 0.125})
QUICK = Budget(
    contests=(Contest(28, 8, 40),),
    cases=(
        TINY,
        changed(TINY, GRID, image_size=32),
        changed(TINY, GRID, options={"width": 0.25}),
        changed(TINY, GRID, batch_size=8),
    ),
    profiles=(TINY,),
    matmuls=(128, 256),
    steps=2,
    profiled=2,
)


@dataclass(frozen=True, slots=True)
class Race:
    """Holds images per second of `d2l.train_ch6`, with d2l's own loader, and of `fit`, by round.

    Both train the same network with the same batch size and image size. For both, a whole pass
    over the training data is timed, from asking for the first batch to the end of the last step,
    with the preparation of the images. What happens once, before and after, is not timed: d2l's
    evaluation, our validation, and our search for the fastest arithmetic. d2l's figure is not
    drawn. d2l draws it five times a pass: little in a pass of 60,000 images, but much here.
    """

    image_size: int
    batch_size: int
    images: int
    precision: str  # of `fit`; d2l's is float32
    d2l: tuple[float, ...]
    fit: tuple[float, ...]

    @property
    def ratios(self) -> list[float]:
        """Return how many times as fast as d2l's loop `fit` is, round by round."""
        return [ours / theirs for ours, theirs in zip(self.fit, self.d2l, strict=True)]


@dataclass(frozen=True, slots=True)
class Timing(Case):
    """Holds the times of a training step and of preparing its batch, a value per round.

    Times are seconds per image, each the median over the steps of the round. `multiply_adds` are
    those of a training step, for one image.
    """

    precision: str
    multiply_adds: int
    step: tuple[float, ...]
    data: tuple[float, ...]

    @property
    def images_per_second(self) -> list[float]:
        return [1 / (step + wait) for step, wait in zip(self.step, self.data, strict=True)]

    @property
    def data_shares(self) -> list[float]:
        """Return the time to prepare the images, as a part of the time of the step, by round."""
        return [wait / step for step, wait in zip(self.step, self.data, strict=True)]


@dataclass(frozen=True, slots=True)
class Goal:
    """Says after how many seconds a run first reached a validation accuracy; None if it never did.

    The accuracy is measured at the end of each epoch, so the time is that of whole epochs.
    """

    name: str  # of the recipe
    accuracy: float
    seconds: float | None
    images_per_second: float  # of that run
    recorded: bool  # an earlier run that comes with the course, perhaps on another machine


@dataclass(frozen=True, slots=True)
class Profile(Case):
    """Says which fraction of a training step's time, data included, each kind of work takes."""

    shares: dict[str, float]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Holds everything that was measured, and sentences that say what was left out.

    `peaks` holds, for each precision, the multiply-adds per second of the fastest product of square
    matrices, a value per round.
    """

    environment: dict[str, Any]
    races: tuple[Race, ...]
    peaks: dict[str, tuple[float, ...]]
    timings: tuple[Timing, ...]
    goals: tuple[Goal, ...]
    profiles: tuple[Profile, ...]
    left_out: tuple[str, ...]

    def curve(self, quantity: str) -> dict[float, Timing]:
        """Return the timings that differ from the first in this quantity alone, sorted by it."""
        first, *others = self.timings
        base = first.quantities
        points = {base[quantity]: first}
        for timing in others:
            here = timing.quantities
            if timing.recipe.name == GRID and here | {quantity: base[quantity]} == base:
                points[here[quantity]] = timing
        return dict(sorted(points.items()))

    def peak_fractions(self, timing: Timing) -> list[float]:
        """Return the part of the machine's peak that a step reaches, by round."""
        peaks = self.peaks[timing.precision]
        return [
            timing.multiply_adds / step / peak
            for step, peak in zip(timing.step, peaks, strict=True)
        ]

    @property
    def d2l_seconds(self) -> float | None:
        """Return the seconds that d2l's recipe, 600,000 images, takes here; None if not raced."""
        size = RECIPES["d2l"].image_size
        rates = [median(race.d2l) for race in self.races if race.image_size == size]
        return D2L_IMAGES / rates[0] if rates else None


def run(
    budget: Budget = FULL,
    *,
    repeats: int = 3,
    train_recipes: bool = False,
    root: str | Path | None = None,
    watch: Callable[[str], object] = lambda sentence: None,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Benchmark:
    """Measure everything in `budget`, in `repeats` rounds.

    With `train_recipes` the times to an accuracy are those of new runs on the full data (in
    `root`, see `data.find`), otherwise those of the recorded runs. Before each measurement `watch`
    is called with a sentence about it; `progress` wraps the batches of the new runs. The caller's
    random state stays as it was.

    Raises `ValueError` for `repeats` below 1.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be 1 or more, not {repeats}")
    if train_recipes:
        train_set, val_set = (data.fashion_mnist(split, root=root) for split in ("train", "val"))
    d2l = import_d2l()
    left_out = [] if d2l else ["d2l is not installed, so its loop was not raced."]
    if not train_recipes and not recorded_runs():
        left_out.append("No recorded runs, so no times to an accuracy: add --train.")
    contests = budget.contests if d2l else ()
    if d2l and RECIPES["d2l"].image_size not in [contest.image_size for contest in contests]:
        left_out.append("No race at the size of d2l's recipe, so no time of it to compare with.")
    races: list[list[Rates]] = [[] for contest in contests]
    timings: list[list[StepTimes]] = [[] for case in budget.cases]
    peaks: dict[str, list[float]] = {}
    for number in range(1, repeats + 1):
        turn = f"round {number} of {repeats}"
        for contest, rates in zip(contests, races, strict=True):
            watch(f"{turn}: d2l.train_ch6 and fit, {contest.image_size} pixels")
            rates.append(race(contest, d2l))
        for case, rounds in zip(budget.cases, timings, strict=True):
            watch(f"{turn}: {case}")
            rounds.append(time_steps(settled(case, rounds), budget.steps))
        for dtype in sorted({rounds[0].precision.dtype for rounds in timings}):
            watch(f"{turn}: the fastest matmul in {dtype}")
            peaks.setdefault(dtype, []).append(matmul_peak(dtype, budget.matmuls))
    profiles = []
    for case in budget.profiles:
        watch(f"where the time of a step goes: {case}")
        shares = profile_steps(case, budget.profiled)
        profiles.append(Profile(case.recipe, case.network, shares))
    if train_recipes:
        runs = []
        for name in SOONER:
            watch(f"training with the recipe {name} on the full data")
            case = named(name)
            runs.append(
                train.fit(case.create(), train_set, val_set, case.recipe, progress=progress)
            )
    else:
        runs = recorded_runs()
    return Benchmark(
        environment=environment(),
        races=tuple(map(gather_race, contests, races)),
        peaks={dtype: tuple(best) for dtype, best in peaks.items()},
        timings=tuple(map(gather_timing, budget.cases, timings)),
        goals=tuple(first_time(run, D2L_ACCURACY, recorded=not train_recipes) for run in runs),
        profiles=tuple(profiles),
        left_out=tuple(left_out),
    )


def environment() -> dict[str, Any]:
    """Tell what a reader needs to compare these numbers with others."""
    sample = data.fashion_mnist("val", sample=10)
    with using_threads(usable_cores()):
        known = train.describe(torch.device("cpu"), train.Precision("", ""), sample, sample)
    names = ("course", "python", "torch", "system", "processor", "device", "threads")
    return {name: known[name] for name in names} | {"d2l_threads": torch.get_num_threads()}


class Stopwatch:
    """Wraps batches; times how long a loop waits for each one, and how long it works with it."""

    def __init__(self, batches: Any):
        self.batches = batches
        self.waits: list[float] = []
        self.steps: list[float] = []
        self.images = 0

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
    """One pass of `fit` over its training images, timed by a stopwatch around its batches."""

    watch: Stopwatch
    precision: train.Precision


def one_pass(
    case: Case,
    count: int,
    around: Callable[[Iterable], Iterable] = iter,
) -> Pass:
    """Time one epoch of `fit` with `count` images; `around` wraps the batches, too."""
    train_set = data.fashion_mnist("train", sample=count)
    val_set = data.fashion_mnist("val", sample=10)
    watches = []

    def progress(batches: Iterable) -> Iterable:
        watches.append(Stopwatch(batches))
        return around(watches[0])

    recipe = replace(case.recipe, epochs=1)
    run = train.fit(case.create(), train_set, val_set, recipe, progress=progress)
    precision = train.Precision(run.environment["precision"], run.environment["layout"])
    return Pass(watches[0], precision)


class Rates(NamedTuple):
    """Holds the images per second of both loops in one round of a race."""

    d2l: float
    fit: float
    precision: str  # of `fit`


def race(contest: Contest, d2l: Any) -> Rates:
    """Time d2l's loop and then ours, once each, over the same images."""
    theirs = d2l_pass(contest, d2l)
    case = changed(
        named("d2l"),
        "d2l",
        image_size=contest.image_size,
        batch_size=contest.batch_size,
        precision="auto",
    )
    ours = one_pass(case, contest.images)
    return Rates(theirs.images_per_second, ours.watch.images_per_second, ours.precision.dtype)


def gather_race(contest: Contest, rounds: Sequence[Rates]) -> Race:
    d2l, fit = (tuple(getattr(each, loop) for each in rounds) for loop in ("d2l", "fit"))
    return Race(*contest, rounds[0].precision, d2l, fit)


def import_d2l() -> Any:
    """Return d2l's functions for torch, or None where d2l is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module("d2l.torch")
    except ImportError:
        return None


def d2l_pass(contest: Contest, d2l: Any) -> Stopwatch:
    """Time an epoch of `d2l.train_ch6` over the batches that d2l's own loader makes."""
    with warnings.catch_warnings(), redirect_stdout(StringIO()), torch.random.fork_rng():
        warnings.simplefilter("ignore")  # its loader asks for four processes on any machine
        train_batches, test_batches = d2l_loaders(contest, d2l)
        watch = Stopwatch(train_batches)
        animator, d2l.Animator = d2l.Animator, NoFigure
        try:
            network = models.create("googlenet_d2l")  # train_ch6 gives it its initial weights
            rate = RECIPES["d2l"].learning_rate
            d2l.train_ch6(network, watch, test_batches, 1, rate, torch.device("cpu"))
        finally:
            d2l.Animator = animator
    return watch


class NoFigure:
    """Stands in for d2l's figure: it accepts the same calls, and draws nothing."""

    def __init__(self, **settings: Any):
        pass

    def add(self, x: Any, y: Any) -> None:
        pass


def d2l_loaders(contest: Contest, d2l: Any) -> tuple[DataLoader, DataLoader]:
    """Call `d2l.load_data_fashion_mnist` where it finds only the images of the race.

    It reads all images in the folder ../data into memory, and downloads nothing if the four files
    are there: so we write four small ones.
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
    """Holds seconds per image of a step and of preparing its batch: the medians of one round."""

    step: float
    data: float
    precision: train.Precision


def time_steps(case: Case, steps: int) -> StepTimes:
    """Time `steps` steps of `fit` after a first one, which sets up kernels."""
    size = case.recipe.batch_size
    watch, precision = one_pass(case, size * (steps + 1))
    step, wait = (median(times[1:]) / size for times in (watch.steps, watch.waits))
    return StepTimes(step, wait, precision)


def gather_timing(case: Case, rounds: Sequence[StepTimes]) -> Timing:
    return Timing(
        case.recipe,
        case.network,
        rounds[0].precision.dtype,
        step_multiply_adds(case),
        step=tuple(each.step for each in rounds),
        data=tuple(each.data for each in rounds),
    )


def settled(case: Case, rounds: Sequence[StepTimes]) -> Case:
    """Return the case with the precision that its first round chose: later ones do not search."""
    if rounds and rounds[0].precision.layout == "channels_last":
        return changed(case, case.recipe.name, precision=rounds[0].precision.dtype)
    return case


def step_multiply_adds(case: Case) -> int:
    """Count the multiply-adds of a training step, for one image.

    Each layer computes three products of the same size: its output, the gradient of its weights and
    the gradient of its input. The first layer's input is the image, which needs no gradient.
    """
    costs = cost.table(case.create(), (1, case.recipe.image_size, case.recipe.image_size))
    first = next(row for row in costs.layers if row.multiply_adds)
    return 3 * costs.multiply_adds - first.multiply_adds


def matmul_peak(precision: str, sides: Iterable[int]) -> float:
    """Return the multiply-adds per second of the fastest product of square matrices."""
    best = 0.0
    with using_threads(usable_cores()):
        for side in sides:
            matrix = torch.ones(side, side, dtype=getattr(torch, precision))
            for _ in range(3):  # the first one sets up kernels
                start = time.perf_counter()
                matrix @ matrix
                best = max(best, side**3 / (time.perf_counter() - start))
    return best


def profile_steps(case: Case, steps: int) -> dict[str, float]:
    """Split the time of `steps` steps of `fit` among KINDS, after two that set up kernels."""
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

    one_pass(case, case.recipe.batch_size * (steps + 2), around)
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
    """Inside, torch's profiler runs, without its message on stderr that there is no GPU."""
    quiet = patch.dict(os.environ, KINETO_LOG_LEVEL="99")
    with quiet, profile(activities=[ProfilerActivity.CPU]) as profiler:
        yield profiler


def recorded_runs() -> list[Run]:
    """Load the recorded runs of the recipes in `SOONER`, on the full data."""
    return [run for run in results.runs().values() if run.recipe.name in SOONER]


def first_time(run: Run, accuracy: float, recorded: bool) -> Goal:
    """Tell when `run` first reached the validation accuracy."""
    seconds, reached = 0.0, None
    for epoch in run.epochs:
        seconds += epoch.seconds
        if epoch.val_accuracy >= accuracy:
            reached = seconds
            break
    return Goal(run.recipe.name, accuracy, reached, run.images_per_second, recorded)


def report(result: Benchmark) -> str:
    """Write the ratios as a table: the median over the rounds, the lowest and the highest.

    Beside each ratio stand the seconds or the rates that it compares.
    """
    lines = ["images/s of fit against d2l.train_ch6"] if result.races else []
    for race in result.races:
        name = f"{race.image_size} pixels, batches of {race.batch_size}"
        rates = f"{median(race.fit):.0f} ({race.precision}) against {median(race.d2l):.0f} images/s"
        lines.append(line(name, race.ratios, rates))
    if result.d2l_seconds:
        lines.append("time of d2l's recipe here against the time to a validation accuracy")
        for goal in result.goals:
            lines.append(goal_line(goal, result.d2l_seconds))
    lines.append("part of the fastest matmul's multiply-adds/s that a training step reaches")
    for timing in result.timings:
        peak = median(result.peaks[timing.precision])
        note = f"of {peak / 1e9:.0f} G/s in {timing.precision}"
        lines.append(line(str(timing), result.peak_fractions(timing), note, ".1%"))
    lines.append("preparing the images against the step that uses them")
    for timing in result.timings:
        rate = median(timing.images_per_second)
        note = f"{rate:.0f} images/s, {1e6 / rate:.0f} µs each in all"
        lines.append(line(str(timing), timing.data_shares, note, ".2%"))
    for profiled in result.profiles:
        lines.append(f"share of a step, {profiled}")
        lines += [line(kind, [share], form=".1%") for kind, share in profiled.shares.items()]
    return "\n".join((*lines, *result.left_out))


def goal_line(goal: Goal, d2l_seconds: float) -> str:
    if goal.seconds is None:
        return f"  {goal.name} to {goal.accuracy:<22} never"
    source = "recorded run" if goal.recorded else "new run"
    return line(
        f"{goal.name} to {goal.accuracy}",
        [d2l_seconds / goal.seconds],
        f"{d2l_seconds:.0f} s against {goal.seconds:.0f} s ({source}, "
        f"{goal.images_per_second:.0f} images/s)",
    )


def line(name: str, ratios: Sequence[float], note: str = "", form: str = ".3g") -> str:
    middle, lowest, highest = (f"{of(ratios):{form}}" for of in (median, min, max))
    spread = f"{lowest} to {highest}" if len(ratios) > 1 else ""
    return f"  {name:48}{middle:>8}  {spread:20}{note}".rstrip()
