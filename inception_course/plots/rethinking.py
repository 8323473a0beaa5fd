"""Figures of what the later Inception papers changed, measured in small nets with several seeds."""

import math
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes

from .. import cost
from ..studies import rethinking as studies
from ..studies.comparison import Answers, Contest
from .guess import mark_choice, mark_x, mark_y, series
from .parts import strip
from .style import BLACK, MARKED, Picture, bars, in_style, legend, means, styled
from .tricks import summary


@in_style
def factors(record: Contest, guess: Any = None) -> Picture:
    """Draw the accuracy of nets with whole or factorized windows, a mark for each seed.

    `guess` names one of `studies.rethinking.FACTORS`.
    """
    work = {
        name: cost.table(studies.factored_net(name), (1, 28, 28)).multiply_adds
        for name in studies.FACTORS
    }
    caption = "Black: the mean ± 2 standard errors. Which factors lie to the left of their window?"
    return by_seed(record, work, caption, guess)


@in_style
def resolutions(record: Contest, guess: Any = None) -> Picture:
    """Draw the accuracy for images of several sizes, a mark for each seed.

    `guess` names one of `studies.rethinking.SIZES`.
    """
    work = {name: studies.multiply_adds(name) for name in studies.SIZES}
    caption = "Black: the mean ± 2 standard errors. Compare rows of the same work."
    return by_seed(record, work, caption, guess)


def by_seed(record: Contest, work: Mapping[str, int], caption: str, guess: Any) -> Picture:
    """Draw the accuracies of each net of `work`, {name: multiply-adds}, in a row."""
    found = {name: [each.accuracy for each in record.of(name)] for name in work}
    told = "; ".join(
        f"{name} ({work[name] / 1e6:.2f} M multiply-adds) {summary(values)}"
        for name, values in found.items()
    )
    figure = Picture(
        12,
        1.6 + 0.8 * len(work),
        f"validation accuracy, mean and standard error over seeds: {told}",
        caption=caption,
    )
    axes = figure.subplots()
    for row, (values, style) in enumerate(styled(found.values(), MARKED)):
        strip(axes, row - 0.1, values, style, "")
    labels = [f"{name}\n{work[name] / 1e6:.2f} M" for name in work]
    axes.set_yticks(range(len(work)), labels)
    axes.set(xlabel="validation accuracy", ylim=(len(work) - 0.5, -0.5))
    axes.grid(alpha=0.3, axis="x")
    mark_choice(figure, axes, guess, dict(zip(work, axes.get_yticklabels(), strict=True)))
    return figure


@in_style
def work_and_time(kept: Mapping[str, tuple[float, float]], guess: Any = None) -> Picture:
    """Draw which parts of the work and of the time are left after a change, {name: (work, time)}.

    `guess` is the part of the time that is expected to be left, in per cent.
    """
    told = "; ".join(f"{name} {work:.0%} and {time:.0%}" for name, (work, time) in kept.items())
    figure = Picture(
        11,
        4.8,
        f"part of the work and part of the time that is left: {told}",
        caption="Blue: the work that is left. Orange: the time. Are the bars equally high?",
    )
    axes = figure.subplots()
    columns = zip(*kept.values(), strict=True)
    values = {
        name: [100 * part for part in column]
        for name, column in zip(("multiply-adds", "time"), columns, strict=True)
    }
    for group in bars(axes, kept, values, ylabel="left, %").values():
        axes.bar_label(group, fmt="%.0f", padding=3)
    axes.axhline(100, color=BLACK, ls=":")
    axes.margins(y=0.15)
    legend(axes, columns=2)
    mark_y(figure, axes, guess, whole=100)
    return figure


@in_style
def smoothing(record: Answers, guess: Any = None) -> Picture:
    """Draw the gap of the logits (left), and confidence beside accuracy (right), by seed.

    `guess` is the expected gap with smoothing.
    """
    names = record.contenders
    best = math.log(91)
    figure = Picture(
        13,
        4.8,
        caption="Left: does the gap end at the dotted line? Right: which marks belong together?",
    )
    left, right = figure.subplots(1, 2)
    told = []
    panels: tuple[tuple[Axes, tuple[str, ...]], ...] = (
        (left, ("gap",)),
        (right, ("accuracy", "confidence")),
    )
    for axes, columns in panels:
        for number, (column, style) in enumerate(styled(columns, MARKED)):
            for row, name in enumerate(names):
                values = record.values(column, contender=name)
                place = row + 0.3 * (number - (len(columns) - 1) / 2)
                strip(axes, place, values, style, "" if row else column)
                told.append(f"{column} with {name} {summary(values)}")
        axes.set_yticks(range(len(names)), [name.replace(" ", "\n") for name in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.grid(alpha=0.3, axis="x")
    left.axvline(best, color=BLACK, ls=":", label=f"ln 91 = {best:.2f}")
    left.set(xlabel="largest logit less the mean of the others", xlim=(0, 10))
    right.set_xlabel("accuracy, and mean confidence")
    for axes in (left, right):
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    figure.description = (
        f"mean and standard error over seeds: {'; '.join(told)}; the least loss with smoothing 0.1 "
        f"is at a gap of {best:.2f}"
    )
    mark_x(figure, left, guess)
    return figure


@in_style
def additions(record: Contest, guess: Any = None) -> Picture:
    """Draw the accuracy on the images being learned against the blocks, in the first and last pass.

    `guess` names "with additions" or "without additions".
    """
    kinds = ("without additions", "with additions")
    figure = Picture(
        13, 5, caption="Left: early. Right: at the end. Where are the two lines far apart?"
    )
    panels = figure.subplots(1, 2, sharey=True)
    told = []
    for axes, when, at in zip(panels, ("first", "last"), (0, -1), strict=True):
        found = {
            kind: {
                depth: [each.train_accuracies[at] for each in record.of(f"{depth} blocks, {kind}")]
                for depth in studies.DEPTHS
                if record.of(f"{depth} blocks, {kind}")
            }
            for kind in kinds
        }
        means(axes, found, xlabel="Inception blocks", title=f"in the {when} pass")
        axes.set_xticks(studies.DEPTHS)
        for kind, points in found.items():
            ends = ", ".join(f"{summary(points[depth])} at {depth}" for depth in points)
            told.append(f"in the {when} pass {kind} {ends} blocks")
    panels[0].set_ylabel("accuracy on the images being learned")
    figure.description = (
        "accuracy on the images being learned, mean and standard error over seeds: "
        + "; ".join(told)
    )
    legend(panels[0], columns=2)
    mark_y(figure, panels[0], guess, series(panels[0]))
    return figure
