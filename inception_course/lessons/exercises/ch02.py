"""Exercises of notebook 02: Hebb, correlation and sparsity."""

import torch
from torch.nn import functional as F

from ...hebbian import hebb
from . import Choice, Code, Number, Open
from .answers import numbers


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
        "has it?",
    ),
    because="Hebb's growth, minus the mean squared output times the weights:",
)

q2 = Number(
    0,
    {
        tuple(range(390, 401)): "that is the count in the sparse regime; here "
        "rho d = 20 / 400 * 8 = 0.4.",
        160: "0.4 is rho d, and no part of the 400.",
        (100, 200, 300): "the curve does not fall evenly: look where it is at rho d = 0.4.",
    },
    "compare rho d = 20 / 400 * 8 = 0.4 with the place where the curve falls.",
    tolerance=40,
    between=(0, 400),
    hints=(
        "What is rho here, and what is rho times d?",
        "rho = 20 / 400 = 0.05 and rho d = 0.4: read the left panel of the figure there.",
    ),
    because="0, or nearly: strangers fire together in 2.3 % of the samples, above the threshold "
    "of rho / 3 = 1.7 %, so that everyone seems related. Siblings do in 4.8 %: with the threshold "
    "2/3 rho = 3.3 %, 399 are recovered.",
)

q3 = Choice(
    "1 in 4",
    {
        "1 in 100": "at 1 % the sparse product is still many times faster: the curve is far above "
        "the line at 1.",
        "1 in 2": "at density 0.5 the curve is already below 1: dense is faster there.",
        "always": "at density 1 the sparse form multiplies as much, and must look up where.",
        "never": "the curve is above 1 at the left end.",
    },
    hints=(
        "Where does the CSR curve cross the line at 1, times faster than dense?",
        "It crosses somewhere between densities 0.1 and 0.35 on the machines tried.",
    ),
    because="'1 in 4': on the machine of the stored figure they tie at a density near 0.25.",
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
        "How many rows and columns has one of 32 equal blocks on the diagonal?",
        "768 / 32 = 24: how many entries has such a block, and how many have all?",
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
            "equal widths ignore the curve: the windows add 0.15, 0.55 and 0.2.",
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
        "The windows add 0.15, 0.55 and 0.2. Together that is 0.9: which part of it has each?",
    ),
    because="(20, 73, 27): 120 channels in the ratio 0.15 : 0.55 : 0.2.",
)
