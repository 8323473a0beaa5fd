"""Figures of networks taken apart: their counts, what they see, and their gradients."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor
from torch.nn.functional import avg_pool2d

from ..cost import CostTable
from .guess import FRAME, LINE, mark_point, mark_words, mark_y, quotient, read, series
from .style import BLACK, BLUE, VERMILION, Picture, Style, in_style, legend, lines, logarithmic

LIMIT = 10  # per cent; what lies beyond is cut
SHARE = 0.9  # of the gradient, in the square that is drawn
DASHED: Style = {"edgecolor": VERMILION, "linestyle": "--", "linewidth": 4}
CELL = 4  # pixels a side, that are drawn as one


@in_style
def against_paper(
    columns: Mapping[str, Mapping[str, tuple[float, float]]], guess: Any = None
) -> Picture:
    """Draw how much our counts differ from a paper's, with a panel for each column of its table.

    `columns` holds, by column and row, our count and the printed number. There is no bar where the
    printed number is our count, rounded or cut off; bars beyond 10 % are broken and labeled.

    `guess` is the expected number of rows of the first column in which the two agree.
    """
    deviations = {
        column: {
            name: 0.0 if agrees(*pair) else 100 * (pair[0] / pair[1] - 1)
            for name, pair in rows.items()
        }
        for column, rows in columns.items()
    }
    agreement = "; ".join(
        f"{column}: {sum(value == 0 for value in rows.values())} of {len(rows)} rows agree, "
        f"the others differ by {', '.join(f'{n} {v:+.1f} %' for n, v in rows.items() if v)}"
        for column, rows in deviations.items()
    )
    figure = Picture(
        13,
        4.8,
        f"our counts against the printed ones. {agreement}",
        caption="Which rows have a bar? There our count is not the printed number.",
    )
    panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for axes, (column, rows) in zip(panels, deviations.items(), strict=True):
        heights = [max(-LIMIT, min(LIMIT, value)) for value in rows.values()]
        bars = axes.bar(list(rows), heights, color=VERMILION, hatch="//", edgecolor="white")
        axes.bar_label(bars, [label(value) for value in rows.values()], padding=3, fontsize=12)
        for place, value in enumerate(rows.values()):
            if abs(value) > LIMIT:
                draw_break(axes, place, 0.8 * max(-LIMIT, min(LIMIT, value)))
        axes.axhline(0, color=BLACK, lw=1)
        axes.tick_params(axis="x", rotation=60)
        axes.set(title=column, ylim=(-1.2 * LIMIT, 1.2 * LIMIT))
    panels[0].set(ylabel="count against print, %")
    mark_words(figure, panels[0], guess, " rows agree")
    return figure


def agrees(counted: float, printed: float) -> bool:
    """Return whether `printed` is `counted`, rounded or cut off at its last digit."""
    unit = 1 if printed == int(printed) else 0.1
    return abs(counted - printed) <= unit / 2 or 0 <= counted - printed < unit


def label(value: float) -> str:
    if abs(value) > 9999:
        return ">9999"
    return f"{value:+.{1 if abs(value) < LIMIT else 0}f}" if value else ""


def draw_break(axes: Axes, x: float, y: float) -> None:
    """Draw a gap in a bar, which says that its value is larger than it is drawn."""
    for up, color, width in ((0, "white", 9), (0.45, BLACK, 1.5), (-0.45, BLACK, 1.5)):
        ends = [y + up - 0.4, y + up + 0.4]
        axes.plot([x - 0.5, x + 0.5], ends, color=color, lw=width, solid_capstyle="butt")


@in_style
def receptive_fields(
    costs: CostTable, paths: Sequence[str], image: int, guess: Any = None
) -> Picture:
    """Draw the side of the receptive field after each stage, a line for each branch always taken.

    Stages that do not widen the widest field, and the head, are left out. `guess` is the expected
    side at the end, in pixels.
    """
    rows, widest = [], 0
    for row in costs.blocks:
        if row.name == "pool":  # the head averages whole maps
            break
        if (row.receptive_field or 0) > widest:
            widest = row.receptive_field or 0
            rows.append(row)
    names = [row.name for row in rows]
    curves = {
        f"always the {path} branch": (
            names,
            [
                row.receptive_fields.get(path, next(iter(row.receptive_fields.values()))).size
                for row in rows
            ],
        )
        for path in paths
    }
    ends = ", ".join(
        f"{path} {sizes[-1]}" for path, (_, sizes) in zip(paths, curves.values(), strict=True)
    )
    figure = Picture(
        12,
        5.2,
        f"pixels that one position sees, stage by stage, at the end {ends}; the image has {image}",
        caption="Follow the lines to the right. Do they reach the dotted line, the whole image?",
    )
    axes = figure.subplots()
    lines(axes, curves, ylabel="receptive field, pixels a side")
    axes.axhline(image, color=BLACK, linestyle=":", label="the whole image")
    axes.tick_params(axis="x", rotation=60)
    legend(axes)
    mark_y(figure, axes, guess, series(axes))
    return figure


@in_style
def influence(heat: Mapping[str, Tensor], fields: Mapping[str, int], guess: Any = None) -> Picture:
    """Draw how much each pixel changes one position of a stage, in a panel for each stage.

    `heat` holds, by stage, the size of the gradient at each pixel, `[H, W]`; `fields` holds the
    sides of the receptive fields, in pixels. A solid square around the middle contains nine tenths
    of the gradient; a dashed one is the field, unless that is wider than the image. Grays show the
    square root of the gradient, so that small ones are visible.

    `guess` is the expected side of the solid square in the first panel.
    """
    figure = Picture(
        13,
        6.4,
        caption="Dark pixels change the position most. How much of the field is used?",
    )
    panels = figure.subplots(1, len(heat), squeeze=False)[0]
    told = []
    for axes, (stage, values) in zip(panels, heat.items(), strict=True):
        sizes = values.detach().double()
        center = middle(sizes)
        side, field = side_of(sizes, center), fields[stage]
        coarse = avg_pool2d(sizes[None], CELL, ceil_mode=True, count_include_pad=False)[0]
        height, width = (CELL * length - 0.5 for length in coarse.shape)
        shades = (coarse / coarse.max()).sqrt().numpy()
        extent = -0.5, width, height, -0.5
        axes.imshow(shades, extent=extent, cmap="gray_r", interpolation="nearest")
        whole = f"field {field} pixels"
        if field <= min(sizes.shape):
            draw_square(axes, center, field, label="receptive field", **DASHED)
        else:
            whole += ", wider than the image"
        part = f"{SHARE:.0%} of the gradient"
        draw_square(axes, center, side, label=part, edgecolor=BLUE, linewidth=4)
        axes.set_title(f"{stage}: {whole}\n{part} within {side}")
        axes.set(xlabel="pixels", ylabel="pixels")
        told.append(f"{stage}: {whole}, {part} within {side}")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.description = (
        f"gradient of one position with respect to the image's pixels, as a square. "
        f"{'; '.join(told)}"
    )
    expected = read(guess)
    first = next(iter(heat.values()))
    if expected is not None and 0 < expected <= 2 * len(first):
        look: Style = {"linestyle": LINE["linestyle"], "linewidth": 4}
        draw_square(panels[0], middle(first), expected, **FRAME | look)
    mark_words(figure, panels[0], guess, " pixels")
    return figure


def middle(sizes: Tensor) -> tuple[int, int]:
    """Return the row and the column of the center of the values."""
    rows, columns = (torch.arange(length) for length in sizes.shape)
    row = (sizes.sum(dim=1) * rows).sum() / sizes.sum()
    column = (sizes.sum(dim=0) * columns).sum() / sizes.sum()
    return round(row.item()), round(column.item())


def side_of(sizes: Tensor, center: tuple[int, int]) -> int:
    """Return the side of the smallest square around the center with nine tenths of the sum."""
    row, column = center
    wanted, reach = SHARE * sizes.sum(), 0
    while inside(sizes, row, column, reach) < wanted:
        reach += 1
    return 2 * reach + 1


def inside(sizes: Tensor, row: int, column: int, reach: int) -> Tensor:
    rows = slice(max(0, row - reach), row + reach + 1)
    return sizes[rows, max(0, column - reach) : column + reach + 1].sum()


def draw_square(axes: Axes, center: tuple[int, int], side: float, **look: Any) -> None:
    row, column = center
    corner = column - side / 2, row - side / 2
    axes.add_patch(Rectangle(corner, side, side, **{"fill": False} | look))


@in_style
def gradient_norms(norms: Mapping[str, Mapping[str, float]], guess: Any = None) -> Picture:
    """Draw the gradient with respect to each layer's outputs, from the image to the head.

    `norms` holds root mean squares, as `probe.rms("gradient")` takes them, by network and layer.
    `guess` says how many times smaller the first line is expected to be at its start than its end.
    """
    layers = list(next(iter(norms.values())))
    ends = "; ".join(
        f"{name}: {values[layers[0]]:.2g} at {layers[0]}, {values[layers[-1]]:.2g} at {layers[-1]}"
        for name, values in norms.items()
    )
    figure = Picture(
        11,
        5,
        f"root mean square of the gradient, layer by layer. {ends}",
        caption="How much of the gradient is left near the image?",
    )
    axes = figure.subplots()
    curves = {name: (layers, list(values.values())) for name, values in norms.items()}
    lines(axes, curves, xlabel="outputs of", ylabel="gradient, RMS")
    logarithmic(axes)
    legend(axes)
    first = next(iter(norms.values()))
    start = quotient(first[layers[-1]], guess)
    mark_point(figure, axes, layers[0], guess, start, " times smaller")
    return figure
