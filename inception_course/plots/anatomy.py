"""Figures of networks taken apart: their counts, what they see, and their gradients."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..cost import CostTable
from .guess import mark_point, mark_words, mark_y, quotient, series
from .style import BLACK, VERMILION, Picture, in_style, legend, lines, logarithmic

LIMIT = 10  # per cent; what lies beyond is cut


@in_style
def against_paper(
    columns: Mapping[str, Mapping[str, tuple[float, float]]], guess: Any = None
) -> Picture:
    """Draw how far counts lie from a paper's, with a panel for each column of its table.

    Each row gives our count and the printed number. There is no bar where the printed number is
    the count, rounded or cut off; bars beyond 10 % are cut and labeled.

    `guess` is in how many rows of the first column print and count are expected to agree.
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


@in_style
def receptive_fields(
    costs: CostTable, paths: Sequence[str], image: int, guess: Any = None
) -> Picture:
    """Draw how many pixels a position sees after each stage, by the branch that is always taken.

    `guess` is the expected side at the end.
    """
    rows = [row for row in costs.blocks if row.stride and row.name not in ("dropout", "linear")]
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
def gradient_norms(norms: Mapping[str, Mapping[str, float]], guess: Any = None) -> Picture:
    """Draw the norm of the loss's gradient by each layer's weights, from the image to the head.

    `guess` is how many times smaller the first line is expected to start than it ends.
    """
    layers = list(next(iter(norms.values())))
    ends = "; ".join(
        f"{name}: {values[layers[0]]:.2g} at {layers[0]}, {values[layers[-1]]:.2g} at {layers[-1]}"
        for name, values in norms.items()
    )
    figure = Picture(
        11,
        5,
        f"norm of the gradient, layer by layer. {ends}",
        caption="How much of the gradient is left near the image?",
    )
    axes = figure.subplots()
    curves = {name: (layers, list(values.values())) for name, values in norms.items()}
    lines(axes, curves, xlabel="layer", ylabel="norm of the gradient")
    logarithmic(axes)
    legend(axes)
    first = next(iter(norms.values()))
    start = quotient(first[layers[-1]], guess)
    mark_point(figure, axes, layers[0], guess, start, " times smaller")
    return figure
