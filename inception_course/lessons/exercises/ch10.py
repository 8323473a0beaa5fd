"""Exercises of notebook 10: what the next papers changed."""

import math

import torch
from torch.nn import functional as F

from . import Code, Number, Open
from .answers import pairs, tensor


def smoothed(labels, classes, eps):
    return (1 - eps) * F.one_hot(labels, classes) + eps / classes


def _labels():
    yield torch.tensor([2, 0, 1, 2]), 4, 0.1
    yield torch.tensor([0, 6]), 7, 0.25


q1 = Code(
    smoothed,
    _labels,
    {
        lambda labels, classes, eps: F.one_hot(
            labels, classes
        ).double(): "nothing is smoothed yet: where does eps enter?",
        lambda labels, classes, eps: (1 - eps) * F.one_hot(labels, classes): "the rows do not sum "
        "to 1: what is taken from the right class has to be given to all classes.",
        lambda labels, classes, eps: F.one_hot(labels, classes) + eps / classes: "the rows sum to "
        "more than 1: what all classes get has to be taken from the right one.",
        lambda labels, classes, eps: (
            (1 - eps) * F.one_hot(labels, classes)
            + eps / (classes - 1) * (1 - F.one_hot(labels, classes))
        ): "here only the wrong classes share eps; in the paper all classes do, the right one as "
        "well.",
        lambda labels, classes, eps: (
            (1 - eps) * F.one_hot(labels, classes) + eps
        ): "each class gets all of eps; they have to share it.",
        lambda labels, classes, eps: (
            (1 - eps / classes) * F.one_hot(labels, classes) + (eps / classes)
        ): "the right class gives away eps, not eps / classes.",
    },
    "each target is (1 - eps) times the label in one-hot form, plus an equal share of eps.",
    hints=(
        "F.one_hot(labels, classes) gives rows with a single 1. What remains of that 1, and who "
        "gets the rest?",
        "All classes share eps equally. With eps = 0.1 and ten classes, how much does each get?",
    ),
    because="A mixture of the label and of a uniform distribution:",
)

q2 = Number(
    math.log(0.9001 / 0.0001),
    {
        math.log(91): "that is for ten classes; here there are 1,000.",
        math.log10(9001): "that is the logarithm to base 10; softmax uses e.",
        math.log(1000): "that is the loss of a net that knows nothing.",
        9001: "that is the ratio of the two targets; the gap is its logarithm.",
        0.9: "that is the difference of the targets; logits are logarithms.",
        math.log(901): "each wrong class gets eps / 1,000, not eps / 100.",
    },
    "divide the target of the right class by that of a wrong one, and take the logarithm.",
    tolerance=0.005,
    hints=(
        "Which target does the right class have with 1,000 classes, and which each wrong one?",
        "softmax turns a difference of logits into a ratio of probabilities: p/q = exp(gap).",
    ),
    because="ln(0.9001 / 0.0001) = ln 9,001 = 9.1. With more classes the gap may be larger.",
)


def best_pair(kernel):
    u, s, v = torch.linalg.svd(kernel.double())
    return s[0] * u[:, :1], v[:1]


def _kernels():
    yield (torch.randn(7, 7),)
    yield (torch.outer(torch.arange(1.0, 6.0), torch.tensor([1.0, -2.0, 4.0])),)


def _product(pair, kernel):
    column, row = (torch.as_tensor(tensor(each)) for each in pair)
    product = torch.outer(column.double().flatten(), row.double().flatten())
    return product.to(max(column.dtype, row.dtype, key=lambda kind: torch.finfo(kind).eps))


def _scaled(power):
    def wrong(kernel):
        u, s, v = torch.linalg.svd(kernel.double())
        return s[0] ** power * u[:, :1], v[:1]

    return wrong


def _last(kernel):
    u, s, v = torch.linalg.svd(kernel.double(), full_matrices=False)
    return s[-1] * u[:, -1:], v[-1:]


def _turned(kernel):
    u, s, v = torch.linalg.svd(kernel.double())
    return s[0] * u[:, :1], v[:, :1]


q3 = Code(
    best_pair,
    _kernels,
    {
        _scaled(0): "the pair has the right directions and not the size: where does the singular "
        "value go?",
        _scaled(2): "the singular value is used twice: multiply one of the two by it, or both by "
        "its root.",
        _last: "that is the smallest singular value; the first one is the largest.",
        lambda kernel: (kernel.mean(1), kernel.mean(0)): "the means of rows and columns are not "
        "the nearest pair: the singular value decomposition gives that.",
        lambda kernel: (kernel[:, :1], kernel[:1]): "that is the kernel's first column and first "
        "row; the nearest pair uses all of the kernel.",
        _turned: "torch.linalg.svd gives V already transposed: its rows are what is wanted.",
    },
    "column times row is not the matrix of rank 1 that lies nearest to the kernel.",
    returns="a column and a row",
    outcome=_product,
    hints=(
        "torch.linalg.svd(kernel) gives U, the singular values, and V transposed. Which of them "
        "belong to the largest value?",
        "Take the first column of U and the first row of V transposed; the size of the product is "
        "still missing.",
    ),
    because="The first singular vectors, with their singular value (Eckart and Young):",
)


q4 = Open(
    ((1, 5), (5, 1), (1, 5), (5, 1)),
    "windows in a tuple, of whole numbers, such as ((3, 3), (3, 3))",
    (
        (
            len,
            lambda count: count >= 2,
            "fewer than two windows are no factorization, and you give {}.",
        ),
        (
            lambda windows: min(min(pair) for pair in windows),
            lambda least: least >= 1,
            "a window has at least one position a side, and your smallest side is {}.",
        ),
        (
            lambda windows: max(max(pair) for pair in windows),
            lambda longest: longest <= 5,
            "one side is {} long, and at most 5 is allowed: make it of shorter ones.",
        ),
        (
            lambda windows: tuple(1 + sum(pair[side] - 1 for pair in windows) for side in (0, 1)),
            lambda seen: seen == (9, 9),
            "together they see {0[0]}x{0[1]} positions, and 9x9 are wanted: every window adds its "
            "side less 1.",
        ),
        (
            lambda windows: sum(height * width for height, width in windows),
            lambda weights: weights <= 81 / 4,
            "they have {} weights for each pair of channels, and a 9x9 has 81: that is more than a "
            "quarter. Which windows are dear for what they see?",
        ),
    ),
    read=pairs,
    hints=(
        "A chain sees 1 + the sum of (side - 1) in each direction. How much do 1x5 and 5x1 see "
        "together, and what do they cost?",
        "A row and a column of the same length n cost 2n and see n x n. How many of them do you "
        "need for nine, if none is longer than five?",
    ),
    because="((1, 5), (5, 1), (1, 5), (5, 1)): 20 weights instead of 81 for each pair of channels. "
    "Four 3x3 would have 36, four pairs of 1x3 and 3x1 24.",
)
