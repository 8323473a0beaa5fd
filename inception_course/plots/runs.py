"""Figures of training runs."""

from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.figure import Figure

from ..train import Epoch, Run
from .picture import BLUE, GREEN, PROJECTOR, VERMILION, Picture


def learning_curves(runs: Run | Mapping[str, Run]) -> Figure:
    """Loss and accuracy per epoch, while training and on the validation data."""
    runs = {runs.recipe.name: runs} if isinstance(runs, Run) else runs
    said = "; ".join(
        f"{name} reaches validation accuracy {run.best.val_accuracy:.3f} in {run.seconds:.0f} s"
        for name, run in runs.items()
    )
    description = f"loss (left) and accuracy (right) per epoch: {said}"
    return epoch_curves({name: run.epochs for name, run in runs.items()}, description)


def epoch_curves(runs: Mapping[str, Sequence[Epoch]], description: str) -> Picture:
    """The figure of `learning_curves`, also for runs that are not finished."""
    figure = Picture(13, 4.8, description)
    with matplotlib.rc_context(PROJECTOR):
        _draw_curves(figure, runs)
    return figure


def _draw_curves(figure: Figure, runs: Mapping[str, Sequence[Epoch]]) -> None:
    for axes, quantity in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for (name, epochs), color in zip(runs.items(), (BLUE, VERMILION, GREEN), strict=False):
            numbers = [epoch.number for epoch in epochs]
            for part, line in (("train", "o--"), ("val", "s-")):
                values = [getattr(epoch, f"{part}_{quantity}") for epoch in epochs]
                label = f"{name}: {'training' if part == 'train' else 'validation'}"
                axes.plot(numbers, values, line, color=color, label=label)
        axes.set(xlabel="epoch", ylabel="cross-entropy, nats" if quantity == "loss" else "accuracy")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
    axes.legend(loc="best")
