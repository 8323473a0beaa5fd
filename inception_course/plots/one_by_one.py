"""Figures of 1x1 convolutions: what reductions cost, what they lose, and how the order matters."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..models.googlenet import InceptionSpec
from ..studies.reduction import BlockTimes, Trained, block_cost, branches, explained_variance, naive
from .guess import mark_choice, mark_point, mark_words, mark_y, read, series
from .style import (
    BLACK,
    BLUE,
    GRAYSCALE,
    GREEN,
    LINES,
    ORANGE,
    Picture,
    Style,
    bars,
    factor,
    grid,
    in_style,
    legend,
    lines,
    means,
    powers,
    styled,
)


@in_style
def block_shares(row: InceptionSpec, c_in: int, side: int, guess: Any = None) -> Picture:
    """Draw how many multiply-adds each branch of a block costs, and how many channels it outputs.

    The input has `c_in` channels and `side` x `side` positions. The weights are shared out in the
    same way, since each weight is used once at every position.

    `guess` names the branch that is expected to cost most.
    """
    costs = branches(row, c_in, side)
    total, bare = (block_cost(each, c_in, side) for each in (row, naive(row)))
    channels = sum(branch.channels for branch in costs.values())
    work = {name: branch.multiply_adds / total.multiply_adds for name, branch in costs.items()}
    shares = "; ".join(
        f"{name} {work[name]:.1%} of the multiply-adds and {branch.channels / channels:.1%} of "
        "the channels"
        for name, branch in costs.items()
    )
    ratio = bare.multiply_adds / total.multiply_adds
    counted = (
        f"{row.name}: {total.parameters:,} parameters, {total.multiply_adds / 1e6:.1f} M "
        f"multiply-adds, {channels} channels out"
    )
    compared = f"without reductions {ratio:.2f} times the work"
    figure = Picture(
        11,
        4.6,
        f"{counted}; {compared}. By branch: {shares}",
        caption="Does the branch that works most also give the most channels?",
    )
    figure.suptitle(f"{counted}\n{compared}")
    left, right = figure.subplots(1, 2, sharey=True)
    names = list(costs)
    millions = np.array([costs[name].multiply_adds for name in names]) / 1e6
    first = np.array([costs[name].reduction for name in names]) / 1e6
    left.barh(names, first, color=ORANGE, hatch="//", edgecolor="white", label="1x1 reduction")
    left.barh(names, millions - first, left=first, color=BLUE, label="the rest of the branch")
    left.set(xlabel="multiply-adds for one image, millions", ylabel="branch")
    left.set_xlim(0, 1.2 * max(millions))
    given = [costs[name].channels for name in names]
    right.barh(names, given, color=GREEN, hatch="..", edgecolor="white")
    right.set(xlabel="channels that come out")
    right.set_xlim(0, 1.2 * max(given))
    for place, name in enumerate(names):
        left.text(millions[place], place, f" {work[name]:.1%}", va="center")
        right.text(given[place], place, f" {given[place] / channels:.1%}", va="center")
    left.invert_yaxis()
    left.legend(loc="lower right")
    mark_choice(figure, left, guess, dict(zip(names, left.containers[1], strict=True)))
    return figure


@in_style
def with_and_without(
    costs: Mapping[str, tuple[int, int]], times: Mapping[str, BlockTimes], guess: Any = None
) -> Picture:
    """Draw the multiply-adds and the time of each block, with and without its reductions.

    `costs` holds both numbers of multiply-adds of each block.

    `guess` says how many times as long the blocks are expected to take without reductions.
    """
    counted = np.array([costs[name] for name in times], dtype=float) / 1e6
    timed = np.array(list(times.values()), dtype=float)
    ratios = [wide / narrow for narrow, wide in (part.sum(axis=0) for part in (counted, timed))]
    slower = timed[:, 1] / timed[:, 0]
    figure = Picture(
        13,
        4.6,
        f"the nine blocks with and without reductions: {ratios[0]:.2f} times the multiply-adds "
        f"without (left), and {ratios[1]:.2f} times the time measured here (right); for single "
        f"blocks {min(slower):.1f} to {max(slower):.1f} times the time",
        caption="Is the factor in time as large as the factor in multiply-adds?",
    )
    for axes, values, unit in zip(
        figure.subplots(1, 2),
        (counted, timed),
        ("multiply-adds, millions", "milliseconds per image"),
        strict=True,
    ):
        series = {"with reductions": values[:, 0], "without": values[:, 1]}
        bars(axes, times, series, xlabel="block", ylabel=unit)
        for place, (short, long) in enumerate(values):
            above = {"ha": "center", "va": "bottom", "fontsize": 12}
            axes.text(place, max(short, long), factor(long / short), **above)
        axes.margins(y=0.12)
    legend(axes, columns=2)
    mark_words(figure, axes, guess, "x the time without")
    return figure


@in_style
def channels_along(
    chains: Mapping[str, Sequence[int]], blocks: Sequence[str], guess: Any = None
) -> Picture:
    """Draw the number of channels after each block, a line for each kind of network.

    `guess` is the number of channels that is expected after the last block.
    """
    ends = "; ".join(f"{name} {values[0]} to {values[-1]}" for name, values in chains.items())
    figure = Picture(
        10,
        4.4,
        f"channels before the first and after each block: {ends}",
        caption="How many channels leave the last block on each line?",
    )
    axes = figure.subplots()
    curves = {
        f"{name}: {values[-1]:,} at the end": (["in", *blocks], values)
        for name, values in chains.items()
    }
    lines(axes, curves, xlabel="block", ylabel="channels")
    legend(axes)
    mark_point(figure, axes, [*blocks][-1], guess, read(guess))
    return figure


@in_style
def mixed_colors(image: Tensor, matrices: Mapping[str, Tensor]) -> Picture:
    """Draw what 1x1 convolutions with three channels, matrices [3, 3], make of a color image.

    The image [3, H, W] has red, green and blue as channels, from 0 to 1; each matrix stands below
    the image that it makes.
    """
    rows = {
        name: ["  ".join(f"{value:4.2f}" for value in row) for row in matrix.tolist()]
        for name, matrix in matrices.items()
    }
    _, height, width = image.shape
    figure = Picture(
        3.2 * len(matrices),
        1.5 + 3 * height / width,
        "one color image, mixed by matrices of 3x3 weights, row by row: "
        + "; ".join(f"{name} by {', '.join(each)}" for name, each in rows.items()),
        caption="Each row of a matrix makes one new channel: red, green, blue. Follow one color.",
    )
    mixed = [
        (name, torch.einsum("oc,chw->hwo", matrix, image).clamp(0, 1))
        for name, matrix in matrices.items()
    ]
    grid(figure, mixed, len(mixed), interpolation="nearest")
    for axes, each in zip(figure.axes, rows.values(), strict=True):
        look: Style = {"ha": "center", "va": "top", "family": "monospace", "fontsize": 13}
        below: Style = {"xycoords": "axes fraction", "xytext": (0, -10)}
        axes.annotate("\n".join(each), (0.5, 0), textcoords="offset points", **below, **look)
    return figure


@in_style
def two_orders(given: Tensor, answers: Mapping[str, Tensor]) -> Picture:
    """Draw a map [H, W], 0 to 255, and what the same steps make of it in two orders."""
    maps = {"the map": given, **answers}
    first, second = answers.values()
    differ = (first - second).abs().gt(1e-4).float().mean().item()
    figure = Picture(
        11,
        4.2,
        f"a map and what becomes of it by {' and by '.join(answers)}: the two differ at "
        f"{differ:.0%} of the positions",
        caption="Do the two results differ anywhere?",
    )
    grid(figure, list(maps.items()), 3, **GRAYSCALE)
    return figure


@in_style
def spectra(spectra: Mapping[str, Tensor], marks: Mapping[str, int], guess: Any = None) -> Picture:
    """Draw the singular values [C] of several data, and the variance in the best k channels.

    `marks` names numbers of channels to highlight.

    `guess` is the expected part of the variance kept, in per cent.
    """
    shares = {name: explained_variance(values) for name, values in spectra.items()}
    count = len(next(iter(spectra.values())))
    held = [
        f"{k} of {count} channels ({name}) hold "
        + ", ".join(f"{share[k - 1]:.1%} of {data}" for data, share in shares.items())
        for name, k in marks.items()
    ]
    figure = Picture(
        13,
        4.8,
        "singular values, the largest first (left), and the variance that the best k channels hold "
        f"(right): {'; '.join(held)}",
        caption="Right: how few channels hold most of the variance, and for which data?",
    )
    left, right = figure.subplots(1, 2)
    numbers = np.arange(1, count + 1)
    sizes = {
        name: (numbers, values / values.square().sum().sqrt()) for name, values in spectra.items()
    }
    labels = {"xlabel": "number of the singular value", "ylabel": "value (squares sum to 1)"}
    lines(left, sizes, yscale="log", **labels)
    kept = {name: (numbers, 100 * share) for name, share in shares.items()}
    lines(right, kept, xlabel="channels kept", ylabel="variance kept, %", ylim=(0, 103))
    handles = right.get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=3)
    pointers = [
        right.axvline(k, color=BLACK, lw=1.5, linestyle=style["linestyle"], label=f"{k}: {name}")
        for (name, k), style in styled(marks.items(), LINES[1:])
    ]
    right.legend(handles=pointers, loc="lower right")
    powers(left.yaxis, (2, 5))
    mark_y(figure, right, guess, series(right), whole=100)
    return figure


@in_style
def accuracy_by_width(trained: Sequence[Trained], guess: Any = None) -> Picture:
    """Draw validation accuracy against the width of the reductions: each seed, and the means.

    `guess` is the width at which the accuracy is expected to fall.
    """
    widths = list(dict.fromkeys(each.width for each in trained))
    labels = {width: "no reduction" if width is None else str(width) for width in widths}
    series = {
        name: {
            labels[width]: [
                each.accuracy for each in trained if (each.width, each.bypass) == (width, bypass)
            ]
            for width in widths
        }
        for name, bypass in (("whole block", True), ("only the branches with a reduction", False))
    }
    ends = "; ".join(
        f"{name} "
        + " to ".join(
            f"{np.mean(points[labels[width]]):.3f} at {labels[width]}"
            for width in (widths[0], widths[-1])
        )
        for name, points in series.items()
    )
    seeds = len({each.seed for each in trained})
    figure = Picture(
        11,
        4.8,
        f"validation accuracy by width of the reductions, {seeds} seeds: {ends}",
        caption="Does accuracy fall when the reductions get narrow, and on which line?",
    )
    axes = figure.subplots()
    means(axes, series, xlabel="channels after each reduction", ylabel="validation accuracy")
    legend(axes, columns=2)
    places = {name: number for number, name in enumerate(labels.values())}
    mark_choice(figure, axes, guess, places)
    return figure
