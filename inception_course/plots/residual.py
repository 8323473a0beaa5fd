"""Figures of deep nets with and without shortcuts, and of accuracy and time against work."""

from collections.abc import Container, Iterable, Mapping, Sequence
from statistics import mean, median
from typing import Any

import numpy as np

from ..studies.comparison import Answers, Contest
from .guess import mark_choice, mark_x, mark_y, series
from .parts import strip
from .style import (
    BLUE,
    MARKED,
    Picture,
    in_style,
    integers,
    legend,
    logarithmic,
    name_points,
    powers,
    styled,
)
from .tricks import summary

# {kind of net: {layers: for each seed the norms of the gradient, block by block}}
Gradients = Mapping[str, Mapping[int, Sequence[Sequence[float]]]]


@in_style
def gradients_by_depth(found: Gradients, guess: Any = None) -> Picture:
    """Draw the first block's gradient by depth (left), and every block's in the deepest net.

    A line goes through the medians of the seeds. `guess` names a kind of net.
    """
    depths = sorted({depth for by_depth in found.values() for depth in by_depth})
    told = []
    figure = Picture(
        13, 5.6, caption="Left: which lines stay level? Right: follow a line from the output back."
    )
    left, right = figure.subplots(1, 2, sharey=True)
    for (name, by_depth), style in styled(found.items()):
        first = {depth: [blocks[0] for blocks in seeds] for depth, seeds in by_depth.items()}
        left.plot(list(first), [median(each) for each in first.values()], **style, label=name)
        for depth, values in first.items():
            left.plot([depth] * len(values), values, **style | {"linestyle": ""}, alpha=0.35)
        blocks = np.median(by_depth[depths[-1]], axis=0)
        right.plot(range(1, len(blocks) + 1), blocks, **style, markevery=4)
        ends = ", ".join(f"{median(values):.2g} at {depth}" for depth, values in first.items())
        told.append(f"{name} {ends} layers, and {blocks[-1]:.2g} in the last of {len(blocks)}")
    left.set(xlabel="layers", ylabel="size of the gradient", title="in the first block")
    left.set_xticks(depths)
    logarithmic(left)
    right.set(xlabel="block, first to last", title=f"block by block, {depths[-1]} layers")
    integers(right.xaxis)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    legend(left, columns=4)
    figure.description = (
        f"median size of the gradient in the first block before training: {'; '.join(told)}"
    )
    mark_choice(figure, left, guess, series(left))
    return figure


@in_style
def degradation(record: Contest, guess: Any = None) -> Picture:
    """Draw the error on the training images (left) and on validation images after the last pass.

    `guess` is an expected error on the training images, in per cent, or names a net.
    """
    names = record.contenders
    figure = Picture(
        13,
        1.8 + 0.75 * len(names),
        caption="Left: images that the nets have learned from. Who errs most?",
    )
    panels = figure.subplots(1, 2, sharey=True, sharex=True)
    told = []
    for axes, where in zip(panels, ("training", "validation"), strict=True):
        for row, (name, style) in enumerate(styled(names, MARKED)):
            ends = [
                (each.train_accuracies if where == "training" else each.accuracies)[-1]
                for each in record.of(name)
            ]
            errors = [100 * (1 - end) for end in ends]
            strip(axes, row - 0.1, errors, style, "")
            told.append(f"{where} {name} {summary(errors, '.1f')}")
        axes.set(xlabel=f"error on {where} images, %", ylim=(len(names) - 0.5, -0.5))
        axes.grid(alpha=0.3, axis="x")
    left = panels[0]
    left.set_yticks(range(len(names)), [name.replace(", ", ",\n") for name in names])
    figure.description = (
        f"error after the last pass, per cent, mean and standard error over seeds: "
        f"{'; '.join(told)}"
    )
    mark_x(figure, left, guess, dict(zip(names, left.get_yticklabels(), strict=True)), whole=100)
    return figure


def errors_without(record: Answers, name: str, statistics: str = "old") -> dict[str, list[float]]:
    """Return the errors of a net without one block, in per cent: {block: one for each seed}."""
    found: dict[str, list[float]] = {}
    for row in record.rows:
        if (row["contender"], row["blocks"], row["statistics"]) == (name, 1, statistics):
            found.setdefault(row["block"], []).append(100 * (1 - row["accuracy"]))
    return found


def errors_by_count(
    record: Answers, name: str, statistics: str = "old"
) -> dict[int, list[list[float]]]:
    """Return the errors of a net without 0, 1, 2 ... of its blocks, in per cent, seed by seed."""
    found: dict[int, dict[int, list[float]]] = {}
    for row in record.rows:
        if row["contender"] == name and (row["statistics"] == statistics or row["blocks"] == 0):
            by_seed = found.setdefault(row["blocks"], {})
            by_seed.setdefault(row["seed"], []).append(100 * (1 - row["accuracy"]))
    return {count: list(by_seed.values()) for count, by_seed in sorted(found.items())}


STATISTICS = {"old": "as it was trained", "new": "statistics estimated again"}


@in_style
def one_block_dropped(
    record: Answers,
    nets: Iterable[str] = ("plain, 44 layers", "residual, 44 layers"),
    guess: Any = None,
) -> Picture:
    """Draw the error of each net without one block, block by block: the median of the seeds.

    In the left panel batch norm uses the statistics of the whole net, in the right one new ones.
    `guess` is the expected error of a net without one block, in per cent.
    """
    figure = Picture(
        13, 5.4, caption="Each mark is a net without that one block. Which blocks are missed most?"
    )
    panels, nets = figure.subplots(1, 2, sharey=True), record.measured(nets)
    told = []
    for axes, (statistics, title) in zip(panels, STATISTICS.items(), strict=True):
        for name, style in styled(nets):
            found = errors_without(record, name, statistics)
            medians = [median(each) for each in found.values()]
            axes.plot(range(len(found)), medians, **style, label=name)
            whole = median(median(each) for each in errors_by_count(record, name)[0])
            label = f"{name}, whole"
            axes.axhline(whole, color=style["color"], ls=style["linestyle"], lw=1.2, label=label)
            told.append(
                f"{name}, {title}: {medians[0]:.0f} without the first, {median(medians):.0f} in "
                f"the median and {min(medians):.0f} to {max(medians):.0f}; whole {whole:.0f}"
            )
        names = [name.removeprefix("conv").replace("_", ".") for name in found]
        axes.set_xticks(range(0, len(names), 2), names[::2], rotation=60)
        axes.set(xlabel="the block that is missing", title=title, ylim=(0, 102))
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("validation error, %")
    legend(panels[0], columns=2)
    figure.description = (
        f"error without one block, per cent, the median over seeds: {'; '.join(told)}"
    )
    mark_y(figure, panels[0], guess, whole=100)
    return figure


@in_style
def several_blocks_dropped(
    record: Answers,
    nets: Iterable[str] = ("plain, 44 layers", "residual, 44 layers"),
    guess: Any = None,
) -> Picture:
    """Draw the error of each net against the number of blocks that are missing.

    In the left panel batch norm uses the statistics of the whole net, in the right one new ones. A
    mark is the mean of one seed's draws, and the line goes through the mean of the seeds. A dotted
    line shows the error if each missing block cost as much as a single one does on average. `guess`
    is the expected error of a net, in per cent.
    """
    figure = Picture(
        13,
        5.4,
        caption="Dotted: every further block costs as much as a single one. Is that so?",
    )
    panels, nets = figure.subplots(1, 2, sharey=True), record.measured(nets)
    told = []
    for axes, (statistics, title) in zip(panels, STATISTICS.items(), strict=True):
        for name, style in styled(nets):
            found = errors_by_count(record, name, statistics)
            points = {count: [mean(draws) for draws in seeds] for count, seeds in found.items()}
            means = [mean(seeds) for seeds in points.values()]
            axes.plot(list(points), means, **style, label=name)
            for count, values in points.items():
                axes.plot([count] * len(values), values, **style | {"linestyle": ""}, alpha=0.4)
            added = [means[0] + count * (means[1] - means[0]) for count in points]
            if added[-1] < 100:
                axes.plot(list(points), added, color=style["color"], ls=":")
            told.append(
                f"{name}, {title}: "
                + ", ".join(f"{summary(each, '.1f')} without {n}" for n, each in points.items())
            )
        axes.set(xlabel="blocks that are missing", title=title, ylim=(0, 102))
        axes.set_xticks(list(points))
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("validation error, %")
    legend(panels[0], columns=2)
    figure.description = f"error, per cent, mean and standard error over seeds: {'; '.join(told)}"
    mark_y(figure, panels[0], guess, whole=100)
    return figure


@in_style
def over_work(
    points: Mapping[str, tuple[float, float]],
    label: str,
    hollow: Container[str] = (),
    logarithmic: bool = False,
    guess: Any = None,
) -> Picture:
    """Draw another measure of networks against their multiply-adds: {name: (billions, measure)}.

    `label` says what the measure is; its axis may be logarithmic. Points of the names in `hollow`
    are hollow. `guess` names a network.
    """
    told = "; ".join(
        f"{name} {value:.3g} at {work:.2g} G" for name, (work, value) in points.items()
    )
    figure = Picture(
        12, 6.4, f"{label} over billions of multiply-adds: {told}",
        caption="Compare points that lie above each other: as much work, and another result.",
    )  # fmt: skip
    axes = figure.subplots()
    for name, (work, value) in points.items():
        axes.plot(
            [work],
            [value],
            "o",
            ms=12,
            color=BLUE,
            mfc="white" if name in hollow else BLUE,
            mew=2.5,
        )
    axes.set(xlabel="billion multiply-adds for an image", ylabel=label, xscale="log")
    axes.margins(x=0.16, y=0.1)
    powers(axes.xaxis, (2, 5))
    if logarithmic:
        axes.set_yscale("log")
        powers(axes.yaxis, (2, 5))
    axes.grid(alpha=0.3)
    names = name_points(figure, axes, points)
    mark_choice(figure, axes, guess, names)
    return figure
