"""Exercises of notebook 01: AlexNet, ZFNet and VGG."""

import math

from . import Exercise, Solution, choice, number, written

# The windows of AlexNet down to its last convolution: window and stride of each layer.
ALEXNET = [(11, 4), (3, 2), (5, 1), (3, 2), (3, 1), (3, 1), (3, 1)]


def _check_first_linear(answer):
    given = number(answer)
    if given in (411_041_792, 411_045_888):
        return None
    if math.isclose(given, 411.04, abs_tol=0.01):
        return "you seem to count in millions; give the number itself."
    if given in (102_760_448, 102_764_544):
        return "that is for 224 pixels; the last map grows with the image."
    if given in (205_520_896, 205_524_992):
        return "the map doubles in height and in width."
    if given == 14 * 14 * 512:
        return "those are the inputs of the layer; each of its 4,096 outputs has as many weights."
    if given == 448 * 448 * 512 * 4096:
        return "five poolings have halved the map before it reaches this layer."
    return "five poolings leave 448 / 32 positions a side, of 512 maps, for each of 4,096 outputs."


q1 = Exercise(
    _check_first_linear,
    (
        "How many positions has the last map, after five poolings that halve it?",
        "448 / 32 = 14: the layer takes 14 * 14 * 512 numbers to 4,096.",
    ),
    Solution(
        411_041_792,
        "14 * 14 * 512 * 4096 = 411,041,792 weights: four times as many as for 224 pixels, and "
        "three times as many as all of VGG-16 has. A convolution's weights would not change.",
    ),
)


def _receptive_field(chain):
    field, step = 1, 1
    for window, stride in chain:
        field += (window - 1) * step
        step *= stride
    return field


def _check_receptive_field(function):
    function = written(function)
    cases = ([(3, 1)], [(3, 1), (3, 1)], [(3, 2), (3, 1)], [(7, 2), (3, 2), (5, 2)], ALEXNET)
    for case in cases:
        given = function(list(case))
        if given is None:
            return "your function returns nothing: add a return statement."
        given, want = number(given), _receptive_field(case)
        if given == want:
            continue
        if given == 1 + sum(window - 1 for window, _ in case):
            return f"{case} sees {want} pixels: after a stride a neighbour is several pixels away."
        if given == sum(window for window, _ in case):
            return f"{case} sees {want} pixels, not {given:g}: the windows overlap."
        if given == _own_stride_first(case):
            return f"{case} sees {want} pixels: a layer's stride counts for the layers after it."
        if given == math.prod(window for window, _ in case):
            return (
                f"{case} sees {want} pixels, not {given:g}: windows add up, they do not multiply."
            )
        return f"{case} sees {want} pixels, and you return {given:g}."
    return None


def _own_stride_first(layers):
    field, step = 1, 1
    for window, stride in layers:
        step *= stride
        field += (window - 1) * step
    return field


q2 = Exercise(
    _check_receptive_field,
    (
        "Begin with one pixel. By how much does a window of k positions widen what is seen?",
        "By (k - 1) steps; a step is the product of all strides before this layer.",
    ),
    Solution(_receptive_field, "Each window adds (window - 1) steps of the map it slides over:"),
)


def _check_work(answer):
    return choice(
        answer,
        {
            "conv2": None,
            "conv1": "it has the largest map, but few channels to look at: compare the blue bars.",
            "conv3": "it has the most parameters of the convolutions; look at the multiply-adds.",
            "fc6": "it has the most parameters, and uses each of them once per image.",
        },
    )


q3 = Exercise(
    _check_work,
    (
        "There are two figures of this kind: one counts parameters, the other work.",
        "In the panel of AlexNet's multiply-adds, find the highest bar.",
    ),
    Solution(
        "conv2",
        "'conv2': 224 million of 724 million multiply-adds, because its 307,456 parameters are "
        "used at 27 * 27 positions.",
    ),
)


def _check_period(answer):
    given = number(answer)
    if given == 12:
        return None
    if given == 6:
        return "that is the true distance; which rows does the window look at?"
    if given == 3:
        return "every third answer is alike: that is in steps; how many pixels are three steps?"
    if given == 24:
        return "the pattern repeats earlier than after 6 times 4 rows."
    if given in (4, 8):
        return "rows 0 and 8 are not alike: 8 is not a multiple of 6."
    return "write down rows 0, 4, 8, 12, ... and where each lies between two stripes."


q4 = Exercise(
    _check_period,
    (
        "The window looks at rows 0, 4, 8, 12, ... How far is each from the stripe before it?",
        "The distances are 0, 4, 2, 0, 4, 2, ...: when do they repeat?",
    ),
    Solution(
        12,
        "12 pixels: rows 0, 4, 8 lie 0, 4 and 2 rows after a stripe, and row 12 lies on one again. "
        "Every second stripe is never seen where it is brightest.",
    ),
)


def _crops(image, crop):
    return 2 * (image - crop + 1) ** 2


def _check_crops(function):
    function = written(function)
    for image, crop in ((256, 224), (28, 24), (8, 8)):
        given = function(image, crop)
        if given is None:
            return "your function returns nothing: add a return statement."
        given, want = number(given), _crops(image, crop)
        if given == want:
            continue
        at = f"{crop} pixels out of {image}"
        if given == 2 * (image - crop) ** 2:
            return f"{at}: both ends count, so that there are {image - crop + 1} places a side."
        if given == want / 2:
            return f"{at}: each crop can be mirrored as well."
        if given == 2 * (image - crop + 1):
            return f"{at}: a crop can move down and to the right."
        return f"{at} make {want} different images, and you return {given:g}."
    return None


q5 = Exercise(
    _check_crops,
    (
        "How many places are there for the left edge of a crop of 3 in a row of 4 pixels?",
        "image - crop + 1 places a side, two sides, and each mirrored or not.",
    ),
    Solution(_crops, "Places down, times places to the right, times two for the mirror:"),
)
