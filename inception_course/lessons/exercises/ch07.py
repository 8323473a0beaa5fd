"""Exercises of notebook 07: crops, ensembles and calibration."""

import math

import torch

from . import Exercise, Solution, choice, number, written


def _check_distinct(answer):
    given = number(answer)
    if given == 48:
        return None
    if given == 144:
        return "that counts every view; the three squares of a square image are the same square."
    if given == 24:
        return "a view and its mirror image are two views."
    if given == 40:
        return "the whole square is shown as well, at each scale."
    if given == 36:
        return "three squares fall together, not the four scales: divide by three."
    return "4 scales, 6 views of a square, each mirrored: which factor of the 144 has gone?"


q1 = Exercise(
    _check_distinct,
    (
        "Left, centre and right squares differ by where they lie along the longer side.",
        "A square image leaves no room to move: the 3 in 4 x 3 x 6 x 2 becomes 1.",
    ),
    Solution(48, "4 x 1 x 6 x 2 = 48: each of them is shown three times."),
)


def _five_boxes(square, size):
    left, top, right, bottom = square
    half = (right - left - size) // 2
    corners = [(x, y) for y in (top, bottom - size) for x in (left, right - size)]
    return [(x, y, x + size, y + size) for x, y in [*corners, (left + half, top + half)]]


def _check_boxes(function):
    square, size = (64, 0, 320, 256), 224
    given = written(function)(square, size)
    if given is None:
        return "your function returns nothing: add a return statement."
    given = {tuple(int(value) for value in box) for box in given}
    want = set(_five_boxes(square, size))
    if given == want:
        moved = written(function)((0, 10, 100, 110), 60)
        if {tuple(map(int, box)) for box in moved} == set(_five_boxes((0, 10, 100, 110), 60)):
            return None
        return "right for one square and wrong for another: use `square` and `size` throughout."
    if given == set(_five_boxes((0, 0, 256, 256), size)):
        return "these lie in a square that starts at 0: add the place of this one."
    if given == want - {_five_boxes(square, size)[-1]}:
        return "the centre is missing."
    if any(right - left != size or bottom - top != size for left, top, right, bottom in given):
        return f"each box is {size} pixels wide and high: (left, top, left + size, top + size)."
    if any(box[0] < 64 or box[1] < 0 or box[2] > 320 or box[3] > 256 for box in given):
        return "a box reaches out of the square."
    return f"for the square {square} and {size} pixels, {len(want - given)} of 5 boxes are missing."


q2 = Exercise(
    _check_boxes,
    (
        "A box that touches the right edge starts at `right - size`.",
        "The centre starts half of the room to the right: left + (right - left - size) // 2.",
    ),
    Solution(_five_boxes, "Two starts across, two down, and the centre:"),
)


def _answer(logits):
    return logits.softmax(dim=2).mean(dim=0).argmax(dim=1)


def _check_answer(function):
    # Four images: each tells the mean of probabilities from one of the other ways.
    few = torch.zeros(3, 4, 3)
    few[:, 0] = torch.tensor([[9.0, 0, 0], [0, 2, 0], [0, 2, 0]])
    few[:, 1] = torch.tensor([[0, 9.0, 0], [1.5, 0, 1.4], [1.5, 0, 1.4]])
    few[:, 2] = torch.tensor([[30.0, 0, 0], [0, 2, 0], [0, 9.0, 0]])
    few[:, 3] = torch.tensor([[2.3, 2.2, 0], [2.3, 2.2, 0], [0, 2.4, 5.0]])
    given = written(function)(few)
    if given is None:
        return "your function returns nothing: add a return statement."
    given = torch.as_tensor(given)
    if given.shape != (4,):
        return f"4 images have 4 answers; you return the shape {list(given.shape)}."
    if given.is_floating_point():
        return "the answer is the number of a class: take argmax at the end."
    if torch.equal(given, _answer(few)):
        return None
    for way, message in (
        (few.mean(dim=0).argmax(dim=1), "you average logits; the paper averages probabilities."),
        (
            few.softmax(dim=2).amax(dim=0).argmax(dim=1),
            "that is the maximum over the views, which the paper tried and found worse.",
        ),
        (few.argmax(dim=2).mode(dim=0).values, "that is a vote: it forgets how sure a view was."),
        (
            few.softmax(dim=0).mean(dim=0).argmax(dim=1),
            "the softmax runs over the classes, the last dimension, not over the views.",
        ),
        (few[0].argmax(dim=1), "that is the first view alone."),
    ):
        if torch.equal(given, way):
            return message
    return "softmax over the classes, mean over the views, then the largest: try that order."


q3 = Exercise(
    _check_answer,
    (
        "What does the paper average: logits, probabilities or answers?",
        "logits.softmax(dim=2), then the mean over dim=0, then argmax over the classes.",
    ),
    Solution(_answer, "Probabilities first, then the mean over the views, then the largest:"),
)


def _check_hours(answer):
    given = number(answer)
    if math.isclose(given, 28, rel_tol=0.02):
        return None
    if math.isclose(given, 4, rel_tol=0.02):
        return "that is one network; the ensemble has seven."
    if math.isclose(given, 100_800, rel_tol=0.02):
        return "that is in seconds; the question asks for hours."
    if math.isclose(given, 1680, rel_tol=0.02):
        return "that is in minutes; the question asks for hours."
    if math.isclose(given, 100_000 / 1000 / 3600, rel_tol=0.05):
        return "that is one view and one network."
    return "images x networks x views, divided by 1,000 in a second, are seconds."


q4 = Exercise(
    _check_hours,
    (
        "How many times does one image pass through a network?",
        "7 x 144 = 1,008 passes for each of 100,000 images, 1,000 in a second.",
    ),
    Solution(28, "100,000 x 1,008 / 1,000 = 100,800 seconds: 28 hours, instead of 100 seconds."),
)


def _check_reliability(answer):
    return choice(
        answer,
        {
            "too little": None,
            "too much": "above the line accuracy is higher than confidence: what does it promise?",
            "as much as it should": "then the points would lie on the line.",
        },
    )


q5 = Exercise(
    _check_reliability,
    (
        "A point above the line: take one, and read off its confidence and its accuracy.",
        "Right more often than it says: is that promising too much, or too little?",
    ),
    Solution("too little", "'too little': accuracy is above confidence, so it is underconfident."),
)
