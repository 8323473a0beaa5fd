"""Exercises of notebook 05: GoogLeNet, row by row."""

import torch
from torch import nn
from torch.nn import functional as F

from . import Choice, Code, Number


def inception(x, branches):
    return torch.cat([branch(x) for branch in branches], dim=1)


def _chained(x, branches):
    for branch in branches:
        x = branch(x)
    return x


def _joined(dim):
    return lambda x, branches: torch.cat([branch(x) for branch in branches], dim=dim)


q1 = Code(
    inception,
    lambda: (
        # A cube, so that the answers fit together along every dimension.
        (
            torch.randn(4, 4, 4, 4),
            [nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3, padding=1), nn.MaxPool2d(3, 1, 1)],
        ),
        (
            torch.randn(1, 5, 7, 3).transpose(2, 3),
            [nn.AvgPool2d(3, 1, 1), nn.Conv2d(3 + 2, 2, 1)],
        ),
    ),
    {
        _joined(0): "that stacks along the batch; channels are dimension 1.",
        _joined(2): "that stacks along the height; channels are dimension 1.",
        _joined(3): "that stacks along the width; channels are dimension 1.",
        lambda x, branches: torch.stack([branch(x) for branch in branches], dim=1): "stack makes a "
        "new dimension; cat joins along one.",
        lambda x, branches: sum(branch(x) for branch in branches): "adding the answers is a "
        "residual block; here they stand side by side.",
        _chained: "each branch looks at x itself, not at the answer of the branch before.",
        lambda x, branches: inception(x, branches[::-1]): "keep the branches in their order.",
        lambda x, branches: inception(x, [nn.Identity(), *branches]): "x itself does not come out: "
        "only the answers of the branches do.",
    },
    "the answers of the branches to x, joined along the channels, are something else.",
    returns="one tensor, as torch.cat makes it,",
    hints=(
        "Ask every branch about the same x. Along which dimension do the answers fit together?",
        "torch.cat joins tensors along a dimension: 0 is the batch, 1 the channels.",
    ),
    because="The same map to every branch, the answers side by side as channels:",
)

q2 = Number(
    528,
    {
        704: "the reductions (144 and 32) go into the large windows; they do not come out.",
        512: "that comes out of 4b and 4c, not of 4d.",
        464: "the pooling branch gives its projection, 64 channels, as well.",
        832: "that comes out of 4e; the question is about 4d.",
        288: "that is the 3x3 branch alone.",
        352: "that is the 3x3 and the 5x5; two more branches come out.",
    },
    "add what leaves the block: 1x1, 3x3, 5x5 and pool projection.",
    hints=(
        "Which of the six columns are reductions, whose answers stay inside the block?",
        "Four branches come out: the columns 1, 3, 5 and 6.",
    ),
    because="112 + 288 + 64 + 64 = 528; 144 and 32 stay inside.",
)

q3 = Number(
    867_328,
    {
        868_352: "that counts 1,024 biases as well; the question and the table leave them out.",
        (840, 840_000, 860_160): "that is what the table prints; the row's own widths give "
        "something else.",
        256 * 528 + 9 * 528 * 320 + 25 * 528 * 128 + 528 * 128: "the large windows see the reduced "
        "160 and 32 channels, not all 528.",
        799_744: "the projection after the pooling, 528 x 128, has weights too.",
        867_328 - 528 * (160 + 32): "the two reductions have weights too.",
        867_328 - 16 * 32 * 128: "a window of 5x5 counts 25, not 9.",
    },
    "sum (channels in) x (channels out) x (window area) over the six convolutions.",
    hints=(
        "Six convolutions: 1x1, two reductions, 3x3, 5x5, projection. A window of 3x3 counts 9.",
        "Four of them are 1x1 on 528 channels. The 3x3 gets 160 channels: how many gets the 5x5?",
    ),
    because="528 x 576 + 9 x 160 x 320 + 25 x 32 x 128 = 867,328, which is 847 K and not 840 K.",
)

q4 = Choice(
    "4b",
    {
        "4a": "after 4a it sees 171 pixels: its point lies below the dotted line.",
        "3b": "after 3b it sees 91 pixels, far below the dotted line.",
        "4e": "that is where the way through the 3x3 branches crosses the line.",
        "5b": "it crosses the dotted line much earlier.",
    },
    hints=(
        "Follow the line of the 5x5 branch until it crosses the dotted one.",
        "After 4a it sees 171 pixels, and each block at this grid adds 4 steps of 16 pixels.",
    ),
    because="'4b': 171 + 4 x 16 = 235 pixels, more than 224.",
)


def total_loss(main, aux, labels):
    return F.cross_entropy(main, labels) + 0.3 * sum(F.cross_entropy(a, labels) for a in aux)


def _weighted(main_part=1.0, part=0.3, of=F.cross_entropy):
    return lambda main, aux, labels: (
        main_part * of(main, labels) + part * sum(of(a, labels) for a in aux)
    )


q5 = Code(
    total_loss,
    lambda: (
        (3 * torch.randn(5, 4), [*3 * torch.randn(2, 5, 4)], torch.tensor([0, 1, 2, 3, 0])),
        (torch.randn(7, 3).T, [torch.randn(3, 7)], torch.tensor([6, 0, 2])),
    ),
    {
        _weighted(part=1): "each auxiliary loss counts 0.3, not 1.",
        _weighted(part=0): "the auxiliary losses are missing: they are added, 0.3 each.",
        _weighted(main_part=0.3): "the main loss counts in full; only the auxiliary ones 0.3.",
        lambda main, aux, labels: _weighted(part=0.3 / len(aux))(main, aux, labels): (
            "each auxiliary loss counts 0.3: add them, do not average them."
        ),
        _weighted(of=lambda logits, labels: F.cross_entropy(logits.softmax(dim=1), labels)): (
            "F.cross_entropy wants logits: it applies the softmax itself."
        ),
        _weighted(
            of=lambda logits, y: F.cross_entropy(logits, y, reduction="sum")
        ): "take the mean over the images, or the loss grows with the batch.",
        lambda main, aux, labels: F.cross_entropy(main + 0.3 * sum(aux), labels): "the losses are "
        "added, not the logits: each head gives an answer of its own.",
    },
    "it is the cross-entropy of `main`, and of each of `aux` times 0.3, added up.",
    hints=(
        "Three losses: the main head's in full, and each auxiliary head's with a weight.",
        "F.cross_entropy(logits, labels) is the loss of one head. The paper weights the auxiliary "
        "ones with 0.3.",
    ),
    because="The main loss, and 0.3 of each auxiliary one:",
)
