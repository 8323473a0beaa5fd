"""Wrong answers to notebook 06."""

import math

from torch.nn import functional as F

from inception_course.lessons.exercises import ch06


def idle(model, optimizer, images, labels):
    F.cross_entropy(model(images), labels).backward()


def mean_of_means(batches):
    means = [(logits.argmax(1) == labels).float().mean().item() for logits, labels in batches]
    return sum(means) / len(means)


def only_the_last(batches):
    logits, labels = batches[-1]
    return (logits.argmax(1) == labels).float().mean().item()


def only_counted(batches):
    return sum((logits.argmax(1) == labels).sum().item() for logits, labels in batches)


def nothing(batches):
    forgotten = len(batches)  # noqa: F841 - computed, and not returned


WRONG = {
    "q1": [(math.log2(10), "bits"), (1.0, "base 10"), (0.1, "probability"), (10, "minus")],
    "q2": [
        (idle, "did not change"),
        (ch06._step_accumulating, "still there"),
        (ch06._step_softmax, "logits"),
        (ch06._step_sum, "mean over the images"),
        (ch06._step_late_zero, "did not change"),
    ],
    "q3": [(469, "one epoch"), (4687.5, "round up"), (4680, "smaller"), (600_000, "seen")],
    "q4": [("bag", "easiest"), ("trouser", "easiest"), ("sandal", "shoes"), ("hat", "choose")],
    "q5": [
        (mean_of_means, "weighs an image"),
        (only_the_last, "last batch"),
        (only_counted, "divide by how many"),
        (nothing, "returns nothing"),
    ],
}
