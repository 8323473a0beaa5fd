"""Exercises of notebook 01: AlexNet, ZFNet and VGG."""

import math

from . import Choice, Code, Number

# The windows of AlexNet down to its last convolution: window and stride of each layer.
ALEXNET = [(11, 4), (3, 2), (5, 1), (3, 2), (3, 1), (3, 1), (3, 1)]

q1 = Number(
    14 * 14 * 512 * 4096,
    {
        (102_760_448, 102_764_544): "that is for 224 pixels; the last map grows with the image.",
        (205_520_896, 205_524_992): "the map doubles in height and in width.",
        14 * 14 * 512: "those are the inputs of the layer; each of its 4,096 outputs has as many "
        "weights.",
        14 * 14 * 4096: "the last map has 512 channels at each of its positions.",
        14 * 14 * 512 * 1000: "1,000 is the last layer; the first fully connected one has 4,096 "
        "outputs.",
        448 * 448 * 512 * 4096: "five poolings have halved the map before it reaches this layer.",
    },
    "five poolings leave 448 / 32 positions a side, of 512 maps, for each of 4,096 outputs.",
    tolerance=4096,  # with the biases or without
    hints=(
        "How many positions has the last map, after five poolings that halve it?",
        "448 / 32 = 14 positions a side: how many numbers enter the layer, and how many leave it?",
    ),
    because="14 * 14 * 512 * 4096 = 411,041,792 weights: four times as many as for 224 pixels, "
    "and three times as many as all of VGG-16 has. A convolution's weights would not change.",
)


def receptive_field(chain):
    field, step = 1, 1
    for window, stride in chain:
        field += (window - 1) * step
        step *= stride
    return field


def _own_stride_first(chain):
    field, step = 1, 1
    for window, stride in chain:
        step *= stride
        field += (window - 1) * step
    return field


def _backward_formula_forward(chain):
    field = 1
    for window, stride in chain:
        field = (field - 1) * stride + window
    return field


q2 = Code(
    receptive_field,
    lambda: (
        ([(3, 1)],),
        ([(3, 1), (3, 1)],),
        ([(3, 2), (3, 1)],),
        ([(7, 2), (3, 2), (5, 2)],),
        ([(1, 1), (4, 3), (2, 2), (5, 1)],),
        (list(ALEXNET),),
    ),
    {
        lambda chain: 1 + sum(window - 1 for window, _ in chain): "after a stride a neighbor is "
        "several pixels away.",
        lambda chain: sum(window for window, _ in chain): "the windows overlap.",
        lambda chain: math.prod(window for window, _ in chain): "windows add up, they do not "
        "multiply.",
        _own_stride_first: "a layer's stride counts for the layers after it.",
        _backward_formula_forward: "this formula begins at the last layer: go through the chain "
        "from its end.",
    },
    "each window widens what is seen by its reach, in steps of the map that it slides over.",
    hints=(
        "Begin with one pixel. By how much does a window of k positions widen what is seen?",
        "By (k - 1) steps. How long is a step, after all the strides before this layer?",
    ),
    because="Each window adds (window - 1) steps of the map it slides over:",
)

q3 = Choice(
    "conv2",
    {
        "conv1": "it has the largest map, but few channels to look at: compare the blue bars.",
        "conv3": "it has the most parameters of the convolutions; look at the multiply-adds.",
        "fc6": "it has the most parameters, and uses each of them once per image.",
    },
    hints=(
        "There are two figures of this kind: one counts parameters, the other work.",
        "In the panel of AlexNet's multiply-adds, find the highest bar.",
    ),
    because="'conv2': 224 million of 724 million multiply-adds, because its 307,456 parameters "
    "are used at 27 * 27 positions.",
)

q4 = Number(
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
    hints=(
        "The window looks at rows 0, 4, 8, 12, ... How far is each from the stripe before it?",
        "The distances are 0, 4, 2, 0, 4, 2, ...: when do they repeat?",
    ),
    because="12 pixels: rows 0, 4, 8 lie 0, 4 and 2 rows after a stripe, and row 12 lies on one "
    "again. Every second stripe is never seen where it is brightest.",
)


def augmented(image, crop):
    return 2 * (image - crop + 1) ** 2


q5 = Code(
    augmented,
    lambda: ((256, 224), (28, 24), (8, 8), (7, 1)),
    {
        lambda image, crop: 2 * (image - crop) ** 2: "both ends count: a crop of 3 out of 4 pixels "
        "has two places.",
        lambda image, crop: (image - crop + 1) ** 2: "each crop can be mirrored as well.",
        lambda image, crop: (image - crop) ** 2: (
            "both ends count, so that there is one place more a side; and each crop has a mirror "
            "image."
        ),
        lambda image, crop: 2 * (image - crop + 1): "a crop can move down and to the right.",
        lambda image, crop: 4 * (image - crop + 1) ** 2: "a crop is mirrored left to right, and "
        "not upside down.",
        lambda image, crop: 2 * (image // crop) ** 2: "crops may overlap: move one by a pixel.",
    },
    "count the places of the left edge, those of the upper edge, and the mirror images.",
    hints=(
        "How many places are there for the left edge of a crop of 3 in a row of 4 pixels?",
        "As many down as across; and what does the mirror do to their number?",
    ),
    because="Places down, times places to the right, times two for the mirror:",
)
