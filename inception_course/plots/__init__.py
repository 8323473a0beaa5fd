"""Every figure of the course: a function takes results and returns a matplotlib `Figure`."""

from .batch_norm import (
    accuracy_by_depth,
    accuracy_by_step,
    along_the_step,
    by_layer,
    correlations,
    percentile_bands,
    sigmoid_input,
    standardised,
)
from .data import class_balance, classes, confusion, image, mistakes, pixels
from .family import family_tree
from .picture import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PROJECTOR,
    PURPLE,
    SKY,
    VERMILION,
    YELLOW,
    Note,
    Picture,
    describe,
)
from .runs import epoch_curves, learning_curves

__all__ = [
    "BLACK",
    "BLUE",
    "GREEN",
    "GREY",
    "ORANGE",
    "PROJECTOR",
    "PURPLE",
    "SKY",
    "VERMILION",
    "YELLOW",
    "Note",
    "Picture",
    "accuracy_by_depth",
    "accuracy_by_step",
    "along_the_step",
    "by_layer",
    "class_balance",
    "classes",
    "confusion",
    "correlations",
    "describe",
    "epoch_curves",
    "family_tree",
    "image",
    "learning_curves",
    "mistakes",
    "percentile_bands",
    "pixels",
    "sigmoid_input",
    "standardised",
]
