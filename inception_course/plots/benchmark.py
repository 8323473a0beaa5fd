"""The figure of a benchmark."""

from statistics import median
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ..studies.bench import D2L_ACCURACY, Benchmark, Timing
from .guess import mark_x
from .style import BLACK, BLUE, VERMILION, Picture, bars, in_style, legend, powers

CURVES = {
    "image_size": "side of the images, pixels",
    "width": "width of the network",
    "batch_size": "images in a batch",
}


@in_style
def bench(result: Benchmark, guess: Any = None) -> Picture:
    """Draw ratios of speed, what the time of a step is spent on, and what an image costs.

    `guess` says how many times as fast as d2l the course is expected to be.
    """
    ratios = measured_ratios(result)
    shares = {
        f"{each.recipe.image_size} pixels, width {each.quantities['width']:g}": each.shares
        for each in result.profiles
    }
    facts = [f"{name} {times(median(values))} times" for name, values in ratios.items()]
    for name, parts in shares.items():
        most = max(parts, key=lambda kind: parts[kind])
        facts.append(f"at {name} most of a step, {parts[most]:.0%}, is {most}")
    cheapest, dearest = (
        pick(result.curve("image_size").items(), key=lambda point: point[0]) for pick in (min, max)
    )
    if any(goal.recorded for goal in result.goals):
        facts.append("recorded times are of an earlier run")
    facts.append(
        f"an image of {cheapest[0]} pixels takes {milliseconds(cheapest[1])[1]:.2g} ms, "
        f"one of {dearest[0]} pixels {milliseconds(dearest[1])[1]:.2g} ms"
    )
    figure = Picture(
        11.4,
        7,
        f"speed of training on this machine: {'; '.join(facts)}",
        caption="Top left: how much faster than d2l? Below: which change makes an image dearer?",
    )
    above, below = figure.subfigures(2, 1, height_ratios=(1.15, 1), squeeze=False)[:, 0]
    left, right = above.subplots(1, 2)
    draw_ratios(left, ratios)
    draw_shares(right, shares)
    below.suptitle("what an image costs in training, one quantity changed at a time")
    for axes, (quantity, label) in zip(below.subplots(1, 3), CURVES.items(), strict=True):
        draw_cost(axes, result, quantity)
        axes.set_xlabel(label)
    below.axes[0].set_ylabel("milliseconds per image")
    mark_x(figure, left, guess)
    return figure


def measured_ratios(result: Benchmark) -> dict[str, list[float]]:
    """Return how many times as fast as d2l the course is, for each comparison."""
    ratios = {f"images/s at {race.image_size} pixels": race.ratios for race in result.races}
    if result.d2l_seconds:
        for goal in result.goals:
            if goal.seconds and goal.accuracy == D2L_ACCURACY:
                name = f"{goal.name}, {'recorded ' * goal.recorded}time to {goal.accuracy}"
                ratios[name] = [result.d2l_seconds / goal.seconds]
    return ratios


def times(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}"


def draw_ratios(axes: Axes, ratios: dict[str, list[float]]) -> None:
    """Draw bars that start at 1, as fast as d2l, on a logarithmic axis."""
    axes.set_title("how many times as fast as d2l")
    if not ratios:
        axes.text(0.5, 0.5, "d2l is not installed", ha="center", va="center")
        axes.set_axis_off()
        return
    middle = np.array([median(values) for values in ratios.values()])
    ends = np.array([(min(values), max(values)) for values in ratios.values()]).T
    places = np.arange(len(ratios))
    axes.barh(places, middle - 1, 0.6, left=1, color=BLUE)
    axes.errorbar(middle, places, xerr=np.abs(ends - middle), fmt="none", color=BLACK, capsize=4)
    for place, value in enumerate(middle):
        axes.text(max(1, ends[1, place]), place, f"  {times(value)}", va="center")
    axes.set_yticks(places, [name.replace(", ", ",\n") for name in ratios])
    axes.set(xscale="log", xlim=(min(0.8, 0.8 * ends.min()), 3 * ends.max()), xlabel="ratio")
    powers(axes.xaxis, (3,))
    axes.set_ylim(max(len(ratios), 3) - 0.5, -0.5)


def draw_shares(axes: Axes, shares: dict[str, dict[str, float]]) -> None:
    kinds = list(next(iter(shares.values())))
    values = {name: [100 * parts[kind] for kind in kinds] for name, parts in shares.items()}
    bars(axes, kinds, values, horizontal=True, title="time of a training step")
    axes.set(xlabel="% of the time")
    axes.invert_yaxis()
    legend(axes, columns=3)


def draw_cost(axes: Axes, result: Benchmark, quantity: str) -> None:
    points = result.curve(quantity)
    lowest, middle, highest = np.array([milliseconds(each) for each in points.values()]).T
    errors = [middle - lowest, highest - middle]
    axes.errorbar(list(points), middle, yerr=errors, fmt="o-", color=VERMILION, capsize=4)
    ticks = list(points)
    axes.set_xticks(ticks, [f"{value:g}" for value in ticks])
    axes.set_ylim(0, 1.1 * highest.max())
    axes.grid(alpha=0.3)


def milliseconds(timing: Timing) -> tuple[float, float, float]:
    """Return the milliseconds per image in the fastest, the median and the slowest round."""
    times = sorted(1e3 / rate for rate in timing.images_per_second)
    return times[0], median(times), times[-1]
