"""Exercises of notebook 06: batch normalization."""

from statistics import mean

import torch
from torch import nn

from ...studies import saturation
from . import Code, Number, Open

q1 = Number(
    31.0 / 13.3,
    {
        (31.0 / 2.1, 14): "that is the net with seven further changes, five times the rate among "
        "them.",
        31.0 / 2.7: "that is the net with thirty times the rate.",
        13.3 / 31.0: "that is its inverse: how many times fewer steps are needed?",
        31.0 - 13.3: "that is a difference in million steps; a speed-up is a ratio.",
        (13.3, 31.0): "that is a number of steps, in millions; compare it with the other net's.",
        13.3 / 2.1: "both of these have batch normalization: what differs between them?",
    },
    "divide the steps of the net without BN by those of BN at the same learning rate.",
    tolerance=0.05,
    hints=(
        "Which two rows of the paper's table differ in nothing but batch normalization?",
        "31.0 million steps without; find the row with BN that has the same learning rate.",
    ),
    because="31.0 / 13.3 = 2.33. The famous 14 is 31.0 / 2.1, with more changes.",
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
    yield torch.randn(2, 2, 3, 3).transpose(2, 3), torch.randn(2), torch.randn(2), 0.3


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


def fold(linear, norm):
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    folded = nn.Linear(linear.in_features, linear.out_features)
    with torch.no_grad():
        folded.weight.copy_(scale[:, None] * linear.weight)
        folded.bias.copy_(scale * (linear.bias - norm.running_mean) + norm.bias)
    return folded


def _pairs():
    for inputs, outputs, eps in ((3, 3, 0.01), (4, 3, 0.05), (2, 5, 0.1)):
        linear, norm = nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs, eps=eps)
        with torch.no_grad():
            for tensor in (norm.weight, norm.bias, norm.running_mean):
                tensor.uniform_(-1.5, 1.5)
            norm.running_var.uniform_(0.2, 2)
        yield linear.eval(), norm.eval()


def _affine(linear, *_):
    if not isinstance(linear, nn.Linear):
        raise TypeError(linear)
    bias = linear.weight.new_zeros(len(linear.weight)) if linear.bias is None else linear.bias
    return torch.cat([linear.weight, bias[:, None]], dim=1)


def _right(weight, bias, scale, mean, beta):
    return scale * weight, scale * (bias - mean) + beta


def _made(parts=_right, power=0.5, with_eps=True):
    """Make a layer of `parts` of the two; all but the weights are columns."""

    def wrong(linear, norm):
        scale = norm.weight / (norm.running_var + with_eps * norm.eps) ** power
        columns = (each[:, None] for each in (linear.bias, scale, norm.running_mean, norm.bias))
        weight, bias = parts(linear.weight, *columns)
        layer = nn.Linear(linear.in_features, linear.out_features)
        layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias[:, 0])
        return layer

    return wrong


q3 = Code(
    fold,
    _pairs,
    {
        lambda linear, norm: linear: "that is the linear layer as it was: scale its weights, shift "
        "its bias.",
        _made(lambda w, b, scale, mean, beta: (scale * w, b)): "the weights are right; the bias is "
        "still the old one.",
        _made(lambda w, b, scale, mean, beta: (scale * w, scale * b + beta)): "the running mean is "
        "not subtracted.",
        _made(lambda w, b, scale, mean, beta: (scale * w, beta - scale * mean)): "the linear "
        "layer's own bias is lost.",
        _made(lambda w, b, scale, mean, beta: (scale * w, b - scale * mean + beta)): "the linear "
        "layer's own bias is scaled as well.",
        _made(lambda w, b, scale, mean, beta: (scale * w, 0 * b)): "the new layer has no bias: the "
        "shift of the two belongs there.",
        _made(lambda w, b, scale, *shift: (scale.T * w, _right(w, b, scale, *shift)[1])): (
            "scale the rows of the weights, one for each output: scale[:, None]."
        ),
        _made(with_eps=False): "eps is missing: add it to the running variance.",
        _made(power=1): "divide by the square root of the variance.",
    },
    "the new layer does not give what the two give one after the other, in eval mode "
    "(its weights, with the bias as last column).",
    returns="one nn.Linear",
    outcome=_affine,
    hints=(
        "In eval mode y = scale * x + shift. What are scale and shift, and what is x?",
        "scale = gamma / sqrt(running_var + eps) goes to the weights, row by row. Put "
        "weights * input + bias for x: what stands there without an input?",
    ),
    because="The scale goes into the weights, the rest into the bias:",
)


def level():
    return saturation.signal(gain=10.5, depth=40)


q4 = Open(
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
            lambda share: not 0 < share < 0.01,
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
        "Which gain was best for 20 layers in the figure? With more layers, is the gap wider?",
        "Ratios multiply from layer to layer. Between a gain that fades and one that grows, halve "
        "the distance, and halve it again.",
    ),
    because="At a gain of 10 or 11 the gradient arrives, and two thirds of the units are "
    "saturated. The gap is narrow: at 9 it fades, at 14 it grows.",
)
