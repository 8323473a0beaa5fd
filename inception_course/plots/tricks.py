"""Figures of what single tricks gain: the ladder, auxiliary heads, batch sizes, learning rates."""

from math import sqrt
from statistics import mean, stdev
from typing import Any

from .. import data
from ..studies.comparison import CONTROL, FRONTIER, LADDER, Comparison, Contest, by_batch_size
from ..studies.experiment import Result
from .guess import mark_choice, mark_x
from .style import (
    BLUE,
    ORANGE,
    Picture,
    Style,
    in_style,
    legend,
    means,
    name_points,
    powers,
    styled,
)

HEADS = ("no heads", "heads")


def summary(values: list[float], form: str = ".3f") -> str:
    """Write a mean and its standard error over the seeds."""
    error = f" ± {stdev(values) / sqrt(len(values)):{form}}" if len(values) > 1 else ""
    return f"{mean(values):{form}}{error}"


@in_style
def ladder(record: Contest, lowest: float = 0.6, guess: Any = None) -> Picture:
    """Draw the accuracy of each rung, a mark for each seed, and above it the minutes of one core.

    Marks below `lowest` stand at the lower edge with their values beside them.

    `guess` names the rung that is expected to gain most.
    """
    rungs = record.measured([name for name in record.contenders if name != CONTROL])
    spent = {name: _spent(record, name) for name in rungs}
    minutes = {name: time for name, (time, _) in spent.items()}
    found = {name: accuracies for name, (_, accuracies) in spent.items()}
    control = [each.accuracy for each in record.of(CONTROL)]
    figure = Picture(
        14,
        6.2,
        "validation accuracy of each rung, mean and standard error, and minutes of one core: "
        + "; ".join(f"{name} {summary(found[name])}, {minutes[name]:.1f} min" for name in rungs)
        + (f". Control, {CONTROL}: {summary(control)}" if control else ""),
        caption="Each rung keeps all that the rungs before it changed. Which step is the highest?",
    )
    axes = figure.subplots()
    levels = [max(mean(found[name]), lowest) for name in rungs]
    axes.stairs(levels, [n - 0.5 for n in range(len(rungs) + 1)], color=BLUE, lw=2, baseline=None)
    top = max(max(values) for values in found.values())
    above = top + 0.06 * (top - lowest)
    for place, name in enumerate(rungs):
        values = found[name]
        shown = [max(value, lowest) for value in values]
        axes.plot([place] * len(values), shown, "o", color=BLUE, alpha=0.6, ms=10, clip_on=False)
        axes.text(place, above, f"{minutes[name]:.1f} min", ha="center", fontsize=13)
        if min(values) < lowest:
            low = " ".join(f"{value:.2f}" for value in sorted(values) if value < lowest)
            beside: Style = {"textcoords": "offset points", "fontsize": 13}
            axes.annotate(f"↓ {low}", (place, lowest), (9, 4), **beside)
    if control and "batch normalization" in rungs:
        at = rungs.index("batch normalization")
        look: Style = {"color": ORANGE, "fillstyle": "none", "ms": 12, "mew": 2.5, "ls": ""}
        label = "the same rung from Xavier's initialization"
        axes.plot([at + 0.2] * len(control), control, marker="s", label=label, **look)
        axes.legend(loc="lower right")
    axes.set_xticks(range(len(rungs)), [_wrapped(name) for name in rungs])
    axes.set(ylabel="validation accuracy", ylim=(lowest, top + 0.14 * (top - lowest)))
    axes.grid(alpha=0.3, axis="y")
    mark_choice(figure, axes, guess, dict(zip(rungs, axes.get_xticklabels(), strict=True)))
    return figure


@in_style
def frontier(record: Contest, rungs: Contest, lowest: float = 0.84, guess: Any = None) -> Picture:
    """Draw accuracy against the work of a training: ways to spend it, and the ladder's rungs.

    A small mark is one seed, a large one their mean. Those whose mean is below `lowest` are named,
    but not drawn; a rung's name is left out where it would lie on another. `guess` names one of
    the ways.
    """
    series = {
        "ways to spend the work": _by_work(record, FRONTIER),
        "rungs of the ladder": _by_work(rungs, LADDER),
    }
    figure = Picture(
        14,
        6.4,
        "validation accuracy, mean and standard error over the seeds, and trillions of "
        "multiply-adds: "
        + "; ".join(
            f"{name} {summary(values)}, {work:.2f}"
            for points in series.values()
            for name, (work, values) in points.items()
        ),
        caption="Compare marks that stand above each other: as much work, and another result.",
    )
    axes, below = figure.subplots(), list[str]()
    for (label, points), style in styled(series.items()):
        below += [name for name, (_, values) in points.items() if mean(values) < lowest]
        look: Style = {"color": style["color"], "marker": style["marker"], "ls": ""}
        drawn = [(x, values) for x, values in points.values() if mean(values) >= lowest]
        for x, values in drawn:
            axes.plot([x] * len(values), values, **look, ms=6, alpha=0.45)
        means_of = [mean(values) for _, values in drawn]
        axes.plot([x for x, _ in drawn], means_of, **look, ms=12, label=label)
    axes.set(ylabel="validation accuracy", xscale="log")
    axes.set_xlabel("trillion multiply-adds, forward, in the whole training")
    axes.margins(x=0.2, y=0.08)
    powers(axes.xaxis, (2, 3, 5))
    axes.set_ylim(bottom=lowest)
    if below:
        axes.set_title(f"below {lowest:g} at the end: {'; '.join(below)}", fontsize=13)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    ways, steps = (
        {name: (x, mean(values)) for name, (x, values) in points.items() if name not in below}
        for points in series.values()
    )
    names = name_points(figure, axes, ways | steps, spare=steps)
    mark_choice(figure, axes, guess, {name: names[name] for name in ways})
    return figure


def _by_work(record: Contest, comparison: Comparison) -> dict[str, tuple[float, list[float]]]:
    """Return for each contender its trillions of multiply-adds, and its accuracy for each seed."""
    known = {each.name: each for each in comparison.contenders}
    return {
        name: (
            known[name].multiply_adds(data.SIZES["train"]) / 1e12,
            [training.accuracy for training in record.of(name)],
        )
        for name in record.contenders
    }


def _spent(record: Contest, name: str) -> tuple[float, list[float]]:
    """Return how many minutes of one core a training took on average, and all accuracies."""
    trainings = record.of(name)
    minutes = mean(each.cpu_seconds for each in trainings) / 60
    return minutes, [each.accuracy for each in trainings]


def _wrapped(name: str) -> str:
    return name.replace(", ", ",\n") if ", " in name else name.replace(" ", "\n")


@in_style
def heads(record: Result) -> Picture:
    """Draw what auxiliary heads do to accuracy and to the first layer's gradient before training.

    Each kind of network has a row, with a mark for each seed, with heads and without.
    """
    kinds = list(dict.fromkeys(name.rpartition(", ")[0] for name in record.variants))
    figure = Picture(
        14,
        1.6 + 1.1 * len(kinds),
        caption="Do the filled marks lie to the right of the hollow ones?",
    )
    left, right = figure.subplots(1, 2, sharey=True)
    parts = []
    for row, kind in enumerate(kinds):
        pairs = {name: record.of(f"{kind}, {name}") for name in HEADS}
        told = []
        for (name, trainings), style in styled(pairs.items()):
            if not trainings:
                continue
            place = row + (0.16 if name == "heads" else -0.16)
            look = {"color": style["color"], "marker": style["marker"], "ls": "", "ms": 10}
            look["fillstyle"] = "full" if name == "heads" else "none"
            ends = [each.last for each in trainings]
            gradients = [each.layers[0]["gradient"] for each in trainings]
            label = name if row == 0 else None
            left.plot(ends, [place] * len(ends), **look, label=label)
            right.plot(gradients, [place] * len(gradients), **look)
            told.append(f"{name} {summary(ends)} and {mean(gradients):.2g}")
        parts.append(f"{kind}: {', '.join(told)}")
    left.set_yticks(range(len(kinds)), kinds)
    left.set(xlabel="validation accuracy at the end", ylim=(len(kinds) - 0.5, -0.5))
    right.set(xlabel="gradient at conv1 before training, RMS", xscale="log")
    for axes in (left, right):
        axes.grid(alpha=0.3, axis="x")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.description = (
        "validation accuracy at the end, mean and standard error over the seeds, and the gradient "
        f"at the first layer before training: {'; '.join(parts)}"
    )
    return figure


@in_style
def batch_sizes(record: Contest, guess: Any = None) -> Picture:
    """Draw accuracy against the batch size in training, a mark for each seed.

    `guess` is the batch size that is expected to be worst.
    """
    found = {kind: points for kind, points in by_batch_size(record).items() if points}
    ends = "; ".join(
        f"{kind} " + ", ".join(f"{summary(values)} at {size}" for size, values in points.items())
        for kind, points in found.items()
    )
    figure = Picture(
        13,
        5.4,
        f"validation accuracy by batch size, mean and standard error over the seeds: {ends}",
        caption="All saw the same number of images. How small may a batch be?",
    )
    axes = figure.subplots()
    means(axes, found, xlabel="images in a batch", ylabel="validation accuracy")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda size, _: f"{size:g}")
    legend(axes)
    mark_x(figure, axes, guess)
    return figure


@in_style
def best_and_late(*results: Result, last: int = 10, lowest: float = 0.8) -> Picture:
    """Draw for each variant the best evaluation and the mean of the last ones, over the seeds.

    The best of many is partly luck, the more so the noisier the evaluations are. Variants whose
    mean at the end is below `lowest` are named, but not drawn.
    """
    found = {name: result.of(name) for result in results for name in result.variants}
    late = {name: [each.late(last) for each in group] for name, group in found.items()}
    best = {name: [each.best for each in group] for name, group in found.items()}
    drawn = [name for name in found if mean(late[name]) >= lowest]
    below = [name for name in found if name not in drawn]
    figure = Picture(
        13,
        2.2 + 0.62 * len(drawn),
        f"best evaluation, and mean of the last {last}, mean and standard error over the seeds: "
        + "; ".join(f"{name} {summary(best[name])}, {summary(late[name])}" for name in found),
        caption="How much of the best is luck?",
    )
    axes = figure.subplots()
    measures = (("best evaluation", best, -0.15), (f"mean of the last {last}", late, 0.15))
    for (label, values, shift), style in styled(measures):
        mark = {"color": style["color"], "marker": style["marker"], "ls": "", "ms": 10}
        for row, name in enumerate(drawn):
            place = [row + shift] * len(values[name])
            axes.plot(values[name], place, **mark, alpha=0.7, label=label if row == 0 else None)
    axes.set_yticks(range(len(drawn)), drawn)
    axes.set(xlabel="validation accuracy, one mark per seed", ylim=(len(drawn) - 0.5, -0.5))
    if below:
        axes.set_title(f"below {lowest:g} at the end: {'; '.join(below)}", fontsize=13)
    axes.grid(alpha=0.3, axis="x")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure
