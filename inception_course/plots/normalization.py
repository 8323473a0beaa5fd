"""Figures of batch normalization: the inputs of activations, and the results of experiments."""

from collections.abc import Mapping, Sequence
from statistics import NormalDist, mean
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from ..studies.experiment import Result
from .guess import mark_choice, mark_x, mark_y, series
from .style import (
    BLACK,
    BLUE,
    ORANGE,
    SKY,
    VERMILION,
    Picture,
    in_style,
    legend,
    lines,
    means,
    styled,
)

NEAR = 2  # beyond it the sigmoid is saturating


@in_style
def sigmoid_input(
    mean: float = 4.0, spread: float = 3.0, gamma: float = 1.0, beta: float = 0.0, guess: Any = None
) -> Picture:
    """Draw normally distributed inputs of a sigmoid, before and after batch normalization.

    `guess` is the expected slope at 2, as a part of the largest slope.
    """
    before, after = NormalDist(mean, spread), NormalDist(beta, max(abs(gamma), 1e-3))
    shares = [outside(inputs) for inputs in (before, after)]
    figure = Picture(
        13,
        4.6,
        f"inputs with mean {mean:g} and standard deviation {spread:g}, {shares[0]:.0%} of them "
        f"outside [-2, 2] (left); after batch normalization with gamma {gamma:g} and beta "
        f"{beta:g}, {shares[1]:.0%} (right). The curve is the sigmoid's slope there",
        caption="Orange inputs lie outside [-2, 2]. How many are there?",
    )
    panels = zip(
        figure.subplots(1, 2, sharey=True),
        (before, after),
        ("as they come", "normalized, then scaled and shifted"),
        strict=True,
    )
    for axes, inputs, title in panels:
        draw_inputs(axes, inputs, title + ":")
    legend(axes, columns=3)
    figure.axes[0].set(ylabel="value, or share of the largest")
    mark_y(figure, figure.axes[0], guess, whole=1)
    return figure


def outside(inputs: NormalDist) -> float:
    return 1 - inputs.cdf(NEAR) + inputs.cdf(-NEAR)


def draw_inputs(axes: Axes, inputs: NormalDist, title: str) -> None:
    """Draw the density of a sigmoid's inputs, the sigmoid and its slope."""
    x = np.linspace(-10, 10, 401)
    value = 1 / (1 + np.exp(-x))
    density = np.array([inputs.pdf(each) for each in x])
    inside = np.abs(x) <= NEAR
    top = density / density.max()
    axes.fill_between(x, top, where=~inside, color=ORANGE, alpha=0.6, hatch="//", lw=0)
    axes.fill_between(x, top, where=inside, color=SKY, alpha=0.6, lw=0, label="inputs")
    axes.plot(x, value, color=BLACK, label="sigmoid")
    slope = 4 * value * (1 - value)
    axes.plot(x, slope, "--", color=VERMILION, label="its slope / largest slope")
    axes.set(xlabel="input of the sigmoid", title=f"{title} {outside(inputs):.0%} outside [-2, 2]")


@in_style
def sigmoid_inputs(positions: Sequence[tuple[float, float]]) -> Picture:
    """Draw inputs of a sigmoid with several pairs of mean and standard deviation, side by side."""
    distributions = [NormalDist(*position) for position in positions]
    shares = "; ".join(
        f"mean {inputs.mean:g} and standard deviation {inputs.stdev:g}: {outside(inputs):.0%}"
        for inputs in distributions
    )
    figure = Picture(
        13.5,
        4.8,
        f"the share of a sigmoid's inputs outside [-2, 2]: {shares}",
        caption="What makes more inputs orange: another mean, or a larger spread?",
    )
    panels = figure.subplots(1, len(positions), sharey=True, squeeze=False)[0]
    for axes, inputs in zip(panels, distributions, strict=True):
        draw_inputs(axes, inputs, f"mean {inputs.mean:g}, spread {inputs.stdev:g}\n")
    panels[0].set(ylabel="value, or share of the largest")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


@in_style
def standardized(samples: Mapping[str, Tensor], guess: Any = None) -> Picture:
    """Draw distributions that all have mean 0 and variance 1, and their share in [-2, 2].

    `guess` names the distribution whose share is not expected to be 95 %.
    """
    inside = {name: (x.abs() <= NEAR).float().mean().item() for name, x in samples.items()}
    shares = "; ".join(f"{name} {share:.2%}" for name, share in inside.items())
    figure = Picture(
        13,
        4.2,
        f"distributions of mean 0 and variance 1, and how much lies in [-2, 2]: {shares}",
        caption="All have mean 0 and variance 1. Which have 95 % of their values between -2 and 2?",
    )
    panels = figure.subplots(1, len(samples), sharex=True, squeeze=False)[0]
    for axes, (name, x) in zip(panels, samples.items(), strict=True):
        heights, edges = np.histogram(x.numpy(), bins=np.linspace(-4.5, 4.5, 46))
        axes.axvspan(-NEAR, NEAR, color=SKY, alpha=0.3)
        axes.stairs(100 * heights / len(x), edges, fill=True, color=BLUE)
        axes.set(title=f"{name}: {inside[name]:.2%}", xlabel="value")
    panels[0].set(ylabel="% of the values")
    mark_choice(figure, panels[0], guess, dict(zip(samples, panels, strict=True)))
    return figure


@in_style
def percentile_bands(result: Result, layer: str, guess: Any = None) -> Picture:
    """Draw the paper's Figure 1: accuracy, and percentiles of a unit's input, over the steps.

    The first seed of each variant is drawn.

    `guess` is an expected accuracy or the name of a variant.
    """
    pairs = [(name, result.of(name)[0]) for name in result.variants]
    ends = [f"{name} reaches {training.last:.2f}" for name, training in pairs]
    bands = {
        name: np.array([row["percentiles"] for row in training.layers if row["layer"] == layer])
        for name, training in pairs
    }
    widths = [f"{name} {np.ptp(band, axis=1).max():.1f}" for name, band in bands.items()]
    figure = Picture(
        13.5,
        4.6,
        f"validation accuracy against steps: {', '.join(ends)}. The widest the outer percentiles "
        f"of one input of {layer} get: {', '.join(widths)}",
        caption="Does the band of one unit's input drift or widen while the network learns?",
    )
    left, *panels = figure.subplots(1, 1 + len(pairs))
    steps = {name: [row["step"] for row in training.rows] for name, training in pairs}
    curves = {
        name: (steps[name], [row["accuracy"] for row in training.rows]) for name, training in pairs
    }
    lines(left, curves, xlabel="step", ylabel="validation accuracy", ylim=(0, 1))
    legend(left, columns=5)
    limit = max(np.abs(band).max() for band in bands.values()) * 1.1
    for axes, ((name, band), style) in zip(panels, styled(bands.items()), strict=True):
        low, middle, high = band.T
        axes.fill_between(steps[name], low, high, color=style["color"], alpha=0.25)
        for rank, values, width in ((15, low, 1), (50, middle, 2.5), (85, high, 1)):
            axes.plot(steps[name], values, **style | {"marker": "", "linewidth": width})
            axes.text(steps[name][-1], values[-1], f" {rank} %", va="center", fontsize=12)
        axes.set(xlabel="step", title=name, ylim=(-limit, limit))
        axes.margins(x=0.12)
    panels[0].set(ylabel="input of one sigmoid")
    mark_y(figure, left, guess, series(left), whole=1)
    return figure


@in_style
def accuracy_by_rate(
    results: Mapping[str, Mapping[float, Sequence[float]]], guess: Any = None
) -> Picture:
    """Draw accuracy against the learning rate: a mark for each seed, a line of the means.

    `results` holds, for each kind of network and each learning rate, the accuracies of the seeds.

    `guess` is the highest rate at which the first network is expected to learn.
    """
    summary = "; ".join(
        f"{name} " + ", ".join(f"{mean(values):.2f} at {rate:g}" for rate, values in each.items())
        for name, each in results.items()
    )
    figure = Picture(
        11,
        4.8,
        f"validation accuracy by learning rate: {summary}",
        caption="From which learning rate on does each kind of network learn nothing?",
    )
    axes = figure.subplots()
    means(axes, results, xlabel="learning rate", ylabel="validation accuracy", ylim=(0, 1))
    rates = list(dict.fromkeys(rate for each in results.values() for rate in each))
    axes.set_xscale("log")
    axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
    axes.minorticks_off()
    axes.axhline(0.1, color=BLACK, lw=1, linestyle=":", label="chance")
    legend(axes)
    mark_x(figure, axes, guess, series(axes))
    return figure


@in_style
def correlations(matrices: Mapping[str, Tensor]) -> Picture:
    """Draw the correlation of every pair of features, given as [D, D] matrices."""

    means = "; ".join(
        f"{name} {matrix[~torch.eye(len(matrix), dtype=torch.bool)].abs().mean():.2f}"
        for name, matrix in matrices.items()
    )
    figure = Picture(
        13,
        4.6,
        f"mean absolute correlation of two different features: {means}",
        caption="Look away from the diagonal. How much color is left in each panel?",
    )
    panels = figure.subplots(1, len(matrices), squeeze=False)[0]
    for axes, (name, matrix) in zip(panels, matrices.items(), strict=True):
        shown = axes.imshow(matrix.numpy(), cmap="RdBu_r", vmin=-1, vmax=1)
        axes.set(title=name, xlabel="feature")
        axes.spines[:].set_visible(False)
    panels[0].set(ylabel="feature")
    figure.colorbar(shown, ax=list(panels), label="correlation")
    return figure
