"""Exercises of notebook 04: GoogLeNet, row by row."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from . import Exercise, Solution, choice, number, written


def _inception(x, branches):
    return torch.cat([branch(x) for branch in branches], dim=1)


def _check_inception(function):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        branches = [nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3, padding=1), nn.MaxPool2d(3, 1, 1)]
        x = torch.randn(4, 4, 4, 4)
    with torch.no_grad():
        want = _inception(x, branches)
        given = written(function)(x, branches)
        if given is None:
            return "your function returns nothing: add a return statement."
        if not isinstance(given, torch.Tensor):
            return "the answers are stacked into one tensor: torch.cat does that."
        if given.shape == want.shape and torch.allclose(given, want):
            return None
        answers = [branch(x) for branch in branches]
        chained = x
        for branch in branches:
            chained = branch(chained)
        for wrong, message in (
            (torch.cat(answers, dim=0), "that stacks along the batch; channels are dimension 1."),
            (torch.cat(answers, dim=2), "that stacks along the height; channels are dimension 1."),
            (torch.cat(answers, dim=3), "that stacks along the width; channels are dimension 1."),
            (torch.stack(answers, dim=1), "stack makes a new dimension; cat joins along one."),
            (sum(answers), "adding the answers is a residual block; here they stand side by side."),
            (chained, "each branch looks at x itself, not at the answer of the branch before."),
            (torch.cat(answers[::-1], dim=1), "keep the branches in their order."),
        ):
            if given.shape == wrong.shape and torch.allclose(given, wrong):
                return message
    return "the answers of the branches to x, joined along the channels, are something else."


q1 = Exercise(
    _check_inception,
    (
        "Ask every branch about the same x. Along which dimension do the answers fit together?",
        "torch.cat([...], dim=1): dimension 0 is the batch, 1 the channels.",
    ),
    Solution(_inception, "The same map to every branch, the answers side by side as channels:"),
)


def _check_channels(answer):
    given = number(answer)
    if given == 528:
        return None
    if given == 704:
        return "the reductions (144 and 32) go into the large windows; they do not come out."
    if given == 512:
        return "that comes out of 4b and 4c, not of 4d."
    if given == 464:
        return "the pooling branch gives its projection, 64 channels, as well."
    return "add what leaves the block: 1x1, 3x3, 5x5 and pool projection."


q2 = Exercise(
    _check_channels,
    (
        "Which of the six columns are reductions, whose answers stay inside the block?",
        "112 + 288 + 64 + 64.",
    ),
    Solution(528, "112 + 288 + 64 + 64 = 528; 144 and 32 stay inside."),
)


def _check_weights(answer):
    given = number(answer)
    if given == 867_328:
        return None
    if given == 868_352:
        return "that counts 1,024 biases as well; the question and the table leave them out."
    if math.isclose(given, 847, abs_tol=0.5):
        return "that is in K of 1,024; give the number of weights itself."
    if given in (840, 840_000, 840 * 1024):
        return "that is what the table prints; the row's own widths give something else."
    if given == 256 * 528 + 9 * 528 * 320 + 25 * 528 * 128 + 528 * 128:
        return "the large windows see the reduced 160 and 32 channels, not all 528."
    if given == 799_744:
        return "the projection after the pooling, 528 x 128, has weights too."
    return "sum (channels in) x (channels out) x (window area) over the six convolutions."


q3 = Exercise(
    _check_weights,
    (
        "Six convolutions: 1x1, two reductions, 3x3, 5x5, projection. A window of 3x3 counts 9.",
        "528 x (256 + 160 + 32 + 128) + 9 x 160 x 320 + 25 x 32 x 128.",
    ),
    Solution(
        867_328,
        "528 x 576 + 9 x 160 x 320 + 25 x 32 x 128 = 867,328, which is 847 K and not 840 K.",
    ),
)


def _check_whole_image(answer):
    return choice(
        answer,
        {
            "4b": None,
            "4a": "after 4a it sees 171 pixels: its point lies below the dotted line.",
            "3b": "after 3b it sees 91 pixels, far below the dotted line.",
            "4e": "that is where the way through the 3x3 branches crosses the line.",
            "5b": "it crosses the dotted line much earlier.",
        },
    )


q4 = Exercise(
    _check_whole_image,
    (
        "Follow the line of the 5x5 branch until it crosses the dotted one.",
        "After 4a it sees 171 pixels, and each block at this grid adds 4 steps of 16 pixels.",
    ),
    Solution("4b", "'4b': 171 + 4 x 16 = 235 pixels, more than 224."),
)


def _total_loss(main, aux, labels):
    return F.cross_entropy(main, labels) + 0.3 * sum(F.cross_entropy(a, labels) for a in aux)


def _loss_unweighted(main, aux, labels):
    return F.cross_entropy(main, labels) + sum(F.cross_entropy(a, labels) for a in aux)


def _loss_main_only(main, aux, labels):
    return F.cross_entropy(main, labels)


def _loss_all_weighted(main, aux, labels):
    return 0.3 * _loss_unweighted(main, aux, labels)


def _loss_shared(main, aux, labels):
    return F.cross_entropy(main, labels) + 0.3 * sum(F.cross_entropy(a, labels) for a in aux) / len(
        aux
    )


def _loss_softmax(main, aux, labels):
    return _total_loss(main.softmax(dim=1), [a.softmax(dim=1) for a in aux], labels)


def _check_total_loss(function):
    generator = torch.Generator().manual_seed(0)
    main, *aux = 3 * torch.randn(3, 5, 4, generator=generator)
    labels = torch.tensor([0, 1, 2, 3, 0])
    given = written(function)(main, list(aux), labels)
    if given is None:
        return "your function returns nothing: add a return statement."
    given = number(given)
    if math.isclose(given, _total_loss(main, aux, labels), rel_tol=1e-5):
        return None
    for wrong, message in (
        (_loss_unweighted, "each auxiliary loss counts 0.3, not 1."),
        (_loss_main_only, "the auxiliary losses are missing: they are added, 0.3 each."),
        (_loss_all_weighted, "the main loss counts in full; only the auxiliary ones 0.3."),
        (_loss_shared, "each auxiliary loss counts 0.3: add them, do not average them."),
        (_loss_softmax, "F.cross_entropy wants logits: it applies the softmax itself."),
    ):
        if math.isclose(given, wrong(main, aux, labels), rel_tol=1e-5):
            return message
    return "it is the cross-entropy of `main`, and of each of `aux` times 0.3, added up."


q5 = Exercise(
    _check_total_loss,
    (
        "Three losses: the main head's in full, and each auxiliary head's with a weight.",
        "F.cross_entropy(main, labels) + 0.3 * the sum of F.cross_entropy(a, labels).",
    ),
    Solution(_total_loss, "The main loss, and 0.3 of each auxiliary one:"),
)
