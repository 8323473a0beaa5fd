"""Exercises of notebook 09: crops, ensembles and calibration."""

import torch

from ... import data, evaluate
from . import Code, Number, Open
from .answers import tensor

q1 = Number(
    48,
    {
        144: "that counts every view; the three squares of a square image are the same square.",
        126: "that is for an image that is longer than wide; here all three squares are one.",
        24: "a view and its mirror image are two views.",
        40: "the whole square is shown as well, at each scale.",
        36: "three squares fall together, not the four scales: divide by three.",
        (96, 108): "left, middle and right square are all the same: two of three views go.",
    },
    "4 scales, 6 views of a square, each mirrored: which factor of the 144 has gone?",
    hints=(
        "Left, center and right squares differ by where they lie along the longer side.",
        "A square image leaves no room to move. Which factor of 4 x 3 x 6 x 2 does that change?",
    ),
    because="4 x 1 x 6 x 2 = 48: each of them is shown three times.",
)


def answer(logits):
    return logits.softmax(dim=2).mean(dim=0).argmax(dim=1)


def _views():
    # Four images: each tells the mean of probabilities from one of the other ways.
    few = torch.zeros(3, 4, 3)
    few[:, 0] = torch.tensor([[9.0, 0, 0], [0, 2, 0], [0, 2, 0]])
    few[:, 1] = torch.tensor([[0, 9.0, 0], [1.5, 0, 1.4], [1.5, 0, 1.4]])
    few[:, 2] = torch.tensor([[30.0, 0, 0], [0, 2, 0], [0, 9.0, 0]])
    few[:, 3] = torch.tensor([[2.3, 2.2, 0], [2.3, 2.2, 0], [0, 2.4, 5.0]])
    yield (few,)
    yield (torch.randn(7, 2, 5).transpose(0, 1),)


q2 = Code(
    answer,
    _views,
    {
        lambda logits: logits.mean(dim=0).argmax(dim=1): "you average logits; the paper averages "
        "probabilities.",
        lambda logits: logits.softmax(dim=2).amax(dim=0).argmax(dim=1): "that is the maximum over "
        "the views, which the paper tried and found worse.",
        lambda logits: logits.argmax(dim=2).mode(dim=0).values: "that is a vote: it forgets how "
        "sure a view was.",
        lambda logits: logits.softmax(dim=0).mean(dim=0).argmax(dim=1): "the softmax runs over the "
        "classes, the last dimension, not over the views.",
        lambda logits: logits[0].argmax(dim=1): "that is the first view alone.",
        lambda logits: logits.softmax(dim=2).mean(dim=0): "those are the probabilities, of shape "
        "[N, classes]: take argmax at the end.",
        lambda logits: logits.softmax(dim=2).mean(dim=0).amax(dim=1): "that is how sure the answer "
        "is; its class is the argmax.",
    },
    "softmax over the classes, mean over the views, then the largest: try that order.",
    hints=(
        "What does the paper average: logits, probabilities or answers?",
        "logits.softmax(dim=2) are probabilities. Which dimension are the views, and what is left "
        "after their mean?",
    ),
    because="Probabilities first, then the mean over the views, then the largest:",
)

q3 = Number(
    28,
    {
        4: "that is one network; the ensemble has seven.",
        100_800: "that is in seconds; the question asks for hours.",
        1680: "that is in minutes; the question asks for hours.",
        100_000 / 1000 / 3600: "that is one view and one network.",
        7 / 36: "that is one view; each network sees 144.",
        28 / 24: "that is in days; the question asks for hours.",
    },
    "images x networks x views, divided by 1,000 in a second, are seconds.",
    other_units=("sec", "min", "day"),
    tolerance=0.5,
    hints=(
        "How many times does one image pass through a network?",
        "7 x 144 = 1,008 passes for each of 100,000 images, 1,000 in a second. And an hour?",
    ),
    because="100,000 x 1,008 / 1,000 = 100,800 seconds: 28 hours, instead of 100 seconds.",
)


def worthless():
    return torch.full((1000, 10), 0.1)


def _probabilities(answer):
    rows = tensor(answer)
    return rows.float() if rows is not None and rows.shape == (1000, 10) else None


def _labels():
    return data.fashion_mnist("val", sample=1000).tensors[1]


q4 = Open(
    worthless,
    "probabilities of shape [1000, 10], a row for each validation image",
    (
        (
            lambda answers: answers.min().item(),
            lambda least: least >= 0,
            "a probability is never below 0, and one of yours is {:.2g}.",
        ),
        (
            lambda answers: answers.sum(dim=1).sub(1).abs().max().item(),
            lambda off: off < 1e-3,
            "the probabilities of an image sum to 1, and one of your rows is {:.2g} off.",
        ),
        (
            lambda answers: evaluate.top_1(answers, _labels()),
            lambda right: right <= 0.2,
            "it is right for {:.0%} of the images, and 20 % are allowed. How would a network "
            "answer that does not look at the image?",
        ),
        (
            lambda answers: evaluate.calibration(answers, _labels()).error,
            lambda error: error <= 0.02,
            "its calibration error is {:.3f}. How sure may a network be that is right this seldom?",
        ),
    ),
    read=_probabilities,
    hints=(
        "It need not look at the image at all. How often is it right then, with ten classes of "
        "100 images each?",
        "Its confidence must equal its accuracy. Which row of ten numbers has that as its largest?",
    ),
    because="One in ten is right, and it says so: calibrated, and of no use. Calibration is no "
    "substitute for accuracy.",
)
