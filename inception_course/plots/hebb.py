"""Figures of Hebb's rules, of planted and recovered wirings, of correlations and of zeros."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.patches import Rectangle
from torch import Tensor
from torch.nn.functional import cosine_similarity

from ..hebbian import Block, ProductTimes, Recovery
from .style import (
    BLACK,
    BLUE,
    GREEN,
    MARKED,
    ORANGE,
    VERMILION,
    Picture,
    Style,
    bars,
    in_style,
    integers,
    legend,
    lines,
    means,
    styled,
)

WINDOWS = ("1x1", "3x3", "5x5")


@in_style
def rule_lengths(lengths: Mapping[str, Tensor]) -> Picture:
    """Draw the length of the weight vector after every step, a line for each rule."""
    ends = "; ".join(f"{name} ends at {values[-1]:.3g}" for name, values in lengths.items())
    figure = Picture(9, 4.4, f"length of the weights per step: {ends}")
    axes = figure.subplots()
    curves = {name: (range(len(values)), values) for name, values in lengths.items()}
    lines(axes, curves, xlabel="step", ylabel="length of the weights", yscale="log")
    legend(axes, "best")
    return figure


@in_style
def filters(rows: Mapping[str, Tensor]) -> Picture:
    """Draw rows of filters, [count, size * size] each; signs are chosen so that rows agree."""
    first = next(iter(rows.values()))
    count, side = len(first), int(first.shape[1] ** 0.5)
    agree = min(cosine_similarity(values, first).abs().min().item() for values in rows.values())
    figure = Picture(
        1.5 * count + 2.6,
        1.6 * len(rows) + 0.3,
        f"{count} filters of {side}x{side} pixels in each row, {' above '.join(rows)}; one above "
        f"the other they agree with |cosine| of {agree:.4f} or more",
    )
    grid = figure.subplots(len(rows), count, squeeze=False)
    for line, (name, values) in zip(grid, rows.items(), strict=True):
        for axes, filter_, like in zip(line, values, first, strict=True):
            signed = filter_ * (filter_ @ like).sign()
            shown = signed.view(side, side).numpy()
            limit = np.abs(shown).max()
            axes.imshow(shown, cmap="PuOr", vmin=-limit, vmax=limit)
            axes.set_axis_off()
        line[0].text(-0.2, 0.5, name, ha="right", va="center", transform=line[0].transAxes)
    return figure


@in_style
def wiring(recovery: Recovery, units: int = 9) -> Picture:
    """Draw what the first hidden units excite: found, missed, or taken for it by mistake."""
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
    figure = Picture(
        11,
        4.6,
        f"{recovery.exact} of {len(recovery.truth)} hidden units are recovered exactly. Shown are "
        f"the first {units} and the edges by which they excite units below: {counts}",
    )
    axes = figure.subplots()
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
    axes.set(
        ylim=(-0.15, 1.15),
        title=f"{recovery.exact} of {len(recovery.truth)} hidden units recovered exactly",
    )
    axes.set_axis_off()
    axes.legend(ncols=5, loc="upper center", bbox_to_anchor=(0.5, 0), fontsize=13)
    return figure


@in_style
def phase_transition(
    by_rho: Mapping[float, Sequence[float]],
    by_samples: Mapping[float, Sequence[float]],
    critical: float,
    enough: float,
) -> Picture:
    """Draw the part of the hidden units recovered exactly, against rho * d and number of samples.

    The sequences hold one number per seed. `critical` is the rho * d up to which the theorem's
    condition holds, `enough` the order of the number of samples that it asks for.
    """
    figure = Picture(
        13,
        4.8,
        "part of the hidden units recovered exactly. Left: "
        + ", ".join(f"{np.mean(shares):.2f} at rho d = {x:.2g}" for x, shares in by_rho.items())
        + f"; the theorem's condition ends at {critical:.2g}. Right: "
        + ", ".join(f"{np.mean(shares):.2f} at {x} samples" for x, shares in by_samples.items()),
    )
    panels = figure.subplots(1, 2, sharey=True)
    for axes, results in zip(panels, (by_rho, by_samples), strict=True):
        means(axes, {"mean over seeds": results}, xscale="log", ylim=(-0.05, 1.08))
    left, right = panels
    left.axvspan(
        min(by_rho) * 0.8, critical, color=GREEN, alpha=0.15, hatch="//", lw=0,
        label="the theorem's condition holds",
    )  # fmt: skip
    left.set(xlabel=r"$\rho\,d$: active part times degree", ylabel="part recovered exactly")
    left.set_xticks(ticks := list(by_rho), [f"{tick:.2g}" for tick in ticks], minor=False)
    left.minorticks_off()
    label = f"log(n) / rho = {enough:,.0f}"
    threshold = right.axvline(enough, color=GREEN, linestyle="--", label=label)
    right.set(xlabel="samples")
    right.set_xticks(ticks := list(by_samples), [f"{tick:,}" for tick in ticks])
    right.minorticks_off()
    for axes in panels:
        axes.tick_params(axis="x", labelsize=12, rotation=45)
    handles = [*left.get_legend_handles_labels()[0], threshold]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


@in_style
def correlation_by_distance(curves: Mapping[str, Tensor], floor: float) -> Picture:
    """Draw mean |r| between the center and each ring around it, and what chance would show."""
    ends = "; ".join(
        f"{name} from {curve[0]:.2f} at the same position to {curve[-1]:.2f} on ring "
        f"{len(curve) - 1}"
        for name, curve in curves.items()
    )
    figure = Picture(10.5, 4.8, f"mean |r| against distance: {ends}; by chance {floor:.3f}")
    axes = figure.subplots()
    rings = {name: (range(len(curve)), curve) for name, curve in curves.items()}
    lines(axes, rings, xlabel="distance from the center, in positions", ylabel="mean |r|")
    axes.axhline(floor, color=BLACK, linestyle=":", label="images shuffled: chance")
    axes.set_ylim(bottom=0)
    integers(axes.xaxis)
    legend(axes)
    return figure


@in_style
def channel_clusters(strength: np.ndarray, order: np.ndarray, groups: np.ndarray) -> Picture:
    """Draw |r| between the channels of a layer, as they come and in the order of their groups."""
    sizes = np.bincount(groups)[1:]
    figure = Picture(
        11.5,
        4.9,
        f"|r| between {len(order)} channels, as they come and in the order of their clusters: "
        f"{(sizes > 1).sum()} clusters of two channels or more hold {sizes[sizes > 1].sum()} of "
        f"them, the largest {max(sizes)}",
    )
    panels = figure.subplots(1, 2)
    for axes, places, title in zip(
        panels, (np.arange(len(order)), order), ("as they come", "in clusters"), strict=True
    ):
        shown = axes.imshow(strength[places][:, places], cmap="viridis", vmin=0, vmax=1)
        axes.set(title=title, xlabel="channel", xticks=[], yticks=[])
    panels[0].set_ylabel("channel")
    edges = np.flatnonzero(np.diff(groups[order], prepend=0, append=0))  # groups count from 1
    for start, side in zip(edges[:-1], np.diff(edges), strict=True):
        if side > 1:
            corner = (start - 0.5, start - 0.5)
            box = Rectangle(corner, side, side, fill=False, ec="white", lw=2)
            panels[1].add_patch(box)
    figure.colorbar(shown, ax=panels, label="|r|")
    return figure


@in_style
def window_coverage(covered: Mapping[str, Tensor], chance: Mapping[str, Tensor]) -> Picture:
    """Draw which part of the strongest partners the windows contain, per layer, and chance."""
    parts = "; ".join(
        f"{name} {', '.join(f'{value:.2f}' for value in values)}"
        for name, values in covered.items()
    )
    figure = Picture(
        13, 5, f"strongest partners inside 1x1, 3x3 and 5x5 (bars; chance is the line): {parts}"
    )
    axes = figure.subplots()
    heights, levels = (
        {window: [each[layer][n].item() for layer in covered] for n, window in enumerate(WINDOWS)}
        for each in (covered, chance)
    )
    for window, drawn in bars(axes, covered, heights).items():
        for bar, level in zip(drawn, levels[window], strict=True):
            axes.hlines(level, bar.get_x(), bar.get_x() + bar.get_width(), BLACK, lw=3)
    axes.plot([], [], color=BLACK, lw=3, label="by chance")
    axes.set(xlabel="layer", ylabel="part of the strongest 1 %", ylim=(0, 1.04))
    axes.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1))
    return figure


@in_style
def width_predictions(
    table: Mapping[str, Tensor], predicted: Mapping[str, Mapping[str, Tensor]]
) -> Picture:
    """Draw the shares of 1x1, 3x3 and 5x5 per block: the table's, and those of each reading."""
    distances = {
        reading: np.mean(
            [0.5 * (shares[block] - table[block]).abs().sum().item() for block in table]
        )
        for reading, shares in predicted.items()
    }
    misplaced = ", ".join(f"{name} {distance:.2f}" for name, distance in distances.items())
    figure = Picture(
        13.5,
        4.9,
        f"shares per block; mean part of the widths that each reading misplaces: {misplaced}",
    )
    panels = figure.subplots(1, 3, sharey=True)
    readings = {"Table 1": table, **predicted}
    for window, (axes, name) in enumerate(zip(panels, WINDOWS, strict=True)):
        curves = {
            reading: (list(table), [shares[block][window].item() for block in table])
            for reading, shares in readings.items()
        }
        lines(axes, curves, title=name, xlabel="block", ylim=(0, 0.85))
    panels[0].set_ylabel("share of the channels")
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=5)
    return figure


@in_style
def zeros(activations: Mapping[str, float], weights: Mapping[str, float]) -> Picture:
    """Draw the part of zero activations and of near-zero weights, layer by layer."""
    figure = Picture(
        12,
        4.6,
        f"zero activations: {min(activations.values()):.0%} to {max(activations.values()):.0%} "
        f"per layer; near-zero weights: {min(weights.values()):.1%} to "
        f"{max(weights.values()):.1%}",
    )
    axes = figure.subplots()
    series = {"activations that are 0": activations, "weights near 0": weights}
    percent = {
        name: [100 * shares[layer] for layer in activations] for name, shares in series.items()
    }
    drawn = bars(axes, activations, percent, xlabel="layer", ylabel="per cent", ylim=(0, 100))
    for each in drawn.values():
        axes.bar_label(each, fmt="%.2g", fontsize=12)
    axes.legend(loc="upper right", ncols=2)
    return figure


@in_style
def break_even(times: Sequence[ProductTimes]) -> Picture:
    """Draw how many times faster than dense a sparse product is, against the density, per size."""
    gains = "; ".join(
        f"size {t.size}: CSR breaks even at density {t.break_even('CSR'):.2f}, and at density "
        f"{t.densities[0]:g} is {t.gain('CSR')[0]:.0f} times faster than dense"
        for t in times
    )
    figure = Picture(13, 5.2, f"gain of sparse products over dense ones: {gains}")
    axes = figure.subplots()
    densities = np.array(times[0].densities)
    axes.plot(densities, 1 / densities, "k:", label="as much as the arithmetic")
    axes.axhline(1, color=BLACK, linewidth=1.5)
    for measured, style in styled(times, MARKED):
        for form, line, face in (("CSR", "-", style["color"]), ("BSR", "--", "white")):
            label = f"{form}, {measured.size}x{measured.size}"
            form_style = style | {"linestyle": line, "mfc": face}
            axes.plot(measured.densities, measured.gain(form), label=label, **form_style)
    axes.text(densities[0], 1.1, "faster than dense", va="bottom")
    axes.text(densities[0], 0.9, "slower than dense", va="top")
    axes.set(xscale="log", yscale="log")
    axes.set(xlabel="density: the part that is not zero", ylabel="times faster than dense")
    axes.set_xticks(densities, [f"{density:g}" for density in densities])
    ticks = [0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    legend(axes)
    return figure


@in_style
def dense_blocks(matrix: Tensor, blocks: Sequence[Block]) -> Picture:
    """Draw where a matrix is not zero, as it comes and in the order of the blocks.

    Every block takes its rows and columns with it; they are part of the same matrix.
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
def islands(matrix: np.ndarray, boxes: Sequence[tuple[slice, slice]]) -> Picture:
    """Draw a small matrix with its numbers, and a frame around each part that is not zero."""
    height, width = matrix.shape
    figure = Picture(
        0.62 * width,
        0.5 * height,
        f"a {height}x{width} matrix with {np.count_nonzero(matrix)} values that are not zero, in "
        f"{len(boxes)} frames of {', '.join(f'{_side(r)}x{_side(c)}' for r, c in boxes)}",
    )
    axes = figure.subplots()
    axes.set(xlim=(-0.6, width - 0.4), ylim=(height - 0.4, -0.6))
    for (row, column), value in np.ndenumerate(matrix):
        color = BLACK if value else "#767676"
        axes.text(column, row, f"{value:g}", ha="center", va="center", color=color)
    for rows, columns in boxes:
        corner = (columns.start - 0.45, rows.start - 0.45)
        size = (_side(columns) - 0.1, _side(rows) - 0.1)
        frame = Rectangle(corner, *size, fill=False, ec=VERMILION, lw=3)
        axes.add_patch(frame)
    axes.set_axis_off()
    return figure


def _side(part: slice) -> int:
    return part.stop - part.start
