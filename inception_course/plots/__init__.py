"""Every figure of the course: a function takes results and returns a matplotlib `Figure`."""

from .anatomy import (
    against_paper,
    gradient_norms,
    receptive_fields,
    shift_curves,
    wiring,
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
    "against_paper",
    "class_balance",
    "classes",
    "confusion",
    "describe",
    "epoch_curves",
    "family_tree",
    "gradient_norms",
    "image",
    "learning_curves",
    "mistakes",
    "pixels",
    "receptive_fields",
    "shift_curves",
    "wiring",
]
