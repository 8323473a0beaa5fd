"""The mark "you said": what a reader predicted, drawn beside what was measured.

A guess is whatever stands behind `guess =` in a notebook. Left open, it changes nothing. One that
cannot be drawn becomes a sentence in the figure: a prediction never stops a lesson.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from ..reading import MAGNITUDES, number, plain, unwrap
from .style import PURPLE, Picture, Style

SIZE = 14  # of the letters
LONGEST = 30  # characters of a guess that are repeated
LINE: Style = {"color": PURPLE, "lw": 3.5, "linestyle": (0, (4, 2)), "zorder": 8}
FRAME: Style = {"edgecolor": PURPLE, "linewidth": 5, "fill": False, "zorder": 8}
Names = Mapping[str, Any]  # what has each name: an artist, several, axes, or a place on the x axis


def is_open(guess: Any) -> bool:
    return guess is ... or guess is None or (isinstance(guess, str) and guess.strip(" .…") == "")


def read(guess: Any, whole: float | None = None) -> float | None:
    """Return a guess as a number of the axis, or None.

    Words around the only number of a text are left out. On an axis of fractions, `whole` is the
    value of the whole, 1 or 100: there 0.8, 80 and "80 %" mean the same.
    """
    value = number(guess)
    percent = isinstance(guess, str) and re.search(r"(%|percent|per cent)\W*$", guess.strip())
    if value is None and isinstance(guess, str):
        words = "|".join(MAGNITUDES)
        found = re.findall(rf"[-+]?\d[\d,.]*(?:e[-+]?\d+)?(?:\s*(?:%|{words}))?", plain(guess))
        value = number(found[0].rstrip(",.")) if len(found) == 1 else None
        percent = bool(found) and found[0].endswith("%")
    if value is None or not math.isfinite(value):
        return None
    if whole and (percent or (whole == 100 and 0 < abs(value) < 1)):
        return value * whole
    return value / 100 if whole == 1 and 1 < value <= 100 else value


def mark_y(
    figure: Picture, axes: Axes, guess: Any, names: Names | None = None, whole: float | None = None
) -> None:
    """Mark a guess on the y axis with a horizontal line; if it is a name, mark what has it."""
    _mark(figure, axes, guess, names or {}, whole, vertical=False)


def mark_x(
    figure: Picture, axes: Axes, guess: Any, names: Names | None = None, whole: float | None = None
) -> None:
    """Mark a guess on the x axis with a vertical line; if it is a name, mark what has it."""
    _mark(figure, axes, guess, names or {}, whole, vertical=True)


def mark_point(
    figure: Picture, axes: Axes, at: Any, guess: Any, value: float | None, words: str = ""
) -> None:
    """Mark a guess with a star at `at` on the x axis and `value` on the y axis.

    `value` is what the guess means on that axis, and `words` follow the guess in the text.
    """
    if is_open(guess):
        return
    if value is None:
        _sentence(figure, axes, guess, "a number is wanted here")
        return
    x = float(np.ravel(axes.convert_xunits(at))[0])
    inside, arrow = _inside(axes, value, vertical=False)
    text = _said(figure, shown(read(guess)) + words)
    axes.autoscale(False)
    look: Style = {"marker": "*", "markersize": 22, "color": PURPLE, "zorder": 9, "clip_on": False}
    axes.plot(x, inside, markeredgecolor="black", **look)
    _label(figure, axes, f"{text} {arrow}".strip(), [axes.transData.transform((x, inside))])


def mark_choice(figure: Picture, axes: Axes, guess: Any, names: Names) -> None:
    """Mark what has the name that was guessed; a list may hold several names."""
    if is_open(guess):
        return
    guesses = list(guess) if isinstance(guess, list | tuple | set) else [guess]
    chosen = [find(each, names) for each in guesses]
    found = [name for name in chosen if name is not None]
    if len(found) < len(chosen) or not found:
        _sentence(figure, axes, guess, "that is none of the names here")
        return
    text = _said(figure, " and ".join(found))
    for name in found:
        carriers = names[name]
        several = isinstance(carriers, Iterable) and not isinstance(carriers, str | Artist)
        spots = [spot for each in (carriers if several else [carriers])
                 for spot in _outline(axes, each)]  # fmt: skip
        if name == found[0]:
            home = carriers if isinstance(carriers, Axes) else axes
            _label(figure, home, text, spots)


def mark_words(
    figure: Picture, axes: Axes, guess: Any, words: str = "", near: Text | None = None
) -> None:
    """Write a guess that is a number without a place on the axes, with `words` after it."""
    if is_open(guess):
        return
    value = read(guess)
    if value is None:
        _sentence(figure, axes, guess, "a number is wanted here")
    else:
        spots = _corners(near) if near else _all_over(axes)
        _label(figure, axes, _said(figure, shown(value) + words), spots)


def find(guess: Any, names: Iterable[str]) -> str | None:
    """Return the name that a guess means, however it is spelled, or None."""
    guess = unwrap(guess)
    if isinstance(guess, int | float) and not isinstance(guess, bool):
        guess = f"{guess:g}"
    if not isinstance(guess, str) or not (wanted := _letters(guess)):
        return None
    spelled = {name: _letters(name) for name in names}
    exact = [name for name, letters in spelled.items() if letters == wanted]
    part = [name for name, letters in spelled.items() if wanted in letters and len(wanted) > 1]
    return exact[0] if exact else part[0] if len(part) == 1 else None


def quotient(value: float, guess: Any) -> float | None:
    """Return `value` divided by the guess, which says how many times smaller it becomes."""
    times = read(guess)
    return value / times if times else None


def series(axes: Axes) -> dict[str, Artist]:
    """Return the lines of the axes by the names in their legend."""
    handles, labels = axes.get_legend_handles_labels()
    return {
        label: handle
        for handle, label in zip(handles, labels, strict=True)
        if isinstance(handle, Line2D)
    }


def shown(value: float | None) -> str:
    if value is None:
        return "?"
    return f"{value:,.0f}" if value == round(value) and abs(value) < 1e15 else f"{value:.4g}"


def _letters(text: str) -> str:
    return re.sub(r"[^\w.+]|_", "", plain(text))


def _mark(
    figure: Picture, axes: Axes, guess: Any, names: Names, whole: float | None, *, vertical: bool
) -> None:
    if is_open(guess):
        return
    several = isinstance(guess, list | tuple) and len(guess) > 1
    if names and (several or find(guess, names) is not None):
        mark_choice(figure, axes, guess, names)
        return
    value = read(guess, whole)
    if value is None:
        wanted = "a number or a name is wanted here" if names else "a number is wanted here"
        _sentence(figure, axes, guess, wanted)
        return
    text = _said(figure, shown(value) + (" %" if whole == 100 else ""))
    at, arrow = _inside(axes, value, vertical=vertical)
    _label(figure, axes, f"{text} {arrow}".strip(), _line(axes, at, vertical=vertical))


def _line(axes: Axes, at: float, *, vertical: bool) -> list[tuple[float, float]]:
    """Draw a line at a value of an axis; return places along it."""
    axes.autoscale(False)
    (axes.axvline if vertical else axes.axhline)(at, **LINE)
    start = (at, axes.get_ylim()[0]) if vertical else (axes.get_xlim()[0], at)
    x, y = axes.transData.transform(start)
    corners = [axes.transAxes.transform((part, part)) for part in np.linspace(0.02, 0.98, 9)]
    return [(x, up) if vertical else (across, y) for across, up in corners]


def _inside(axes: Axes, value: float, *, vertical: bool) -> tuple[float, str]:
    """Return `value` and no arrow; beyond the axis, return its end and an arrow towards `value`."""
    limits = axes.get_xlim() if vertical else axes.get_ylim()
    low, high = sorted(map(float, limits))
    # Left and right, or down and up.
    arrows = ("\u2190", "\u2192") if vertical else ("\u2193", "\u2191")
    below, above = arrows if limits[0] <= limits[1] else arrows[::-1]
    if value < low:
        return low, below
    return (high, above) if value > high else (value, "")


def _said(figure: Picture, what: str) -> str:
    figure.description = f"{figure.description.rstrip('.')}. You said {what}"
    return f"you said {what}"


def _sentence(figure: Picture, axes: Axes, guess: Any, why: str) -> None:
    """Write into the figure why the guess has no mark."""
    guess = unwrap(guess)
    quotable = isinstance(guess, str | int | float)
    what = " ".join(str(guess).split()) if quotable else "something else"
    what = f"{what[:LONGEST]}..." if len(what) > LONGEST else what
    what = "".join(sign if ord(sign) < 0x250 else "?" for sign in what)  # the font has these
    _label(figure, axes, _said(figure, f"{what}: {why}"), _all_over(axes))


def _outline(axes: Axes, carrier: Any) -> list[tuple[float, float]]:
    """Mark what has a name; return where a text may stand beside it."""
    if isinstance(carrier, Axes):
        for spine in carrier.spines.values():
            spine.set(visible=True, edgecolor=PURPLE, linewidth=5)
        return _all_over(carrier)
    axes.autoscale(False)
    if isinstance(carrier, Line2D):
        axes.plot(
            *carrier.get_data(), color=PURPLE, lw=12, alpha=0.4, zorder=1.5, solid_capstyle="round"
        )
        spots = carrier.get_transform().transform(carrier.get_xydata())
        ends = spots[len(spots) // 2 :]
        return [tuple(spot) for spot in reversed(ends)]  # where lines have parted
    if isinstance(carrier, Rectangle):
        corner, size = carrier.get_xy(), (carrier.get_width(), carrier.get_height())
        axes.add_patch(Rectangle(corner, *size, clip_on=False, **FRAME))
        return _corners(carrier)
    if isinstance(carrier, Text):
        carrier.set(bbox={"facecolor": "white", "edgecolor": PURPLE, "linewidth": 3})
        return _all_over(axes)
    return _line(axes, carrier, vertical=True)


def _corners(artist: Artist) -> list[tuple[float, float]]:
    box = artist.get_window_extent()
    return [(x, y) for x in (box.x0, box.x1) for y in (box.y0, box.y1)]


def _all_over(axes: Axes) -> list[tuple[float, float]]:
    parts = np.linspace(0.02, 0.98, 9)
    return [tuple(axes.transAxes.transform((x, y))) for x in parts for y in parts]


def _label(figure: Picture, axes: Axes, text: str, spots: Iterable[Any]) -> None:
    """Write `text` into the axes beside one of `spots`, where it hides least.

    `spots` are in the picture's own units and are kept relative to the axes, which may still be
    moved when the figure is laid out.
    """
    to_axes = axes.transAxes.inverted()
    relative = [tuple(to_axes.transform(spot)) for spot in spots]
    figure.draw_without_rendering()
    label = axes.text(
        0.5, 0.5, text, transform=axes.transAxes, fontsize=SIZE, zorder=10, parse_math=False,
        ha="left", va="bottom",
        bbox={"facecolor": "white", "edgecolor": PURPLE, "linewidth": 2, "pad": 3},
    )  # fmt: skip
    label.set_in_layout(False)
    box = label.get_window_extent()
    room = axes.get_window_extent()
    hidden = _contents(figure, axes, label)
    best: tuple[float, float, float] | None = None
    for spot in relative:
        for x, y in _beside(axes.transAxes.transform(spot), box.width, box.height):
            # Keep the text inside the axes, if it fits into them at all.
            x = max(room.x0 + 6, min(x, room.x1 - box.width - 6))
            y = max(room.y0 + 6, min(y, room.y1 - box.height - 6))
            cost = _hides(Bbox.from_bounds(x - 6, y - 6, box.width + 12, box.height + 12), hidden)
            if best is None or cost < best[0]:
                best = cost, x, y
    if best is not None:
        label.set_position(axes.transAxes.inverted().transform(best[1:]).tolist())


def _beside(spot: Any, width: float, height: float) -> Iterator[tuple[float, float]]:
    """Yield the lower left corners that a text beside a spot may have."""
    x, y = spot
    for across in (x + 12, x - width - 12, x - width / 2):
        for up in (y + 8, y - height - 8):
            yield across, up


def _contents(figure: Picture, axes: Axes, label: Text) -> tuple[np.ndarray, np.ndarray]:
    """Return what a text should not hide: points of lines, [N, 2], and boxes, [N, 4].

    A box is its lower left and its upper right corner; boxes of texts are counted twice.
    """
    points = []
    for line in axes.lines:
        path = line.get_transform().transform(line.get_xydata())
        path = path[np.isfinite(path).all(axis=1)]
        if len(path):
            steps = np.linspace(0, 1, 60)
            along = np.interp(steps * (len(path) - 1), range(len(path)), path[:, 0])
            up = np.interp(steps * (len(path) - 1), range(len(path)), path[:, 1])
            points.append(np.column_stack([along, up]))
    for marks in axes.collections:  # of `scatter`
        if isinstance(marks, PathCollection):
            places = np.ma.filled(np.ma.asarray(marks.get_offsets()), np.nan)
            points.append(marks.get_offset_transform().transform(places))
    boxes = [patch.get_window_extent() for patch in axes.patches if patch.get_visible()]
    written: list[Artist] = [
        text for text in axes.texts if text is not label and text.get_text().strip()
    ]
    written += [legend for legend in (axes.get_legend(), *figure.legends) if legend is not None]
    boxes += 2 * [each.get_window_extent() for each in written]
    corners = np.reshape([[*each.min, *each.max] for each in boxes], (-1, 4))
    return np.concatenate(points) if points else np.empty((0, 2)), corners


def _hides(box: Bbox, contents: tuple[np.ndarray, np.ndarray]) -> float:
    points, boxes = contents
    inside = (points > box.min) & (points < box.max)
    overlap = np.minimum(boxes[:, 2:], box.max) - np.maximum(boxes[:, :2], box.min)
    covered = overlap.clip(min=0).prod(axis=1).sum()
    return inside.all(axis=1).sum() + 20 * covered / (box.width * box.height)
