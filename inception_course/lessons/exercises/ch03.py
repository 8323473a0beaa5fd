"""Exercises of notebook 03: the 1x1 convolution."""

import torch
from torch.nn import functional as F

from . import Exercise, Solution, choice, number, written


def _one_by_one(maps, weight, bias):
    rows = maps.permute(0, 2, 3, 1)  # [B, H, W, C]
    return (rows @ weight.T + bias).permute(0, 3, 1, 2)


def _check_one_by_one(function):
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 4, 3, 5, generator=generator)
    weight, bias = torch.randn(6, 4, generator=generator), torch.randn(6, generator=generator)
    result = written(function)(maps.clone(), weight.clone(), bias.clone())
    if result is None:
        return "your function returns nothing: add a return statement."
    if not isinstance(result, torch.Tensor):
        return f"the result should be a tensor, and is {type(result).__name__}."
    want = F.conv2d(maps, weight[:, :, None, None], bias)
    if result.shape == (2, 3, 5, 6):
        return "the channels are last: bring them back to dimension 1, as [B, c_out, H, W]."
    if result.shape != want.shape:
        return (
            f"maps of {list(maps.shape)} become {list(want.shape)}, and yours {list(result.shape)}."
        )
    if torch.allclose(result, want, atol=1e-5):
        return None
    if torch.allclose(result, want - bias[:, None, None], atol=1e-5):
        return "the bias is missing: one number for each output channel, at every position."
    if torch.allclose(result, want.clamp(min=0), atol=1e-5):
        return "there is an activation in it; the convolution itself is linear."
    scrambled = (maps.permute(0, 2, 3, 1) @ weight.T + bias).reshape(want.shape)
    if torch.allclose(result, scrambled, atol=1e-5):
        return "reshape mixes channels and positions; permute moves a dimension."
    return "every output channel is a sum over input channels at one position, plus its bias."


q1 = Exercise(
    _check_one_by_one,
    (
        "Bring the channels to the last dimension: then each position is a row with 4 numbers.",
        "permute(0, 2, 3, 1), then @ weight.T + bias, then permute(0, 3, 1, 2).",
    ),
    Solution(_one_by_one, "A linear layer on the channels of every pixel:"),
)


def _check_five(answer):
    given = number(answer)
    if given == 15_872:
        return None
    if given == 153_600:
        return "that is the 5x5 on all 192 channels; here a 1x1 reduces them to 16 first."
    if given == 12_800:
        return "that is the 5x5 alone; the reduction has weights too."
    if given == 3_072:
        return "that is the reduction alone; the 5x5 follows."
    if given == 15_920:
        return "that counts the 48 biases as well; the question asks for weights."
    if given == 12_443_648:
        return "that is the multiply-adds on 28x28 positions; weights do not depend on the map."
    if given == 192 * 16 + 25 * 192 * 32:
        return "the 5x5 works on the 16 reduced channels, not on 192."
    return "weights of a convolution: channels in x channels out x window height x window width."


q2 = Exercise(
    _check_five,
    (
        "Two convolutions: 1x1 from 192 to 16 channels, then 5x5 from 16 to 32.",
        "192 * 16 and 25 * 16 * 32; add them.",
    ),
    Solution(15_872, "192 * 16 + 25 * 16 * 32 = 15,872; without the reduction 153,600."),
)


def _weights(c_in, one, reduce_3x3, conv_3x3, reduce_5x5, conv_5x5, pool_projection):
    return (
        c_in * (one + reduce_3x3 + reduce_5x5 + pool_projection)
        + 9 * reduce_3x3 * conv_3x3
        + 25 * reduce_5x5 * conv_5x5
    )


_ROWS = {"3a": (192, 64, 96, 128, 16, 32, 32), "5b": (832, 384, 192, 384, 48, 128, 128)}


def _check_weights(function):
    for name, row in _ROWS.items():
        given = written(function)(*row)
        if given is None:
            return "your function returns nothing: add a return statement."
        given, want = number(given), _weights(*row)
        c_in, one, r3, c3, r5, c5, pool = row
        if given == want:
            continue
        known = {
            want - c_in * pool: "the pool projection is missing: it is a 1x1 on all input channels",
            want - c_in * (r3 + r5): "the two reductions have weights as well",
            want - 16 * r5 * c5: "a 5x5 window has 25 positions, not 9",
            c_in * (one + pool + 9 * c3 + 25 * c5): "3x3 and 5x5 work on the reduced channels",
            want + one + r3 + c3 + r5 + c5 + pool: "leave the biases out",
        }
        if given in known:
            return f"{known[given]} (block {name}: {want:,}, yours {given:,.0f})."
        return f"block {name} has {want:,} weights, and yours {given:,.0f}."
    return None


q3 = Exercise(
    _check_weights,
    (
        "Four 1x1 convolutions work on all c_in channels. Which two do not?",
        "c_in * (one + reduce_3x3 + reduce_5x5 + pool_projection), then 9 * ... and 25 * ...",
    ),
    Solution(_weights, "Four 1x1 on what enters, a 3x3 and a 5x5 on what was reduced:"),
)


def _check_dearest(answer):
    return choice(
        answer,
        {
            "3x3": None,
            "5x5": "its window is the largest, but its reduction is narrow: 9.7 % of the work for "
            "12.5 % of the channels.",
            "1x1": "it gives 25 % of the channels for 7.5 % of the work: the cheapest.",
            "pool": "it gives 12.5 % of the channels for 3.8 % of the work: the cheapest.",
        },
    )


q4 = Exercise(
    _check_dearest,
    (
        "For each branch, divide its share of the multiply-adds by its share of the channels.",
        "1x1: 7.5 / 25. 5x5: 9.7 / 12.5. One branch is above 1.",
    ),
    Solution("3x3", "'3x3': 79.0 % of the work for 50 % of the channels, a ratio of 1.6."),
)


def _check_commutes(answer):
    return choice(
        answer,
        {
            "double": None,
            "negate": "the maximum of negated values is the negated minimum, not the maximum.",
            "mean": "two channels may have their maxima at different positions, so that the "
            "maximum of the mean is smaller than the mean of the maxima.",
            "difference": "the second channel counts negatively, so its minimum would be wanted, "
            "and pooling gives its maximum.",
        },
    )


q5 = Exercise(
    _check_commutes,
    (
        "Take a window with two positions and try: channel one 0, 4; channel two 4, 0.",
        "A rule that never changes which position is the largest may stand on either side.",
    ),
    Solution("double", "'double': a positive factor keeps the largest value the largest."),
)
