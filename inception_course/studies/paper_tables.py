"""The errors that GoogLeNet's paper prints (arXiv:1409.4842, Table 3), as data to check.

Errors are in per cent; `None` is what the paper leaves blank.
"""

from typing import NamedTuple


class Crops(NamedTuple):
    """A line of Table 3: what more networks and more crops gain, on the validation images."""

    models: int
    crops: int
    cost: int
    top_5: float
    against_base: float | None


# fmt: off
TABLE_3 = (
    Crops(1,   1,    1, 10.07, None),
    Crops(1,  10,   10,  9.15, -0.92),
    Crops(1, 144,  144,  7.89, -2.18),
    Crops(7,   1,    7,  8.09, -1.98),
    Crops(7,  10,   70,  7.62, -2.45),
    Crops(7, 144, 1008,  6.67, -3.45),
)
# fmt: on
