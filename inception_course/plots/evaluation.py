"""Figures of evaluation: the views of an image, what they and more networks buy, calibration."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.patches import Rectangle
from torch import Tensor

from ..evaluate import Box, Calibration, Protocol, crops, resize, resized
from ..studies.ensembles import Table
from ..studies.paper_tables import Crops
from .style import (
    BLACK,
    BLUE,
    GRAY,
    LINES,
    ORANGE,
    SKY,
    VERMILION,
    Picture,
    in_style,
    integers,
    styled,
)

OUTLINES = tuple({"color": line["color"], "line": line["linestyle"]} for line in LINES)


@in_style
def scenery(height: int, width: int) -> Tensor:
    """A drawn landscape, uint8 [3, H, W], unlike its mirror image: sun, mountain and house."""
    down, right = torch.meshgrid(
        torch.linspace(0, 1, height), torch.linspace(0, width / height, width), indexing="ij"
    )
    blue = torch.tensor([0.55, 0.75, 0.95])[:, None, None]
    picture = blue + (1 - blue) * down * 0.7  # paler towards the horizon

    def paint(where: Tensor, *color: float) -> None:
        picture[:, where] = torch.tensor(color)[:, None]

    middle = width / height / 2
    paint((down - 0.2) ** 2 + (right - 0.25) ** 2 < 0.01, 1, 0.8, 0.1)
    paint(down > 0.25 + (right - middle).abs() * 0.8, 0.45, 0.42, 0.45)
    paint((down > 0.25 + (right - middle).abs() * 0.8) & (down < 0.4), 0.95, 0.95, 1)
    paint(down > 0.7, 0.35, 0.6, 0.25)
    side = right - 2 * middle + 0.35  # of the house, from its middle
    paint((side.abs() < 0.15) & (down > 0.55) & (down < 0.8), 0.75, 0.3, 0.2)
    paint((down < 0.55) & (down > 0.38 + side.abs()), 0.35, 0.2, 0.15)
    paint((side.abs() < 0.04) & (down > 0.67) & (down < 0.8), 0.2, 0.1, 0.1)
    return (picture.clamp(0, 1) * 255).to(torch.uint8)


def squares(image: Tensor, protocol: Protocol) -> Picture:
    """An image [C, H, W], 0 to 255, at every scale of `protocol`, with the squares cut from it."""
    height, width = image.shape[1:]
    by_scale: dict[int, dict[Box, None]] = {}
    for view in protocol.views(height, width):
        by_scale.setdefault(view.scale, {})[view.square] = None
    across, down = protocol.margin
    shapes = {scale: resized(height + 2 * down, width + 2 * across, scale) for scale in by_scale}
    figure = Picture(
        14,
        4.2,
        f"an image of {width} x {height} pixels, resized so that its shorter side has "
        f"{', '.join(map(str, by_scale))} pixels, and the squares cut from each: "
        + ", ".join(f"{len(found)} of {scale}" for scale, found in by_scale.items()),
    )
    panels = figure.subplots(
        1, len(by_scale), squeeze=False, width_ratios=[shapes[scale][1] for scale in by_scale]
    )[0]
    for axes, (scale, found) in zip(panels, by_scale.items(), strict=True):
        rows, columns = shapes[scale]
        _show(axes, _framed(image, protocol, scale))
        axes.set_title(f"{columns} x {rows} pixels", fontsize=13)
        for number, (box, outline) in enumerate(styled(found, OUTLINES)):
            _outline(axes, box, **outline, inset=0.04 * number * scale)
    names = ("left", "centre", "right") if columns > rows else ("top", "centre", "bottom")
    handles = panels[-1].patches
    figure.legend(handles, names[: len(handles)], loc="outside lower center", ncols=3)
    return figure


@in_style
def crop_boxes(image: Tensor, protocol: Protocol) -> Picture:
    """The last square of the first scale, and the views of it: where they lie, and as shown."""
    found = [(view, crop[0]) for view, crop in crops(image[None], protocol)]
    of_scale = [each for each in found if each[0].scale == protocol.scales[0]]
    of_square = [each for each in of_scale if each[0].square == of_scale[-1][0].square]
    first, shown = zip(*of_square, strict=True)
    places = protocol.places
    figure = Picture(
        14,
        5.2,
        f"left, a square of {first[0].scale} pixels and the {len(places)} views of it: "
        f"{', '.join(places)}. Right, the {len(first)} pictures of {protocol.size} x "
        f"{protocol.size} pixels that the network sees"
        + (", each also mirrored" if protocol.mirror else ""),
    )
    left, right = figure.subfigures(1, 2, width_ratios=(1, 2.4))
    axes = left.subplots()
    _show(axes, _framed(image, protocol, first[0].scale))
    axes.set(
        xlim=(first[0].square.left - 0.5, first[0].square.right - 0.5),
        ylim=(first[0].square.bottom - 0.5, first[0].square.top - 0.5),
    )
    mirrors = 2 if protocol.mirror else 1
    panels = right.subplots(mirrors, len(places), squeeze=False)
    for number, (place, outline) in enumerate(styled(places, OUTLINES)):
        _outline(axes, first[number * mirrors].box, **outline, inset=2 * number + 2)
        for row in range(mirrors):
            panel = panels[row, number]
            _show(panel, shown[number * mirrors + row])
            _frame(panel, **outline)
        panels[0, number].set_title(place.replace(" ", "\n"), fontsize=13)
    if protocol.mirror:
        panels[1, 0].set_ylabel("mirrored")
    return figure


@in_style
def mosaic(image: Tensor, protocol: Protocol, right: Sequence[bool] | None = None) -> Picture:
    """All views of an image, a row for each square of each scale.

    Where `right` is False the view has a frame and a cross: the network was wrong.
    """
    views = protocol.views(*image.shape[1:])
    columns = len(protocol.places) * (2 if protocol.mirror else 1)
    rows = len(views) // columns
    said = f"all {len(views)} views of an image, in {rows} rows of {columns}"
    if right is not None:
        said += f"; the network is wrong in {len(views) - sum(map(bool, right))} of them"
    figure = Picture(0.62 * columns + 1, 0.62 * rows + 0.6, said)
    panels = figure.subplots(rows, columns, squeeze=False)
    for number, (view, crop) in enumerate(crops(image[None], protocol)):
        axes = panels.flat[number]
        _show(axes, crop[0])
        _frame(axes, "lightgray", width=1)
        if right is not None and not right[number]:
            _frame(axes, VERMILION)
            size = protocol.size
            axes.plot(0.8 * size, 0.16 * size, "X", color=VERMILION, ms=8)
        if number % columns == 0:
            axes.set_ylabel(view.scale, rotation=0, ha="right", va="center")
    figure.supylabel("shorter side in pixels, three squares each")
    return figure


def _framed(image: Tensor, protocol: Protocol, scale: int) -> Tensor:
    """The image with its margin, resized."""
    across, down = protocol.margin
    image = torch.nn.functional.pad(image[None].float(), (across, across, down, down))
    return resize(image, resized(*image.shape[2:], scale))[0]


def _show(axes, image: Tensor) -> None:
    """An image [C, H, W], 0 to 255: gray ones dark on white, as everywhere in the course."""
    pixels = image.clamp(0, 255).round().to(torch.uint8)
    if len(pixels) == 1:
        axes.imshow(255 - pixels[0].numpy(), **GRAY)
    else:
        axes.imshow(pixels.permute(1, 2, 0).numpy())
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _frame(axes, color: str, line: str = "-", width: float = 3) -> None:
    for spine in axes.spines.values():
        spine.set(visible=True, color=color, linestyle=line, linewidth=width)


def _outline(axes, box: Box, color: str, line: str, inset: float) -> None:
    """A frame just inside `box`, so that neighbors stay apart."""
    left, top, right, bottom = box
    frame = (left + inset / 2, top + inset / 2), right - left - inset - 1, bottom - top - inset - 1
    axes.add_patch(Rectangle(*frame, fill=False, edgecolor=color, linestyle=line, linewidth=3))


def ranking(tables: Mapping[str, Sequence[tuple[str, float, bool]]], unit: str) -> Picture:
    """Printed tables as bars: for each name, number, and whether to point it out."""
    said = "; ".join(
        f"{name}: " + ", ".join(f"{team} {value:g}" for team, value, _ in rows)
        for name, rows in tables.items()
    )
    most = max(map(len, tables.values()))
    figure = Picture(13.5, 0.5 * most + 1.6, f"{unit}. {said}")
    panels = figure.subplots(1, len(tables), squeeze=False)[0]
    for axes, (name, rows) in zip(panels, tables.items(), strict=True):
        values = [value for _, value, _ in rows]
        bars = axes.barh(
            range(len(rows)),
            values,
            color=[ORANGE if point_out else BLUE for _, _, point_out in rows],
            hatch=["//" if point_out else "" for _, _, point_out in rows],
            edgecolor="white",
        )
        axes.bar_label(bars, [f" {value:g}" for value in values])
        axes.set_yticks(range(len(rows)), [team for team, _, _ in rows])
        axes.invert_yaxis()
        axes.set(title=name, xlabel=unit, xlim=(0, 1.2 * max(values)))
    return figure


@in_style
def crops_and_networks(printed: Sequence[Crops], ours: Mapping[str, Table]) -> Picture:
    """The paper's Table 3 and ours, by recipe: error against crops, with one network and with all.

    Bars at one network reach from the best to the worst of them.
    """
    ends = [f(printed, key=lambda row: row.cost) for f in (min, max)]
    said = [
        f"paper: {ends[0].top_5:.2f} % with 1 network and 1 crop, {ends[1].top_5:.2f} % with "
        f"{ends[1].models} and {ends[1].crops}"
    ]
    for name, table in ours.items():
        first, last = (f(table.rows, key=lambda row: row.cost) for f in (min, max))
        said.append(
            f"{name}: {first.error:.2%} with 1 and 1, {last.error:.2%} with {last.models} and "
            f"{last.crops}"
        )
    figure = Picture(14, 5, f"error against crops; {'; '.join(said)}")
    left, *others = figure.subplots(1, 1 + len(ours))
    for models, style in styled(sorted({r.models for r in printed})):
        points = [(r.crops, r.top_5) for r in printed if r.models == models]
        left.plot(*zip(*points, strict=True), **style, label=_counted(models, "network"))
    left.set(title="paper: ImageNet", ylabel="top-5 error, %")
    for axes, (name, table) in zip(others, ours.items(), strict=True):
        _draw_table(axes, table)
        axes.set(title=f"{name}: Fashion-MNIST", ylabel="top-1 error, %")
    for axes in (left, *others):
        axes.set(xlabel="crops", xscale="log")
        axes.set_xticks([1, 10, 144], ["1", "10", "144"])
        axes.minorticks_off()
        axes.set_ylim(0, 1.15 * axes.get_ylim()[1])
        axes.grid(alpha=0.3)
        axes.legend(loc="lower left")
    return figure


def _draw_table(axes, table: Table) -> None:
    for models, style in styled((1, table.models)):
        chosen = [row for row in table.rows if row.models == models]
        errors = np.array([[r.error, r.error - r.lowest, r.highest - r.error] for r in chosen])
        axes.errorbar(
            [row.crops for row in chosen],
            100 * errors[:, 0],
            100 * errors[:, 1:].T,
            **style,
            capsize=6,
            label=_counted(models, "network"),
        )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' if count > 1 else ''}"


def by_networks(table: Table) -> Picture:
    """Error and calibration error against the number of networks, a line for each number of views.

    The error's bands reach from the best to the worst choice of so many networks.
    """
    counts = sorted({row.crops for row in table.rows})
    said = "; ".join(
        f"{_counted(crops, 'view')} {table.row(1, crops).error:.2%} to "
        f"{table.row(table.models, crops).error:.2%}"
        for crops in counts
    )
    figure = Picture(13.5, 5, f"error with 1 network and with {table.models}: {said}")
    left, right = figure.subplots(1, 2)
    for crops, style in styled(counts):
        rows = [row for row in table.rows if row.crops == crops]
        models = [row.models for row in rows]
        left.plot(
            models,
            [100 * row.error for row in rows],
            **style,
            label=_counted(crops, "view"),
        )
        left.fill_between(
            models,
            [100 * row.lowest for row in rows],
            [100 * row.highest for row in rows],
            color=style["color"],
            alpha=0.2,
            lw=0,
        )
        gaps = [row.calibration_error for row in rows]
        right.plot(models, gaps, **style)
    left.set(ylabel="top-1 error, %")
    right.set(ylabel="expected calibration error")
    for axes in (left, right):
        axes.set(xlabel="networks")
        axes.set_ylim(0, 1.1 * axes.get_ylim()[1])
        integers(axes.xaxis)
        axes.grid(alpha=0.3)
    left.legend(loc="lower left")
    return figure


@in_style
def reliability(judged: Mapping[str, Calibration]) -> Picture:
    """How often answers are right, against how sure they were given; below, how many there are.

    A point is a bin, the larger the more answers it holds.
    """
    said = "; ".join(
        f"{name}, expected calibration error {each.error:.3f}, "
        f"{'over' if each.overconfidence > 0 else 'under'}confident by "
        f"{abs(each.overconfidence):.3f}"
        for name, each in judged.items()
    )
    figure = Picture(13.5, 5.6, f"accuracy against confidence: {said}")
    panels = figure.subplots(
        2, len(judged), squeeze=False, sharex=True, sharey="row", height_ratios=(3, 1)
    )
    for (above, below), (name, each) in zip(panels.T, judged.items(), strict=True):
        bins, total = len(each.counts), sum(each.counts)
        middles = (np.arange(bins) + 0.5) / bins
        filled = [bin for bin in range(bins) if each.counts[bin]]
        sure = [each.confidence[bin] for bin in filled]
        right = [each.accuracy[bin] for bin in filled]
        above.plot([0, 1], [0, 1], "--", color=BLACK, lw=1.5, label="confidence = accuracy")
        above.vlines(sure, sure, right, color=ORANGE, lw=4, label="gap")
        shares = np.array([100 * count / total for count in each.counts])
        areas = 20 + 8 * shares[filled]
        above.scatter(
            sure, right, areas, color=BLUE, zorder=3, clip_on=False, label="answers of a bin"
        )
        above.set(title=f"{name}: {each.error:.3f}", xlim=(0, 1), ylim=(-0.04, 1.06))
        below.bar(middles, shares, 0.9 / bins, color=SKY, edgecolor=BLUE)
        below.set(xlabel="confidence")
        below.set_xticks([0, 0.5, 1])
    panels[0, 0].set(ylabel="accuracy")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    panels[1, 0].set(ylabel="% of answers")
    return figure
