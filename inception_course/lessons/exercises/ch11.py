"""Exercises of notebook 11: ResNet and after."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ... import models
from ...models.blocks import ResidualBlock
from ...studies.degradation import gradients_of
from . import Code, Number, Open


def residual(x, first, second):
    change = second(F.relu(first(x)))
    return F.relu(x + change)


def _layers():
    for channels, side in ((4, 5), (3, 6)):
        first, second = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        yield 5 * torch.randn(2, channels, side, side), first, second  # above 6, too


def _other(
    last: Callable[[Tensor, Tensor], Tensor], between: Callable[[Tensor], Tensor] = F.relu
) -> Callable:
    def wrong(x, first, second):
        return last(x, second(between(first(x))))

    return wrong


q1 = Code(
    residual,
    _layers,
    {
        _other(lambda x, change: F.relu(change)): "that is the plain block: the input is missing.",
        _other(lambda x, change: x + change): "the last ReLU is missing: it stands after the sum.",
        _other(lambda x, change: x + F.relu(change)): "that activates before the sum: then a block "
        "could only make values larger. In the first paper the ReLU stands after the sum.",
        _other(lambda x, change: F.relu(x) + F.relu(change)): "activate once, after the sum.",
        _other(lambda x, change: F.relu(x + change), between=lambda x: x): "between the two "
        "convolutions there is a ReLU; without it they are one linear map.",
        _other(lambda x, change: F.relu(x - change)): "the change is added, not taken away.",
        _other(lambda x, change: F.relu(x * change)): "input and change are added, not multiplied.",
        _other(lambda x, change: torch.cat([x, F.relu(change)], dim=1)): "that is a concatenation, "
        "as in an Inception block; a residual block adds.",
        lambda x, first, second: F.relu(x + second(F.relu(x + first(x)))): "there is one sum in a "
        "block, around both convolutions.",
        lambda x, first, second: F.relu(x + first(F.relu(second(x)))): "the first convolution "
        "comes first.",
    },
    "it is the activated sum of the input and of what both convolutions make of it.",
    hints=(
        "The way through the convolutions computes a change. What is it a change of?",
        "Keep the input, compute the change with a ReLU between the convolutions, add. Which "
        "operation is the very last in the first ResNet paper?",
    ),
    because="The input comes past both convolutions, and the ReLU follows the sum:",
)

q2 = Number(
    1 / (1 / 9 + 1 / 128),
    {
        9: "that is the part of the window alone; the 1x1 mixes 128 channels and costs, too.",
        1 / (1 / 9 + 1 / 64): "look again at which number of channels is left: does the input or "
        "the output divide out?",
        128: "that is the part of the channels alone; each of them has a window to multiply, too.",
        128 / 9: "the two parts add up: depthwise work and pointwise work.",
        (137, 1 / 137): "add the two parts as fractions of the ordinary work.",
        73_728: "that is the ordinary layer's work at each position; divide it by the separable "
        "one's.",
        8_768: "that is the separable pair's work at each position; how many times as much does "
        "the ordinary layer need?",
        1 / 9 + 1 / 128: "that is the share of the work that is left; how many times less is it?",
        2: "a window of 3x3 has 9 positions; count multiply-adds at one position.",
    },
    "count the multiply-adds at one position, of the ordinary layer and of both separable ones.",
    between=(1, 1000),
    hints=(
        "At one position the ordinary layer multiplies 9 x 64 values for each of 128 outputs.",
        "The depthwise layer has 64 windows of 9 weights; the pointwise one has 64 x 128 weights. "
        "Divide the ordinary work by their sum.",
    ),
    because="73,728 / (576 + 8,192) = 8.41. The input's width divides out: 1 / (1/9 + 1/128). What "
    "you gain in time is another question.",
)

q3 = Number(
    1 / 16,
    {
        1 / 4: "that is what two missing blocks leave.",
        1 / 2: "that is what one missing block leaves.",
        (17 / 21, 0.81): "that counts blocks; count paths. A path needs all the blocks that it "
        "goes through.",
        4 / 21: "that is the share of the blocks that are missing.",
        15 / 16: "that is the share that is lost.",
        1 / 8: "four blocks, and each halves the number of paths.",
        1 / 2**17: "that is one path in all that are left; compare the number left with that of "
        "the whole net.",
        2**17: "that is how many are left; divide by how many there were.",
        2**21: "that is how many there are in the whole net.",
        0: "a path may pass by all four missing blocks.",
        16: "that is how many times fewer paths there are; what share of them is left?",
    },
    "compare the number of paths with 17 blocks and with 21.",
    between=(0, 1),
    hints=(
        "At every block a path has two choices: through the convolutions or past them. How many "
        "choices are left when a block is missing?",
        "With n blocks there are 2 to the power n paths. Divide the count for 17 by that for 21.",
    ),
    because="2¹⁷ / 2²¹ = 1/16. Fifteen of sixteen paths are gone. If the net were a vote of "
    "independent paths, a sixteenth of them should still do well: over two million become "
    "131,072.",
)


def level():
    net = models.resnet_small(layers=44, stride=2, width=0.5, norm=None)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith("conv2.convolution.weight"):
                parameter.mul_(0.1)
    return net


def _measured(net: Any) -> dict[str, float] | None:
    """Count the blocks, shortcuts and normalizations of a net, and measure its gradients."""
    if not isinstance(net, models.resnet.ResNet):
        return None
    blocks = [m for m in net.modules() if isinstance(m, ResidualBlock)]
    norms = sum(isinstance(m, nn.BatchNorm2d | nn.GroupNorm | nn.LayerNorm) for m in net.modules())
    with torch.enable_grad():
        gradients = gradients_of(copy.deepcopy(net).float().requires_grad_())
    return {
        "blocks": len(blocks),
        "plain": sum("shortcut" not in block.branches for block in blocks),
        "norms": norms,
        "smallest": min(gradients, default=0.0),
        "largest": max(gradients, default=0.0),
    }


q4 = Open(
    level,
    "a net that models.resnet_small makes",
    (
        (
            lambda found: found["blocks"],
            lambda blocks: blocks == 21,
            "your net has {} blocks: give layers=44, which makes 21.",
        ),
        (
            lambda found: found["norms"],
            lambda norms: norms == 0,
            "your net has {} normalizations: give norm=None.",
        ),
        (
            lambda found: found["plain"],
            lambda plain: plain == 0,
            "{} of its blocks have no shortcut: keep the kind residual.",
        ),
        (
            lambda found: found["largest"],
            lambda largest: largest <= 10,
            "the gradient of one block is {:.3g}, and at most 10 is asked for. Each block adds its "
            "change to the sum: how large should that change be at the start?",
        ),
        (
            lambda found: found["smallest"],
            lambda smallest: smallest >= 0.03,
            "the gradient of one block is {:.2g}: it does not learn. Are all its weights zero?",
        ),
    ),
    read=_measured,
    hints=(
        "Without normalization every block makes the sum larger, and the gradient too. Which "
        "weights decide how much a block adds?",
        "Find the last convolution of each block in `net.named_parameters()`, and multiply its "
        "initial weights by a number. Which numbers make a block add less?",
    ),
    because="Blocks whose last weights start small add little at first, so that the net starts "
    "close to one that only passes its input on:",
)
