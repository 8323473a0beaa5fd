"""Exercises of notebook 00: the data, the splits, the family."""

import math

import torch

from . import Exercise, Solution, choice, number, written


def _check_shoes(answer):
    given = number(answer)
    if math.isclose(given, 0.2, abs_tol=0.001):
        return None
    if math.isclose(given, 20, abs_tol=0.1):
        return "that is per cent; an accuracy is a fraction between 0 and 1."
    if math.isclose(given, 0.1, abs_tol=0.001):
        return "that is chance without any knowledge; this program knows a shoe when it sees one."
    if math.isclose(given, (1 / 3 + 1 / 7) / 2, abs_tol=0.002):
        return "the two groups are not equally frequent: three classes of ten are shoes."
    if math.isclose(given, 1 / 3, abs_tol=0.005) or math.isclose(given, 1 / 7, abs_tol=0.005):
        return "that is its accuracy within one group; weigh both groups by how frequent they are."
    return "find the accuracy within each group, and how frequent the group is."


q1 = Exercise(
    _check_shoes,
    (
        "Three classes are shoes: such an image is guessed right once in three.",
        "Shoes are 3/10 of the images, the rest 7/10: 3/10 * 1/3 + 7/10 * 1/7.",
    ),
    Solution(0.2, "0.2: shoes give 3/10 * 1/3 = 0.1 and the rest 7/10 * 1/7 = 0.1."),
)


def _normalise(images, mean, std):
    return (images.float() / 255 - mean) / std


def _check_normalise(function):
    images = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    before = images.clone()
    mean, std = 0.25, 0.5
    result = written(function)(images, mean, std)
    if not torch.equal(images, before):
        return "your function changed the images it was given; return new ones."
    if result is None:
        return "your function returns nothing: add a return statement."
    if not isinstance(result, torch.Tensor) or not result.is_floating_point():
        return "the result should be a tensor of floats; bytes cannot hold negative numbers."
    if result.shape != images.shape:
        return f"the shape changed from {list(images.shape)} to {list(result.shape)}."
    want = _normalise(images, mean, std)
    if torch.allclose(result.float(), want, atol=1e-4):
        return None
    if torch.allclose(result.float(), (images.float() - mean) / std, atol=1e-3):
        return "mean and std are those of pixels between 0 and 1: divide by 255 first."
    if torch.allclose(result.float(), want * std, atol=1e-4):
        return "the mean is gone, but the spread is not 1 yet: divide by std."
    if torch.allclose(result.float(), images.float() / 255 / std - mean, atol=1e-4):
        return "subtract the mean first, then divide: the order matters."
    return f"a black pixel should become {-mean / std}, and yours is {result.flatten()[0]:.4g}."


q2 = Exercise(
    _check_normalise,
    (
        "Bytes run from 0 to 255, and the mean and std belong to pixels from 0 to 1.",
        "Make floats, divide by 255, subtract the mean, divide by std, in this order.",
    ),
    Solution(_normalise, "From bytes to numbers with mean 0 and standard deviation 1:"),
)


def _check_ratio(answer):
    given = number(answer)
    if 8.6 <= given <= 8.8:
        return None
    if math.isclose(given, 12, abs_tol=0.5):
        return (
            "12 is what the papers print, from 60 million and 5 million. Take the parameters "
            "in the figure, which are counted."
        )
    if 0.1 <= given <= 0.12:
        return "that is GoogLeNet's share of AlexNet; the question asks for the inverse."
    if 50 <= given <= 56:
        return "that is the difference in millions; divide instead."
    return "divide AlexNet's parameters by GoogLeNet's, both from the figure."


q3 = Exercise(
    _check_ratio,
    (
        "The second line from below in each box of the figure is the number of parameters.",
        "AlexNet has 61.0 million, GoogLeNet 7.0 million.",
    ),
    Solution(8.71, "60,965,224 / 6,998,552 = 8.71. The papers' 12 divides 60 M by 5 M."),
)


def _check_split(answer):
    return choice(
        answer,
        {
            "val": None,
            "train": "the network has seen these images: a rate that learns them by heart wins.",
            "test": "then the test set has taken part in the choice, and its accuracy is too good.",
        },
    )


q4 = Exercise(
    _check_split,
    (
        "Whatever chooses has learned something. Which images may the network learn from?",
        "One split is there to choose on, so that another one stays unseen to the end.",
    ),
    Solution("val", "'val': cut from the training data for choices; 'test' is for reporting."),
)
