"""Exercises of notebook 06: saturation."""

from statistics import mean

import torch

from ...studies import saturation
from . import Code, Number, Open

q1 = Number(
    0.5**9,
    {
        0.25**9: "that is what is left at a gain of 1; doubled weights multiply the gradient, too.",
        0.5**10: "ten layers, and how many steps are there from the last one down to the first?",
        2 * 0.25**9: "you count the gain once; the gradient passes the weights of every layer.",
        (0.5 * 9, 0.25 * 9, 0.5 / 9, 0.25 / 9): "layers follow each other, so their factors "
        "multiply: raise the factor of one layer to a power.",
        0.125**9: "larger weights make the gradient larger: multiply ¼ by the gain.",
        0.5**19: "that is for 20 layers; here there are ten.",
        1: "the weights give a factor of 2 for each layer, and the slope at most ¼.",
    },
    "raise the factor of one layer, gain times slope, to the number of steps.",
    between=(0, 1),
    hints=(
        "By which factor does one layer change the gradient at a gain of 1? And if its weights "
        "are twice as large?",
        "Gain times slope is the factor of one step. From layer 10 to layer 1 it is taken once for "
        "each layer that the gradient passes.",
    ),
    because="(2 · ¼)⁹ = 0.00195. Measured: saturation.signal(2, depth=10).ratio is 0.00035, since "
    "larger weights also move the inputs away from 0, where the slope is less than ¼.",
)


def normalize(x, gamma, beta, eps=1e-5):
    mean = x.mean(dim=(0, 2, 3), keepdim=True)
    variance = x.var(dim=(0, 2, 3), correction=0, keepdim=True)
    x_hat = (x - mean) / torch.sqrt(variance + eps)
    return gamma[:, None, None] * x_hat + beta[:, None, None]


def _batches():
    x = torch.randn(5, 3, 2, 4) * 2 + 1
    x[:, 2] *= 0.05  # so small that eps counts
    yield x, torch.tensor([1.5, -0.5, 2.0]), torch.tensor([0.3, 2.0, -1.0]), 0.01
    yield torch.randn(2, 2, 1, 2).transpose(2, 3), torch.randn(2), torch.randn(2), 0.3


def _other(dim=(0, 2, 3), correction=0, spread=lambda variance, eps: (variance + eps).sqrt()):
    def wrong(x, gamma, beta, eps):
        variance = x.var(dim=dim, correction=correction, keepdim=True)
        x_hat = (x - x.mean(dim=dim, keepdim=True)) / spread(variance, eps)
        return gamma[:, None, None] * x_hat + beta[:, None, None]

    return wrong


def _eps_outside(variance, eps):
    return variance.sqrt() + eps


def _constant(x, value):
    return x.new_full((x.shape[1],), value)


q2 = Code(
    normalize,
    _batches,
    {
        _other(correction=1): "the transform divides by m (correction=0); the unbiased variance, "
        "by m - 1, is for inference.",
        _other(dim=0): "that gives each position statistics of its own: take the mean over the "
        "positions as well, dim=(0, 2, 3).",
        _other(dim=(2, 3)): "that gives each image statistics of its own (instance norm): take the "
        "mean over the images as well, dim=(0, 2, 3).",
        _other(dim=(1, 2, 3)): "that normalizes each image over all its channels (layer norm): a "
        "channel is normalized over images and positions, dim=(0, 2, 3).",
        _other(dim=(0, 1, 2, 3)): "each channel has a mean and a variance of its own: leave "
        "dimension 1 out.",
        _other(spread=lambda variance, eps: variance.sqrt()): "eps is missing: add it to the "
        "variance.",
        _other(spread=_eps_outside): "eps belongs to the variance, below the root, not to the "
        "standard deviation.",
        _other(correction=1, spread=_eps_outside): "two things: divide by m (correction=0), and "
        "add eps to the variance, below the root.",
        _other(spread=torch.add): "divide by the square root of the variance.",
        lambda x, gamma, beta, eps: normalize(x, beta, gamma, eps): "gamma and beta are swapped: "
        "gamma scales, beta shifts.",
        lambda x, gamma, beta, eps: normalize(x, _constant(x, 1), _constant(x, 0), eps): (
            "gamma and beta are missing."
        ),
        lambda x, gamma, beta, eps: (
            gamma[:, None, None] * normalize(x, _constant(x, 1), beta, eps)
        ): "scale first, then shift: beta is not scaled.",
    },
    "the values differ from the transform of section 3.2.",
    hints=(
        "A channel has N x H x W values. Over which dimensions of [N, C, H, W] is the mean taken? "
        "torch's var divides by m - 1 unless told otherwise.",
        "keepdim=True keeps [1, C, 1, 1], which fits x. Which shape must gamma and beta have?",
    ),
    because="Algorithm 1, over images and positions:",
)


def level():
    return saturation.signal(gain=10.5, depth=40)


q3 = Open(
    level,
    "the result of saturation.signal(gain, depth=40)",
    (
        (
            lambda signal: len(signal.gradient),
            lambda depth: depth == 40,
            "your network has {} layers: give depth=40.",
        ),
        (
            lambda signal: mean(signal.saturated),
            lambda share: share >= 0.01,
            "{:.1%} of its units are saturated: is that a plain network at a large gain?",
        ),
        (
            lambda signal: signal.ratio,
            lambda ratio: ratio >= 0.1,
            "the first layer's gradient is {:.1g} of the last one's: it fades. Which weights fade?",
        ),
        (
            lambda signal: signal.ratio,
            lambda ratio: ratio <= 10,
            "the first layer's gradient is {:.2g} times the last one's: the gradient grows on its "
            "way. Try a gain between this one and one that fades.",
        ),
    ),
    hints=(
        "Which gain was best for 20 layers? With more layers, do more gains keep the ratio near 1, "
        "or fewer?",
        "Ratios multiply from layer to layer. Between a gain that fades and one that grows, halve "
        "the distance, and halve it again.",
    ),
    because="At a gain of 10 or 11 the gradient arrives, and two thirds of the units are "
    "saturated. The gap is narrow: at 9 it fades, at 14 it grows.",
)
