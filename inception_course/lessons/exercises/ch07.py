"""Exercises of notebook 07: batch normalization at work."""

from copy import deepcopy
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.data import TensorDataset

from ... import data
from ...train.checkpoint import load_pretrained
from . import Code, Number, Open
from .answers import numbers

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
        statistics = dict(norm.named_buffers())
        with torch.no_grad():
            for tensor in (norm.weight, norm.bias, statistics["running_mean"]):
                tensor.uniform_(-1.5, 1.5)
            statistics["running_var"].uniform_(0.2, 2)
        yield linear.eval(), norm.eval()


def _affine(linear, *_):
    if not isinstance(linear, nn.Linear):
        raise TypeError(linear)
    bias = linear.weight.new_zeros(len(linear.weight)) if linear.bias is None else linear.bias
    return torch.cat([linear.weight, bias[:, None]], dim=1)


def _right(weight, bias, scale, mean, beta):
    return scale * weight, scale * (bias - mean) + beta


def _made(parts=_right, power=0.5, with_eps=True):
    """Make a function that folds a norm into a linear layer by `parts`, as a mistake would."""

    def wrong(linear, norm):
        scale = norm.weight / (norm.running_var + with_eps * norm.eps) ** power
        columns = (each[:, None] for each in (linear.bias, scale, norm.running_mean, norm.bias))
        weight, bias = parts(linear.weight, *columns)
        layer = nn.Linear(linear.in_features, linear.out_features)
        layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias[:, 0])
        return layer

    return wrong


q2 = Code(
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


@cache
def _garments() -> TensorDataset:
    return data.fashion_mnist("val", sample=1000)


@cache
def _network() -> nn.Module:
    return load_pretrained("googlenet_bn-quick")


class Company(NamedTuple):
    """Holds a network's answers about an image: alone (eval mode), among others (training mode)."""

    rows: list[float]
    label: int = -1
    alone: int = -1
    among: int = -1


def _in_company(rows: Any) -> Company | None:
    """Ask the course's trained network about the first of `rows`, alone and among all of them."""
    chosen = numbers(rows)
    if not chosen:
        return None
    if not all(row in range(1000) for row in chosen):
        return Company(chosen)
    images, labels = (each[[int(row) for row in chosen]] for each in _garments().tensors)
    (batch,) = (x for x, _ in data.Batches(TensorDataset(images, labels), len(labels)))
    with torch.no_grad():
        alone = _network()(batch[:1]).argmax().item()
        careless = deepcopy(_network()).train()
        among = careless(batch)[0].argmax().item() if len(batch) > 1 else alone
    return Company(chosen, int(labels[0]), int(alone), int(among))


def one_class():
    labels = _garments().tensors[1]
    return (labels == labels[0]).nonzero().flatten()[:20].tolist()


q3 = Open(
    one_class,
    "row numbers in a list",
    (
        (
            lambda company: next((row for row in company.rows if row not in range(1000)), None),
            lambda row: row is None,
            "the sample has the rows 0 to 999, and you give {:g}.",
        ),
        (
            lambda company: len(company.rows) - len(set(company.rows)),
            lambda repeated: repeated == 0,
            "{} of your rows stand there more than once: take different images.",
        ),
        (
            lambda company: len(company.rows),
            lambda count: 10 <= count <= 20,
            "your batch has the size {}; from 10 to 20 images are wanted, so that it is not its "
            "size alone that makes the difference.",
        ),
        (
            lambda company: company,
            lambda company: company.alone == company.label,
            "even alone, in eval mode, the network is wrong about row {0.rows[0]:g}: it says class "
            "{0.alone}, and it is {0.label}. Put another image first.",
        ),
        (
            lambda company: company,
            lambda company: company.among != company.label,
            "among these images the answer is still class {0.among}. What would the mean of the "
            "batch have to hold, so that subtracting it takes away what the image shows?",
        ),
    ),
    read=_in_company,
    hints=(
        "Training mode subtracts from every channel its mean over the batch. In which batch does "
        "that mean hold what is typical of your image?",
        "val_set.tensors[1] holds the classes. Try companies that differ in them.",
    ),
    because="Twenty images of one class, for example. What they have in common is in the mean of "
    "the batch, which is subtracted:",
)
