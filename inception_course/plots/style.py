"""What every figure of the course has: words beside it, and colors that all can tell apart.

A figure shows itself in a notebook. Its caption is the line that says what to look at; its
description tells what it shows to those who do not see it. The colors are Okabe and Ito's, which
color-blind readers can tell apart, and lines and bars differ in more than color. Figures are drawn
in the course's own settings, whatever the reader's are, and leave those as they were.
"""

import base64
import html
import io
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from math import lcm
from statistics import mean
from typing import Any, TypeVar

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import Bbox

T = TypeVar("T")
Style = dict[str, Any]

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"

COLORS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, BLACK, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "*")
DASHES = ("-", "--", "-.", ":")
# As many styles as differ without color, in the marker or in the dashes. In the first ones, MARKED,
# every marker differs: these are for figures in which the dashes say something else.
LINES: tuple[Style, ...] = tuple(
    {
        "color": COLORS[number % len(COLORS)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": DASHES[number % len(DASHES)],
    }
    for number in range(lcm(len(MARKERS), len(DASHES)))
)
MARKED = LINES[: len(MARKERS)]

HATCHES = ("", "//", "..", "xx", "\\\\", "--", "||", "++", "oo", "OO", "**")
FILLS: tuple[Style, ...] = tuple(
    {"color": (BLUE, ORANGE, GREEN, VERMILION, SKY)[number % 5], "hatch": hatch}
    for number, hatch in enumerate(HATCHES)
)

# For a projector: letters and lines that can be read from the last row.
PROJECTOR = {
    "font.size": 14,
    "axes.titlesize": 15,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 2.5,
    "lines.markersize": 8,
    "figure.titlesize": 16,
    "legend.frameon": False,
}
# A decorator for all that draws: it takes the course's settings, not those of the reader's own
# matplotlibrc.
in_style = matplotlib.style.context(PROJECTOR, after_reset=True)

DOTS_PER_INCH = 100
GRAYSCALE: Style = {"cmap": "gray", "vmin": 0, "vmax": 255, "interpolation": "nearest"}


class Picture(Figure):
    """A figure, a caption that says what to look at, and a description of what is seen."""

    def __init__(self, width: float, height: float, description: str = "", caption: str = ""):
        super().__init__(figsize=(width, height), layout="constrained")
        self.description = description
        self.caption = caption

    @in_style
    def savefig(self, *args: Any, **kwargs: Any) -> None:
        super().savefig(*args, **kwargs)

    def png(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
        return buffer.getvalue()

    def html(self) -> str:
        source = base64.b64encode(self.png()).decode()
        alt = html.escape(self.description)
        style = "max-width: 100%"  # not wider than its cell
        return f'<img alt="{alt}" style="{style}" src="data:image/png;base64,{source}">'

    def bundle(self) -> tuple[dict, dict]:
        """Return what a notebook stores: the picture, its description as text, and as `alt`."""
        picture = {"image/png": base64.b64encode(self.png()).decode()}
        return picture | {"text/plain": self.description}, {"image/png": {"alt": self.description}}

    def words(self) -> str:
        """Return the caption and, for those who ask for it, the description, as Markdown."""
        description = html.escape(self.description)
        folded = f"<details><summary>Description</summary>{description}</details>"
        return f"*{self.caption}*\n\n{folded}"

    def show(self) -> Any:  # type: ignore[override]
        """Display the picture and its words; return the picture's handle, for redrawing.

        JupyterLab and nbconvert leave `alt` out of the page, so the description also stands below
        the caption, folded away. An <img> of HTML would keep it, but not everywhere that shows
        stored notebooks.
        """
        from IPython.display import Markdown, display

        data, metadata = self.bundle()
        handle = display(data, metadata=metadata, raw=True, display_id=True)
        display(Markdown(self.words()))
        return handle

    def _ipython_display_(self) -> None:
        self.show()


class Note:
    """A sentence that stands in place of something that cannot be shown."""

    def __init__(self, text: str):
        self.text = text

    def __repr__(self) -> str:
        return self.text


def styled(series: Iterable[T], table: Sequence[Style] = LINES) -> Iterator[tuple[T, Style]]:
    """Pair each of `series` with a style of its own; raises `ValueError` if `table` has too few."""
    series = list(series)
    if len(series) > len(table):
        raise ValueError(
            f"there are {len(series)} series to draw, and this figure can tell at most "
            f"{len(table)} apart: draw them in several figures"
        )
    return zip(series, table[: len(series)], strict=True)


def lines(axes: Axes, series: Mapping[str, tuple[Any, Any]], **labels: Any) -> None:
    """Draw a line for each of `series`, {name: (x, y)}; `labels` are those of `axes.set`.

    Where points are dense, markers stand at equal distances.
    """
    for (name, (x, y)), style in styled(series.items()):
        axes.plot(x, y, **style, markevery=0.1 if len(x) > 25 else None, label=name)
    axes.set(**labels)
    axes.grid(alpha=0.3)


def means(axes: Axes, series: Mapping[str, Mapping[Any, Sequence[float]]], **labels: Any) -> None:
    """Draw for each of `series`, {name: {x: values}}, every value and a line through the means."""
    curves = {
        name: (list(points), [mean(values) for values in points.values()])
        for name, points in series.items()
    }
    lines(axes, curves, **labels)
    for points, style in styled(series.values()):
        faint = style | {"linestyle": "", "markersize": 6, "alpha": 0.45}
        for x, values in points.items():
            axes.plot([x] * len(values), values, **faint)


def bars(
    axes: Axes,
    groups: Iterable[str],
    series: Mapping[str, Any],
    *,
    horizontal: bool = False,
    **labels: Any,
) -> dict[str, BarContainer]:
    """Draw for each group a bar of each of `series`; each series has a value for every group."""
    groups, height = list(groups), 0.8 / len(series)
    draw, set_ticks = (axes.barh, axes.set_yticks) if horizontal else (axes.bar, axes.set_xticks)
    drawn = {}
    for number, ((name, values), style) in enumerate(styled(series.items(), FILLS)):
        places = np.arange(len(groups)) + (number - (len(series) - 1) / 2) * height
        look = style | {"label": name, "edgecolor": "white"}
        drawn[name] = draw(places, values, 0.95 * height, **look)
    set_ticks(range(len(groups)), groups)
    axes.set(**labels)
    return drawn


def emphasis(pointed_out: Iterable[bool]) -> Style:
    """Return the style of bars of which some are highlighted."""
    chosen = [FILLS[bool(each)] for each in pointed_out]
    return {key: [fill[key] for fill in chosen] for key in chosen[0]} | {"edgecolor": "white"}


def grid(figure: Picture, shown: Sequence[tuple[str, Any]], columns: int, **look: Any) -> None:
    """Draw images, [H, W] each, row by row, each under its title; `look` is that of `imshow`."""
    rows = max(1, -(-len(shown) // columns))
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for axes in panels:
        axes.set_axis_off()
    for axes, (title, image) in zip(panels[: len(shown)], shown, strict=True):
        axes.imshow(np.asarray(image), **look)
        axes.set_title(title, fontsize=13)


def legend(axes: Axes, columns: int = 0) -> None:
    """Write a legend where it hides no data: beside the axes, or below the figure."""
    if columns:
        handles = axes.get_legend_handles_labels()
        axes.figure.legend(*handles, loc="outside lower center", ncols=columns)
    else:
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))


def factor(ratio: float) -> str:
    """Write a ratio, such as 3.2x, in at most five characters; empty if it is no number."""
    if not np.isfinite(ratio):
        return ""
    if ratio >= 999.5 or ratio < 0.05:
        return ">999x" if ratio > 1 else "<0.1x"
    return f"{ratio:.{1 if ratio < 9.95 else 0}f}x"


def logarithmic(axes: Axes) -> None:
    """Make the y axis logarithmic if any line has a value above zero."""
    if any((np.asarray(line.get_ydata()) > 0).any() for line in axes.lines):
        axes.set_yscale("log")


def powers(axis: Axis, between: Sequence[int]) -> None:
    """Write a logarithmic axis's ticks as numbers: powers of ten, and `between` if they fit."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, *between) if high < 1e4 * low else (1,)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())


def integers(axis: Axis) -> None:
    """Put ticks only at whole numbers."""
    axis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))


# Where a name may stand beside its point: the offset, and the text's alignment.
SPOTS = (
    ((11, 0), "left", "center"),
    ((-11, 0), "right", "center"),
    ((0, 11), "center", "bottom"),
    ((0, -11), "center", "top"),
)


def name_points(
    figure: Picture,
    axes: Axes,
    points: Mapping[str, tuple[float, float]],
    spare: Container[str] = (),
) -> dict[str, Annotation]:
    """Write each name beside its point, where it hides no mark of the axes and no other name.

    Of the names in `spare`, those that would lie on another name are left out.
    """
    figure.draw_without_rendering()
    places = axes.transData.transform(np.concatenate([line.get_xydata() for line in axes.lines]))
    taken = [Bbox.from_bounds(x - 9, y - 9, 18, 18) for x, y in places]
    room, names = axes.get_window_extent(), {}
    for name, point in points.items():
        best = None
        for away, across, up in SPOTS:
            text = axes.annotate(
                name, point, away, textcoords="offset points", ha=across, va=up, fontsize=13
            )
            box = text.get_window_extent()
            cost = sum(box.overlaps(each) for each in taken)
            cost += 5 * (box.x1 > room.x1 or box.x0 < room.x0)
            if best is None or cost < best[0]:
                if best:
                    best[1].remove()
                best = cost, text, box
            else:
                text.remove()
        assert best is not None
        if name in spare and any(best[2].overlaps(each) for each in taken[len(places) :]):
            best[1].remove()
            continue
        taken.append(best[2])
        names[name] = best[1]
    return names
