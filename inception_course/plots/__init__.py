"""Every figure of the course: a function takes results and returns a matplotlib `Figure`."""

from .data import class_balance, classes, confusion, image, mistakes, pixels
from .family import family_tree
from .lineage import aliasing, channel_rows, gallery, layer_bars, shift_curves, strongest
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
    "aliasing",
    "channel_rows",
    "class_balance",
    "classes",
    "confusion",
    "describe",
    "epoch_curves",
    "family_tree",
    "gallery",
    "image",
    "layer_bars",
    "learning_curves",
    "mistakes",
    "pixels",
    "shift_curves",
    "strongest",
]
