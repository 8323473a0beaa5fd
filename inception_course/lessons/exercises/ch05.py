"""Exercises of notebook 05: batch normalization."""

import copy
import math

import torch
from torch import nn

from . import Exercise, Solution, choice, number, written


def _check_speed_up(answer):
    given = number(answer)
    if math.isclose(given, 31.0 / 13.3, abs_tol=0.05):
        return None
    if math.isclose(given, 31.0 / 2.1, abs_tol=0.3) or math.isclose(given, 14, abs_tol=0.1):
        return "that is the net with seven further changes, five times the rate among them."
    if math.isclose(given, 31.0 / 2.7, abs_tol=0.1):
        return "that is the net with thirty times the rate."
    if math.isclose(given, 13.3 / 31.0, abs_tol=0.02):
        return "that is its inverse: how many times fewer steps are needed?"
    if math.isclose(given, 31.0 - 13.3, abs_tol=0.05):
        return "that is a difference in million steps; a speed-up is a ratio."
    return "divide the steps of the net without BN by those of BN at the same learning rate."


q1 = Exercise(
    _check_speed_up,
    (
        "Which two rows of the paper's table differ in nothing but batch normalization?",
        "31.0 million steps without, 13.3 million with it, at the same learning rate.",
    ),
    Solution(31.0 / 13.3, "31.0 / 13.3 = 2.33. The famous 14 is 31.0 / 2.1, with more changes."),
)


def _normalise(x, gamma, beta, eps=1e-5):
    mean = x.mean(dim=0)
    variance = x.var(dim=0, correction=0)
    return gamma * (x - mean) / torch.sqrt(variance + eps) + beta


def _check_normalise(function):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, 3, generator=generator, dtype=torch.float64) * 2 + 1
    x[:, 2] *= 0.05  # so small that eps counts
    gamma = torch.tensor([1.5, -0.5, 2.0], dtype=torch.float64)
    beta = torch.tensor([0.3, 2.0, -1.0], dtype=torch.float64)
    eps = 0.01
    given = written(function)(x.clone(), gamma.clone(), beta.clone(), eps)
    if given is None:
        return "your function returns nothing: add a return statement."
    if not isinstance(given, torch.Tensor):
        raise TypeError(f"a tensor is wanted, and this is a {type(given).__name__}")

    def same(wanted):
        return given.shape == wanted.shape and torch.allclose(given, wanted, atol=1e-8)

    if same(_normalise(x, gamma, beta, eps)):
        return None
    centred, std = x - x.mean(dim=0), torch.sqrt(x.var(dim=0, correction=0) + eps)
    rows = (x - x.mean(1, keepdim=True)) / (x.var(1, correction=0, keepdim=True) + eps).sqrt()
    for wrong, message in (
        (gamma * centred / torch.sqrt(x.var(dim=0) + eps) + beta, _UNBIASED),
        (gamma * rows + beta, "each feature is normalized over the images: take dim=0."),
        (_normalise(x, gamma, beta, 0.0), "eps is missing: add it to the variance."),
        (gamma * centred / (x.std(dim=0, correction=0) + eps) + beta, _EPS_OUTSIDE),
        (gamma * centred / (std**2) + beta, "divide by the square root of the variance."),
        (_normalise(x, beta, gamma, eps), "gamma and beta are swapped: gamma scales, beta shifts."),
        (centred / std, "gamma and beta are missing."),
        (gamma * (centred / std + beta), "scale first, then shift: beta is not scaled."),
    ):
        if same(wrong):
            return message
    if given.shape != x.shape:
        return f"the result has the shape of x, {list(x.shape)}; yours has {list(given.shape)}."
    return "on five images with three features the values differ from Algorithm 1."


_UNBIASED = (
    "the transform divides by m (correction=0); the unbiased variance, by m - 1, is for inference."
)
_EPS_OUTSIDE = "eps belongs to the variance, below the root, not to the standard deviation."

q2 = Exercise(
    _check_normalise,
    (
        "Over which dimension is a feature of a [N, C] batch normalized? torch's var divides by "
        "N - 1 unless told otherwise.",
        "mean and x.var(dim=0, correction=0), then gamma * (x - mean) / sqrt(var + eps) + beta.",
    ),
    Solution(_normalise, "Algorithm 1, in four lines:"),
)


def _fold(linear, norm):
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    folded = nn.Linear(linear.in_features, linear.out_features).to(scale.dtype)
    with torch.no_grad():
        folded.weight.copy_(scale[:, None] * linear.weight)
        folded.bias.copy_(scale * (linear.bias - norm.running_mean) + norm.bias)
    return folded


def _check_fold(function):
    function = written(function)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        linear, norm = nn.Linear(4, 3).double(), nn.BatchNorm1d(3, eps=0.01).double()
        x = torch.randn(6, 4, dtype=torch.float64)
        with torch.no_grad():
            for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
                tensor.copy_(torch.rand(3) + 0.5)
        linear.eval(), norm.eval()
        pair = copy.deepcopy([linear, norm])
        folded = function(linear, norm)
    with torch.no_grad():
        if not torch.equal(linear.weight, pair[0].weight):
            return "the given layer was changed: return a new one."
        if folded is None:
            return "your function returns nothing: add a return statement."
        given, wanted = folded(x), pair[1](pair[0](x))
        if not isinstance(folded, nn.Linear):
            return f"one nn.Linear is wanted, and this is a {type(folded).__name__}."
        if torch.allclose(given, wanted, atol=1e-6):
            return None
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        plain = scale * (pair[0](x) - linear.bias)  # what the scaled weights give
        no_eps = norm.weight / torch.sqrt(norm.running_var)
        for wrong, message in (
            (pair[0](x), "that is the linear layer as it was: scale its weights, shift its bias."),
            (plain + linear.bias, "the weights are right; the bias is still the old one."),
            (plain + scale * linear.bias + norm.bias, "the running mean is not subtracted."),
            (plain - scale * norm.running_mean + norm.bias, "the linear layer's own bias is lost."),
            (
                plain + linear.bias - scale * norm.running_mean + norm.bias,
                "the linear layer's own bias is scaled as well.",
            ),
            (
                no_eps * (pair[0](x) - norm.running_mean) + norm.bias,
                "eps is missing: add it to the running variance.",
            ),
            (
                norm.weight * (pair[0](x) - norm.running_mean) / (norm.running_var + norm.eps)
                + norm.bias,
                "divide by the square root of the variance.",
            ),
        ):
            if torch.allclose(given, wrong, atol=1e-6):
                return message
    return "the new layer does not give what the two give one after the other, in eval mode."


q3 = Exercise(
    _check_fold,
    (
        "In eval mode y = scale * x + shift. What are scale and shift, and what is x?",
        "scale = gamma / sqrt(running_var + eps); weights times scale, row by row; bias: "
        "scale * (bias - running_mean) + beta.",
    ),
    Solution(_fold, "The scale goes into the weights, the rest into the bias:"),
)


def _check_deepest(answer):
    given = number(answer)
    if given == 5:
        return None
    if given == 20:
        return "that is the deepest one with batch normalization: look at the other line."
    if given == 6:
        return "the marks at 6 layers stand on the line of chance."
    if given in (1, 2, 3, 4):
        return "a deeper one still leaves the line of chance: follow the plain net's marks."
    return "look where the line of the net without batch normalization meets the dotted one."


q4 = Exercise(
    _check_deepest,
    (
        "The dotted line at 0.1 is chance. Which of the two nets comes down to it?",
        "Read the depths on the horizontal axis: the last mark above the dotted line.",
    ),
    Solution(5, "5 hidden layers: from 6 on, all seeds of the plain net stay at chance."),
)


def _check_mode(answer):
    return choice(
        answer,
        {
            "training": None,
            "eval": "in eval mode the statistics are fixed, and each image is answered by itself.",
            "both": "in one of the modes the statistics are fixed numbers.",
            "neither": "in one of the modes mean and variance are those of the batch.",
        },
    )


q5 = Exercise(
    _check_mode,
    (
        "Where do mean and variance come from in each mode?",
        "In one mode they come from the mini-batch, so from the other images as well.",
    ),
    Solution("training", "'training': there the statistics are those of the mini-batch."),
)
