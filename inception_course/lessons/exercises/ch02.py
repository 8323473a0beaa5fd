"""Exercises of notebook 02: Hebb, correlation and sparsity."""

import math

import torch

from ...hebbian import hebb, oja, recover
from . import Exercise, Solution, choice, number, written


def _check_oja(function):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(6, 4, generator=generator)
    weights = torch.randn(4, generator=generator)
    before = weights.clone(), inputs.clone()
    got = written(function)(weights, inputs, 0.1)
    if not (torch.equal(weights, before[0]) and torch.equal(inputs, before[1])):
        return "your function changed the weights or inputs it was given: return new weights."
    if got is None:
        return "your function returns nothing: add a return statement."
    if not isinstance(got, torch.Tensor) or got.shape != weights.shape:
        shape = list(getattr(got, "shape", ())) or got
        return f"the new weights have the shape of the old ones, [4]; yours are {shape}."
    for rule, message in _OJAS:
        if torch.allclose(got, rule(weights, inputs, 0.1), atol=1e-6):
            return message
    return "on a small example the new weights differ from those of Oja's rule."


def _oja(weights, inputs, rate):
    outputs = inputs @ weights  # [B]
    growth = (outputs.unsqueeze(1) * inputs).mean(dim=0)
    decay = outputs.square().mean() * weights
    return weights + rate * (growth - decay)


def _as_rows(rule):
    return lambda weights, inputs, rate: rule(weights.unsqueeze(0), inputs, rate)[0]


def _summed(weights, inputs, rate):
    return weights + len(inputs) * (_oja(weights, inputs, rate) - weights)


def _first_power(weights, inputs, rate):
    outputs = inputs @ weights
    growth = (outputs.unsqueeze(1) * inputs).mean(dim=0)
    return weights + rate * (growth - outputs.mean() * weights)


def _wrong_sign(weights, inputs, rate):
    return 2 * weights - _oja(weights, inputs, rate)


def _only_the_change(weights, inputs, rate):
    return _oja(weights, inputs, rate) - weights


_OJAS = (
    (_as_rows(oja), None),
    (_as_rows(hebb), "that is plain Hebb: the decay is missing, and the weights will explode."),
    (_summed, "take the mean over the batch, or the step grows with the batch."),
    (_first_power, "the decay takes the square of the output, so that it is never negative."),
    (_wrong_sign, "growth is added and decay subtracted; yours is the other way round."),
    (_only_the_change, "that is the change of the weights; return the new weights."),
)

q1 = Exercise(
    _check_oja,
    (
        "outputs = inputs @ weights. Hebb's growth is the mean of output times input.",
        "The decay is the mean of the squared outputs, times the weights. "
        "New weights: weights + rate * (growth - decay).",
    ),
    Solution(_oja, "Hebb's growth, minus the mean squared output times the weights:"),
)


def _check_recovered(answer):
    given = number(answer)
    if given < 0 or given > 400:
        return "there are 400 hidden units, so the count lies between 0 and 400."
    count = recover(ones=20)[0].exact
    if abs(given - count) <= 40:
        return None
    if given >= 390:
        return "that is the count in the sparse regime; here rho d = 20 / 400 * 8 = 0.4."
    return "compare rho d = 20 / 400 * 8 = 0.4 with the place where the curve falls."


q2 = Exercise(
    _check_recovered,
    (
        "What is rho here, and what is rho times d?",
        "rho = 20 / 400 = 0.05 and rho d = 0.4: read the left panel of the figure there.",
    ),
    Solution(0, "0, or hardly any: at rho d = 0.4 nearly all pairs fire together by chance."),
)


def _check_break_even(answer):
    return choice(
        answer,
        {
            "1 in 4": None,
            "1 in 100": "at 1 % the sparse product is still many times faster: the curve is far "
            "above the line at 1.",
            "1 in 2": "at density 0.5 the curve is already below 1: dense is faster there.",
            "always": "at density 1 the sparse form multiplies as much, and must look up where.",
            "never": "the curve is above 1 at the left end.",
        },
    )


q3 = Exercise(
    _check_break_even,
    (
        "Where does the CSR curve cross the line at 1, times faster than dense?",
        "It crosses somewhere between densities 0.1 and 0.35 on the machines tried.",
    ),
    Solution(
        "1 in 4", "'1 in 4': on the machine of the stored figure they tie at a density near 0.25."
    ),
)


def _check_block_multiplications(answer):
    given = number(answer)
    if given == 18_432:
        return None
    if given == 589_824:
        return "that is the whole 768x768 matrix; only the blocks are multiplied."
    if given == 576:
        return "that is one block; there are 32 of them."
    if given == 24_576:
        return "that is 768 * 32; there are 32 blocks, and the side of each is 768 / 32."
    if given == 768:
        return "that is the diagonal alone; each block is 24 wide."
    return "each of the 32 blocks has side 768 / 32, and all of its entries are multiplied."


q4 = Exercise(
    _check_block_multiplications,
    (
        "How many rows and columns has one of 32 equal blocks on the diagonal?",
        "768 / 32 = 24, so a block has 24 * 24 = 576 entries.",
    ),
    Solution(18_432, "32 * 24 * 24 = 18,432, a 32nd of 768 * 768 = 589,824."),
)

COVERED = (0.15, 0.7, 0.9)  # the part of the strongest partners inside 1x1, 3x3, 5x5
CHANNELS = 120


def _check_widths(answer):
    try:
        widths = [number(width) for width in answer]
    except TypeError:
        return f"this question wants three numbers in a tuple, and got {answer!r}."
    if len(widths) != 3:
        return f"three widths, of 1x1, 3x3 and 5x5; you give {len(widths)}."
    if math.isclose(sum(widths), CHANNELS * sum(COVERED), abs_tol=1):
        return "a 5x5 window contains the 3x3 one: give each only what it adds."
    if all(abs(width - part) <= 1 for width, part in zip(widths, (18, 66, 24), strict=True)):
        return "those are 108 of 120: divide by the 0.9 that the three cover together."
    if abs(sum(widths) - CHANNELS) > 1:
        return f"the widths sum to {sum(widths):g}, and there are {CHANNELS} channels to give."
    if all(abs(width - right) <= 1 for width, right in zip(widths, (20, 73, 27), strict=True)):
        return None
    if all(abs(width - 40) <= 1 for width in widths):
        return "equal widths ignore the curve: the windows add 0.15, 0.55 and 0.2."
    return "the windows add 0.15, 0.55 and 0.2; give each its part of 120 / 0.9."


q5 = Exercise(
    _check_widths,
    (
        "What does the 3x3 window contain that the 1x1 does not?",
        "The windows add 0.15, 0.55 and 0.2, together 0.9: the first gets 120 * 0.15 / 0.9.",
    ),
    Solution((20, 73, 27), "(20, 73, 27): 120 channels in the ratio 0.15 : 0.55 : 0.2."),
)
