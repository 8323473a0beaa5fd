"""Figures of Hebb's rules, of planted and recovered wirings, of correlations and of zeros."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor
from torch.nn.functional import cosine_similarity

from ..hebbian import Block, CoFiring, ProductTimes, Recovery, rings
from .guess import mark_words, mark_x, mark_y, series
from .style import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    VERMILION,
    Picture,
    Style,
    bars,
    in_style,
    legend,
    lines,
    logarithmic,
    means,
    powers,
    styled,
)

WINDOWS = ("1x1", "3x3", "5x5")
THRESHOLDS: tuple[Style, ...] = ({"ls": ":"}, {"ls": "--"}, {"ls": "-."})  # styles of their lines


@in_style
def rule_lengths(lengths: Mapping[str, Tensor], guess: Any = None) -> Picture:
    """Draw the length of the weight vector after every step, a line for each rule.

    `guess` is the expected length of the weights at the end.
    """
    ends = "; ".join(f"{name} ends at {values[-1]:.3g}" for name, values in lengths.items())
    figure = Picture(
        9,
        4.4,
        f"length of the weights per step: {ends}",
        caption="Which rule keeps the weights short?",
    )
    axes = figure.subplots()
    curves = {name: (range(len(values)), values) for name, values in lengths.items()}
    lines(axes, curves, xlabel="step", ylabel="length of the weights")
    logarithmic(axes)
    legend(axes)
    mark_y(figure, axes, guess, series(axes))
    return figure


@in_style
def turning(cloud: Tensor, learned: Mapping[str, Tensor]) -> Picture:
    """Draw a cloud of points [N, 2], and the arrows of weights [steps, 2] that turn in it.

    Each rule has a panel with four arrows, from the first step (faint) to the last. An arrow that
    is longer than the cloud is cut.
    """
    _, axis = torch.linalg.eigh(cloud.T @ cloud)
    long = axis[:, -1]
    ends = {name: weights[-1] for name, weights in learned.items()}
    told = "; ".join(
        f"{name} ends at length {end.norm():.3g}, {angle(end, long):.0f} degrees from the long axis"
        for name, end in ends.items()
    )
    figure = Picture(
        10,
        5,
        f"an arrow of two weights turns in a cloud of {len(cloud)} points: {told}",
        caption="Darker arrows come later. Where does the arrow turn, and does it stop growing?",
    )
    panels = figure.subplots(1, len(learned), sharey=True, squeeze=False)[0]
    reach = 1.15 * cloud.abs().max().item()
    for axes, (name, weights) in zip(panels, learned.items(), strict=True):
        axes.scatter(*cloud.T, s=10, color="#B0B0B0", zorder=1)
        axes.axline((0, 0), tuple(long.tolist()), color=BLACK, ls=":", lw=2, label="long axis")
        # Equal steps of the angle, not of time: most of the turning is early.
        turned = torch.tensor([angle(each, weights[0]) for each in weights])
        goals = torch.linspace(0, turned[-1], 4)
        for number, goal in enumerate(goals):
            at = len(weights) - 1 if number == 3 else int((turned - goal).abs().argmin())
            arrow = weights[at] * min(1.0, 0.95 * reach / weights[at].abs().max().item())
            axes.annotate(
                "", tuple(arrow.tolist()), (0, 0), zorder=3 + number,
                arrowprops={"color": VERMILION, "alpha": 0.25 * (number + 1), "width": 3,
                            "headwidth": 12, "shrink": 0},
            )  # fmt: skip
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel="first input")
        axes.set_title(f"{name}: length {weights[-1].norm():.3g} at the end")
    panels[0].set_ylabel("second input")
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center")
    return figure


def angle(one: Tensor, other: Tensor) -> float:
    """Return the angle between two lines in degrees, from 0 to 90."""
    cosine = cosine_similarity(one, other, dim=0).abs().clamp(max=1)
    return torch.rad2deg(torch.arccos(cosine)).item()


@in_style
def wiring(recovery: Recovery, units: int = 9, guess: Any = None) -> Picture:
    """Draw the edges from the first hidden units to those they excite: found, missed and wrong.

    `guess` is how many units are expected to be recovered.
    """
    figure = Picture(
        11, 4.6, caption="Orange dashes are missed edges, red dots are wrong ones. Are there any?"
    )
    axes = figure.subplots()
    counts = draw_wiring(axes, recovery, units)
    figure.description = (
        f"{recovery.exact} of {len(recovery.truth)} hidden units are recovered exactly. Shown are "
        f"the first {units} and the edges by which they excite units below: {counts}"
    )
    axes.set_title(f"{recovery.exact} of {len(recovery.truth)} hidden units recovered exactly")
    axes.legend(ncols=5, loc="upper center", bbox_to_anchor=(0.5, 0), fontsize=13)
    mark_words(figure, axes, guess, f" of {len(recovery.truth)} units")
    return figure


def draw_wiring(axes: Axes, recovery: Recovery, units: int) -> str:
    """Draw the wiring of the first units; return how many edges were found, missed or wrong."""
    truth, found = recovery.truth[:units], np.zeros_like(recovery.truth[:units])
    for unit, mine in enumerate(truth):
        overlap = (recovery.found & mine).sum(axis=1)
        if len(overlap) and overlap.max() > mine.sum() / 2:
            found[unit] = recovery.found[overlap.argmax()]
    kinds: tuple[tuple[str, np.ndarray, Style], ...] = (
        ("found", truth & found, {"color": BLUE, "linestyle": "-"}),
        ("missed", truth & ~found, {"color": ORANGE, "linestyle": "--"}),
        ("wrong", ~truth & found, {"color": VERMILION, "linestyle": ":"}),
    )
    counts = ", ".join(f"{cells.sum()} {name}" for name, cells, _ in kinds)
    below = np.flatnonzero((truth | found).any(axis=0))
    # Each unit below stands under the mean of its parents, so that few edges cross.
    parents = [np.flatnonzero((truth | found)[:, unit]).mean() for unit in below]
    place = dict(zip(below[np.argsort(parents)], range(len(below)), strict=True))
    middle = (np.arange(units) + 0.5) * len(below) / units - 0.5
    for name, cells, style in kinds:
        for unit, child in np.argwhere(cells):
            axes.plot([middle[unit], place[child]], [1, 0], linewidth=2, **style)
        axes.plot([], [], linewidth=2, label=f"{name}: {cells.sum()}", **style)
    exact = recovery.match[:units] >= 0
    axes.scatter(middle[exact], [1] * exact.sum(), 160, BLUE, zorder=3, label="exact unit")
    axes.scatter(
        middle[~exact], [1] * (~exact).sum(), 160, "white", marker="X",
        edgecolors=VERMILION, linewidths=2, zorder=3, label="not exact",
    )  # fmt: skip
    axes.scatter(range(len(below)), [0] * len(below), 40, BLACK, zorder=3)
    axes.text(-1.5, 1, "hidden", ha="right", va="center")
    axes.text(-1.5, 0, "seen", ha="right", va="center")
    axes.set(ylim=(-0.15, 1.15))
    axes.set_axis_off()
    return counts


@in_style
def co_firing(
    counted: Mapping[str, CoFiring], thresholds: Sequence[float] = (1 / 3, 1 / 2, 2 / 3)
) -> Picture:
    """Draw how often siblings and strangers fire together, a panel for each of `counted`.

    The value 1 is what one common parent alone would cause. Bars of each kind sum to one.
    """
    told = "; ".join(
        f"{name}: siblings {each.siblings.mean():.2f}, strangers {each.strangers.mean():.2f} in "
        f"the mean, {(each.strangers >= each.siblings.min()).mean():.1%} of the strangers as often "
        "as some siblings"
        for name, each in counted.items()
    )
    figure = Picture(
        13,
        4.6,
        f"how often two units fire together, 1 is what a common parent causes. {told}",
        caption="Can one line separate the two humps?",
    )
    panels = figure.subplots(1, len(counted), sharey=True, squeeze=False)[0]
    edges = np.linspace(0, 1.6, 65)
    for axes, (name, each) in zip(panels, counted.items(), strict=True):
        for kind, values, color, hatch in (
            ("strangers", each.strangers, ORANGE, "//"),
            ("siblings", each.siblings, BLUE, ""),
        ):
            shares = np.histogram(values.clip(0, 1.59), edges)[0] / len(values)
            look: Style = {"alpha": 0.75, "hatch": hatch, "edgecolor": "white", "lw": 0.3}
            axes.bar(edges[:-1], shares, edges[1], align="edge", color=color, label=kind, **look)
        for threshold, style in styled(thresholds, THRESHOLDS):
            label = f"threshold {Fraction(threshold).limit_denominator(9)}"
            axes.axvline(threshold, color=BLACK, lw=2, label=label, **style)
        axes.set(title=name, xlabel="fire together", xlim=(0, 1.6), xticks=(0, 0.5, 1))
    panels[0].set_ylabel("share of the pairs")
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=5)
    return figure


@in_style
def phase_transition(
    by_threshold: Mapping[str, Mapping[float, Sequence[float]]],
    by_size: Mapping[str, Mapping[float, Sequence[float]]],
    critical: float,
    guess: Any = None,
) -> Picture:
    """Draw the fraction of the hidden units that are recovered exactly against rho * d.

    The left panel has a line for each threshold, the right one for each size of the network; each
    sequence holds one number per seed. `critical` is the largest rho * d for which the theorem's
    condition holds.

    `guess` is the rho * d at which the recovery is expected to fail.
    """
    told = "; ".join(
        f"{name} " + ", ".join(f"{np.mean(shares):.2f} at {x:.2g}" for x, shares in results.items())
        for name, results in [*by_threshold.items(), *by_size.items()]
    )
    figure = Picture(
        13,
        5,
        f"fraction of the hidden units recovered exactly, by rho d: {told}; the theorem's "
        f"condition ends at {critical:.2g}",
        caption="What moves the end of the recovery more: the threshold, or the number of units?",
    )
    panels = figure.subplots(1, 2, sharey=True)
    for axes, results in zip(panels, (by_threshold, by_size), strict=True):
        means(axes, results, xscale="log", ylim=(-0.05, 1.08))
        xs = sorted({x for points in results.values() for x in points})
        axes.axvspan(
            min(xs) * 0.8, critical, color=GREEN, alpha=0.15, hatch="//", lw=0,
            label="the theorem's condition",
        )  # fmt: skip
        axes.set(xlabel=r"$\rho\,d$: active fraction times degree")
        axes.set_xticks(xs, [f"{x:.2g}" for x in xs])
        axes.minorticks_off()
        axes.tick_params(axis="x", labelsize=12, rotation=45)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.3), ncols=2, fontsize=13)
    panels[0].set_ylabel("fraction recovered exactly")
    mark_x(figure, panels[0], guess)
    return figure


@in_style
def zeros(
    trained: Mapping[str, float], untrained: Mapping[str, float], guess: Any = None
) -> Picture:
    """Draw which part of the activations is zero, layer by layer, after and before training.

    `guess` is the part that is expected in the trained network.
    """
    series = {"trained": trained, "before training": untrained}
    told = "; ".join(
        f"{name} {min(shares.values()):.0%} to {max(shares.values()):.0%}"
        for name, shares in series.items()
    )
    figure = Picture(
        12,
        4.6,
        f"activations that are zero, per layer: {told}",
        caption="Compare the two bars of each block. Has training made the zeros?",
    )
    axes = figure.subplots()
    percent = {name: [100 * shares[layer] for layer in trained] for name, shares in series.items()}
    labels: Style = {"xlabel": "block", "ylabel": "zero activations, %", "ylim": (0, 108)}
    for each in bars(axes, trained, percent, **labels).values():
        axes.bar_label(each, fmt="%.0f", fontsize=12)
    legend(axes, columns=2)
    mark_y(figure, axes, guess, whole=100)
    return figure


@in_style
def pruning(accuracies: Mapping[str, Mapping[float, float]], guess: Any = None) -> Picture:
    """Draw the accuracy that is left when a share of the weights becomes zero, a line for each way.

    `guess` is the share at which the accuracy is expected to fall.
    """
    told = "; ".join(
        f"{name} "
        + ", ".join(f"{accuracy:.3f} at {share:.0%}" for share, accuracy in curve.items())
        for name, curve in accuracies.items()
    )
    figure = Picture(
        11,
        4.6,
        f"accuracy by the share of the weights that is removed: {told}",
        caption="Up to where do the two lines stay level?",
    )
    axes = figure.subplots()
    curves = {
        name: ([100 * share for share in curve], list(curve.values()))
        for name, curve in accuracies.items()
    }
    lines(axes, curves, xlabel="weights removed, %", ylabel="accuracy", ylim=(0, 1.02))
    legend(axes)
    mark_x(figure, axes, guess, whole=100)
    return figure


@in_style
def break_even(times: Sequence[ProductTimes], guess: Any = None) -> Picture:
    """Draw how many times faster a sparse product is than a dense one, by density and size.

    `guess` is the density at which both are expected to be equally fast.
    """
    gains = "; ".join(
        f"size {t.size}: CSR breaks even at density {t.break_even:.2f}, and at density "
        f"{t.densities[0]:g} is {t.gain[0]:.0f} times faster than dense"
        for t in times
    )
    figure = Picture(
        13,
        5.2,
        f"gain of sparse products over dense ones: {gains}",
        caption="Above 1 the sparse product is faster. How sparse must a matrix be for that?",
    )
    axes = figure.subplots()
    densities = np.array(times[0].densities)
    axes.plot(densities, 1 / densities, "k:", label="as much as the arithmetic")
    axes.axhline(1, color=BLACK, linewidth=1.5)
    for measured, style in styled(times):
        label = f"CSR, {measured.size}x{measured.size}"
        axes.plot(measured.densities, measured.gain, label=label, **style)
    axes.text(densities[0], 1.1, "faster than dense", va="bottom")
    axes.text(densities[0], 0.9, "slower than dense", va="top")
    axes.set(xscale="log", yscale="log")
    axes.set(xlabel="density: the part that is not zero", ylabel="times faster than dense")
    axes.set_xticks(densities, [f"{density:g}" for density in densities])
    axes.minorticks_off()
    powers(axes.yaxis, (2, 5))
    axes.grid(alpha=0.3)
    legend(axes)
    mark_x(figure, axes, guess, whole=1)
    return figure


@in_style
def dense_blocks(matrix: Tensor, blocks: Sequence[Block]) -> Picture:
    """Draw where a matrix is not zero: in its own order, and in the order of its blocks.

    The rows and columns of each block are moved together; it stays the same matrix.
    """
    rows = np.concatenate([block.rows.numpy() for block in blocks])
    columns = np.concatenate([block.columns.numpy() for block in blocks])
    pattern = (matrix != 0).numpy()
    inside = sum(block.values.numel() for block in blocks)
    figure = Picture(
        11,
        5.3,
        f"the same {len(pattern)}x{len(pattern)} matrix, {pattern.mean():.1%} of it not zero: "
        f"scattered (left), and reordered into {len(blocks)} blocks, which are "
        f"{inside / pattern.size:.1%} of it (right)",
        caption="Both panels hold the same numbers. How much of the right one is empty?",
    )
    left, right = figure.subplots(1, 2)
    for axes, shown, title in (
        (left, pattern, "as it comes"),
        (right, pattern[rows][:, columns], "rows and columns reordered"),
    ):
        axes.imshow(shown, cmap="Blues", vmin=0, vmax=1.1, interpolation="nearest")
        axes.set(title=title, xlabel="column", ylabel="row", xticks=[], yticks=[])
    return figure


@in_style
def one_convolution(kernel: Tensor) -> Picture:
    """Draw which weights of a convolution [c_out, c_in, side, side] are not zero.

    A row is an output channel, a column a position of the window: from left to right and top to
    bottom in the left panel, from the center outwards in the right one.
    """
    c_out, _, side, _ = kernel.shape
    pattern = (kernel != 0).any(dim=1).flatten(1).numpy()
    ring = rings(side, side).flatten().numpy()
    order = np.argsort(ring, kind="stable")
    figure = Picture(
        12,
        5.4,
        f"a convolution of {side}x{side} with {c_out} output channels, {pattern.mean():.0%} of its "
        "weights not zero: strips where the window is read row by row (left), and three dense "
        "blocks in a staircase where it is read from the center outwards (right)",
        caption="Both panels hold the same weights. Which three layers do you see on the right?",
    )
    left, right = figure.subplots(1, 2, sharey=True)
    looks: Style = {"cmap": "Blues", "vmin": 0, "vmax": 1.1, "interpolation": "nearest"}
    for axes, shown, title, xlabel in (
        (left, pattern, "window read row by row", "position in the window"),
        (right, pattern[:, order], "from the center outwards", "position, by distance"),
    ):
        axes.imshow(shown, aspect="auto", **looks)
        axes.set(title=title, xlabel=xlabel)
    ends = np.cumsum(np.bincount(ring))
    right.set_xticks(ends - 0.5, [f"{2 * n + 1}x{2 * n + 1}" for n in range(len(ends))])
    left.set_xticks([])
    left.set_ylabel("output channel")
    return figure
