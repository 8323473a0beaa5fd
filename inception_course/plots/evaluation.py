"""Figures of evaluation: views of an image, what more views and networks gain, calibration."""

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

import numpy as np
import torch
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

from ..evaluate import Box, Calibration, Protocol, crops, resize, resized
from ..studies.ensembles import Table
from ..studies.paper_tables import Crops
from ..studies.same_start import STARTS, Groups
from .guess import mark_choice
from .style import (
    BLACK,
    BLUE,
    GRAYSCALE,
    LINES,
    ORANGE,
    SKY,
    VERMILION,
    Picture,
    Style,
    in_style,
    styled,
)

FEW = 10  # answers in a bin; the accuracy of fewer says little
OUTLINES = tuple({key: line[key] for key in ("color", "linestyle")} for line in LINES)


def scenery(height: int, width: int) -> Tensor:
    """Return a landscape, uint8 [3, H, W], unlike its mirror image: sun, mountain and house."""
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


@in_style
def squares(image: Tensor, protocol: Protocol) -> Picture:
    """Draw an image [C, H, W], 0 to 255, at each scale, and the squares cut from it."""
    height, width = image.shape[1:]
    ends = ("left", "right") if width > height else ("top", "bottom")
    names = {0: ends[0], 0.5: "center", 1: ends[1]}
    per_square = len(protocol) // (len(protocol.scales) * len(protocol.squares))
    by_scale: dict[int, dict[Box, list[str]]] = {scale: {} for scale in protocol.scales}
    for number, view in enumerate(protocol.views(height, width)[::per_square]):
        along = protocol.squares[number % len(protocol.squares)]
        found = by_scale[view.scale].setdefault(view.square, [])
        found.append(names.get(along, f"{along:.0%} along"))
    shown = {scale: _framed(image, protocol, scale) for scale in by_scale}
    figure = Picture(
        14,
        4.2,
        f"an image of {width} x {height} pixels, resized so that its shorter side has "
        f"{', '.join(map(str, by_scale))} pixels, and the squares cut from each: "
        + ", ".join(f"{len(found)} of {scale}" for scale, found in by_scale.items()),
        caption="Each frame is a square that is cut out. Which parts of the image lie in several?",
    )
    widths = [pixels.shape[2] for pixels in shown.values()]
    panels = figure.subplots(1, len(by_scale), squeeze=False, width_ratios=widths)[0]
    for axes, (scale, boxes) in zip(panels, by_scale.items(), strict=True):
        _show(axes, shown[scale])
        rows, columns = shown[scale].shape[1:]
        axes.set_title(f"{columns} x {rows} pixels", fontsize=13)
        for number, (box, outline) in enumerate(styled(boxes, OUTLINES)):
            _outline(axes, box, outline, inset=0.04 * number * scale)
    labels = [" = ".join(found) for found in boxes.values()]
    figure.legend(panels[-1].patches, labels, loc="outside lower center", ncols=len(labels))
    return figure


@in_style
def crop_boxes(image: Tensor, protocol: Protocol) -> Picture:
    """Draw the last square of the first scale: where its views lie, and how the net sees them."""
    found = [(view, crop[0]) for view, crop in crops(image[None], protocol)]
    of_scale = [each for each in found if each[0].scale == protocol.scales[0]]
    of_square = [each for each in of_scale if each[0].square == of_scale[-1][0].square]
    views, shown = zip(*of_square, strict=True)
    square, places = views[0].square, protocol.places
    figure = Picture(
        14,
        5.2,
        f"left, a square of {views[0].scale} pixels and the {len(places)} views of it: "
        f"{', '.join(places)}. Right, the {len(views)} pictures of {protocol.size} x "
        f"{protocol.size} pixels that the network sees"
        + (", each also mirrored" if protocol.mirror else ""),
        caption="Find each frame on the left again among the pictures on the right.",
    )
    left, right = figure.subfigures(1, 2, width_ratios=(1, 2.4), squeeze=False)[0]
    axes = left.subplots()
    _show(axes, _framed(image, protocol, views[0].scale))
    axes.set_xlim(square.left - 0.5, square.right - 0.5)
    axes.set_ylim(square.bottom - 0.5, square.top - 0.5)
    mirrors = 2 if protocol.mirror else 1
    panels = right.subplots(mirrors, len(places), squeeze=False)
    for number, (place, outline) in enumerate(styled(places, OUTLINES)):
        _outline(axes, views[number * mirrors].box, outline, inset=2 * number + 2)
        for row in range(mirrors):
            panel = panels[row, number]
            _show(panel, shown[number * mirrors + row])
            _frame(panel, outline)
        panels[0, number].set_title(place.replace(" ", "\n"), fontsize=13)
    if protocol.mirror:
        panels[1, 0].set_ylabel("mirrored")
    return figure


@in_style
def mosaic(image: Tensor, protocol: Protocol, right: Sequence[bool] | None = None) -> Picture:
    """Draw all views of an image, a row for each square of each scale (shorter side in pixels).

    Where `right` is False the view has a frame and a cross: the network was wrong.
    """
    columns = len(protocol.places) * (2 if protocol.mirror else 1)
    rows = len(protocol) // columns
    description = f"all {len(protocol)} views of an image, in {rows} rows of {columns}"
    caption = "Every picture is a view of the same image. Do some of them lose what matters?"
    if right is not None:
        description += f"; the network is wrong in {sum(not each for each in right)} of them"
        caption = "A red frame and a cross: the network was wrong. What do these views lack?"
    figure = Picture(0.62 * columns + 1, 0.62 * rows + 0.6, description, caption)
    panels = figure.subplots(rows, columns, squeeze=False)
    for number, (view, crop) in enumerate(crops(image[None], protocol)):
        axes = panels.flat[number]
        _show(axes, crop[0])
        _frame(axes, {"color": "lightgray", "linewidth": 1})
        if right is not None and not right[number]:
            _frame(axes, {"color": VERMILION})
            size = protocol.size
            axes.plot(0.8 * size, 0.16 * size, "X", color=VERMILION, ms=8)
        if number % columns == 0:
            axes.set_ylabel(f"{view.scale} px", rotation=0, ha="right", va="center")
    return figure


def _framed(image: Tensor, protocol: Protocol, scale: int) -> Tensor:
    """Return the image with its black margin, resized."""
    across, down = protocol.margin
    image = torch.nn.functional.pad(image[None].float(), (across, across, down, down))
    height, width = image.shape[2:]
    return resize(image, resized(height, width, scale))[0]


def _show(axes: Axes, image: Tensor) -> None:
    """Draw an image [C, H, W], 0 to 255: a gray one dark on white, as everywhere in the course."""
    pixels = image.clamp(0, 255).round().to(torch.uint8)
    if len(pixels) == 1:
        axes.imshow(255 - pixels[0].numpy(), **GRAYSCALE)
    else:
        axes.imshow(pixels.permute(1, 2, 0).numpy())
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _frame(axes: Axes, outline: Style) -> None:
    for spine in axes.spines.values():  # not spines[:].set, which matplotlib 3.7 does not know
        spine.set(**{"visible": True, "linewidth": 3} | outline)


def _outline(axes: Axes, box: Box, outline: Style, inset: float) -> None:
    """Draw a frame just inside `box`, so that neighbors stay apart."""
    left, top, right, bottom = box
    corner = left + inset / 2, top + inset / 2
    size = right - left - inset - 1, bottom - top - inset - 1
    axes.add_patch(Rectangle(corner, *size, fill=False, linewidth=3, **outline))


@in_style
def crops_and_networks(
    printed: Sequence[Crops], ours: Mapping[str, Table], guess: Any = None
) -> Picture:
    """Draw the paper's Table 3 and ours: error against crops, with one network and with all.

    `ours` holds a table for each recipe; its bars reach from the best to the worst network. All
    panels share one axis of errors.

    `guess` names the recipe that is expected to gain from ten views.
    """
    cheapest, dearest = (pick(printed, key=lambda row: row.cost) for pick in (min, max))
    ends = [
        f"paper: {cheapest.top_5:.2f} % with 1 network and 1 crop, {dearest.top_5:.2f} % with "
        f"{dearest.models} and {dearest.crops}"
    ]
    for name, table in ours.items():
        first, last = (pick(table.rows, key=lambda row: row.cost) for pick in (min, max))
        ends.append(
            f"{name}: {first.error:.2%} with 1 and 1, {last.error:.2%} with {last.models} and "
            f"{last.crops}"
        )
    figure = Picture(
        14,
        5.4,
        f"error against crops; {'; '.join(ends)}",
        caption="Which lowers the error more: more crops, or more networks?",
    )
    left, *others = figure.subplots(1, 1 + len(ours), squeeze=False, sharey=True)[0]
    ends_of = {name: (1, table.models) for name, table in ours.items()}
    styles = dict(styled(sorted({row.models for row in printed}.union(*ends_of.values()))))
    for models in sorted({row.models for row in printed}):
        rows = [row for row in printed if row.models == models]
        errors = [row.top_5 for row in rows]
        label = _counted(models, "network")
        left.plot([row.crops for row in rows], errors, **styles[models], label=label)
    left.set(title="paper: ImageNet", ylabel="top-5 error, %")
    for axes, (name, table) in zip(others, ours.items(), strict=True):
        for models in ends_of[name]:
            mine = [row for row in table.rows if row.models == models]
            crops = [row.crops for row in mine]
            errors = [100 * row.error for row in mine]
            low, high = ([100 * getattr(row, end) for row in mine] for end in ("lowest", "highest"))
            bar = {"color": styles[models]["color"], "lw": 8, "alpha": 0.3}
            axes.vlines(crops, low, high, **bar, label="best to worst network")
            axes.plot(crops, errors, **styles[models], label=_counted(models, "network"))
        axes.set(title=f"{name}: Fashion-MNIST", ylabel="top-1 error, %")
    for axes in (left, *others):
        axes.set(xlabel="crops", xscale="log")
        axes.set_xticks([1, 10, 144], ["1", "10", "144"])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    left.set_ylim(0, 1.15 * left.get_ylim()[1])
    named: dict[str, Artist] = {}
    for axes in (left, *others):
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    figure.legend(named.values(), named, loc="outside lower center", ncols=5)
    mark_choice(figure, left, guess, dict(zip(ours, others, strict=True)))
    return figure


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' if count > 1 else ''}"


@in_style
def reliability(judged: Mapping[str, Calibration], guess: Any = None) -> Picture:
    """Draw how often answers are right against their confidence, and how many there are.

    A point is a bin, the larger the more answers it holds. With fewer than ten, whose accuracy is
    mostly chance, it is hollow and its gap is not drawn.

    `guess` names what is expected to be calibrated worst.
    """
    errors = "; ".join(
        f"{name}, expected calibration error {each.error:.3f}, "
        f"{'over' if each.overconfidence > 0 else 'under'}confident by "
        f"{abs(each.overconfidence):.3f}"
        for name, each in judged.items()
    )
    figure = Picture(
        13.5,
        5.6,
        f"accuracy against confidence: {errors}",
        caption="Below the dashed line a network is too sure. Are the large points there?",
    )
    panels = figure.subplots(
        2, len(judged), squeeze=False, sharex=True, sharey="row", height_ratios=(3, 1)
    )
    for (above, below), (name, each) in zip(panels.T, judged.items(), strict=True):
        bins = len(each.counts)
        shares = 100 * np.array(each.counts) / sum(each.counts)
        filled = np.flatnonzero(shares)
        sure, right = (
            np.array(values, float)[filled] for values in (each.confidence, each.accuracy)
        )
        above.plot([0, 1], [0, 1], "--", color=BLACK, lw=1.5, label="confidence = accuracy")
        many = np.array(each.counts)[filled] >= FEW
        above.vlines(sure[many], sure[many], right[many], color=ORANGE, lw=4, label="gap")
        sizes = 20 + 8 * shares[filled]
        dots = {"edgecolors": BLUE, "zorder": 3, "clip_on": False}
        label = "answers of a bin"
        above.scatter(sure[many], right[many], sizes[many], color=BLUE, label=label, **dots)
        label = f"fewer than {FEW}"
        above.scatter(sure[~many], right[~many], 40, color="white", label=label, **dots)
        above.set(title=f"{name}: {each.error:.3f}", xlim=(0, 1), ylim=(-0.04, 1.06))
        below.bar((np.arange(bins) + 0.5) / bins, shares, 0.9 / bins, color=SKY, edgecolor=BLUE)
        below.set(xlabel="confidence")
        below.set_xticks([0, 0.5, 1])
    panels[0, 0].set(ylabel="accuracy")
    panels[1, 0].set(ylabel="% of answers")
    handles = panels[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=4)
    mark_choice(figure, panels[0, 0], guess, dict(zip(judged, panels[0], strict=True)))
    return figure


@in_style
def calibration_errors(measured: Mapping[str, tuple[float, Sequence[float]]]) -> Picture:
    """Draw each network's calibration error, and the range that chance alone would cause.

    `measured` holds the error and the numbers of `evaluate.calibration_error_by_chance`. The band
    contains 90 % of these numbers.
    """
    bands = {
        name: np.quantile(np.asarray(chance), (0.05, 0.5, 0.95))
        for name, (_, chance) in measured.items()
    }
    figure = Picture(
        12,
        1.8 + 0.8 * len(measured),
        "expected calibration error, and its range if the network were calibrated: "
        + "; ".join(
            f"{name} {error:.3f}, by chance {bands[name][0]:.3f} to {bands[name][2]:.3f}"
            for name, (error, _) in measured.items()
        ),
        caption="A mark on its band says nothing against the network.",
    )
    axes = figure.subplots()
    for row, (name, (error, _)) in enumerate(measured.items()):
        low, middle, high = bands[name]
        label = "90 % of calibrated networks" if row == 0 else None
        axes.barh(row, high - low, 0.5, low, color=SKY, label=label)
        axes.plot([middle] * 2, [row - 0.25, row + 0.25], color=BLUE, lw=2)
        label = "measured" if row == 0 else None
        axes.plot(error, row, "D", color=VERMILION, ms=11, label=label)
    axes.set_yticks(range(len(measured)), measured)
    axes.set(xlabel="expected calibration error", ylim=(len(measured) - 0.5, -0.5))
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3, axis="x")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


@in_style
def same_start(record: Groups) -> Picture:
    """Draw what five networks gain together, from the same initial weights and from different."""
    kinds = {start: record.of(start) for start in STARTS}
    parts = []
    for start, groups in kinds.items():
        gains = [100 * group.gain for group in groups]
        apart = mean(100 * group.disagreement for group in groups)
        parts.append(f"{start} {mean(gains):.2f} points, disagreeing about {apart:.1f} %")
    figure = Picture(
        13,
        3.8,
        f"gain of five networks over one, mean of the groups: {'; '.join(parts)}",
        caption="Each mark is five networks. How much is lost by sharing the initial weights?",
    )
    panels = figure.subplots(1, 2, sharey=True)
    for row, (groups, style) in enumerate(styled(kinds.values())):
        mark = {"color": style["color"], "marker": style["marker"], "ls": "", "ms": 11}
        values = (
            [100 * group.gain for group in groups],
            [100 * group.disagreement for group in groups],
        )
        for axes, each in zip(panels, values, strict=True):
            axes.plot(each, [row] * len(each), **mark, alpha=0.7)
            axes.plot([mean(each)] * 2, [row - 0.25, row + 0.25], color=style["color"])
    panels[0].set_yticks(range(len(kinds)), [f"{start}\ninitial weights" for start in kinds])
    panels[0].set(xlabel="points gained together", ylim=(len(kinds) - 0.5, -0.5))
    panels[1].set(xlabel="% of images that two of them call differently")
    for axes in panels:
        axes.grid(alpha=0.3, axis="x")
    return figure
