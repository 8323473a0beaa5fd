"""Wrong answers to notebook 01."""

import math

from inception_course.lessons.exercises import ch01


def without_strides(layers):
    return 1 + sum(window - 1 for window, _ in layers)


def summed(layers):
    return sum(window for window, _ in layers)


def multiplied(layers):
    return math.prod(window for window, _ in layers)


def silent(layers):
    without_strides(layers)


def off_by_one(image, crop):
    return 2 * (image - crop) ** 2


def not_mirrored(image, crop):
    return (image - crop + 1) ** 2


def one_way(image, crop):
    return 2 * (image - crop + 1)


WRONG = {
    "q1": [
        (102_760_448, "for 224"),
        (205_520_896, "doubles in height"),
        (14 * 14 * 512, "inputs"),
        (411.04, "millions"),
        (448 * 448 * 512 * 4096, "poolings"),
        (7, "448 / 32"),
    ],
    "q2": [
        (without_strides, "neighbour is several"),
        (summed, "overlap"),
        (multiplied, "do not multiply"),
        (ch01._own_stride_first, "layers after it"),
        (silent, "returns nothing"),
    ],
    "q3": [("conv1", "largest map"), ("conv3", "multiply-adds"), ("fc6", "once per image")],
    "q4": [(6, "true distance"), (3, "steps"), (24, "earlier"), (8, "not alike"), (10, "rows 0")],
    "q5": [
        (off_by_one, "both ends"),
        (not_mirrored, "mirrored"),
        (one_way, "down and to the right"),
    ],
}
