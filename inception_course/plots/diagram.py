"""A network as a diagram, drawn from its own modules."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from torch import nn

from ..models.blocks import InceptionBlock, LocalResponseNorm, Network
from .style import GREEN, ORANGE, PURPLE, SKY, VERMILION, YELLOW, Picture, Style, in_style

# What a box is, and its color and hatching.
BOXES = {
    "1x1": ("#F7F7F7", ""),
    "3x3": (SKY, ""),
    "5x5": (ORANGE, "///"),
    "7x7": (PURPLE, "xxx"),
    "pooling": (VERMILION, "..."),
    "normalization": (GREEN, "---"),
    "linear": (YELLOW, "|||"),
}
HEAD, HEAD_COLOR, HEAD_MARKER = "auxiliary head", "#888888", "v"
WIRE = "#777777"
COLUMNS = 20  # boxes side by side in one line of the diagram
LANE = 1.15  # height of a branch
MIDDLE = -1.5 * LANE  # where the wire runs between blocks of four branches


class Stage(NamedTuple):
    """A stage of a network: its branches, each a chain of boxes with their kind and label."""

    name: str
    branches: list[list[tuple[str, str]]]
    has_head: bool

    @property
    def forks(self) -> bool:
        return len(self.branches) > 1

    @property
    def columns(self) -> int:
        return max(map(len, self.branches))


@in_style
def network(model: Network) -> Picture:
    """Draw every convolution and pooling of `model`, from the modules themselves.

    The number in a box is its channels. The branches of a block lie below one another.
    """
    children = [*model.stem.named_children(), *model.body.named_children(), ("head", model.head)]
    stages = [
        Stage(name, branches_of(module), name in model.auxiliary) for name, module in children
    ]
    found = Counter(kind for each in stages for branch in each.branches for kind, _ in branch)
    found[HEAD] = sum(stage.has_head for stage in stages)
    counts = {kind: found[kind] for kind in (*BOXES, HEAD) if found[kind]}
    lines = list(break_lines(stages))
    figure = Picture(
        14,
        2.9 * len(lines),
        f"the whole net from its modules, {len(lines)} lines to be read like text: "
        f"{', '.join(f'{count} of {kind}' for kind, count in counts.items())}; "
        f"blocks fork into {max(len(stage.branches) for stage in stages)} branches and join again",
    )
    for axes, line in zip(figure.subplots(len(lines), squeeze=False).flat, lines, strict=True):
        draw_line(axes, line)
    handles = [
        Line2D([], [], color=HEAD_COLOR, marker=HEAD_MARKER, linestyle="", markersize=14)
        if kind == HEAD
        else Patch(facecolor=BOXES[kind][0], hatch=BOXES[kind][1], edgecolor="black")
        for kind in counts
    ]
    figure.legend(handles, list(counts), loc="outside lower center", ncols=len(handles))
    return figure


def branches_of(module: nn.Module) -> list[list[tuple[str, str]]]:
    chains = module.branches.values() if isinstance(module, InceptionBlock) else [module]
    return [list(boxes(chain)) for chain in chains]


def boxes(module: nn.Module) -> Iterable[tuple[str, str]]:
    """Yield the kind and the label of each box of a chain of modules."""
    if isinstance(module, nn.Conv2d):
        height, width = module.kernel_size
        yield f"{height}x{width}", str(module.out_channels)
    elif isinstance(module, nn.Linear):
        yield "linear", str(module.out_features)
    elif isinstance(module, nn.MaxPool2d | nn.AvgPool2d | nn.AdaptiveAvgPool2d):
        yield "pooling", "max" if isinstance(module, nn.MaxPool2d) else "avg"
    elif isinstance(module, LocalResponseNorm):
        yield "normalization", ""
    else:
        for child in module.children():
            yield from boxes(child)


def break_lines(stages: Iterable[Stage]) -> Iterable[list[Stage]]:
    """Yield groups of stages that fit side by side."""
    line: list[Stage] = []
    used = 0.0
    for stage in stages:
        if used + stage.columns > COLUMNS:
            yield line
            line, used = [], 0.0
        line.append(stage)
        used += stage.columns + 0.9 * stage.forks
    yield line


def draw_line(axes: Axes, line: Iterable[Stage]) -> None:
    axes.set(xlim=(-0.3, COLUMNS + 0.3), ylim=(-4 * LANE + 0.1, 1.1))
    axes.set_axis_off()
    x = 0.0
    for stage in line:
        start = x + 0.35 * stage.forks
        end = start + stage.columns
        for number, branch in enumerate(stage.branches):
            y = -number * LANE if stage.forks else MIDDLE
            axes.plot([start - 0.1, end + 0.05], [y, y], color=WIRE, lw=1.5, zorder=1)
            for place, box in enumerate(branch, stage.columns - len(branch)):
                draw_box(axes, start + place, y, *box)
        if stage.forks:
            for fork in (start - 0.1, end + 0.08):
                axes.plot([fork, fork], [0, (1 - len(stage.branches)) * LANE], color=WIRE, lw=3)
        if stage.forks or stage.name == "head":
            axes.text((start + end) / 2, 0.72, stage.name, ha="center", weight="bold")
        if stage.has_head:
            mark: Style = {"color": HEAD_COLOR, "markersize": 16, "clip_on": False}
            axes.plot(end + 0.08, 0.35, HEAD_MARKER, **mark)
        x = end + 0.55 * stage.forks
        axes.plot([end, x + 0.1], [MIDDLE, MIDDLE], color=WIRE, lw=1.5, zorder=1)


def draw_box(axes: Axes, x: float, y: float, kind: str, label: str) -> None:
    color, hatch = BOXES[kind]
    look: Style = {"facecolor": color, "edgecolor": "black", "hatch": hatch, "lw": 1, "zorder": 2}
    axes.add_patch(Rectangle((x, y - 0.42), 0.9, 0.84, **look))
    # Over hatching a label needs ground of its own.
    ground = {"facecolor": "white", "edgecolor": "none", "pad": 0.8} if hatch and label else None
    axes.text(x + 0.45, y, label, ha="center", va="center", fontsize=12, zorder=3, bbox=ground)
