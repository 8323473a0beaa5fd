"""Exercises of notebook 01: AlexNet, ZFNet and VGG."""

import math

from . import Code, Number, Open
from .answers import pairs

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
        "How many positions does the last map have, after five poolings that halve it?",
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

q3 = Number(
    28,
    {
        (27, 27.5, 27.51): "with 27 images the activations still take less: count whole images.",
        (9, 9.17, 10): "that is for the parameters alone: a gradient and a momentum are kept for "
        "each of them.",
        (18, 18.3, 19): "two numbers are not all: each weight has itself, a gradient and a "
        "momentum.",
        (36, 36.7, 37): "momentum keeps one number for each weight: three with the weight and its "
        "gradient.",
        (3, 4): "so many times the parameters is what is held once; how many images take as much?",
        (1, 2): "a single image has 60.3 MB of activations, and the parameters alone take 553 MB.",
    },
    "divide what is held once, for the weights, by what is held for each image.",
    other_units=("mb", "megabyte", "byte"),
    hints=(
        "What does a step with momentum keep for each weight, besides the weight?",
        "Divide all that by the activations of one image. Does the result go up or down to a whole "
        "number?",
    ),
    because="Weights, gradients and momentum are 3 * 553 = 1,660 MB, and each image adds 60.3 MB: "
    "from 28 images on the activations are more. So large batches fill a card, not large layers.",
)


q4 = Open(
    [(3, 2)] * 4,
    "a list of pairs, window and stride",
    (
        (len, lambda layers: 1 <= layers <= 4, "a chain of one to four windows; yours has {}."),
        (
            lambda chain: {window for window, _ in chain},
            lambda windows: windows == {3},
            "windows of 3 pixels only; yours are {}.",
        ),
        (
            lambda chain: {stride for _, stride in chain},
            lambda strides: strides <= {1, 2, 3},
            "strides of 1, 2 or 3 (a longer one skips pixels between its windows); yours are {}.",
        ),
        (
            receptive_field,
            lambda field: field >= 31,
            "this chain sees {} pixels a side. Which stride makes the windows after it reach "
            "further?",
        ),
    ),
    read=pairs,
    hints=(
        "Without strides each window adds 2 pixels. After one layer with stride 2, how many does "
        "the next window add?",
        "The stride of a layer multiplies what each window after it adds. Where does it help most?",
    ),
    because="Four windows of 3 with stride 2 see 1 + 2 + 4 + 8 + 16 = 31 pixels, and without "
    "strides 9. Stride 3 sees further still, and leaves fewer positions:",
)
