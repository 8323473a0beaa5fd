"""Exercises of notebook 03: Hebb, correlation and sparsity."""

from functools import lru_cache

import torch
from torch.nn import functional as F

from ...hebbian import hebb, recover
from . import Code, Number, Open
from .answers import number, numbers


def oja_batch(weights, inputs, rate):
    outputs = inputs @ weights  # [B]
    growth = (outputs.unsqueeze(1) * inputs).mean(dim=0)
    decay = outputs.square().mean() * weights
    return weights + rate * (growth - decay)


def _plain(weights, inputs, rate):
    return hebb(weights.unsqueeze(0), inputs, rate)[0]


def _one_by_one(weights, inputs, rate):
    for image in inputs.split(1):
        weights = oja_batch(weights, image, rate)
    return weights


def _first_power(weights, inputs, rate):
    return _plain(weights, inputs, rate) - rate * (inputs @ weights).mean() * weights


q1 = Code(
    oja_batch,
    lambda: (
        (torch.randn(4), torch.randn(6, 4), 0.1),
        (torch.randn(7), torch.randn(7, 3).T, 0.03),
    ),
    {
        _plain: "that is plain Hebb: the decay is missing, and the weights will explode.",
        lambda weights, inputs, rate: oja_batch(weights, inputs, rate * len(inputs)): (
            "take the mean over the batch, or the step grows with the batch."
        ),
        _first_power: "the decay takes the square of the output, so that it is never negative.",
        lambda weights, inputs, rate: oja_batch(weights, inputs, -rate): "growth is added and "
        "decay subtracted; yours is the other way round.",
        lambda weights, inputs, rate: oja_batch(weights, inputs, rate) - weights: "that is the "
        "change of the weights; return the new weights.",
        lambda weights, inputs, rate: oja_batch(weights, inputs.mean(0, keepdim=True), rate): (
            "take the mean of the products, which is not the product of the means."
        ),
        _one_by_one: "all images of the batch meet the same weights: one step, not one per image.",
        lambda *arguments: F.normalize(_plain(*arguments), dim=0): "that divides by the length; "
        "Oja's decay keeps it near 1 without a division.",
    },
    "the new weights differ from those of Oja's rule.",
    hints=(
        "outputs = inputs @ weights. Hebb's growth is the mean of output times input.",
        "The decay pulls the weights back, the more the larger the squared outputs are. Which sign "
        "does it have?",
    ),
    because="Hebb's growth, minus the mean squared output times the weights:",
)


@lru_cache
def _with(threshold):
    """Recover the network of exercise 2, in which many units are active, with a threshold."""
    return recover(n=400, degree=8, ones=80, samples=8000, threshold=threshold)


q2 = Open(
    0.58,
    "a threshold, a number from 0 to 1",
    (
        (
            lambda threshold: threshold + 0,
            lambda threshold: 0 < threshold < 1,
            "{:g} is no part of what a common parent causes: choose a number between 0 and 1.",
        ),
        (
            lambda threshold: _with(threshold).recall,
            lambda recall: recall > 0,
            "no siblings lie above your line: it stands right of both humps.",
        ),
        (
            lambda threshold: _with(threshold).precision,
            lambda precision: precision > 0.3,
            "only {:.1%} of the pairs above your line are siblings. Where do most strangers lie?",
        ),
        (
            lambda threshold: _with(threshold).recall,
            lambda recall: recall > 0.75,
            "only {:.1%} of the siblings lie above your line: it stands too far right.",
        ),
        (
            lambda threshold: _with(threshold).exact,
            lambda exact: exact >= 150,
            "{} of the 400 are recovered, and 150 are wanted. You are close.",
        ),
    ),
    read=number,
    hints=(
        "In the histogram for 80 active units, which of the two humps should the line cut off?",
        "The humps stand near 0.51 and 0.63. A line between them makes mistakes of both kinds: "
        "which of them does a family survive, a stranger too many or a sibling too few?",
    ),
    because="0.58, between the humps: about 260 of the 400 are recovered. There is no line without "
    "mistakes. From 0.55 to 0.60 more than 200 are recovered, at 0.54 and 0.61 fewer than 150.",
)

q3 = Number(
    4256 / 10_400,
    {
        0.36: "that is block 3a.",
        4256 / (416 * 9): "the window has 25 positions, for every channel.",
        1 / 3: "the three branches are not equally wide, and their windows not equally full.",
        (1 + 9 + 25) / 75: "each window counts as often as it has channels.",
        1 - 4256 / 10_400: "that is the part that is zero.",
        4256 / 25: "that is the number of full windows; divide by the number of channels.",
    },
    "of 25 positions a 1x1 fills one, a 3x3 nine and a 5x5 all.",
    between=(0, 1),
    hints=(
        "How many of the 25 positions of a window does an output channel of each branch use?",
        "128 channels use 1 position, 192 use 9, 96 use 25. What would all 416 have?",
    ),
    because="(128 * 1 + 192 * 9 + 96 * 25) / (416 * 25) = 4,256 / 10,400 = 0.41.",
)

q4 = Number(
    18_432,
    {
        589_824: "that is the whole 768x768 matrix; only the blocks are multiplied.",
        576: "that is one block; there are 32 of them.",
        24_576: "that is 768 * 32; there are 32 blocks, and the side of each is 768 / 32.",
        768: "that is the diagonal alone; each block is 24 wide.",
        32_768: "that is for blocks of 32x32; there are 32 blocks, so how wide is one?",
        36_864: "that counts the additions as well.",
    },
    "each of the 32 blocks has side 768 / 32, and all of its entries are multiplied.",
    hints=(
        "How many rows and columns does one of 32 equal blocks on the diagonal have?",
        "768 / 32 = 24: how many entries does such a block have, and how many do all have?",
    ),
    because="32 * 24 * 24 = 18,432, a 32nd of 768 * 768 = 589,824.",
)


def _unlike(*widths):
    return lambda given: any(abs(a - b) > 1 for a, b in zip(given, widths, strict=True))


q5 = Open(
    (20, 73, 27),
    "three numbers in a tuple",
    (
        (len, lambda n: n == 3, "three widths, of 1x1, 3x3 and 5x5; you give {}."),
        (
            sum,
            lambda total: abs(total - 120 * (0.15 + 0.7 + 0.9)) > 1,
            "a 5x5 window contains the 3x3 one: give each only what it adds.",
        ),
        (
            list,
            _unlike(18, 66, 24),
            "those are 108 of 120: divide by the 0.9 that the three cover together.",
        ),
        (
            sum,
            lambda total: abs(total - 120) <= 1,
            "the widths sum to {:g}, and there are 120 channels to give.",
        ),
        (
            list,
            _unlike(40, 40, 40),
            "equal widths ignore the numbers: the windows add 0.15, 0.55 and 0.2.",
        ),
        (
            list,
            lambda given: not _unlike(20, 73, 27)(given),
            "the windows add 0.15, 0.55 and 0.2; give each its part of 120 / 0.9.",
        ),
    ),
    read=numbers,
    hints=(
        "What does the 3x3 window contain that the 1x1 does not?",
        "The windows add 0.15, 0.55 and 0.2. Together that is 0.9: which fraction is each?",
    ),
    because="(20, 73, 27): 120 channels in the ratio 0.15 : 0.55 : 0.2.",
)
