"""Exercises of notebook 08: training GoogLeNet."""

import math
from dataclasses import replace
from functools import cache

import torch
from torch import nn
from torch.nn import functional as F

from ... import data, models, train
from . import Code, Number, Open

q1 = Number(
    math.log(1000),
    {
        math.log(10): "that is for ten classes, as in Fashion-MNIST; here there are 1,000.",
        math.log2(1000): "that is in bits; torch's cross-entropy takes the natural logarithm.",
        3: "that is the logarithm to base 10; torch's cross-entropy takes the natural one.",
        0.001: "that is the probability of the right class; the loss is minus its logarithm.",
        0.999: "that is the probability of the wrong classes; the loss asks for the right one's.",
        -math.log(1000): "the logarithm of a probability is negative: the loss is minus that.",
        math.log(1000) / 1000: "the loss counts the right class alone; it is no mean over classes.",
    },
    "the loss is minus the logarithm of the probability that the right class gets.",
    other_units=("bit",),
    tolerance=0.005,
    hints=(
        "A network that knows nothing gives each of the classes the same probability. Which?",
        "Cross-entropy is -log(p) of the right class, with the natural logarithm.",
    ),
    because="ln(1,000) = 6.908. A network whose loss stays there has learned nothing.",
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


q2 = Code(
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
    other_units=("epoch", "image"),
    hints=(
        "How many batches of 128 are there in 60,000 images, the last one smaller?",
        "60,000 / 128 = 468.75. How many steps is that in one epoch, and in ten?",
    ),
    because="469 batches in each of 10 epochs: 4,690 steps.",
)


@cache
def smaller_batches():
    few, val_set = data.fashion_mnist("train", sample=1000), data.fashion_mnist("val", sample=500)
    recipe = replace(train.RECIPES["quick"], name="small batches", ema_decay=0)
    recipe = replace(recipe, batch_size=8, learning_rate=0.05, precision="float32")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = models.create("googlenet_bn", stem="small", width=0.125)
    return train.fit(model, few, val_set, recipe)


q4 = Open(
    smaller_batches,
    "the run that train.fit gives",
    (
        (
            lambda run: run.environment["train_images"],
            lambda images: images <= 1000,
            "it learned from {:,} images, and 1,000 are allowed: "
            'data.fashion_mnist("train", sample=1000).',
        ),
        (
            lambda run: run.recipe.epochs,
            lambda epochs: epochs == 1,
            "it made {} passes, and one is allowed: what else makes more steps?",
        ),
        (
            lambda run: run.recipe.ema_decay,
            lambda decay: decay == 0,
            "it averages the weights (ema_decay is {:g}): set ema_decay=0, so that one thing "
            "changes at a time.",
        ),
        (
            lambda run: run.last.val_accuracy,
            lambda accuracy: accuracy >= 0.5,
            "it ends at {:.3f}. One pass has 1,000 / batch_size steps: are they enough, and is the "
            "learning rate right for this batch size?",
        ),
    ),
    hints=(
        "How many steps does one pass over 1,000 images have with batches of 64, and of 16?",
        "More steps from the same images need smaller batches. Their gradients are noisier: should "
        "the learning rate rise or fall?",
    ),
    because="Batches of 8 make 125 steps where batches of 64 make 16, at a smaller learning rate:",
)


def step(model, optimizer, parts):
    optimizer.zero_grad()
    for images, labels in parts:
        loss = F.cross_entropy(model(images), labels)
        (loss / len(parts)).backward()
    optimizer.step()


def _nets():
    for inputs, classes, count, momentum in ((4, 3, 2, 0.0), (5, 2, 3, 0.9)):
        model = nn.Linear(inputs, classes)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=momentum)
        parts = [(torch.randn(6, inputs), torch.arange(6) % classes) for _ in range(count)]
        yield model, optimizer, parts


def _weights(_, model, *others):
    return nn.utils.parameters_to_vector(model.parameters())


def _learning(loss, *, clear=True, forget=False, often=False, learn=True):
    def wrong(model, optimizer, parts):
        if clear:
            optimizer.zero_grad()
        for images, labels in parts:
            if forget:
                optimizer.zero_grad()
            loss(model(images), labels, len(parts)).backward()
            if often:
                optimizer.step()
        if learn and not often:
            optimizer.step()

    return wrong


def _part(logits, labels, count):
    return F.cross_entropy(logits, labels) / count


def _whole(logits, labels, count):
    return F.cross_entropy(logits, labels)


q5 = Code(
    step,
    _nets,
    {
        _learning(_part, learn=False): "the weights did not change: call optimizer.step() at the "
        "end.",
        _learning(_whole): "the gradients of the parts add up to several times that of the whole "
        "batch: divide each loss by the number of parts.",
        _learning(_part, clear=False): "gradients of the step before are still there: call "
        "zero_grad() first.",
        _learning(_part, forget=True): "zero_grad() between the parts leaves the last part alone.",
        _learning(_whole, forget=True): "zero_grad() between the parts leaves the last part alone.",
        _learning(_whole, forget=True, often=True): "that is a step for each part: one step, after "
        "the last part.",
        _learning(_part, often=True): "that is a step for each part: one step, after the last.",
        _learning(lambda *given: -_part(*given)): "that makes the loss larger: the optimizer goes "
        "down by itself.",
        _learning(lambda logits, *given: _part(logits.softmax(dim=1), *given)): (
            "F.cross_entropy wants logits: it applies the softmax itself."
        ),
    },
    "the step ends at other weights than one on the whole batch.",
    outcome=_weights,
    in_place=True,
    hints=(
        "backward() adds to the gradients that are there. When must they be cleared, and when not?",
        "The loss of the whole batch is the mean of the losses of its equal parts. So how much "
        "does each part count?",
    ),
    because="Gradients add up, until the step:",
)
