"""The results that GoogLeNet's paper prints (arXiv:1409.4842, Tables 2 to 5), as data to check.

Errors and average precisions are in per cent, as printed; `None` is what the paper does not say.
"""

from typing import NamedTuple


class Classification(NamedTuple):
    """A line of Table 2: classification on ImageNet. `top_5` is the error of five guesses."""

    team: str
    year: int
    place: int
    top_5: float
    external_data: bool


class Crops(NamedTuple):
    """A line of Table 3: what more networks and more crops gain, on the validation images."""

    models: int
    crops: int
    cost: int
    top_5: float
    against_base: float | None


class Detection(NamedTuple):
    """A line of Table 4: detection on ImageNet. `precision` is the mean average precision."""

    team: str
    year: int
    place: int
    precision: float
    models: int | None  # in the ensemble
    approach: str


class SingleModel(NamedTuple):
    """A line of Table 5: detection by one network."""

    team: str
    precision: float
    context: bool | None  # a model of the surroundings
    regression: bool | None  # of the box's place


# fmt: off
CLASSIFICATION = (
    Classification("SuperVision", 2012, 1, 16.4,  False),
    Classification("SuperVision", 2012, 1, 15.3,  True),
    Classification("Clarifai",    2013, 1, 11.7,  False),
    Classification("Clarifai",    2013, 1, 11.2,  True),
    Classification("MSRA",        2014, 3,  7.35, False),
    Classification("VGG",         2014, 2,  7.32, False),
    Classification("GoogLeNet",   2014, 1,  6.67, False),
)

TABLE_3 = (
    Crops(1,   1,    1, 10.07, None),
    Crops(1,  10,   10,  9.15, -0.92),
    Crops(1, 144,  144,  7.89, -2.18),
    Crops(7,   1,    7,  8.09, -1.98),
    Crops(7,  10,   70,  7.62, -2.45),
    Crops(7, 144, 1008,  6.67, -3.45),
)

DETECTION = (
    Detection("UvA-Euvision",  2013, 1, 22.6, None, "Fisher vectors"),
    Detection("Deep Insight",  2014, 3, 40.5, 3,    "CNN"),
    Detection("CUHK DeepID-Net", 2014, 2, 40.7, None, "CNN"),
    Detection("GoogLeNet",     2014, 1, 43.9, 6,    "CNN"),
)

DETECTION_SINGLE = (
    SingleModel("Trimps-Soushen",  31.6,  False, None),
    SingleModel("Berkeley Vision", 34.5,  False, True),
    SingleModel("UvA-Euvision",    35.4,  None,  None),
    SingleModel("CUHK DeepID-Net2", 37.7, False, None),
    SingleModel("GoogLeNet",       38.02, False, False),
    SingleModel("Deep Insight",    40.2,  True,  True),
)
# fmt: on
