"""The figure of a benchmark."""

from statistics import median

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from ..bench import Benchmark
from .picture import BLUE, GREEN, ORANGE, PROJECTOR, VERMILION, Picture

CURVES = {
    "image_size": "side of the images, pixels",
    "width": "width of the network",
    "batch_size": "images in a batch",
}


def bench(result: Benchmark) -> Figure:
    """Ratios of speed, where the time of a step goes, and what an image costs at other sizes."""
    ratios = measured_ratios(result)
    shares = {
        f"{each.recipe.image_size} pixels, width {each.recipe.network['width']:g}": each.shares
        for each in result.profiles
    }
    told = [f"{name} {median(values):.2g} times" for name, values in ratios.items()]
    for name, parts in shares.items():
        most = max(parts, key=parts.get)
        told.append(f"at {name} most of a step, {parts[most]:.0%}, is {most}")
    cheapest, dearest = (
        pick(result.curve("image_size").items(), key=lambda point: point[0]) for pick in (min, max)
    )
    told.append(
        f"an image of {cheapest[0]} pixels takes {microseconds(cheapest[1])[1]:,.0f} microseconds, "
        f"one of {dearest[0]} pixels {microseconds(dearest[1])[1]:,.0f}"
    )
    figure = Picture(13.5, 9, f"speed of training on this machine: {'; '.join(told)}")
    with matplotlib.rc_context(PROJECTOR):
        above, below = figure.subfigures(2, 1, height_ratios=(1.15, 1))
        left, right = above.subplots(1, 2)
        draw_ratios(left, ratios)
        draw_shares(right, shares)
        for axes, (quantity, label) in zip(below.subplots(1, 3), CURVES.items(), strict=True):
            draw_cost(axes, result, quantity)
            axes.set_xlabel(label)
        below.axes[0].set_ylabel("microseconds per image")
    return figure


def measured_ratios(result: Benchmark) -> dict[str, list[float]]:
    """How many times as fast as d2l, by what is compared."""
    ratios = {f"images/s at {race.image_size} pixels": race.ratios for race in result.races}
    if result.d2l_seconds:
        for goal in result.goals:
            if goal.seconds:
                name = f"{goal.recipe}, time to {goal.accuracy}"
                ratios[name] = [result.d2l_seconds / goal.seconds]
    return ratios


def draw_ratios(axes, ratios: dict[str, list[float]]) -> None:
    axes.set_title("how many times as fast as d2l")
    if not ratios:
        axes.text(0.5, 0.5, "d2l is not installed", ha="center", va="center")
        axes.set_axis_off()
        return
    middle = np.array([median(values) for values in ratios.values()])
    ends = np.array([(min(values), max(values)) for values in ratios.values()])
    axes.barh(list(ratios), middle, color=BLUE, hatch="//", edgecolor="white")
    axes.errorbar(
        middle, range(len(ratios)), xerr=np.abs(ends.T - middle), fmt="none", color="black"
    )
    for place, value in enumerate(middle):
        axes.text(ends[place, 1], place, f"  {value:.2g}", va="center")
    axes.set(xscale="log", xlim=(0.7 * min(1, middle.min()), 4 * middle.max()), xlabel="ratio")
    axes.axvline(1, color="black", linewidth=1)
    axes.invert_yaxis()


def draw_shares(axes, shares: dict[str, dict[str, float]]) -> None:
    kinds = list(next(iter(shares.values())))
    height = 0.8 / len(shares)
    styles = ((ORANGE, "//"), (GREEN, ".."))
    for number, ((name, parts), (color, hatch)) in enumerate(
        zip(shares.items(), styles, strict=False)
    ):
        places = np.arange(len(kinds)) + (number - (len(shares) - 1) / 2) * height
        values = [100 * parts[kind] for kind in kinds]
        axes.barh(places, values, height, label=name, color=color, hatch=hatch, edgecolor="white")
    axes.set_yticks(range(len(kinds)), kinds)
    axes.set(title="where the time of a training step goes", xlabel="% of the time")
    axes.invert_yaxis()
    axes.legend(loc="lower right")


def draw_cost(axes, result: Benchmark, quantity: str) -> None:
    points = result.curve(quantity)
    lowest, middle, highest = np.array([microseconds(each) for each in points.values()]).T
    errors = [middle - lowest, highest - middle]
    axes.errorbar(list(points), middle, yerr=errors, fmt="o-", color=VERMILION, capsize=4)
    axes.set_xticks(list(points))
    axes.set_ylim(0, 1.1 * highest.max())
    axes.grid(alpha=0.3)


def microseconds(timing) -> tuple[float, float, float]:
    """An image's, in the fastest, the median and the slowest round."""
    times = sorted(1e6 / rate for rate in timing.images_per_second)
    return times[0], median(times), times[-1]
