"""Wrong answers to notebook 02."""

from inception_course import hebbian
from inception_course.lessons.exercises import ch02


def plain_hebb(weights, inputs, rate):
    return hebbian.hebb(weights.unsqueeze(0), inputs, rate)[0]


def in_place(weights, inputs, rate):
    return weights.add_(rate)


def one_number(weights, inputs, rate):
    return (inputs @ weights).mean()


def something_else(weights, inputs, rate):
    return weights / weights.norm()


def nothing(weights, inputs, rate):
    forgotten = inputs @ weights  # noqa: F841 - computed, and not returned


WRONG = {
    "q1": [
        (plain_hebb, "decay is missing"),
        (ch02._summed, "mean over the batch"),
        (ch02._first_power, "square of the output"),
        (ch02._wrong_sign, "other way round"),
        (ch02._only_the_change, "return the new weights"),
        (in_place, "changed the weights"),
        (one_number, "shape"),
        (something_else, "differ"),
        (nothing, "returns nothing"),
    ],
    "q2": [(399, "sparse regime"), (200, "rho d"), (401, "between 0 and 400"), (-1, "between")],
    "q3": [
        ("1 in 100", "many times faster"),
        ("1 in 2", "below 1"),
        ("always", "look up"),
        ("never", "left end"),
        ("0.2", "choose one of"),
    ],
    "q4": [
        (768 * 768, "whole"),
        (24 * 24, "one block"),
        (768 * 32, "side of each"),
        (768, "diagonal"),
        (32, "all of its entries"),
    ],
    "q5": [
        ((18, 84, 108), "contains the 3x3"),
        ((18, 66, 24), "108 of 120"),
        ((40, 40, 40), "ignore the curve"),
        ((20, 27, 73), "part of 120 / 0.9"),
        ((10, 10, 10), "sum to 30"),
        ((20, 100), "three widths"),
        (20, "three numbers"),
    ],
}
