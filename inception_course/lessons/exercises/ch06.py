"""Exercises of notebook 06: training GoogLeNet."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from . import Exercise, Solution, choice, number, written


def _check_chance(answer):
    given = number(answer)
    if math.isclose(given, math.log(10), abs_tol=0.005):
        return None
    if math.isclose(given, math.log2(10), abs_tol=0.01):
        return "that is in bits; torch's cross-entropy takes the natural logarithm."
    if math.isclose(given, 1, abs_tol=0.005):
        return "that is the logarithm to base 10; torch's cross-entropy takes the natural one."
    if math.isclose(given, 0.1, abs_tol=0.005):
        return "that is the probability of the right class; the loss is minus its logarithm."
    return "the loss is minus the logarithm of the probability that the right class gets."


q1 = Exercise(
    _check_chance,
    (
        "A network that knows nothing gives each of the ten classes the probability 1/10.",
        "Cross-entropy is -log(p) of the right class, with the natural logarithm: -log(1/10).",
    ),
    Solution(math.log(10), "ln(10) = 2.303. A loss that stays there has learned nothing."),
)


def _step(model, optimizer, images, labels):
    loss = F.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _check_step(function):
    function = written(function)
    want, start = _weights_after(_step)
    got, _ = _weights_after(function)
    if torch.allclose(got, want, atol=1e-6):
        return None
    if torch.equal(got, start):
        return "the weights did not change: are backward() and optimizer.step() both called?"
    for wrong, message in (
        (_step_accumulating, "gradients of the first step are still there in the second."),
        (_step_softmax, "F.cross_entropy wants logits: it applies the softmax itself."),
        (_step_sum, "take the mean over the images, or the step grows with the batch."),
        (_step_late_zero, "zero_grad() between backward() and step() throws the gradient away."),
    ):
        if torch.allclose(got, _weights_after(wrong)[0], atol=1e-6):
            return message
    return "two steps end at other weights than forward, loss, backward, step do."


def _weights_after(step):
    """A small net's weights after two steps, and before."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(8, 4, generator=generator)
    labels = torch.arange(8) % 3
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Linear(4, 3)
    start = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(2):
        step(model, optimizer, images, labels)
    return nn.utils.parameters_to_vector(model.parameters()).detach(), start


def _step_accumulating(model, optimizer, images, labels):
    F.cross_entropy(model(images), labels).backward()
    optimizer.step()


def _step_softmax(model, optimizer, images, labels):
    loss = F.cross_entropy(model(images).softmax(dim=1), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _step_sum(model, optimizer, images, labels):
    loss = F.cross_entropy(model(images), labels, reduction="sum")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _step_late_zero(model, optimizer, images, labels):
    F.cross_entropy(model(images), labels).backward()
    optimizer.zero_grad()
    optimizer.step()


q2 = Exercise(
    _check_step,
    (
        "Four things happen: forward, loss, backward, step. What is left over from last time?",
        "loss = F.cross_entropy(model(images), labels), then zero_grad, backward, step.",
    ),
    Solution(_step, "Forward, loss, backward, step; the old gradient goes before the new one."),
)


def _check_steps(answer):
    given = number(answer)
    if given == 4690:
        return None
    if given == 469:
        return "that is one epoch."
    if math.isclose(given, 4687.5) or given == 4687:
        return "the last batch of an epoch is smaller, but it is a step too: round up per epoch."
    if given == 4680:
        return "the last, smaller batch of each epoch counts as well."
    if given == 600_000:
        return "that is how many images are seen; 128 of them make one step."
    return "divide the images of an epoch by the batch size, round up, and take ten epochs."


q3 = Exercise(
    _check_steps,
    (
        "How many batches of 128 are there in 60,000 images, the last one smaller?",
        "60,000 / 128 = 468.75, so 469 batches in an epoch.",
    ),
    Solution(4690, "469 batches in each of 10 epochs: 4,690 steps."),
)


def _check_confused(answer):
    return choice(
        answer,
        {
            "shirt": None,
            "sandal": "shoes are confused with shoes, but look at the diagonal: which is palest?",
            "bag": "bags are among the easiest: look at the diagonal of the matrix.",
            "trouser": "trousers are the easiest class: look for the palest cell of the diagonal.",
            "ankle boot": "some boots are called sneakers, but one class does far worse.",
        },
    )


q4 = Exercise(
    _check_confused,
    (
        "A class that is answered well has a dark cell on the diagonal.",
        "The palest cell of the diagonal is in one of the rows with sleeves.",
    ),
    Solution("shirt", "'shirt': it is called T-shirt/top, pullover, coat and dress."),
)


def _mean_accuracy(batches):
    correct = sum((logits.argmax(dim=1) == labels).sum().item() for logits, labels in batches)
    return correct / sum(len(labels) for _, labels in batches)


def _check_mean_accuracy(function):
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0])
    answers = torch.tensor([0, 1, 2, 0, 2, 0, 1])  # 4 right in the first 4, 0 in the last 3
    logits = F.one_hot(answers, 3).float()
    batches = [(logits[:4], labels[:4]), (logits[4:], labels[4:])]
    given = written(function)(batches)
    if given is None:
        return "your function returns nothing: add a return statement."
    given = number(given)
    if math.isclose(given, 4 / 7, abs_tol=1e-6):
        return None
    if math.isclose(given, 0.5, abs_tol=1e-6):
        return "a mean of batch means weighs an image in a short batch more than one in a long one."
    if math.isclose(given, 4, abs_tol=1e-6):
        return "that is how many are right; divide by how many there are."
    if math.isclose(given, 0, abs_tol=1e-6):
        return "that looks like the last batch alone: sum over all of them."
    return f"4 of 7 answers are right in a small example, and you return {given:.4g}."


q5 = Exercise(
    _check_mean_accuracy,
    (
        "Batches need not be equally long. What should weigh the same: batches or images?",
        "Sum the right answers, sum the images, divide once at the end.",
    ),
    Solution(_mean_accuracy, "Count images, not batches:"),
)
