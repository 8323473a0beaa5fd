"""Training."""

from .loop import (
    RECIPES,
    Diverged,
    Epoch,
    Interrupted,
    Precision,
    Recipe,
    Run,
    RunningMean,
    choose_precision,
    describe,
    fit,
    learning_rate,
    make_optimizer,
    objective,
    trained,
)

__all__ = [
    "RECIPES",
    "Diverged",
    "Epoch",
    "Interrupted",
    "Precision",
    "Recipe",
    "Run",
    "RunningMean",
    "choose_precision",
    "describe",
    "fit",
    "learning_rate",
    "make_optimizer",
    "objective",
    "trained",
]
