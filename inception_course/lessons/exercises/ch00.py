"""Exercises of notebook 00: the data, the splits, the family."""

from functools import lru_cache

import torch
from torch.nn import functional as F

from ...data import fashion_mnist
from ...reading import number
from . import Choice, Code, Number, Open

q1 = Number(
    0.2,
    {
        20: "that is per cent; an accuracy is a fraction between 0 and 1.",
        0.1: "that is chance without any knowledge; this program knows a shoe when it sees one.",
        5 / 21: "the two groups are not equally frequent: three classes of ten are shoes.",
        (1 / 3, 1 / 7): "that is its accuracy within one group; weigh both groups by how frequent "
        "they are.",
        (0.3, 0.7): "that is how frequent a group is; within it the program still has to guess.",
        10 / 21: "that adds the accuracies of both groups; an image is in one of them.",
    },
    "find the accuracy within each group, and how frequent the group is.",
    between=(0, 1),
    hints=(
        "Three classes are shoes: such an image is guessed right once in three.",
        "Shoes are 3/10 of the images, the rest 7/10. Which fraction of all images is a shoe that "
        "is guessed right?",
    ),
    because="0.2: shoes give 3/10 * 1/3 = 0.1 and the rest 7/10 * 1/7 = 0.1.",
)


def normalize(images, mean, std):
    return (images.float() / 255 - mean) / std


q2 = Code(
    normalize,
    lambda: (
        (torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16), 0.25, 0.5),
        (torch.randint(0, 256, (3, 2, 7, 5), dtype=torch.uint8).transpose(2, 3), 0.6, 0.2),
    ),
    {
        lambda images, mean, std: (images.float() - mean) / std: "mean and std are those of pixels "
        "between 0 and 1: divide by 255 first.",
        lambda images, mean, std: images.float() / 255 - mean: "the mean is gone, but the spread "
        "is not 1 yet: divide by std.",
        lambda images, mean, std: images.float() / 255 / std - mean: "subtract the mean first, "
        "then divide: the order matters.",
        lambda images, mean, std: images.float() / 255 - mean / std: "only the mean is divided by "
        "std: put the difference in brackets.",
        lambda images, mean, std: (images - images.float().mean()) / images.float().std(): (
            "use the mean and std that are given: those of a few images are others."
        ),
    },
    "bytes become pixels between 0 and 1, lose the mean, and are divided by std.",
    hints=(
        "Bytes run from 0 to 255, and the mean and std belong to pixels from 0 to 1.",
        "Make floats, bring them to 0 to 1, then remove the mean, and last scale the spread.",
    ),
    because="From bytes to numbers with mean 0 and standard deviation 1:",
)

q3 = Number(
    60_965_224 / 6_998_552,
    {
        12: "12 is what the papers print, from 60 million and 5 million. Take the parameters in "
        "the figure, which are counted.",
        6_998_552 / 60_965_224: "that is GoogLeNet's share of AlexNet; the question asks for the "
        "inverse.",
        (54, 53.966_672, 53_966_672): "that is the difference; divide instead.",
        (61, 60.965_224, 60_965_224): "that is AlexNet alone; how many GoogLeNets are that?",
        (7, 6.998_552, 6_998_552): "that is GoogLeNet alone; how many of it are an AlexNet?",
    },
    "divide AlexNet's parameters by GoogLeNet's, both from the figure.",
    tolerance=0.1,
    hints=(
        "The second line from below in each box of the figure is the number of parameters.",
        "How many times do GoogLeNet's 7.0 million go into AlexNet's?",
    ),
    because="60,965,224 / 6,998,552 = 8.71. The papers' 12 divides 60 M by 5 M.",
)

q4 = Choice(
    "lower",
    {
        "higher": "nothing was chosen on the test images, so luck does not help there.",
        "the same": "the best of twenty was good, and lucky on these images as well.",
    },
    also={"a little lower": "lower", "about the same": "the same", "a little higher": "higher"},
    hints=(
        "Each of the twenty accuracies is uncertain: some came out too high, some too low.",
        "Which of them is chosen? Will its luck come again on other images?",
    ),
    because="lower, a little: the best of twenty was chosen for its luck on 'val' as well.",
)


@lru_cache
def _loss(rate):
    """Return the loss after 30 steps of gradient descent on the lesson's 3,000 images."""
    images, labels = fashion_mnist("train", sample=3000).tensors
    pixels = images.flatten(1).double() / 255
    pixels = pixels - pixels.mean(dim=0)
    targets = F.one_hot(labels, 10).double()
    weights = torch.zeros(784, 10, dtype=torch.double)
    for _ in range(30):
        weights -= rate * pixels.T @ (pixels @ weights - targets) / len(pixels)
    return 0.5 * (pixels @ weights - targets).square().sum(dim=1).mean().item()


q5 = Open(
    0.09,
    "a learning rate, a number above 0",
    (
        (
            lambda rate: rate + 0,
            lambda rate: 0 < rate < 1,
            "{:g} is no rate to try: choose a number between 0 and 1.",
        ),
        (
            _loss,
            lambda loss: loss < 0.5,
            "with this rate the loss grows, to {:.2g}: where is the limit without the mean image?",
        ),
        (
            _loss,
            lambda loss: loss < 0.26,
            "the loss is {:.3f} after 30 steps, and less than 0.26 is wanted. Is there room for "
            "another rate?",
        ),
    ),
    read=number,
    hints=(
        "The table of the lesson has a limit for the pixels without their mean image.",
        "Which is faster near the limit, a rate a little below it or one far below? Try both.",
    ),
    because="0.09, a little below 2 / λ = 0.1008. On the raw pixels, whose limit is 0.0181, the "
    "loss would grow beyond all bounds.",
)
