"""Figures of the networks before Inception: AlexNet, ZFNet and VGG."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.patches import Patch, Rectangle
from torch import Tensor

from ..cost import CostTable
from .guess import mark_choice, mark_words, mark_y, series
from .style import (
    BLACK,
    BLUE,
    FILLS,
    GRAYSCALE,
    VERMILION,
    Picture,
    emphasis,
    grid,
    in_style,
    integers,
    legend,
    lines,
    styled,
)

COUNTED = {  # each quantity that can be drawn -> its words, and the label of the axis
    "parameters": ("parameters", "million parameters"),
    "multiply_adds": ("multiply-adds", "million multiply-adds"),
}


@in_style
def layer_bars(
    costs: Mapping[str, CostTable], quantity: str = "parameters", guess: Any = None
) -> Picture:
    """Draw a bar for each layer with weights, in a panel for each network, on one scale.

    `quantity` is "parameters" or "multiply_adds".

    `guess` names the layer, or the kind of layers, that is expected to have most.
    """
    words, unit = COUNTED[quantity]
    columns = min(2, len(costs))
    rows = -(-len(costs) // columns)
    summaries = []
    figure = Picture(
        13,
        3.9 * rows,
        caption=f"Which layers have most of the {words}: the convolutions or the others?",
    )
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axes in panels.flat[len(costs) :]:
        axes.set_axis_off()
    for axes, (name, table) in zip(panels.flat[: len(costs)], costs.items(), strict=True):
        layers = [row for row in table if row.parameters]
        amounts = np.array([getattr(row, quantity) for row in layers]) / 1e6
        linear = np.array([row.kind == "linear" for row in layers])
        drawn = axes.bar(range(len(layers)), amounts, **emphasis(linear))
        if axes is panels[0, 0]:
            carriers: dict[str, Any] = {"fully connected": drawn.patches[-linear.sum() :]}
            carriers |= dict(zip((row.name for row in layers), drawn.patches, strict=True))
        names = [row.name.removeprefix("conv") for row in layers]
        axes.set_xticks(range(len(layers)), names, rotation=90 if len(layers) > 10 else 0)
        axes.tick_params(axis="x", labelsize=12)
        share = amounts[linear].sum() / amounts.sum()
        axes.set_title(f"{name}: {amounts.sum():,.1f} million, {share:.0%} fully connected")
        largest = [layers[place].name for place in np.flatnonzero(amounts == max(amounts))]
        summaries.append(
            f"{name} has {amounts.sum():,.1f} million, {share:.0%} of them in fully connected "
            f"layers and most, equally if several are named, in {', '.join(largest)}"
        )
    for axes in panels[:, 0]:
        axes.set_ylabel(unit)
    for axes in panels.flat[len(costs) - columns : len(costs)]:
        axes.set_xlabel("layer")
    kinds = [
        Patch(label=kind, edgecolor="white", facecolor=fill["color"], hatch=fill["hatch"])
        for kind, fill in styled(("convolution (by its number)", "fully connected"), FILLS)
    ]
    figure.legend(handles=kinds, loc="outside lower center", ncols=2)
    figure.description = f"{words} of each layer: {'; '.join(summaries)}"
    mark_choice(figure, panels[0, 0], guess, carriers)
    return figure


@in_style
def errors_by_depth(nets: Mapping[str, tuple[int, float]], guess: Any = None) -> Picture:
    """Draw the error of each net, in per cent, against its number of layers with weights.

    `guess` is the expected error of the deepest net, or the name of a net.
    """
    told = ", ".join(f"{name} with {layers} layers {e:.1f}" for name, (layers, e) in nets.items())
    figure = Picture(
        11,
        4.8,
        f"top-5 error in per cent against layers with weights: {told}",
        caption="Does every added layer lower the error? Look at the two nets of 16 layers, too.",
    )
    axes = figure.subplots()
    points = {}
    for name, (layers, error) in nets.items():
        (points[name],) = axes.plot(layers, error, "o", color=BLUE, ms=13)
        axes.annotate(name, (layers, error), (12, 0), textcoords="offset points", va="center")
    axes.set(xlabel="layers with weights", ylabel="top-5 error, %")
    axes.margins(x=0.2, y=0.15)
    axes.grid(alpha=0.3)
    integers(axes.xaxis)
    mark_y(figure, axes, guess, points)
    return figure


@in_style
def channel_rows(
    rows: Mapping[str, tuple[Tensor, Tensor]], ceiling: float, guess: Any = None
) -> Picture:
    """Draw values of neighboring channels at one position, before and after a normalization.

    Each pair is one row of panels: `[C]` before and `[C]` after. `ceiling`, drawn as a line, is the
    largest share of a value that the normalization can leave.

    `guess` is the share of a value of 1 that is expected to be left.
    """
    figure = Picture(
        13,
        3.6 * len(rows),
        caption="How much is left of an activation, and does it depend on its neighbors?",
    )
    shares = []
    panels = figure.subplots(len(rows), 2, squeeze=False, sharex=True)
    for (left, right), (name, (before, after)) in zip(panels, rows.items(), strict=True):
        place = np.arange(len(before))
        left.bar(place, before.numpy(), color=BLUE)
        left.set(ylabel="activation", title=f"{name}: before")
        active = (before > 0).numpy()
        left_over = (after / before).numpy()[active]
        right.plot(place[active], left_over, "s", color=VERMILION)
        right.axhline(ceiling, color=BLACK, linestyle="--", linewidth=1.5)
        right.text(0, ceiling * 1.03, f"at most {ceiling:.3f}", va="bottom")
        right.set(ylabel="after / before", ylim=(0, ceiling * 1.25), title=f"{name}: share left")
        low, high = (f"{share:.3f}" for share in (left_over.min(), left_over.max()))
        shares.append(f"{name}, {low} of each" if low == high else f"{name}, {low} to {high}")
    for axes in panels[-1]:
        axes.set_xlabel("channel, at one position of the map")
    figure.description = (
        "what the normalization leaves of each active channel, of its value before: "
        + "; ".join(shares)
    )
    mark_y(figure, panels[-1, 1], guess, whole=1)
    return figure


@in_style
def gallery(
    images: Mapping[str, Tensor],
    description: str,
    caption: str = "What changes from picture to picture, and what stays the same?",
) -> Picture:
    """Draw pictures `[H, W]` under their names, each from black to white over its own range."""
    columns = min(6, len(images))
    side, rows = min(4.3, 13 / columns), -(-len(images) // columns)
    figure = Picture(side * columns, (side + 0.45) * rows, description, caption)
    grid(figure, list(images.items()), columns, cmap="gray", interpolation="nearest")
    return figure


@in_style
def aliasing(
    image: Tensor, answers: Mapping[int, Tensor], column: int, guess: Any = None
) -> Picture:
    """Draw the maps that one window makes of `image` `[H, W]` at stride 1 and at longer strides.

    `answers` holds, for each stride (1 among them), the map `[h, w]` of the same window. Below the
    maps stand its answers along one column of pixels, `column`.

    `guess` is the expected number of peaks at the longest stride.
    """
    taken = {stride: map_[:, column // stride] for stride, map_ in answers.items()}
    coarse = [stride for stride in answers if stride > 1]
    figure = Picture(
        13,
        7.2,
        f"along one column the window answers {peaks(taken[1])} times at stride 1; "
        + ", ".join(f"at stride {stride} {peaks(taken[stride])} times" for stride in coarse),
        caption="Below, count the peaks of each line. Do larger strides lose any?",
    )
    above, below = figure.subfigures(2, 1, height_ratios=(1.35, 1), squeeze=False)[:, 0]
    shown = {"image": image} | {f"stride {stride}": map_ for stride, map_ in answers.items()}
    panels = above.subplots(1, len(shown), squeeze=False)[0]
    for axes, (name, map_) in zip(panels, shown.items(), strict=True):
        axes.imshow(map_.numpy(), cmap="gray", interpolation="nearest")
        axes.set(title=f"{name}, {map_.shape[0]}x{map_.shape[1]}", xticks=[], yticks=[])
    axes = below.subplots()
    axes.plot(taken[1].numpy(), color="0.6", label="stride 1")
    curves = {
        f"stride {stride}": (stride * np.arange(len(taken[stride])), taken[stride])
        for stride in coarse
    }
    lines(axes, curves, xlabel="row of the image, pixels", ylabel="answer of the window")
    legend(axes)
    mark_words(figure, axes, guess, f" times at stride {max(answers)}")
    return figure


def peaks(values: Tensor) -> int:
    """Count the values that are larger than both neighbors and than a tenth of the largest."""
    inner = values[1:-1]
    tops = (inner > values[:-2]) & (inner >= values[2:]) & (inner > values.max() / 10)
    return int(tops.sum())


@in_style
def shift_curves(same: Mapping[str, Sequence[float]], guess: Any = None) -> Picture:
    """Draw the share of images that keep their class against a shift by 0, 1, 2, ... pixels.

    `guess` is an expected share in per cent, or the name of a network.
    """
    ends = "; ".join(f"{name} {shares[-1]:.0%}" for name, shares in same.items())
    far = max(map(len, same.values())) - 1
    figure = Picture(
        11,
        4.6,
        f"images that keep their class after a shift by {far} pixels: {ends}",
        caption="Do the lines fall as the image moves, and which one falls least?",
    )
    axes = figure.subplots()
    curves = {
        name: (range(len(shares)), [100 * share for share in shares])
        for name, shares in same.items()
    }
    lines(axes, curves, xlabel="shift, pixels", ylabel="same class as before, %", ylim=(0, 102))
    integers(axes.xaxis)
    legend(axes)
    mark_y(figure, axes, guess, series(axes), whole=100)
    return figure


@in_style
def strongest(
    images: Tensor,
    maps: Tensor,
    channels: Sequence[int],
    *,
    stride: int,
    first: float,
    side: int,
    count: int = 6,
) -> Picture:
    """Draw the images that excite each channel most, and where, in a row for each channel.

    `images` are `[N, 1, H, W]`, `maps` `[N, C, h, w]`. The first position of a map looks at pixel
    `first`, counted from 0 in both directions, and its neighbor `stride` pixels further. The map is
    laid over the image, and a frame of `side` pixels surrounds its brightest spot.
    """
    figure = Picture(
        13,
        2.3 * len(channels),
        f"the {count} images that excite most each of {len(channels)} maps of the last "
        f"convolution; a frame of {side} by {side} pixels surrounds the map's brightest spot",
        caption="What do the framed parts of a row have in common?",
    )
    panels = figure.subplots(len(channels), count, squeeze=False)
    for place, (channel, row) in enumerate(zip(channels, panels, strict=True), 1):
        order = maps[:, channel].amax(dim=(1, 2)).argsort(descending=True)[:count]
        row[0].set_ylabel(f"map {place}")
        for axes, number in zip(row, order.tolist(), strict=True):
            image, heat = images[number, 0], maps[number, channel]
            start, stop = first - stride / 2, first + (len(heat) - 0.5) * stride
            axes.imshow(255 - image.numpy(), **GRAYSCALE)
            axes.imshow(
                heat.numpy(),
                cmap="Oranges",
                alpha=0.5,
                extent=(start, stop, stop, start),
                interpolation="nearest",
            )
            down, right = divmod(int(heat.argmax()), heat.shape[1])
            corner = first + right * stride - side / 2, first + down * stride - side / 2
            axes.add_patch(Rectangle(corner, side, side, fill=False, ec=BLUE, lw=3))
            height, width = image.shape
            axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), xticks=[], yticks=[])
    return figure
