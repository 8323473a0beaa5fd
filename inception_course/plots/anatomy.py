"""Figures of networks taken apart: their wiring, their counts, what they see."""

from collections.abc import Mapping, Sequence

from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from torch import nn

from ..cost import CostTable
from ..models.blocks import ConvUnit, InceptionBlock, LocalResponseNorm, Network
from .style import (
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    YELLOW,
    Picture,
    in_style,
    legend,
    lines,
    styled,
)

# What a box of the wiring is, and its color and hatching.
BOXES = {
    "1x1": ("#F7F7F7", ""),
    "3x3": (SKY, ""),
    "5x5": (ORANGE, "///"),
    "7x7": (PURPLE, "xxx"),
    "pooling": (VERMILION, "..."),
    "normalization": (GREEN, "---"),
    "linear": (YELLOW, "|||"),
    "auxiliary head": ("#888888", ""),
}
COLUMNS = 20  # boxes side by side in one line of the picture
MARKER = "v"  # an auxiliary head
LIMIT = 10  # per cent; what lies beyond is cut
LANE = 1.15  # height of a branch
WIRE = {"color": "#777777", "lw": 1.5, "zorder": 1}


@in_style
def network(model: Network) -> Picture:
    """Every convolution and pooling of `model`, drawn from the modules themselves.

    The number in a box is its channels. The branches of a block lie below one another.
    """
    stages = [*model.stem.named_children(), *model.body.named_children()]
    stages.append(("head", model.head))
    lines, counts = arrange(stages, model.auxiliary.keys())
    said = ", ".join(f"{count} of {kind}" for kind, count in counts.items())
    figure = Picture(
        14,
        2.9 * len(lines),
        f"the whole net from its modules, {len(lines)} lines to be read like text: {said}; "
        f"blocks fork into {max_branches(model)} branches and join again",
    )
    for axes, line in zip(figure.subplots(len(lines), squeeze=False).flat, lines, strict=True):
        draw_line(axes, line)
    handles = [
        Line2D([], [], color=color, marker=MARKER, linestyle="", markersize=14, label=kind)
        if kind == "auxiliary head"
        else Patch(facecolor=color, hatch=hatch, edgecolor="black", label=kind)
        for kind, (color, hatch) in ((kind, BOXES[kind]) for kind in counts)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


@in_style
def arrange(stages: Sequence, auxiliary: Sequence[str]) -> tuple[list, dict[str, int]]:
    """Stages as (name, branches of boxes, has an auxiliary head), in lines; boxes by kind."""
    lines, used, counts = [[]], 0, {}
    for name, stage in stages:
        branches = (
            [boxes(branch) for branch in stage.branches.values()]
            if isinstance(stage, InceptionBlock)
            else [boxes(stage)]
        )
        for kind, _ in (box for branch in branches for box in branch):
            counts[kind] = counts.get(kind, 0) + 1
        if name in auxiliary:
            counts["auxiliary head"] = counts.get("auxiliary head", 0) + 1
        width = max(map(len, branches))
        if used + width > COLUMNS:
            lines.append([])
            used = 0
        lines[-1].append((name, branches, name in auxiliary))
        used += width + (0.9 if len(branches) > 1 else 0)
    order = {kind: counts[kind] for kind in BOXES if kind in counts}
    return lines, order


def boxes(module: nn.Module) -> list[tuple[str, str]]:
    """The kind and the label of each box of a chain of modules."""
    if isinstance(module, ConvUnit):
        convolution = module.convolution
        height, width = convolution.kernel_size
        return [(f"{height}x{width}", str(convolution.out_channels))]
    if isinstance(module, nn.Linear):
        return [("linear", str(module.out_features))]
    if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        return [("pooling", "max" if isinstance(module, nn.MaxPool2d) else "avg")]
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return [("pooling", "avg")]
    if isinstance(module, LocalResponseNorm):
        return [("normalization", "")]
    return [box for child in module.children() for box in boxes(child)]


def max_branches(model: Network) -> int:
    return max(len(m.branches) for m in model.modules() if isinstance(m, InceptionBlock))


def draw_line(axes, line: Sequence) -> None:
    axes.set(xlim=(-0.3, COLUMNS + 0.3), ylim=(-4 * LANE + 0.1, 1.1))
    axes.set_axis_off()
    x = 0.0
    for name, branches, auxiliary in line:
        width = max(map(len, branches))
        fork = len(branches) > 1
        middle = -1.5 * LANE
        start = x + (0.35 if fork else 0)
        for number, branch in enumerate(branches):
            y = -number * LANE if fork else middle
            axes.plot(
                [start - 0.1, start + width + 0.05], [y, y], color="#777777", lw=1.5, zorder=1
            )
            for place, (kind, label) in enumerate(branch, width - len(branch)):
                color, hatch = BOXES[kind]
                axes.add_patch(
                    Rectangle(
                        (start + place, y - 0.42),
                        0.9,
                        0.84,
                        facecolor=color,
                        edgecolor="black",
                        hatch=hatch,
                        lw=1,
                        zorder=2,
                    )
                )
                axes.text(
                    start + place + 0.45,
                    y,
                    label,
                    ha="center",
                    va="center",
                    fontsize=12,
                    zorder=3,
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8} if hatch else None,
                )
        end = start + width
        if fork:
            for place in (start - 0.1, end + 0.08):
                axes.plot([place, place], [0, (1 - len(branches)) * LANE], **WIRE | {"lw": 3})
        label = name if fork or name == "head" else ""
        axes.text((start + end) / 2, 0.72, label, ha="center", weight="bold")
        if auxiliary:
            color, _ = BOXES["auxiliary head"]
            axes.plot(end + 0.08, 0.35, MARKER, color=color, markersize=16, clip_on=False)
        x = end + (0.55 if fork else 0)
        axes.plot([end, x + 0.1], [middle, middle], **WIRE)


def against_paper(columns: Mapping[str, Mapping[str, tuple[float, float]]]) -> Picture:
    """How far counts lie from what a paper prints: a panel a column of its table, a bar a row.

    Each row gives our count and the printed number. No bar where the printed number is the count,
    rounded or cut off; bars beyond 10 % are cut and labelled.
    """
    deviations = {
        column: {
            name: 0.0 if agrees(*pair) else 100 * (pair[0] / pair[1] - 1)
            for name, pair in rows.items()
        }
        for column, rows in columns.items()
    }
    said = "; ".join(
        f"{column}: {sum(value == 0 for value in rows.values())} of {len(rows)} rows agree, "
        f"the others differ by {', '.join(f'{n} {v:+.1f} %' for n, v in rows.items() if v)}"
        for column, rows in deviations.items()
    )
    figure = Picture(13, 4.8, f"our counts against the printed ones. {said}")
    panels = figure.subplots(1, len(columns), sharey=True)
    for axes, (column, rows) in zip(panels, deviations.items(), strict=True):
        heights = [max(-LIMIT, min(LIMIT, value)) for value in rows.values()]
        axes.bar(list(rows), heights, color=VERMILION, hatch="//")
        for (name, value), height in zip(rows.items(), heights, strict=True):
            if value:
                above = value > 0
                axes.annotate(
                    f"{value:+.1f}" if abs(value) < LIMIT else f"{value:+.0f}",
                    (name, height),
                    (0, 3 if above else -3),
                    textcoords="offset points",
                    ha="center",
                    va="bottom" if above else "top",
                    fontsize=12,
                )
        axes.axhline(0, color="black", lw=1)
        axes.tick_params(axis="x", rotation=60)
        axes.set(title=column, ylim=(-LIMIT, LIMIT * 1.2))
    panels[0].set(ylabel="count against print, %")
    return figure


@in_style
def agrees(counted: float, printed: float) -> bool:
    """Whether `printed` is `counted`, rounded or cut off at the last digit that is printed."""
    unit = 1 if printed == int(printed) else 0.1
    return abs(counted - printed) <= unit / 2 or 0 <= counted - printed < unit


def receptive_fields(costs: CostTable, paths: Sequence[str], image: int) -> Picture:
    """How many pixels a position sees after each stage, by the branch that is always taken."""
    rows = [row for row in costs.blocks if row.stride and row.name not in ("dropout", "linear")]
    names = [row.name for row in rows]
    last = rows[-1].receptive_fields
    ends = ", ".join(f"{path} {last[path].size}" for path in paths)
    figure = Picture(
        12,
        5.2,
        f"pixels that one position sees, stage by stage, at the end {ends}; the image has {image}",
    )
    axes = figure.subplots()
    for path, style in styled(paths):
        sizes = [
            row.receptive_fields.get(path, next(iter(row.receptive_fields.values()))).size
            for row in rows
        ]
        axes.plot(names, sizes, **style, label=f"always the {path} branch")
    axes.axhline(image, color="black", linestyle=":", label="the whole image")
    axes.tick_params(axis="x", rotation=60)
    axes.set(ylabel="receptive field, pixels a side")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    return figure


@in_style
def gradient_norms(norms: Mapping[str, Mapping[str, float]]) -> Picture:
    """The norm of the loss's gradient by each layer's weights, from the image to the head."""
    layers = list(next(iter(norms.values())))
    said = "; ".join(
        f"{name}: {values[layers[0]]:.2g} at {layers[0]}, {values[layers[-1]]:.2g} at {layers[-1]}"
        for name, values in norms.items()
    )
    figure = Picture(11, 5, f"norm of the gradient, layer by layer. {said}")
    axes = figure.subplots()
    curves = {name: (layers, list(values.values())) for name, values in norms.items()}
    lines(axes, curves, yscale="log", xlabel="layer", ylabel="norm of the gradient")
    legend(axes)
    return figure
