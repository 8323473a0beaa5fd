"""Figures of training runs."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from ..train import Epoch, Recipe, Run, learning_rate
from .guess import mark_x, mark_y, series
from .style import (
    BLACK,
    BLUE,
    MARKED,
    Picture,
    in_style,
    integers,
    legend,
    lines,
    logarithmic,
    powers,
    styled,
)

LOWEST = 0.8  # the accuracy at which the axis of a race begins


@in_style
def learning_curves(runs: Run | Mapping[str, Run], guess: Any = None) -> Picture:
    """Draw loss and accuracy per epoch, during training and on the validation data.

    `guess` is an expected accuracy.
    """
    runs = {runs.recipe.name: runs} if isinstance(runs, Run) else runs
    ends = "; ".join(
        f"{name} reaches validation accuracy {run.best.val_accuracy:.3f} in {run.seconds:.0f} s"
        for name, run in runs.items()
    )
    description = f"loss (left) and accuracy (right) per epoch: {ends}"
    return epoch_curves({name: run.epochs for name, run in runs.items()}, description, guess)


@in_style
def epoch_curves(
    runs: Mapping[str, Sequence[Epoch]], description: str, guess: Any = None
) -> Picture:
    """Draw the figure of `learning_curves`, also for runs that are not finished."""
    figure = Picture(
        13,
        4.8,
        description,
        caption="Training is dashed, validation is solid. How far apart do they end?",
    )
    for axes, quantity in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for (name, epochs), style in styled(runs.items(), MARKED):
            numbers = [epoch.number for epoch in epochs]
            for part, line, face in (("train", "--", "white"), ("val", "-", style["color"])):
                values = [getattr(epoch, f"{part}_{quantity}") for epoch in epochs]
                label = f"{name}: {'training' if part == 'train' else 'validation'}"
                axes.plot(numbers, values, label=label, **style | {"linestyle": line, "mfc": face})
        axes.set(xlabel="epoch", ylabel="cross-entropy, nats" if quantity == "loss" else "accuracy")
        integers(axes.xaxis)
        axes.grid(alpha=0.3)
        if quantity == "loss":
            logarithmic(axes)
            if axes.get_yscale() == "log":
                powers(axes.yaxis, (2, 5))
    legend(axes, columns=4)
    mark_y(figure, axes, guess, whole=1)
    return figure


@in_style
def race(runs: Mapping[str, Run], marks: Mapping[str, float], guess: Any = None) -> Picture:
    """Draw validation accuracy against the time spent, and test accuracy at the end.

    A line begins where it stays above `LOWEST`. `marks` are test accuracies to compare with.

    `guess` is an expected accuracy or the name of a run.
    """
    passed = []
    for name, run in runs.items():
        text = f"{name} ends at {run.last.val_accuracy:.3f} after {run.seconds / 60:.1f} minutes"
        if run.test_accuracy is not None:
            below = {accuracy: m for m, accuracy in marks.items() if accuracy <= run.test_accuracy}
            highest = below[max(below)] if below else "no mark"
            text += f" with test accuracy {run.test_accuracy:.3f}, which passes {highest}"
        passed.append(text)
    figure = Picture(
        13,
        5.6,
        "validation accuracy over minutes: " + "; ".join(passed),
        caption="How high does each line come, and after how many minutes?",
    )
    axes = figure.subplots()
    for (name, run), style in styled(runs.items()):
        minutes = [seconds / 60 for seconds in accumulate(e.seconds for e in run.epochs)]
        accuracies = [epoch.val_accuracy for epoch in run.epochs]
        low = [number for number, each in enumerate(accuracies) if each < LOWEST]
        begin = min(low[-1] + 1, len(accuracies) - 1) if low else 0
        axes.plot(minutes[begin:], accuracies[begin:], **style, label=name)
        if run.test_accuracy is not None:
            ring = style | {"markersize": 14, "fillstyle": "none", "linestyle": ""}
            axes.plot(minutes[-1], run.test_accuracy, **ring)
    for text, accuracy in marks.items():
        axes.axhline(accuracy, color=BLACK, linewidth=1, linestyle=(0, (1, 2)))
        across = axes.get_yaxis_transform()
        axes.text(0.18, accuracy, text, va="bottom", fontsize=13, transform=across)
    axes.plot([], [], "o", color=BLACK, fillstyle="none", markersize=14, label="test accuracy")
    axes.set(xlabel="minutes of training", ylabel="validation accuracy", xscale="log")
    ends = [end for run in runs.values() for end in (run.last.val_accuracy, run.test_accuracy)]
    reached = [end for end in ends if end is not None]
    axes.set_ylim(min(LOWEST, min(reached) - 0.01), max(0.98, max(reached) + 0.01))
    powers(axes.xaxis, (2, 5))
    axes.grid(alpha=0.3)
    legend(axes)
    mark_y(figure, axes, guess, series(axes), whole=1)
    return figure


@in_style
def seeds(runs: Mapping[str, Sequence[Run]], guess: Any = None) -> Picture:
    """Draw the last validation accuracy of each repetition of a run, a row for each recipe.

    `guess` is an expected accuracy.
    """
    ends = {name: [run.last.val_accuracy for run in group] for name, group in runs.items()}
    ranges = "; ".join(
        f"{name} {min(values):.3f} to {max(values):.3f} over {len(values)} seeds"
        for name, values in ends.items()
    )
    figure = Picture(
        11,
        1.4 + 0.9 * len(ends),
        f"validation accuracy at the end: {ranges}",
        caption="Is the distance between two rows larger than the spread inside a row?",
    )
    axes = figure.subplots()
    for row, (values, style) in enumerate(styled(ends.values())):
        mark = style | {"color": BLUE, "linestyle": "", "alpha": 0.5, "markersize": 12}
        axes.plot(values, [row] * len(values), **mark)
    axes.set_yticks(range(len(ends)), ends)
    axes.set(xlabel="validation accuracy, one mark per seed", ylim=(len(ends) - 0.5, -0.5))
    axes.grid(alpha=0.3, axis="x")
    mark_x(figure, axes, guess, whole=1)
    return figure


@in_style
def schedules(recipes: Sequence[Recipe], epochs: int, guess: Any = None) -> Picture:
    """Draw the learning rate as a part of its highest value, over at most `epochs` passes.

    `guess` is the epoch in which the rate is expected to be a tenth of its highest value.
    """
    curves = {}
    for recipe in recipes:
        if recipe.name in curves:
            raise ValueError(f"two recipes are named {recipe.name!r}: give each a name of its own")
        last = epochs if recipe.schedule == "step" else recipe.epochs
        passed = np.linspace(0, last, 4000)
        rates = np.array([learning_rate(recipe, epoch) for epoch in passed])
        curves[recipe.name] = passed, rates / recipe.learning_rate
    ends = "; ".join(
        f"{name} falls from epoch {passed[rates == max(rates)][-1]:.2g} on, and is at "
        f"{rates[-1]:.2f} of its highest rate after epoch {passed[-1]:.0f}"
        for name, (passed, rates) in curves.items()
    )
    figure = Picture(
        13,
        4.8,
        ends,
        caption="When does each rate begin to fall, and how low does it end?",
    )
    axes = figure.subplots()
    axes.set_xscale("symlog", linthresh=8, linscale=2)
    lines(axes, curves, xlabel="epochs", ylabel="learning rate / highest", ylim=(0, 1.05))
    axes.set_xlim(0, epochs)
    axes.xaxis.set_major_formatter(lambda epoch, _: f"{epoch:g}")
    legend(axes)
    mark_x(figure, axes, guess, series(axes))
    return figure
