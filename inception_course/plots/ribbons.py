"""What all drawings of networks share: widths are channels, areas are multiply-adds.

Maps are gray. Each kind of layer has a color and a hatching, and the area of a layer is in
proportion to its multiply-adds. Axes are measured in inches, so that drawings share a scale.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextPath

from .style import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION, YELLOW, Picture, Style

MAP, RIBBON, CROSSED, EDGE = "#97A6B8", "#DDE4EB", "#F6D3BC", "#333333"
# The color and hatching of each kind of layer; the order is that of the legend and of the bars.
KINDS: dict[str, tuple[str, str]] = {
    "1x1": ("#FFFFFF", ""),
    "3x3": (SKY, ""),
    "1x3, 3x1": ("#BFE3F7", "--"),
    "5x5": (ORANGE, "///"),
    "7x7": (PURPLE, "xxx"),
    "1x7, 7x1": ("#EBCADB", "\\\\\\"),
    "11x11": (BLUE, "++"),
    "other": (GREEN, "oo"),
    "linear": (YELLOW, "|||"),
    "pooling": (VERMILION, "..."),
}
NO_LAYER = {"map": (MAP, ""), "key": ("none", "")}
FONT = 13  # points


def largest(size: Callable[[float], float], room: float) -> float:
    """Find the largest scale at which `size`, which grows with the scale, fits into `room`."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if size(middle) <= room else (low, middle)
    return low


@cache
def text_width(words: str) -> float:
    """Return how wide `words` are in bold, in inches."""
    outline = TextPath((0, 0), words, size=FONT, prop=FontProperties(weight="bold"))
    return outline.get_extents().width / 72


def amount(number: float) -> str:
    return f"{number / 1e9:.2f} billion" if number >= 1e9 else f"{number / 1e6:.3g} million"


def percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.005 else "< 1 %"


def canvas(figure: Picture) -> Axes:
    """Make axes that are the whole figure, measured in inches."""
    figure.set_layout_engine("none")
    width, height = figure.get_size_inches()
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    return axes


def write(axes: Axes, x: float, y: float, words: str, weight: str = "normal", **look: Any) -> None:
    usual: Style = {"ha": "center", "va": "center", "fontsize": FONT, "zorder": 5}
    axes.text(x, y, words, weight=weight, **usual | look)


def look_of(kind: str) -> Style:
    """Return the style of a kind of layer, of a map, or of the key."""
    color, hatch = (KINDS | NO_LAYER)[kind]
    return {"facecolor": color, "hatch": hatch, "edgecolor": EDGE, "lw": 0.8}


def draw_box(
    axes: Axes, x: float, y: float, width: float, height: float, kind: str = "map"
) -> None:
    """Draw a layer, or a map, from its lower left corner; its `gid` says what it is."""
    axes.add_patch(Rectangle((x, y), width, height, zorder=3, gid=kind, **look_of(kind)))
