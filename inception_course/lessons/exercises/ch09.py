"""Exercises of notebook 09: crops, ensembles and calibration."""

import torch

from . import Choice, Code, Number

q1 = Number(
    48,
    {
        144: "that counts every view; the three squares of a square image are the same square.",
        126: "that is for an image that is longer than wide; here all three squares are one.",
        24: "a view and its mirror image are two views.",
        40: "the whole square is shown as well, at each scale.",
        36: "three squares fall together, not the four scales: divide by three.",
        (96, 108): "left, middle and right square are all the same: two of three views go.",
    },
    "4 scales, 6 views of a square, each mirrored: which factor of the 144 has gone?",
    hints=(
        "Left, center and right squares differ by where they lie along the longer side.",
        "A square image leaves no room to move. Which factor of 4 x 3 x 6 x 2 does that change?",
    ),
    because="4 x 1 x 6 x 2 = 48: each of them is shown three times.",
)


def five_boxes(square, size):
    left, top, right, bottom = square
    half = (right - left - size) // 2
    corners = [(x, y) for y in (top, bottom - size) for x in (left, right - size)]
    return [(x, y, x + size, y + size) for x, y in [*corners, (left + half, top + half)]]


def _sorted(boxes, *_):
    return torch.tensor(sorted(tuple(map(float, box)) for box in boxes), dtype=torch.float64)


def _off_the_edge(square, size):
    left, top, right, bottom = square
    boxes = [(x, y, x + size, y + size) for x in (left, right) for y in (top, bottom)]
    return [*boxes, five_boxes(square, size)[-1]]


def _at_the_origin(square, size):
    left, top, right, bottom = square
    return five_boxes((0, 0, right - left, bottom - top), size)


q2 = Code(
    five_boxes,
    lambda: (
        ((64, 0, 320, 256), 224),
        ((0, 10, 100, 110), 60),
        ((5, 7, 18, 20), 13),
        ((3, 9, 11, 17), 2),
    ),
    {
        _at_the_origin: "these lie in a square that starts at 0: add the place of this one.",
        lambda square, size: five_boxes(square, size)[:4]: "the center is missing.",
        lambda square, size: [*five_boxes(square, size)[:4], square]: "the whole square is no "
        "crop: the fifth is a box of `size` pixels in the center.",
        lambda square, size: five_boxes(square, size) * 2: "each box is wanted once.",
        lambda square, size: [(x, y, size, size) for x, y, *_ in five_boxes(square, size)]: (
            "a box ends at left + size and top + size: the last two are edges, not lengths."
        ),
        lambda square, size: [
            (left, upper, right, lower) for upper, left, lower, right in five_boxes(square, size)
        ]: "the order is left, top, right, bottom.",
        _off_the_edge: "these reach out of the square: a box at its right edge ends there.",
    },
    "each box is `size` pixels wide and high, (left, top, left + size, top + size), and none "
    "reaches out of the square (all five, sorted).",
    returns="a list of boxes, each of four numbers,",
    outcome=_sorted,
    hints=(
        "A box that touches the right edge starts at `right - size`.",
        "The center leaves as much room on its left as on its right: half of what is over.",
    ),
    because="Two starts across, two down, and the center:",
)


def answer(logits):
    return logits.softmax(dim=2).mean(dim=0).argmax(dim=1)


def _views():
    # Four images: each tells the mean of probabilities from one of the other ways.
    few = torch.zeros(3, 4, 3)
    few[:, 0] = torch.tensor([[9.0, 0, 0], [0, 2, 0], [0, 2, 0]])
    few[:, 1] = torch.tensor([[0, 9.0, 0], [1.5, 0, 1.4], [1.5, 0, 1.4]])
    few[:, 2] = torch.tensor([[30.0, 0, 0], [0, 2, 0], [0, 9.0, 0]])
    few[:, 3] = torch.tensor([[2.3, 2.2, 0], [2.3, 2.2, 0], [0, 2.4, 5.0]])
    yield (few,)
    yield (torch.randn(7, 2, 5).transpose(0, 1),)


q3 = Code(
    answer,
    _views,
    {
        lambda logits: logits.mean(dim=0).argmax(dim=1): "you average logits; the paper averages "
        "probabilities.",
        lambda logits: logits.softmax(dim=2).amax(dim=0).argmax(dim=1): "that is the maximum over "
        "the views, which the paper tried and found worse.",
        lambda logits: logits.argmax(dim=2).mode(dim=0).values: "that is a vote: it forgets how "
        "sure a view was.",
        lambda logits: logits.softmax(dim=0).mean(dim=0).argmax(dim=1): "the softmax runs over the "
        "classes, the last dimension, not over the views.",
        lambda logits: logits[0].argmax(dim=1): "that is the first view alone.",
        lambda logits: logits.softmax(dim=2).mean(dim=0): "those are the probabilities, of shape "
        "[N, classes]: take argmax at the end.",
        lambda logits: logits.softmax(dim=2).mean(dim=0).amax(dim=1): "that is how sure the answer "
        "is; its class is the argmax.",
    },
    "softmax over the classes, mean over the views, then the largest: try that order.",
    outcome=lambda result, *_: torch.as_tensor(result),
    hints=(
        "What does the paper average: logits, probabilities or answers?",
        "logits.softmax(dim=2) are probabilities. Which dimension are the views, and what is left "
        "after their mean?",
    ),
    because="Probabilities first, then the mean over the views, then the largest:",
)

q4 = Number(
    28,
    {
        4: "that is one network; the ensemble has seven.",
        100_800: "that is in seconds; the question asks for hours.",
        1680: "that is in minutes; the question asks for hours.",
        100_000 / 1000 / 3600: "that is one view and one network.",
        7 / 36: "that is one view; each network sees 144.",
        28 / 24: "that is in days; the question asks for hours.",
    },
    "images x networks x views, divided by 1,000 in a second, are seconds.",
    tolerance=0.5,
    hints=(
        "How many times does one image pass through a network?",
        "7 x 144 = 1,008 passes for each of 100,000 images, 1,000 in a second. And an hour?",
    ),
    because="100,000 x 1,008 / 1,000 = 100,800 seconds: 28 hours, instead of 100 seconds.",
)

q5 = Choice(
    "too little",
    {
        "too much": "above the line accuracy is higher than confidence: what does it promise?",
        "as much as it should": "then the points would lie on the line.",
    },
    also={"underconfident": "too little", "overconfident": "too much"},
    hints=(
        "A point above the line: take one, and read off its confidence and its accuracy.",
        "Right more often than it says: does its confidence lie above its accuracy, or below?",
    ),
    because="'too little': accuracy is above confidence, so it is underconfident.",
)
