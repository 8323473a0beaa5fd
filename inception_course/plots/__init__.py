"""Every figure of the course: a function takes results and returns a matplotlib `Figure`."""

from .data import class_balance, classes, confusion, image, mistakes, pixels
from .family import family_tree
from .one_by_one import (
    accuracy_by_width,
    block_shares,
    channels_along,
    spectra,
    two_orders,
    with_and_without,
)
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
    "accuracy_by_width",
    "block_shares",
    "channels_along",
    "class_balance",
    "classes",
    "confusion",
    "describe",
    "epoch_curves",
    "family_tree",
    "image",
    "learning_curves",
    "mistakes",
    "pixels",
    "spectra",
    "two_orders",
    "with_and_without",
]
