"""Figures of what the parts of a network do, measured with several seeds; nets of equal work."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import mean
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ..studies import equal_cost as equal
from ..studies import maps, parts
from ..studies.comparison import Answers, Contest
from .guess import mark_choice, mark_x, mark_y, series
from .style import (
    BLACK,
    MARKED,
    Picture,
    Style,
    in_style,
    integers,
    legend,
    means,
    styled,
)
from .tricks import summary


@in_style
def equal_cost(
    record: Contest,
    nets: Iterable[str] = ("naive", "reduced, wider", "reduced, deeper"),
    guess: Any = None,
) -> Picture:
    """Draw the accuracy of nets of equal work: a mark for each seed, and mean ± 2 standard errors.

    `nets` are some of `studies.equal_cost.NETS`. `guess` names one of them.
    """
    work, nets = equal.multiply_adds(), list(nets)
    found = {
        f"learning rate {rate:g}": {
            name: [each.accuracy for each in record.of(f"{name}, rate {rate:g}")] for name in nets
        }
        for rate in equal.RATES
    }
    told = "; ".join(
        f"{name} ({work[name] / 1e6:.2f} M multiply-adds) "
        + ", ".join(f"{summary(by[name])} at {rate}" for rate, by in found.items() if by[name])
        for name in nets
    )
    figure = Picture(
        12,
        2 + 0.85 * len(nets),
        f"validation accuracy of nets of equal work, mean and standard error over seeds: {told}",
        caption="The work stands below each name. Which lines lie wholly to the right of others?",
    )
    axes = figure.subplots()
    for number, ((rate, by), style) in enumerate(styled(found.items(), MARKED)):
        for row, name in enumerate(nets):
            if by[name]:
                strip(axes, row + 0.36 * number - 0.18, by[name], style, "" if row else rate)
    labels = [f"{name}\n{work[name] / 1e6:.2f} M" for name in nets]
    axes.set_yticks(range(len(nets)), labels)
    axes.set(xlabel="validation accuracy", ylim=(len(nets) - 0.5, -0.5))
    axes.grid(alpha=0.3, axis="x")
    legend(axes, columns=2)
    mark_choice(figure, axes, guess, dict(zip(nets, axes.get_yticklabels(), strict=True)))
    return figure


def strip(axes: Axes, place: float, values: Sequence[float], style: Style, label: str) -> None:
    """Draw values in a row, and below them their mean with twice its standard error."""
    look = {"color": style["color"], "marker": style["marker"], "ls": ""}
    axes.plot(values, [place] * len(values), **look, alpha=0.45, label=label or None)
    error = np.std(values, ddof=1) / len(values) ** 0.5 if len(values) > 1 else 0.0
    low, high = mean(values) - 2 * error, mean(values) + 2 * error
    axes.plot([low, high], [place + 0.12] * 2, color=BLACK, lw=4, solid_capstyle="butt")
    axes.plot([mean(values)], [place + 0.12], "|", color=BLACK, ms=14, mew=3)


@in_style
def overfit(record: Contest, guess: Any = None) -> Picture:
    """Draw training and validation accuracy after each pass: means, and bands of the seeds.

    `guess` is the highest validation accuracy that is expected, or names a cure.
    """
    panels = {
        "500 training images": {
            name: [each.train_accuracies for each in record.of(name)] for name in record.contenders
        },
        "validation images": {
            name: [each.accuracies for each in record.of(name)] for name in record.contenders
        },
    }
    told = "; ".join(
        f"{name} "
        + " and ".join(summary([run[-1] for run in runs[name]]) for runs in panels.values())
        for name in record.contenders
    )
    figure = Picture(
        11,
        4.8,
        "accuracy on the training images and on validation images after the last pass, mean and "
        f"standard error over seeds: {told}",
        caption="Compare the panels: which line falls from left to right, and which falls least?",
    )
    for axes, (title, runs) in zip(figure.subplots(1, 2, sharey=True), panels.items(), strict=True):
        bands(axes, runs)
        axes.set(title=title, xlabel="passes through the 500 images", ylim=(0.5, 1.02))
    figure.axes[0].set_ylabel("accuracy, in eval mode")
    legend(axes, columns=4)
    mark_y(figure, axes, guess, series(axes), whole=1)
    return figure


def bands(axes: Axes, runs: Mapping[str, Sequence[Sequence[float]]], first: int = 1) -> None:
    """Draw for each name the mean of its runs as a line, and a band from lowest to highest."""
    for (name, values), style in styled(runs.items()):
        shortest = min(map(len, values))  # a training that diverged has fewer
        rows = np.array([each[:shortest] for each in values])
        x = np.arange(first, first + rows.shape[1])
        axes.fill_between(x, rows.min(0), rows.max(0), color=style["color"], alpha=0.2, lw=0)
        every = 0.1 if len(x) > 25 else None
        axes.plot(x, rows.mean(0), **style, markevery=every, label=name)
    axes.grid(alpha=0.3)


@in_style
def activation_rates(record: Answers, guess: Any = None) -> Picture:
    """Draw training accuracy against the learning rate, for each activation and initialization.

    `guess` is the rate that is expected to suit the sigmoid best.
    """
    figure = Picture(
        13,
        5.4,
        caption="Where is the top of each line? Compare the tops, not the lines at one rate.",
    )
    panels = figure.subplots(1, 2, sharey=True)
    told = []
    for axes, start in zip(panels, parts.STARTS, strict=True):
        found = {act: by_rate(record, act, start) for act in parts.ACTS}
        means(axes, found, title=start, xlabel="learning rate", xscale="log", ylim=(0, 1))
        axes.set_xticks(parts.RATES, [f"{rate:g}" for rate in parts.RATES])
        axes.minorticks_off()
        for act, points in found.items():
            best = max(points, key=lambda rate: mean(points[rate]))
            told.append(f"{act}, {start}, {summary(points[best])} at rate {best:g}")
    panels[0].set_ylabel("training accuracy, last pass")
    legend(panels[1], columns=3)
    figure.description = (
        f"training accuracy in pass {parts.PLAIN.epochs}, mean and standard error over seeds, at "
        f"the best rate: {'; '.join(told)}"
    )
    mark_x(figure, panels[0], guess)
    return figure


def by_rate(record: Answers, act: str, start: str) -> dict[float, list[float]]:
    """Return the last training accuracies by learning rate; 0.1 for a training that diverged."""
    return {
        rate: [0.1 if each.diverged else each.train_accuracies[-1] for each in trainings]
        for rate in parts.RATES
        if (trainings := record.of(f"{act}, {start}, rate {rate:g}"))
    }


@in_style
def activation_states(record: Answers, guess: Any = None) -> Picture:
    """Draw the saturated fraction, layer by layer, before and after training, a mark for each seed.

    Each activation, with torch's initialization, stands at its own best rate. `guess` is an
    expected fraction.
    """
    figure = Picture(11, 5.4, caption="Hollow: before training. Filled: after. What has moved?")
    axes = figure.subplots()
    told = []
    for number, (act, style) in enumerate(styled(parts.ACTS, MARKED)):
        points = by_rate(record, act, parts.STARTS[0])
        best = max(points, key=lambda rate: mean(points[rate]))
        name = f"{act}, {parts.STARTS[0]}, rate {best:g}"
        look: Style = {"color": style["color"], "marker": style["marker"], "ls": "", "ms": 9}
        for trained, when, face in ((False, "before", "white"), (True, "after", style["color"])):
            where = {"contender": name, "trained": trained}
            values = [record.values("saturated", layer=layer, **where) for layer in (1, 2, 3)]
            at = 0.22 * (number - 1) + (0.08 if trained else -0.08)
            places = [layer + at for layer, each in enumerate(values, 1) for _ in each]
            found = [value for each in values for value in each]
            axes.plot(places, found, **look, mfc=face, alpha=0.8, label=act if trained else None)
            told.append(f"{act} {when} training {mean(found):.0%}")
    axes.set(xlabel="layer", ylabel="saturated fraction")
    integers(axes.xaxis)
    axes.grid(alpha=0.3)
    legend(axes)
    figure.description = (
        f"saturated fraction over the layers, initialized by {parts.STARTS[0]}, each activation at "
        f"its best rate: {'; '.join(told)}"
    )
    mark_y(figure, axes, guess, whole=1)
    return figure


@in_style
def shift(
    record: Answers, ways: Iterable[str] = tuple(parts.HALVINGS), guess: Any = None
) -> Picture:
    """Draw which share of the images keep their class when they move: means and every seed.

    `ways` are some of `studies.parts.HALVINGS`. `guess` is a share in per cent, or names a way.
    """
    found = {
        name: {
            pixels: [100 * v for v in record.values("same", contender=name, shift=pixels)]
            for pixels in parts.SHIFTS
        }
        for name in record.measured(ways)
    }
    told = "; ".join(
        f"{name} " + ", ".join(f"{summary(points[at], '.1f')} at {at}" for at in (2, 4))
        for name, points in found.items()
    )
    figure = Picture(
        13,
        6,
        "same class as before, per cent of the images, after a shift by 2 and by 4 pixels, mean "
        f"and standard error over seeds: {told}",
        caption="All nets step by 4 pixels in all. What is special about shifts of 4 and 8?",
    )
    axes = figure.subplots()
    means(axes, found, xlabel="shift, pixels", ylabel="same class as before, %")
    legend(axes, columns=3)
    mark_y(figure, axes, guess, series(axes), whole=100)
    return figure


@in_style
def thinned(record: Answers, guess: Any = None) -> Picture:
    """Draw how often the mean of thinned networks agrees with the whole one, and its accuracy.

    `guess` is an expected accuracy of a single thinned network, in per cent.
    """
    figure = Picture(
        13, 5.6, caption="Follow the lines to the right: do the means become the whole network?"
    )
    left, right = figure.subplots(1, 2)
    told = []
    for axes, column in ((left, "agreement"), (right, "accuracy")):
        found = {
            f"{name}, {of}": {
                masks: [100 * v for v in record.values(column, contender=name, of=of, masks=masks)]
                for masks in parts.MASKS
            }
            for name in record.contenders
            for of in ("logits", "probabilities")
        }
        means(axes, found, xlabel="thinned networks in the mean", xscale="log")
        axes.set_xticks(parts.MASKS, [f"{masks:,}" for masks in parts.MASKS])
        axes.minorticks_off()
        ends = (
            f"{name} " + " and ".join(summary(points[m], ".1f") for m in (1, 1000))
            for name, points in found.items()
        )
        told.append(f"{column} with 1 and 1,000 masks: {'; '.join(ends)}")
    left.set_ylabel("same answer as the whole, %")
    right.set_ylabel("accuracy, %")
    for name, line in styled(record.contenders, ({"ls": ":"}, {"ls": "--"})):
        whole = 100 * mean(record.values("accuracy", contender=name, of="whole"))
        right.axhline(whole, color=BLACK, lw=2, label=f"{name}, whole network", **line)
        told.append(f"the whole network, {name}: {whole:.1f}")
    legend(right, columns=2)
    figure.description = "per cent, mean and standard error over seeds. " + "; ".join(told)
    mark_y(figure, right, guess, whole=100)
    return figure


@in_style
def map_correlations(record: Answers, guess: Any = None) -> Picture:
    """Draw mean |r| by distance, in trained networks and in the same ones before training.

    Each block has a panel, with a line for the mean of the seeds and a band from lowest to highest.
    `guess` is an expected |r|.
    """
    figure = Picture(13, 5.2, caption="Does training make the correlations, or were they there?")
    panels = figure.subplots(1, len(maps.LAYERS), sharey=True)
    told = []
    for axes, block in zip(panels, maps.LAYERS, strict=True):
        runs = {}
        for name, trained in (("trained", True), ("untrained", False)):
            asked = (block, trained)
            rows = [row for row in record.rows if (row["block"], row["trained"]) == asked]
            rings = sorted({row["ring"] for row in rows})
            by_ring = [[row["r"] for row in rows if row["ring"] == ring] for ring in rings]
            runs[name] = list(zip(*by_ring, strict=True))
            told.append(f"{name}, into {block}, {summary(by_ring[0])} to {summary(by_ring[-1])}")
        bands(axes, runs, first=0)
        axes.set(title=f"into {block}", xlabel="distance from the center, in positions")
        integers(axes.xaxis)
    floor = mean(row["chance"] for row in record.rows if row["trained"])
    for axes in panels:
        axes.axhline(floor, color=BLACK, ls=":", label="images shuffled: chance")
        axes.set_ylim(bottom=0)
    panels[0].set_ylabel("mean |r|")
    legend(panels[0], columns=3)
    figure.description = (
        "mean |r| at the same position and on the last ring, mean and standard error over seeds: "
        + "; ".join(told)
    )
    mark_y(figure, panels[0], guess, whole=1)
    return figure
