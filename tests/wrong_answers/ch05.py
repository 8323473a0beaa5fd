"""Wrong answers to notebook 05."""

import copy

import torch
from torch import nn

from inception_course.lessons.exercises import ch05


def unbiased(x, gamma, beta, eps=1e-5):
    return gamma * (x - x.mean(dim=0)) / torch.sqrt(x.var(dim=0) + eps) + beta


def over_the_features(x, gamma, beta, eps=1e-5):
    mean, variance = x.mean(1, keepdim=True), x.var(1, correction=0, keepdim=True)
    return gamma * (x - mean) / torch.sqrt(variance + eps) + beta


def without_eps(x, gamma, beta, eps=1e-5):
    return ch05._normalise(x, gamma, beta, 0.0)


def eps_outside(x, gamma, beta, eps=1e-5):
    return gamma * (x - x.mean(dim=0)) / (x.std(dim=0, correction=0) + eps) + beta


def by_the_variance(x, gamma, beta, eps=1e-5):
    return gamma * (x - x.mean(dim=0)) / (x.var(dim=0, correction=0) + eps) + beta


def swapped(x, gamma, beta, eps=1e-5):
    return ch05._normalise(x, beta, gamma, eps)


def no_scale(x, gamma, beta, eps=1e-5):
    return ch05._normalise(x, torch.ones_like(gamma), torch.zeros_like(beta), eps)


def shifted_first(x, gamma, beta, eps=1e-5):
    return gamma * (no_scale(x, gamma, beta, eps) + beta)


def one_column(x, gamma, beta, eps=1e-5):
    return ch05._normalise(x, gamma, beta, eps)[:, :1]


def over_everything(x, gamma, beta, eps=1e-5):
    return gamma * (x - x.mean()) / torch.sqrt(x.var(correction=0) + eps) + beta


def nothing(x, gamma, beta, eps=1e-5):
    ch05._normalise(x, gamma, beta, eps)


def as_a_list(x, gamma, beta, eps=1e-5):
    return ch05._normalise(x, gamma, beta, eps).tolist()


def layer(weight, bias):
    made = nn.Linear(weight.shape[1], weight.shape[0]).to(weight.dtype)
    with torch.no_grad():
        made.weight.copy_(weight)
        made.bias.copy_(bias)
    return made


def scale_of(norm, eps=None):
    return norm.weight / torch.sqrt(norm.running_var + (norm.eps if eps is None else eps))


def unfolded(linear, norm):
    return copy.deepcopy(linear)


def old_bias(linear, norm):
    return layer(scale_of(norm)[:, None] * linear.weight, linear.bias)


def no_mean(linear, norm):
    scale = scale_of(norm)
    return layer(scale[:, None] * linear.weight, scale * linear.bias + norm.bias)


def lost_bias(linear, norm):
    scale = scale_of(norm)
    return layer(scale[:, None] * linear.weight, norm.bias - scale * norm.running_mean)


def unscaled_bias(linear, norm):
    scale = scale_of(norm)
    shift = linear.bias - scale * norm.running_mean + norm.bias
    return layer(scale[:, None] * linear.weight, shift)


def fold_without_eps(linear, norm):
    scale = scale_of(norm, eps=0)
    shift = scale * (linear.bias - norm.running_mean) + norm.bias
    return layer(scale[:, None] * linear.weight, shift)


def fold_by_the_variance(linear, norm):
    scale = norm.weight / (norm.running_var + norm.eps)
    shift = scale * (linear.bias - norm.running_mean) + norm.bias
    return layer(scale[:, None] * linear.weight, shift)


def pair(linear, norm):
    return nn.Sequential(linear, norm)


def in_place(linear, norm):
    with torch.no_grad():
        linear.weight.mul_(scale_of(norm)[:, None])
        linear.bias.copy_(scale_of(norm) * (linear.bias - norm.running_mean) + norm.bias)
    return linear


def fold_nothing(linear, norm):
    ch05._fold(linear, norm)


def columns(linear, norm):
    scale = torch.ones(4, dtype=linear.weight.dtype) * 2
    return layer(scale * linear.weight, linear.bias)


WRONG = {
    "q1": [
        (14.8, "seven further"),
        (14, "seven further"),
        (11.5, "thirty"),
        (0.43, "inverse"),
        (17.7, "difference"),
        (5, "divide"),
    ],
    "q2": [
        (unbiased, "correction=0"),
        (over_the_features, "dim=0"),
        (without_eps, "eps is missing"),
        (eps_outside, "below the root"),
        (by_the_variance, "square root"),
        (swapped, "swapped"),
        (no_scale, "gamma and beta are missing"),
        (shifted_first, "scale first"),
        (one_column, "has the shape of x"),
        (over_everything, "Algorithm 1"),
        (nothing, "returns nothing"),
        (as_a_list, "a tensor is wanted"),
    ],
    "q3": [
        (unfolded, "as it was"),
        (old_bias, "still the old one"),
        (no_mean, "not subtracted"),
        (lost_bias, "bias is lost"),
        (unscaled_bias, "scaled as well"),
        (fold_without_eps, "eps is missing"),
        (fold_by_the_variance, "square root"),
        (pair, "one nn.Linear"),
        (in_place, "was changed"),
        (fold_nothing, "returns nothing"),
        (columns, "one after the other"),
    ],
    "q4": [(20, "other line"), (6, "line of chance"), (3, "a deeper one"), (100, "dotted")],
    "q5": [("eval", "fixed"), ("both", "fixed numbers"), ("neither", "batch"), ("no", "choose")],
}
