"""Wrong answers to notebook 04."""

import torch

from inception_course.lessons.exercises import ch04


def along_batch(x, branches):
    return torch.cat([branch(x) for branch in branches])


def added(x, branches):
    return sum(branch(x) for branch in branches)


def stacked(x, branches):
    return torch.stack([branch(x) for branch in branches], dim=1)


def chained(x, branches):
    for branch in branches:
        x = branch(x)
    return x


def backwards(x, branches):
    return torch.cat([branch(x) for branch in reversed(branches)], dim=1)


def a_list(x, branches):
    return [branch(x) for branch in branches]


def nothing(*arguments):
    forgotten = len(arguments)  # noqa: F841 - computed, and not returned


WRONG = {
    "q1": [
        (along_batch, "along the batch"),
        (added, "residual"),
        (stacked, "new dimension"),
        (chained, "looks at x itself"),
        (backwards, "order"),
        (a_list, "one tensor"),
        (nothing, "returns nothing"),
    ],
    "q2": [(704, "do not come out"), (512, "4b and 4c"), (464, "projection"), (832, "add what")],
    "q3": [
        (868_352, "biases"),
        (847, "in K"),
        (860_160, "prints"),
        (1_000, "sum"),
        (799_744, "projection"),
        (256 * 528 + 9 * 528 * 320 + 25 * 528 * 128 + 528 * 128, "reduced 160"),
    ],
    "q4": [("4a", "171"), ("4e", "3x3"), ("3b", "91"), ("5b", "earlier"), ("5c", "choose")],
    "q5": [
        (ch04._loss_unweighted, "not 1"),
        (ch04._loss_main_only, "missing"),
        (ch04._loss_all_weighted, "in full"),
        (ch04._loss_shared, "do not average"),
        (ch04._loss_softmax, "wants logits"),
        (nothing, "returns nothing"),
    ],
}
