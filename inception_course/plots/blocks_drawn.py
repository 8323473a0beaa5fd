"""Single blocks drawn from their modules: ribbons of channels fork, pass layers and join."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from torch import nn

from .ribbons import (
    RIBBON,
    amount,
    canvas,
    draw_box,
    largest,
    look_of,
    text_width,
    write,
)
from .style import Picture, Style, in_style
from .traced import Chain, Fork, Layer, layers, products, read_block

WIDTH, WIDTH_OF_TWO, HEIGHT = 12.0, 14.0, 6.6  # inches, as all lengths here
TOP, BOTTOM, MAP = 0.75, 0.95, 0.36  # room for text; height of the largest map
WIDEST = 3.6  # the widest ribbon
BEND, INNER_BEND = 0.6, 0.4  # where a ribbon forks, and where branches join
FUNNEL, STEP, POOL = 0.12, 0.27, 0.12  # before and after a layer; a pooling multiplies nothing
APART, PAD = 0.25, 0.12  # between branches; around a label
UNCHANGED = "unchanged"
FILLED: Style = {"facecolor": RIBBON, "edgecolor": "none", "alpha": 0.85, "zorder": 1}
SIDES: Style = {"facecolor": "none", "edgecolor": "#A9B6C4", "lw": 0.8, "zorder": 2}


@in_style
def block(block: nn.Module, input_shape: tuple[int, int, int]) -> Picture:
    """Draw one block, any module that joins branches by concatenation or sum, as ribbons.

    The width of a ribbon is its number of channels. The width of a layer is its number of output
    channels and its area is its multiply-adds, so that its height is the number of values that each
    output channel reads. Poolings multiply nothing and all have the same height. `input_shape` is
    (channels, height, width). Normalizations and activations are left out.
    """
    caption = (
        "A ribbon is as wide as its channels; the area of a box is its work. Where is most of it?"
    )
    return draw_blocks({"": block}, input_shape, WIDTH, caption)


@in_style
def blocks(blocks: Mapping[str, nn.Module], input_shape: tuple[int, int, int]) -> Picture:
    """Draw two blocks, {name: block}, side by side and to the same scale, each as `block` does.

    Raises `ValueError` for more than two.
    """
    if len(blocks) > 2:
        raise ValueError(f"two blocks fit beside each other, not {len(blocks)}: draw two at a time")
    caption = (
        "Both blocks have one scale; the area of a box is its work. Where do they differ most?"
    )
    return draw_blocks(blocks, input_shape, WIDTH_OF_TWO, caption)


def draw_blocks(
    blocks: Mapping[str, nn.Module], input_shape: tuple[int, int, int], width: float, caption: str
) -> Picture:
    chains = {name: read_block(each, input_shape) for name, each in blocks.items()}
    channels, side, *_ = input_shape
    told = "; ".join(
        f"{f'{name}: ' if name else ''}{channels} channels of {side}x{side} go through "
        f"{sentence(chain)}, {amount(products(chain))} multiply-adds"
        for name, chain in chains.items()
    )
    figure = Picture(width, HEIGHT, f"width is channels and area is work. {told}", caption)
    axes = canvas(figure)
    sides = [side, *(layer.side for chain in chains.values() for layer in layers(chain))]
    drawing = Drawing(axes, list(chains.values()), channels, width / len(chains), max(sides))
    for number, (name, chain) in enumerate(chains.items()):
        drawing.draw(chain, (number + 0.5) * width / len(chains), name, side)
    drawing.draw_key()
    return figure


def sentence(chain: Chain) -> str:
    """Describe in words what a chain of layers does."""
    words = []
    for part in chain:
        if isinstance(part, Layer):
            words.append(f"{part.label} to {part.channels:,}")
        else:
            branches = " | ".join(sentence(branch) for branch in part.branches)
            how = "sum" if part.is_sum else "concatenation"
            words.append(f"[{branches}], whose {how} has {part.channels:,} channels")
    return ", ".join(words) or "nothing"


class Drawing:
    """Draws blocks with one scale for channels (widths) and one for what each reads (heights)."""

    def __init__(self, axes: Axes, chains: Sequence[Chain], channels: int, width: float, side: int):
        self.axes, self.channels, self.side = axes, channels, side
        room = HEIGHT - TOP - BOTTOM - 2 * MAP
        self.inches_per_value = largest(lambda scale: self.highest(chains, scale), room)
        self.inches_per_channel = largest(lambda scale: self.widest(chains, scale), width - 0.5)

    def highest(self, chains: Sequence[Chain], scale: float) -> float:
        self.inches_per_value = scale
        return max(self.height(chain, BEND) for chain in chains)

    def widest(self, chains: Sequence[Chain], scale: float) -> float:
        self.inches_per_channel = scale
        needed = max(self.width(chain, self.channels) for chain in chains)
        ribbon = max(self.channels, *(layer.channels for c in chains for layer in layers(c)))
        return needed if ribbon * scale <= WIDEST else math.inf

    def box_height(self, layer: Layer) -> float:
        """Return the height of a layer's box that makes its area the layer's multiply-adds."""
        if layer.kind == "pooling":
            return POOL
        return self.inches_per_value * layer.multiply_adds / layer.channels

    def height(self, chain: Chain, bend: float = INNER_BEND) -> float:
        return sum(
            FUNNEL + self.box_height(part) + STEP
            if isinstance(part, Layer)
            else 2 * bend + max(map(self.height, part.branches))
            for part in chain
        )

    def width(self, chain: Chain, channels: int) -> float:
        """Return the width that a branch needs if it reads that many channels."""
        widths = [self.inches_per_channel * channels]
        for part in chain:
            if isinstance(part, Fork):
                each = [self.width(branch, channels) for branch in part.branches]
                widths.append(sum(each) + APART * (len(each) - 1))
            else:
                label = text_width(part.label)
                is_beside = part.multiply_adds and not self.fits(part)
                widths += [label, self.reach(part) + (2 * (label + PAD) if is_beside else 0)]
            channels = part.channels
        if not chain:
            widths.append(text_width(UNCHANGED))
        return max(*widths, self.inches_per_channel * channels)

    def reach(self, layer: Layer) -> float:
        """Return the width of a layer's box, or of the number below it if that is wider."""
        return max(self.inches_per_channel * layer.channels, text_width(f"{layer.channels:,}"))

    def fits(self, layer: Layer) -> bool:
        """Tell whether the label of a layer fits into its box."""
        wide = self.inches_per_channel * layer.channels
        return self.box_height(layer) > 0.24 and wide > text_width(layer.label) + PAD

    def draw(self, chain: Chain, x: float, name: str, side: int) -> None:
        """Draw a block around `x`, from its input map at the top down to its output map."""
        title = f"{amount(products(chain))} multiply-adds"
        write(self.axes, x, HEIGHT - 0.2, f"{name}: {title}" if name else title, "bold")
        write(self.axes, x, HEIGHT - 0.53, size(self.channels, side))
        self.draw_map(x, HEIGHT - TOP, self.channels, side)
        end = BOTTOM + MAP
        channels = self.draw_chain(chain, self.channels, x, HEIGHT - TOP - MAP, end, BEND)
        *_, last = [side, *(layer.side for layer in layers(chain))]
        self.draw_map(x, end, channels, last)
        told = size(channels, last)
        if chain and isinstance(chain[-1], Fork) and not chain[-1].is_sum:
            parts = [ends(branch, self.channels) for branch in chain[-1].branches]
            told = f"{' + '.join(f'{part:,}' for part in parts)} = {told}"
        write(self.axes, x, end - MAP * last / self.side - 0.2, told)

    def draw_map(self, x: float, top: float, channels: int, side: int) -> None:
        """Draw a map; from one at the top, a ribbon of the same width leads down."""
        wide, high = self.inches_per_channel * channels, MAP * side / self.side
        draw_box(self.axes, x - wide / 2, top - high, wide, high)
        if high < MAP and top > HEIGHT / 2:
            self.bend((x, top - high, wide), (x, top - MAP, wide))

    def draw_chain(
        self, chain: Chain, channels: int, x: float, y: float, end: float, bend: float = INNER_BEND
    ) -> int:
        """Draw a ribbon of `channels` and the layers on its way, from y down to `end`."""
        for number, part in enumerate(chain):
            is_last = number == len(chain) - 1
            if isinstance(part, Fork):
                stop = end if is_last else y - self.height([part], bend)
                self.draw_fork(part, channels, x, y, stop, bend)
                y = stop
            else:
                y = self.draw_layer(part, channels, x, y)
            channels = part.channels
        wide = self.inches_per_channel * channels
        if y > end:
            self.bend((x, y, wide), (x, end, wide))
        if not chain:
            write(self.axes, x, (y + end) / 2, UNCHANGED)
        return channels

    def draw_layer(self, layer: Layer, channels: int, x: float, y: float) -> float:
        """Draw a layer below its input ribbon, and its output ribbon below it."""
        wide, high = self.inches_per_channel * layer.channels, self.box_height(layer)
        self.bend((x, y, self.inches_per_channel * channels), (x, y - FUNNEL, wide))
        y -= FUNNEL + high
        draw_box(self.axes, x - wide / 2, y, wide, high, layer.kind)
        self.bend((x, y, wide), (x, y - STEP, wide))
        if not layer.multiply_adds:
            write(self.axes, x, y - STEP / 2, layer.label)
            return y - STEP
        if self.fits(layer):
            ground = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            hatched = bool(look_of(layer.kind)["hatch"])
            write(self.axes, x, y + high / 2, layer.label, bbox=ground if hatched else None)
        else:
            write(
                self.axes, x + (self.reach(layer) + PAD) / 2, y + high / 2, layer.label, ha="left"
            )
        write(self.axes, x, y - STEP / 2, f"{layer.channels:,}", "bold")
        return y - STEP

    def draw_fork(
        self, fork: Fork, channels: int, x: float, y: float, end: float, bend: float
    ) -> None:
        """Draw the branches side by side; every one reads all channels."""
        scale = self.inches_per_channel
        rooms = [self.width(branch, channels) for branch in fork.branches]
        left = x - (sum(rooms) + APART * (len(rooms) - 1)) / 2
        given = x - scale * fork.channels / 2  # where the next branch's channels are stacked
        for branch, room in zip(fork.branches, rooms, strict=True):
            middle = left + room / 2
            self.bend((x, y, scale * channels), (middle, y - bend, scale * channels))
            out = self.draw_chain(branch, channels, middle, y - bend, end + bend)
            goal = x if fork.is_sum else given + scale * out / 2
            self.bend((middle, end + bend, scale * out), (goal, end, scale * out))
            left += room + APART
            given += scale * out
        if fork.is_sum:
            write(self.axes, x, end + 0.15, "+", "bold", fontsize=20)

    def bend(self, start: tuple[float, float, float], goal: tuple[float, float, float]) -> None:
        """Draw a ribbon from (x, y, width) down to another."""
        (x, y, wide), (goal_x, goal_y, goal_wide) = start, goal
        half, goal_half, middle = wide / 2, goal_wide / 2, (y + goal_y) / 2
        outline = [
            (x - half, y),
            (x - half, middle),
            (goal_x - goal_half, middle),
            (goal_x - goal_half, goal_y),
            (goal_x + goal_half, goal_y),
            (goal_x + goal_half, middle),
            (x + half, middle),
            (x + half, y),
        ]
        curve = [Path.CURVE4] * 3
        for look, second in (FILLED, Path.LINETO), (SIDES, Path.MOVETO):
            path = Path(outline, [Path.MOVETO, *curve, second, *curve])
            self.axes.add_patch(PathPatch(path, **look))

    def draw_key(self) -> None:
        """Draw the key: a box whose channels and multiply-adds are written beside it."""
        channels = max((2**n for n in range(12) if 2**n * self.inches_per_channel < 0.7), default=1)
        wide = channels * self.inches_per_channel
        series = (digit * 10**n for n in range(12) for digit in (1, 2, 5))
        per_inch = self.inches_per_value / channels
        most = max((n for n in series if n * per_inch < 0.35), default=1)
        high = most * per_inch
        draw_box(self.axes, 0.25, 0.3 - high / 2, wide, high, "key")
        told = f"{channels} channels wide, area {amount(most)} multiply-adds"
        write(self.axes, 0.25 + wide + PAD, 0.3, told, ha="left")


def size(channels: int, side: int) -> str:
    return f"{channels:,} channels of {side}x{side}" if side > 1 else f"{channels:,} values"


def ends(chain: Chain, channels: int) -> int:
    """Return how many channels come out of a branch that reads `channels`."""
    return chain[-1].channels if chain else channels
