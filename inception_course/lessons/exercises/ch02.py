"""Exercises of notebook 02: what the parts do."""

from . import Code, Number, Open
from .answers import numbers

q1 = Number(
    12,
    {
        6: "that is the true distance; which rows does the window look at?",
        3: "every third answer is alike: that is in steps; how many pixels are three steps?",
        2: "that is in stripes; how many pixels are two of them?",
        24: "the pattern repeats earlier than after 6 times 4 rows.",
        (4, 8): "rows 0 and 8 are not alike: 8 is not a multiple of 6.",
        18: "row 18 is on a stripe, and the window never looks at it.",
    },
    "write down rows 0, 4, 8, 12, ... and where each lies between two stripes.",
    other_units=("stripe", "step", "window", "answer"),
    hints=(
        "The window looks at rows 0, 4, 8, 12, ... How far is each from the stripe before it?",
        "The distances are 0, 4, 2, 0, 4, 2, ...: when do they repeat?",
    ),
    because="12 pixels: rows 0, 4, 8 lie 0, 4 and 2 rows after a stripe, and row 12 lies on one "
    "again. Every second stripe is never seen where it is brightest.",
)


def augmented(image, crop, step):
    return 2 * ((image - crop) // step + 1) ** 2


q2 = Code(
    augmented,
    lambda: ((256, 224, 1), (256, 224, 4), (28, 24, 3), (8, 8, 2), (7, 1, 4)),
    {
        lambda image, crop, step: 2 * ((image - crop) // step) ** 2: "both ends count: a crop of 3 "
        "out of 4 pixels has two places.",
        lambda image, crop, step: ((image - crop) // step + 1) ** 2: "each crop can be mirrored as "
        "well.",
        lambda image, crop, step: 2 * (image - crop + 1) ** 2: "that takes a crop at every pixel: "
        "where is the step?",
        lambda image, crop, step: 2 * (image - crop + 1) ** 2 // step: "the steps go down and to "
        "the right: fewer places in both directions.",
        lambda image, crop, step: 2 * ((image - crop + 1) // step) ** 2: "the first place counts "
        "whatever the step is: count the steps after it.",
        lambda image, crop, step: 2 * ((image - crop) // step + 1): "a crop can move down and to "
        "the right.",
        lambda image, crop, step: 4 * ((image - crop) // step + 1) ** 2: "a crop is mirrored left "
        "to right, and not upside down.",
        lambda image, crop, step: 2 * ((image - crop) / step + 1) ** 2: "a crop that does not fit "
        "whole is left out: count whole steps.",
    },
    "count the places of the left edge, those of the upper edge, and the mirror images.",
    hints=(
        "The left edge starts at pixel 0. How many steps can it make before the crop reaches the "
        "right end of the image?",
        "As many down as across; and what does the mirror do to their number?",
    ),
    because="Places down, times places to the right, times two for the mirror:",
)


def _phases(period: float, stride: float) -> list[int]:
    """List the distances from a stripe down to the rows at which the window looks, each once."""
    return sorted({int(row * stride % period) for row in range(40)})


q3 = Open(
    (4, 4),
    "two whole numbers, (period, stride)",
    (
        (len, lambda count: count == 2, "two numbers are wanted, period and stride; you give {}."),
        (
            lambda pair: next((each for each in pair if each % 1 or not 2 <= each <= 20), None),
            lambda other: other is None,
            "period and stride are whole numbers from 2 to 20, and {:g} is none.",
        ),
        (
            lambda pair: _phases(*pair),
            lambda phases: len(phases) == 1,
            "the rows that this window looks at lie {} pixels below a stripe: they do not look "
            "the same.",
        ),
    ),
    read=numbers,
    hints=(
        "Write down the rows that the window looks at: 0, one stride, two strides. Where must the "
        "stripes be, so that each of these rows lies on one?",
        "The stride has to be a multiple of something.",
    ),
    because="Wherever the stride is a multiple of the period, every row that is seen lies on a "
    "stripe: the window reports one even gray. The stride may be as long as the period:",
)
