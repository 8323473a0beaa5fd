"""Whole networks drawn from their modules, as a strip of maps with their multiply-adds below."""

from collections.abc import Hashable, Iterable, Sequence
from itertools import groupby, pairwise, product
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Polygon
from torch import nn

from .ribbons import (
    CROSSED,
    EDGE,
    FONT,
    KINDS,
    RIBBON,
    amount,
    canvas,
    draw_box,
    largest,
    look_of,
    percent,
    text_width,
    write,
)
from .style import VERMILION, Picture, Style, in_style
from .traced import Column, read_columns

HEAD: Style = {"color": "#444444", "marker": "v", "linestyle": "", "markersize": 12}
WIDTH, HEIGHT = 14.0, 6.6  # inches, as all lengths from here on
BOTTOM, MAPS = 0.12, 2.8  # room below the names; height of the highest map
MARGIN, GAP, SIZE_GAP, CROSSING = 0.5, 0.14, 0.4, 1.0  # room at the left; three between columns
NARROWEST = 0.27  # a column, whose name then stands upright
MEET = "lanes meet"


class Slot(NamedTuple):
    """A slot is the place of a column: its left and right side, its map's width and lanes."""

    left: float
    right: float
    map_width: float
    lanes: int
    is_cut: bool

    @property
    def x(self) -> float:
        return (self.left + self.right) / 2


@in_style
def strip(model: nn.Module, input_shape: tuple[int, int, int]) -> Picture:
    """Draw a whole network, any module, for one image of (channels, height, width).

    Above are the maps: their width is their number of channels, their height is their side. Between
    them lie the poolings and layers that lead from one to the next. The areas of the bars below are
    the multiply-adds of each stage. Normalizations, activations and dropout are left out.
    """
    columns = read_columns(model, input_shape)
    total = sum(column.multiply_adds for column in columns)
    sizes = runs(column.size for column in columns)
    shares = [sum(column.multiply_adds for column in columns[run]) / total for run in sizes]
    told = "; ".join(
        f"{columns[run.start].size} up to {max(column.channels for column in columns[run]):,} "
        f"channels, {percent(share)} of the work"
        for run, share in zip(sizes, shares, strict=True)
    )
    description = (
        f"the network as a strip of {len(columns)} maps, {amount(total)} multiply-adds. By the "
        f"size of the map: {told}"
    )
    caption = "A map is as wide as its channels and as high as its side. Where is the work?"
    heads = getattr(model, "auxiliary", ())
    return draw_network(columns, [1] * len(columns), description, caption, heads)


@in_style
def lanes(model: nn.Module, input_shape: tuple[int, int, int]) -> Picture:
    """Draw a network with grouped convolutions, such as AlexNet, as a strip with lanes.

    A lane is one group of channels, which grouped layers keep apart from the others. A layer that
    is not grouped sees all lanes, and the ribbons cross.
    """
    columns = read_columns(model, input_shape)
    following = [column.groups for column in columns[1:]] + [1]
    split = [
        max(column.groups, after) if column.work else 1
        for column, after in zip(columns, following, strict=True)
    ]
    meeting = [columns[number].name for number in meetings(columns, split)]
    told = "; ".join(
        f"{column.name} {f'{count} times ' if count > 1 else ''}{column.channels // count:,} "
        f"channels of {column.size}"
        for column, count in zip(columns, split, strict=True)
    )
    number = f"{max(split)} lanes" if max(split) > 1 else "one lane"
    where = f", which meet in {' and '.join(meeting)}" if meeting else ""
    description = f"the network in {number}{where}: {told}"
    caption = "Where ribbons cross, a layer sees every lane. Which layers are these?"
    return draw_network(columns, split, description, caption)


def meetings(columns: Sequence[Column], split: Sequence[int]) -> list[int]:
    """List the columns whose layers see several lanes."""
    return [n for n in range(1, len(columns)) if split[n - 1] > columns[n].groups]


# Scales and places


def runs(values: Iterable[Hashable]) -> list[slice]:
    """Cut a series into slices of equal values."""
    parts, start = [], 0
    for _, group in groupby(values):
        stop = start + len(list(group))
        parts.append(slice(start, stop))
        start = stop
    return parts


def labels_above(columns: Sequence[Column], split: Sequence[int]) -> list[tuple[slice, str]]:
    """Return the sizes of the maps, each with the neighboring columns that have it."""
    parts = runs((column.size, count) for column, count in zip(columns, split, strict=True))
    return [(part, columns[part.start].size) for part in parts]


def labels_below(columns: Sequence[Column], split: Sequence[int]) -> list[tuple[slice, str]]:
    """Return the channels of a map in a lane, with the neighboring columns that have as many."""
    kinds = zip((column[1:4] for column in columns), split, strict=True)
    return [
        (part, f"{columns[part.start].channels // split[part.start]:,}") for part in runs(kinds)
    ]


def place(columns: Sequence[Column], split: Sequence[int]) -> list[Slot]:
    """Place the columns side by side, all with the same scale of channels.

    Columns more than twice as wide as the widest map are cut, such as 4,096 fully connected units.
    Raises `ValueError` for more columns than fit.
    """
    parts = [column.channels / count for column, count in zip(columns, split, strict=True)]
    most = 2 * max(part for part, column in zip(parts, columns, strict=True) if column.height > 1)
    gaps = [0.0] + [GAP if a.size == b.size else SIZE_GAP for a, b in pairwise(columns)]
    labels = labels_below(columns, split) + labels_above(columns, split)
    labels += [(run, percent(0)) for run, _ in labels_above(columns, split)]
    for number in range(1, len(columns)):
        if max(split[number - 1 : number + 1]) > 1 == columns[number].groups:
            gaps[number] = CROSSING
    for number in meetings(columns, split):
        labels.append((slice(number, number + 1), MEET))

    def widths(scale: float) -> list[float]:
        widths = [max(NARROWEST, scale * min(part, most)) for part in parts]
        for run, words in labels:
            lacking = text_width(words) + 0.12 - sum(widths[run]) - sum(gaps[run][1:])
            widths[run] = [width + max(0.0, lacking / len(widths[run])) for width in widths[run]]
        return widths

    room, upright = WIDTH - MARGIN - 0.1, len(labels)
    labels += [
        (slice(number, number + 1), max(wrapped(column.name).split("\n"), key=text_width))
        for number, column in enumerate(columns)
    ]
    if sum(widths(0) + gaps) > room:  # the names are written upwards
        del labels[upright:]
        if sum(widths(0) + gaps) > room:
            raise ValueError(
                f"{len(columns)} stages do not fit side by side: draw a part of the network"
            )
    scale = largest(lambda scale: sum(widths(scale) + gaps), room)
    slots, x = [], MARGIN
    for width, gap, part, count in zip(widths(scale), gaps, parts, split, strict=True):
        x += gap + width
        slots.append(Slot(x - width, x, scale * min(part, most), count, part > most))
    return slots


# Drawing


def draw_network(
    columns: Sequence[Column],
    split: Sequence[int],
    description: str,
    caption: str,
    heads: Iterable[str] = (),
) -> Picture:
    """Draw a network's maps above, its work below; `heads` names columns with an auxiliary head."""
    figure = Picture(WIDTH, HEIGHT, description, caption)
    axes, slots, heads = canvas(figure), place(columns, split), set(heads)
    meeting = meetings(columns, split)
    floor = write_names(axes, columns, slots, BOTTOM + 0.3 * bool(meeting)) + 0.08
    high = MAPS + 0.5 * bool(meeting)
    middle, bottom = HEIGHT - 0.4 - high / 2, HEIGHT - 0.75 - high
    draw_maps(axes, columns, slots, middle, high)
    draw_work(axes, columns, slots, floor, bottom - 0.35 - floor)
    total = sum(column.multiply_adds for column in columns)
    for run in runs(column.size for column in columns):
        left, right = slots[run.start].left, slots[run.stop - 1].right
        share = sum(column.multiply_adds for column in columns[run]) / total
        if share:
            write(axes, (left + right) / 2, bottom - 0.16, percent(share), "bold")
        if run.start:
            x = (left + slots[run.start - 1].right) / 2
            axes.plot([x, x], [floor, bottom], color=EDGE, lw=1, ls=":", zorder=0)
    for column, slot in zip(columns, slots, strict=True):
        if column.name in heads:
            below = middle - high * column.height / (2 * columns[0].height) - 0.48
            axes.plot([slot.x], [below], **HEAD)
    for number in meeting:
        write(axes, slots[number].x, 0.2, MEET, "bold", color=VERMILION)
    write(axes, 0.2, middle, "maps", rotation=90)
    write(axes, 0.2, (floor + bottom) / 2, "work", rotation=90)
    explain(axes, columns, f"{amount(total)} multiply-adds", bool(heads))
    return figure


def write_names(
    axes: Axes, columns: Sequence[Column], slots: Sequence[Slot], bottom: float
) -> float:
    """Write the columns' names, all upright if one is too wide; return how high they reach."""
    names = [wrapped(column.name) for column in columns]
    upwards = any(
        max(map(text_width, name.split("\n"))) > slot.right - slot.left
        for name, slot in zip(names, slots, strict=True)
    )
    if upwards:
        names = [column.name for column in columns]
        top = bottom + max(map(text_width, names))
    else:
        top = bottom + 0.22 * max(name.count("\n") + 1 for name in names)
    for name, slot in zip(names, slots, strict=True):
        write(axes, slot.x, top, name, va="top", rotation=90 if upwards else 0)
    return top


def wrapped(name: str) -> str:
    """Break a long name into two lines."""
    return name.replace("_", "_\n", 1) if len(name) > 8 else name


def draw_maps(
    axes: Axes, columns: Sequence[Column], slots: Sequence[Slot], middle: float, height: float
) -> None:
    """Draw the maps around `middle`, the highest of them `height` high, with their labels.

    Between two maps, the ribbon first narrows to the height after a pooling, then after the layer.
    """
    scale = height / max(column.height for column in columns)
    centers = [
        [middle + height * ((slot.lanes - 1) / 2 - lane) / slot.lanes for lane in range(slot.lanes)]
        for slot in slots
    ]
    for number, (column, slot) in enumerate(zip(columns, slots, strict=True)):
        high = scale * column.height
        for y in centers[number]:
            draw_ribbon(axes, (slot.left, slot.right), (y, y), (high, high))
            draw_box(axes, slot.x - slot.map_width / 2, y - high / 2, slot.map_width, high)
            for shift in (-0.03, 0.03) if slot.is_cut else ():
                x = slot.x + shift
                axes.plot([x - 0.03, x + 0.03], [y - 0.09, y + 0.09], color=EDGE, lw=1.5, zorder=4)
    for number, (before, column) in enumerate(pairwise(columns), 1):
        start, end = slots[number - 1].right, slots[number].left
        high, whence = scale * before.height, centers[number - 1]
        if column.pooled:
            stop, pooled = start + SIZE_GAP / 2 if column.work else end, scale * column.pooled
            for y in whence:
                draw_ribbon(axes, (start, stop), (y, y), (high, pooled), "pooling")
            start, high = stop, pooled
        if column.work:
            crosses = column.groups == 1 and len(whence) > 1
            both_apart = len(whence) == len(centers[number]) and not crosses
            pairs = (zip if both_apart else product)(whence, centers[number])
            for pair in pairs:
                heights = high, scale * column.height
                draw_ribbon(axes, (start, end), pair, heights, "crossing" if crosses else "")
    split = [slot.lanes for slot in slots]
    for run, words in labels_above(columns, split):
        x = (slots[run.start].left + slots[run.stop - 1].right) / 2
        write(axes, x, centers[run.start][0] + scale * columns[run.start].height / 2 + 0.17, words)
    for run, words in labels_below(columns, split):
        x = (slots[run.start].left + slots[run.stop - 1].right) / 2
        for y in centers[run.start]:
            write(axes, x, y - scale * columns[run.start].height / 2 - 0.2, words, "bold")


def draw_ribbon(
    axes: Axes,
    x: tuple[float, float],
    y: tuple[float, float],
    height: tuple[float, float],
    kind: str = "",
) -> None:
    """Draw the ribbon between two maps; each pair is a value at its left and at its right end."""
    above, below = (
        [(x[end], y[end] + side * height[end] / 2) for end in (0, 1)] for side in (1, -1)
    )
    looks: dict[str, Style] = {
        "": {"facecolor": RIBBON, "edgecolor": RIBBON, "lw": 0.5, "zorder": 1},
        "crossing": {"facecolor": CROSSED, "edgecolor": VERMILION, "lw": 1, "zorder": 2},
        "pooling": look_of("pooling") | {"zorder": 2},
    }
    axes.add_patch(Polygon([*above, *reversed(below)], **looks[kind], gid=kind or "ribbon"))


def draw_work(
    axes: Axes, columns: Sequence[Column], slots: Sequence[Slot], floor: float, height: float
) -> None:
    """Draw each stage's multiply-adds as a bar, by kind of layer; all bars have the same width."""
    wide = min(slot.right - slot.left for slot in slots)
    most = max(column.multiply_adds for column in columns)
    for column, slot in zip(columns, slots, strict=True):
        y = floor
        for kind in KINDS:
            high = height * column.work.get(kind, 0) / most
            if high:
                draw_box(axes, slot.x - wide / 2, y, wide, high, kind)
            y += high
    axes.plot([slots[0].left, slots[-1].right], [floor, floor], color=EDGE, lw=1)


def explain(axes: Axes, columns: Sequence[Column], title: str, has_heads: bool) -> None:
    """Write the legend of the kinds of layers in the upper right corner, where maps are small."""
    found = {kind for column in columns for kind in column.work}
    found |= {"pooling" for column in columns if column.pooled}
    handles: list[Any] = [Patch(**look_of(kind), label=kind) for kind in KINDS if kind in found]
    if has_heads:
        handles.append(Line2D([], [], **HEAD, label="auxiliary head"))
    corner = axes.legend(
        handles=handles,
        title=title,
        ncols=4,
        loc="upper right",
        fontsize=FONT,
        title_fontsize=FONT + 1,
        borderpad=0.3,
        columnspacing=1.2,
    )
    corner.get_title().set_fontweight("bold")
