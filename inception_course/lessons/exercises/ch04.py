"""Exercises of notebook 04: the 1x1 convolution."""

import torch
from torch.nn import functional as F

from . import Choice, Code, Number, Open
from .answers import numbers


def one_by_one(maps, weight, bias):
    rows = maps.permute(0, 2, 3, 1)  # [B, H, W, C]
    return (rows @ weight.T + bias).permute(0, 3, 1, 2)


q1 = Code(
    one_by_one,
    lambda: (
        (torch.randn(2, 4, 3, 5), torch.randn(6, 4), torch.randn(6)),
        (torch.randn(7, 2, 1, 3).permute(2, 3, 0, 1), torch.randn(3, 2).T, torch.randn(2)),
    ),
    {
        lambda maps, weight, bias: one_by_one(maps, weight, 0): "the bias is missing: one number "
        "for each output channel, at every position.",
        lambda *given: one_by_one(*given).permute(0, 2, 3, 1): "the channels are last: bring them "
        "back to dimension 1, as [B, c_out, H, W].",
        lambda *given: (
            one_by_one(*given).permute(0, 2, 3, 1).reshape(one_by_one(*given).shape)
        ): "reshape mixes channels and positions; permute moves a dimension.",
        lambda *given: one_by_one(*given).relu(): "there is an activation in it; the convolution "
        "itself is linear.",
        lambda maps, weight, bias: F.linear(maps.mean(dim=(2, 3)), weight, bias): "that averages "
        "over the positions; a 1x1 convolution answers at each of them.",
    },
    "every output channel is a sum over input channels at one position, plus its bias.",
    hints=(
        "Bring the channels to the last dimension: then each position is a row with 4 numbers.",
        "A linear layer on the rows, rows @ weight.T, and its bias. Where must the channels be in "
        "the end?",
    ),
    because="A linear layer on the channels of every pixel:",
)

q2 = Number(
    193_536,
    {
        2_662_400: "that is the 5x5 on all 832 channels; here a 1x1 reduces them to 48 first.",
        153_600: "that is the 5x5 alone; the reduction has weights too.",
        39_936: "that is the reduction alone; the 5x5 follows.",
        193_712: "that counts the 176 biases as well; the question asks for weights.",
        9_483_264: "that is the multiply-adds on 7x7 positions; weights do not depend on the map.",
        2_702_336: "the 5x5 works on the 48 reduced channels, not on 832.",
        (46_080, 70_656): "a 5x5 window has 25 positions.",
        15_872: "that is block 3a.",
    },
    "weights of a convolution: channels in x channels out x window height x window width.",
    hints=(
        "Two convolutions: 1x1 from 832 to 48 channels, then 5x5 from 48 to 128.",
        "The first has 832 * 48 weights. Which channels enter the second, and how large is its "
        "window?",
    ),
    because="832 * 48 + 25 * 48 * 128 = 193,536; without the reduction 2,662,400.",
)


def block_weights(c_in, one, reduce_3x3, conv_3x3, reduce_5x5, conv_5x5, pool_projection):
    return (
        c_in * (one + reduce_3x3 + reduce_5x5 + pool_projection)
        + 9 * reduce_3x3 * conv_3x3
        + 25 * reduce_5x5 * conv_5x5
    )


def _counted(reductions=1, three=9, five=25, pool=1, biases=0):
    return lambda c_in, one, r3, c3, r5, c5, projection: (
        c_in * (one + reductions * (r3 + r5) + pool * projection)
        + three * r3 * c3
        + five * r5 * c5
        + biases * (one + r3 + c3 + r5 + c5 + projection)
    )


q3 = Code(
    block_weights,
    lambda: (
        (192, 64, 96, 128, 16, 32, 32),  # 3a
        (832, 384, 192, 384, 48, 128, 128),  # 5b
        (7, 5, 3, 11, 2, 13, 17),
    ),
    {
        _counted(pool=0): "the pool projection is missing: it is a 1x1 on all input channels.",
        _counted(reductions=0): "the two reductions have weights as well.",
        _counted(five=9): "a 5x5 window has 25 positions, not 9.",
        _counted(three=3, five=5): "a window has positions in both directions: 9 and 25.",
        _counted(pool=9): "a pooling has no weights; the projection after it is a 1x1.",
        _counted(biases=1): "leave the biases out.",
        lambda c_in, one, r3, c3, r5, c5, pool: c_in * (one + pool + 9 * c3 + 25 * c5): (
            "3x3 and 5x5 work on the reduced channels."
        ),
    },
    "add channels in x channels out x window area, for six convolutions.",
    hints=(
        "Four 1x1 convolutions work on all c_in channels. Which two do not?",
        "The 3x3 and the 5x5 see what their reductions left; their windows have 9 and 25 "
        "positions.",
    ),
    because="Four 1x1 on what enters, a 3x3 and a 5x5 on what was reduced:",
)

q4 = Choice(
    "3x3",
    {
        "5x5": "its window is the largest, but its reduction is narrow: 9.7 % of the work for "
        "12.5 % of the channels.",
        "1x1": "25 % of the channels for 7.5 % of the work. It ties with the pool branch as the "
        "cheapest: in both, each channel is one 1x1 on 192 channels.",
        "pool": "12.5 % of the channels for 3.8 % of the work. It ties with the 1x1 branch as the "
        "cheapest: in both, each channel is one 1x1 on 192 channels.",
    },
    hints=(
        "For each branch, divide its share of the multiply-adds by its share of the channels.",
        "1x1: 7.5 / 25. 5x5: 9.7 / 12.5. One branch is above 1.",
    ),
    because="'3x3': 79.0 % of the work for 50 % of the channels, a ratio of 1.6.",
)


def _weights(widths):
    return block_weights(192, *widths)


q5 = Open(
    (96, 32, 96, 16, 32, 32),
    "six widths in a tuple",
    (
        (len, lambda n: n == 6, "six widths are wanted; you give {}."),
        (
            lambda widths: next((each for each in widths if each % 1), None),
            lambda part: part is None,
            "a width is a whole number of channels, and one of yours is {:g}.",
        ),
        (min, lambda least: least >= 1, "every width is at least 1, and your smallest is {:g}."),
        (
            lambda widths: widths[0] + widths[2] + widths[4] + widths[5],
            lambda given: given == 256,
            "{:g} channels come out, and 256 are wanted. Which four widths come out?",
        ),
        (
            lambda widths: widths[2] + widths[4],
            lambda given: given >= 128,
            "only {:g} channels come from windows of 3x3 and 5x5; 128 are wanted.",
        ),
        (
            _weights,
            lambda weights: weights <= 163_328 / 2,
            "these are {:,.0f} weights, and at most 81,664 are wanted. Which two widths of yours "
            "enter the largest product?",
        ),
    ),
    read=numbers,
    hints=(
        "In the figure of 3a, which branch has most of the weights?",
        "The 3x3 has 9 * reduce_3x3 * conv_3x3 weights. One of these two widths does not come out "
        "of the block.",
    ),
    because="(96, 32, 96, 16, 32, 32), for example: 74,240 weights. The product of the 3x3's two "
    "widths has to shrink. The reduction is no part of the output; what the block loses by a "
    "smaller one, only training tells.",
)
