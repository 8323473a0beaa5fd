"""Exercises of notebook 06: training GoogLeNet."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from . import Choice, Code, Number

q1 = Number(
    math.log(10),
    {
        math.log2(10): "that is in bits; torch's cross-entropy takes the natural logarithm.",
        1: "that is the logarithm to base 10; torch's cross-entropy takes the natural one.",
        0.1: "that is the probability of the right class; the loss is minus its logarithm.",
        0.9: "that is the probability of the wrong classes; the loss asks for the right one's.",
        -math.log(10): "the logarithm of a probability is negative: the loss is minus that.",
        math.log(10) / 10: "the loss counts the right class alone, not a mean over the classes.",
    },
    "the loss is minus the logarithm of the probability that the right class gets.",
    tolerance=0.005,
    hints=(
        "A network that knows nothing gives each of the ten classes the probability 1/10.",
        "Cross-entropy is -log(p) of the right class, with the natural logarithm.",
    ),
    because="ln(10) = 2.303. A loss that stays there has learned nothing.",
)


def step(model, optimizer, images, labels):
    loss = F.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _nets():
    for inputs, classes, images, momentum in ((4, 3, 8, 0.0), (5, 2, 3, 0.9)):
        model, labels = nn.Linear(inputs, classes), torch.arange(images) % classes
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=momentum)
        yield model, optimizer, torch.randn(images, inputs), labels


def _weights(_, model, *others):
    return nn.utils.parameters_to_vector(model.parameters())


def _accumulating(model, optimizer, images, labels):
    F.cross_entropy(model(images), labels).backward()
    optimizer.step()


def _late_backward(model, optimizer, images, labels):
    optimizer.step()
    F.cross_entropy(model(images), labels).backward()


def _idle(model, optimizer, images, labels):
    F.cross_entropy(model(images), labels).backward()


def _on(loss):
    def wrong(model, optimizer, images, labels):
        optimizer.zero_grad()
        loss(model(images), labels).backward()
        optimizer.step()

    return wrong


def _twice(*arguments):
    step(*arguments)
    step(*arguments)


q2 = Code(
    step,
    _nets,
    {
        _idle: "the weights did not change: are backward() and optimizer.step() both called, with "
        "no zero_grad() between them?",
        _accumulating: "gradients of the step before are still there: call zero_grad().",
        _late_backward: "step() uses the gradients that are there: call backward() before it.",
        _on(lambda logits, labels: F.cross_entropy(logits.softmax(dim=1), labels)): (
            "F.cross_entropy wants logits: it applies the softmax itself."
        ),
        _on(lambda logits, labels: F.cross_entropy(logits, labels, reduction="sum")): (
            "take the mean over the images, or the step grows with the batch."
        ),
        _on(lambda logits, labels: -F.cross_entropy(logits, labels)): "that makes the loss larger: "
        "the optimizer goes down by itself.",
        _twice: "the weights are to change once, and they change twice.",
    },
    "a step ends at other weights than forward, loss, backward, step do.",
    outcome=_weights,
    in_place=True,
    hints=(
        "Four things happen: forward, loss, backward, step. What is left over from last time?",
        "The loss is F.cross_entropy(model(images), labels). When must the old gradients go?",
    ),
    because="Forward, loss, backward, step; the old gradient goes before the new one.",
)

q3 = Number(
    4690,
    {
        469: "that is one epoch.",
        (4687.5, 4687, 4688): "the last batch of an epoch is smaller, but it is a step too: round "
        "up per epoch.",
        (468, 468.75): "that is one epoch, and its last batch is a step, too.",
        4680: "the last, smaller batch of each epoch counts as well.",
        600_000: "that is how many images are seen; 128 of them make one step.",
        (60_000, 1280): "batches of 128 images: how many of them are an epoch?",
    },
    "divide the images of an epoch by the batch size, round up, and take ten epochs.",
    hints=(
        "How many batches of 128 are there in 60,000 images, the last one smaller?",
        "60,000 / 128 = 468.75. How many steps are that in one epoch, and in ten?",
    ),
    because="469 batches in each of 10 epochs: 4,690 steps.",
)

q4 = Choice(
    "shirt",
    {
        "sandal": "shoes are confused with shoes, but look at the diagonal: which is palest?",
        "bag": "bags are among the easiest: look at the diagonal of the matrix.",
        "trouser": "trousers are the easiest class: look for the palest cell of the diagonal.",
        "ankle boot": "some boots are called sneakers, but one class does far worse.",
    },
    hints=(
        "A class that is answered well has a dark cell on the diagonal.",
        "The palest cell of the diagonal is in one of the rows with sleeves.",
    ),
    because="'shirt': it is called T-shirt/top, pullover, coat and dress.",
)


def mean_accuracy(batches):
    correct = sum((logits.argmax(dim=1) == labels).sum().item() for logits, labels in batches)
    return correct / sum(len(labels) for _, labels in batches)


def _answered():
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0])
    answers = torch.tensor([0, 1, 2, 0, 2, 0, 1])  # 4 right in the first 4, 0 in the last 3
    logits = F.one_hot(answers, 3) - 2.0  # none is above zero
    yield ([(logits[:4], labels[:4]), (logits[4:], labels[4:])],)
    yield ([(torch.randn(n, 5), torch.arange(n) % 5) for n in (16, 1, 9)],)


def _shares(batches):
    return [(logits.argmax(1) == labels).float().mean().item() for logits, labels in batches]


q5 = Code(
    mean_accuracy,
    _answered,
    {
        lambda batches: sum(_shares(batches)) / len(batches): "a mean of batch means weighs an "
        "image in a short batch more than one in a long one.",
        lambda batches: mean_accuracy(batches) * sum(len(labels) for _, labels in batches): (
            "that is how many are right; divide by how many there are."
        ),
        lambda batches: _shares(batches)[-1]: "that looks like the last batch alone: sum over all "
        "of them.",
        lambda batches: _shares(batches)[0]: "that is the first batch: sum over all of them.",
        lambda batches: 100 * mean_accuracy(batches): "that is per cent; an accuracy is a fraction "
        "between 0 and 1.",
        lambda batches: 1 - mean_accuracy(batches): "that is the share of errors.",
    },
    "it is the part of all images whose largest logit is that of their label.",
    hints=(
        "Batches need not be equally long. What should weigh the same: batches or images?",
        "Count the right answers of all batches, and the images of all batches.",
    ),
    because="Count images, not batches:",
)
