"""Figures of 1x1 convolutions: what reductions cost, what they lose, and where they stand."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import LogLocator
from torch import Tensor

from ..models.googlenet import InceptionSpec
from ..studies.reduction import BlockTimes, Trained, block_cost, branches, explained_variance, naive
from .style import (
    BLACK,
    BLUE,
    GRAYSCALE,
    GREEN,
    LINES,
    ORANGE,
    Picture,
    bars,
    grid,
    in_style,
    legend,
    lines,
    means,
    styled,
)


@in_style
def block_shares(row: InceptionSpec, c_in: int, side: int) -> Picture:
    """Draw what each branch of a block costs in multiply-adds, and what channels it gives.

    `c_in` channels enter on `side` x `side` positions. Weights have the same shares, as each is
    used once at every position.
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
    figure = Picture(11, 4.6, f"{counted}; {compared}. By branch: {shares}")
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
    return figure


@in_style
def with_and_without(
    costs: Mapping[str, tuple[int, int]], times: Mapping[str, BlockTimes]
) -> Picture:
    """Draw multiply-adds and time of each block, with and without its reductions.

    `costs` holds the multiply-adds of a block with and without.
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
            axes.text(place, max(short, long), f"{long / short:.1f}x", ha="center", va="bottom")
        axes.margins(y=0.12)
    axes.legend()
    return figure


@in_style
def channels_along(chains: Mapping[str, Sequence[int]], blocks: Sequence[str]) -> Picture:
    """Draw the channels after each block, a line for each way of building them."""
    ends = "; ".join(f"{name} {values[0]} to {values[-1]}" for name, values in chains.items())
    figure = Picture(10, 4.4, f"channels before the first and after each block: {ends}")
    axes = figure.subplots()
    curves = {name: (["in", *blocks], values) for name, values in chains.items()}
    lines(axes, curves, xlabel="block", ylabel="channels")
    for values in chains.values():
        end = len(blocks), values[-1]
        axes.annotate(f"{values[-1]:,}", end, (0, 8), textcoords="offset points", ha="center")
    axes.margins(y=0.12)
    legend(axes, "upper left")
    return figure


@in_style
def two_orders(given: Tensor, answers: Mapping[str, Tensor]) -> Picture:
    """Draw a map [H, W], 0 to 255, and what two orders of the same steps make of it."""
    maps = {"the map": given, **answers}
    first, second = answers.values()
    differ = (first - second).abs().gt(1e-4).float().mean().item()
    figure = Picture(
        11,
        4.2,
        f"a map and what becomes of it by {' and by '.join(answers)}: the two differ at "
        f"{differ:.0%} of the positions",
    )
    grid(figure, list(maps.items()), 3, **GRAYSCALE)
    return figure


@in_style
def spectra(spectra: Mapping[str, Tensor], marks: Mapping[str, int]) -> Picture:
    """Draw singular values [C] of kinds of data, and the variance that the best k channels hold.

    `marks` names numbers of channels to point at.
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
    left.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    left.yaxis.set_major_formatter("{x:g}")
    return figure


@in_style
def accuracy_by_width(trained: Sequence[Trained]) -> Picture:
    """Draw validation accuracy against the width of the reductions: each seed, and the means."""
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
        11, 4.8, f"validation accuracy by width of the reductions, {seeds} seeds: {ends}"
    )
    axes = figure.subplots()
    means(axes, series, xlabel="channels after each reduction", ylabel="validation accuracy")
    axes.legend(loc="lower right")
    return figure
