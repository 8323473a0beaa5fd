"""Figures of saturation in deep sigmoid networks: by their initial weights, and during training."""

from collections.abc import Callable, Mapping, Sequence
from statistics import mean
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

from ..studies.experiment import Result
from ..studies.saturation import DEPTHS, RATES, Gained, Gains, Signal, saturated_shares
from .guess import mark_x
from .style import BLACK, BLUE, MARKERS, ORANGE, Picture, Style, in_style, integers, legend, lines

KINDS = {"plain": False, "BN": True}


def _look(depth: int, normalized: bool) -> Style:
    """Return the style of a kind of network: its color tells the kind, its marker the depth."""
    return {
        "color": ORANGE if normalized else BLUE,
        "marker": MARKERS[DEPTHS.index(depth)],
        "linestyle": "--" if normalized else "-",
    }


def _by_gain(
    axes: Axes, record: Gains, quantity: Callable[[Gained], float], rate: float = RATES[0]
) -> dict[str, dict[float, float]]:
    """Draw a quantity against the gain: a line through the means, a band from seed to seed."""
    drawn = {}
    for kind, normalized in KINDS.items():
        for depth in DEPTHS:
            found = record.of(depth, normalized, rate)
            values = {gain: [quantity(each) for each in group] for gain, group in found.items()}
            if not values:
                continue
            look = _look(depth, normalized)
            gains, groups = list(values), list(values.values())
            low, high = [min(group) for group in groups], [max(group) for group in groups]
            axes.fill_between(gains, low, high, color=look["color"], alpha=0.2, lw=0)
            name = f"{kind}, {depth} layers"
            means = [mean(group) for group in groups]
            axes.plot(gains, means, **look, label=name)
            drawn[name] = dict(zip(gains, means, strict=True))
    gains = sorted({each.gain for each in record.trainings})
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(gains))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda gain, _: f"{gain:g}")
    axes.set(xlabel="gain of all initial weights")
    axes.grid(alpha=0.3)
    return drawn


def _ends(drawn: Mapping[str, Mapping[float, float]], form: str) -> str:
    """Describe each line by its values at the smallest and the largest gain."""
    return "; ".join(
        f"{name} {values[min(values)]:{form}} to {values[max(values)]:{form}}"
        for name, values in drawn.items()
    )


def _seeds(record: Gains, rate: float = RATES[0]) -> int:
    return len({each.seed for each in record.trainings if each.learning_rate == rate})


@in_style
def dilemma(record: Gains, guess: Any = None) -> Picture:
    """Draw, by gain, the saturated share, and the first layer's gradient divided by the last's.

    Both are taken before training. `guess` is the gain at which the reader expects the gradient to
    reach the first layer best.
    """
    figure = Picture(
        14,
        5.6,
        caption="Small weights let the gradient fade, large ones flatten the units. Where are the "
        "orange lines?",
    )
    left, right = figure.subplots(1, 2)
    shares = _by_gain(left, record, lambda each: 100 * mean(each.saturated[0]))
    ratios = _by_gain(right, record, lambda each: each.ratio)
    left.set(ylabel="saturated inputs, %", title="units with a slope below 0.05", ylim=(-3, 103))
    right.set_yscale("log")
    right.set(ylabel="gradient, first / last layer", title="how much gradient arrives")
    right.yaxis.set_minor_formatter(NullFormatter())
    right.axhline(1, color=BLACK, lw=1, linestyle=":")
    figure.legend(*left.get_legend_handles_labels(), loc="outside right center")
    figure.description = (
        f"before training, {_seeds(record)} seeds, against the gain of the initial weights. "
        f"Saturated inputs in % (left), smallest to largest gain: {_ends(shares, '.1f')}. Gradient "
        f"at the first layer over that at the last (right): {_ends(ratios, '.2g')}"
    )
    mark_x(figure, right, guess)
    return figure


@in_style
def accuracy_by_gain(record: Gains) -> Picture:
    """Draw the validation accuracy at the end of training against the gain, for each rate."""
    figure = Picture(
        12.5,
        5,
        caption="Where does a plain network learn at all, and what does that cost at a learning "
        "rate ten times smaller?",
    )
    parts = []
    panels = figure.subplots(1, len(RATES), sharey=True)
    for axes, rate in zip(panels, RATES, strict=True):
        drawn = _by_gain(axes, record, lambda each: each.accuracy[-1], rate)
        start = f"at learning rate {rate:g} ({_seeds(record, rate)} seeds)"
        parts.append(f"{start} {_ends(drawn, '.2f')}")
        axes.axhline(0.1, color=BLACK, lw=1, linestyle=":")
        axes.set(title=f"learning rate {rate:g}", ylim=(0, 1))
    panels[0].set(ylabel="validation accuracy")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center")
    steps = max(each.steps[-1] for each in record.trainings)
    figure.description = (
        f"validation accuracy after {steps} steps, smallest to largest gain: {'; '.join(parts)}"
    )
    return figure


@in_style
def saturation_heat_map(record: Result, depths: Sequence[int] = (3, 5, 10)) -> Picture:
    """Draw the saturated share of every layer during training: without BN above, with BN below.

    `record` is that of the study "depth".
    """
    figure = Picture(
        4.4 * len(depths) + 1.6,
        6.6,
        caption="The darker, the more units are saturated. Which row stays pale?",
    )
    panels = figure.subplots(2, len(depths), squeeze=False)
    parts = []
    for row, (kind, normalized) in zip(panels, KINDS.items(), strict=True):
        for axes, depth in zip(row, depths, strict=True):
            steps, shares = saturated_shares(record, depth, normalized=normalized)
            shown = axes.imshow(
                100 * np.array(shares), cmap="inferno_r", vmin=0, vmax=100, aspect="auto"
            )
            axes.set_title(f"{kind}, {depth} layers", fontsize=14)
            axes.set_xticks(range(0, len(steps), 2), [str(step) for step in steps[::2]])
            axes.set_yticks(*2 * [range(0, depth, max(1, depth // 3))])
            axes.set_yticklabels([str(1 + layer) for layer in axes.get_yticks()])
            axes.spines[:].set_visible(False)
            first, last = shares[0][-1], shares[-1][-1]
            parts.append(f"{kind}, {depth} layers: first {first:.1%}, last {last:.1%}")
        row[0].set(ylabel="hidden layer")
    for axes in panels[1]:
        axes.set(xlabel="step")
    figure.colorbar(shown, ax=panels, label="saturated inputs, %")
    figure.description = (
        "share of saturated inputs (slope below 0.05) of each layer over the steps, at a gain of "
        f"1, mean of the seeds; at the end {'; '.join(parts)}"
    )
    return figure


@in_style
def signal_by_layer(signals: Mapping[str, Signal]) -> Picture:
    """Draw saturated inputs and gradient of one pass through networks, layer by layer."""
    ends = "; ".join(
        f"{name} {mean(each.saturated):.1%} saturated, gradient first over last {each.ratio:.2g}"
        for name, each in signals.items()
    )
    figure = Picture(
        13,
        4.8,
        f"before training, layer by layer: {ends}",
        caption="Read the gradient from right to left: that is the way it comes.",
    )
    left, right = figure.subplots(1, 2)
    layers = {name: range(1, len(each.gradient) + 1) for name, each in signals.items()}
    shares = {
        name: (layers[name], 100 * np.array(each.saturated)) for name, each in signals.items()
    }
    gradients = {name: (layers[name], each.gradient) for name, each in signals.items()}
    lines(left, shares, xlabel="hidden layer", ylabel="saturated inputs, %", ylim=(-3, 103))
    lines(right, gradients, xlabel="hidden layer", ylabel="gradient, RMS")
    right.set_yscale("log")
    for axes in (left, right):
        integers(axes.xaxis)
    legend(right)
    return figure
