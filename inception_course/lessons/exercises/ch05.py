"""Exercises of notebook 05: GoogLeNet, row by row."""

import re
from typing import Any

import torch
from torch.nn import functional as F

from ... import cost, models
from ...models.blocks import MaxPoolSpec
from ...models.googlenet import InceptionSpec
from . import Choice, Code, Number, Open


def total_loss(main, aux, labels):
    return F.cross_entropy(main, labels) + 0.3 * sum(F.cross_entropy(a, labels) for a in aux)


def _weighted(main_part=1.0, part=0.3, of=F.cross_entropy):
    return lambda main, aux, labels: (
        main_part * of(main, labels) + part * sum(of(a, labels) for a in aux)
    )


q1 = Code(
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

q2 = Number(
    9,
    {
        (
            10,
            9.5,
        ): "not every step divides by two exactly: go through the five of them, one by one.",
        299 / 32: "the map is halved five times, and each time there is a whole number of "
        "positions.",
        8: "that is what comes out if partial windows are left out; these poolings count them.",
        7: "that is the map of an image of 224 pixels.",
        81: "that is how many positions it has in all; how many are on one side?",
        18: "that is the map before the last of the four poolings.",
        (1024, 9216): "that counts channels; the question is about the side of a map.",
    },
    "conv1 gives half of the pixels, rounded up; each of four poolings gives (n - 3) / 2, rounded "
    "up, and one more.",
    hints=(
        "Which five stages halve the map? conv1 keeps every second position: 299 become 150.",
        "A pooling of 3x3 with stride 2 and ceil_mode makes ceil((n - 3) / 2) + 1 positions of n. "
        "There are four of them: 150 become 75.",
    ),
    because="299, 150, 75, 37, 18, 9. The head averages 81 positions as well as 49.",
)


def five_million():
    return """
3a     64   96  128   16   32   32
3b    128  128  192   32   96   64
pool3
4a    192   96  208   16   48   64
4b    160  112  224   24   64   64
4c    128  128  256   24   64   64
4d    112  144  288   32   64   64
4e    256  160  320   32  128  128
pool4
5a     32   32   64   16   32   32
5b    384   48  384   16  128  128
"""


MOST = 1_000_000  # channels of a layer; with more, the counts would become too large


def _grown(table: Any) -> cost.CostTable | None:
    """Count the cost of the network of a table, written as in the notebook; None if it is none."""
    if not isinstance(table, str):
        return None
    body: list[InceptionSpec | MaxPoolSpec] = []
    for name, *widths in filter(None, map(str.split, table.splitlines())):
        if not widths:
            body.append(MaxPoolSpec(name, 3, 2))
        elif len(widths) == 6 and all(re.fullmatch("0*[1-9][0-9]*", each) for each in widths):
            body.append(InceptionSpec(name, *(min(int(each[:9]), MOST) for each in widths)))
        else:
            return None
    try:
        with torch.device("meta"):
            model = models.create("googlenet", in_channels=3, num_classes=1000, body=tuple(body))
        return cost.table(model, (3, 224, 224))
    except (KeyError, RuntimeError, ValueError):  # a name that no module can have
        return None


q3 = Open(
    five_million,
    "a table like TABLE_1: in each row a name of its own and six whole numbers, and the poolings",
    (
        (
            lambda costs: sum(row.kind == "block" for row in costs.blocks),
            lambda blocks: blocks == 9,
            "your table has {} blocks: keep all nine.",
        ),
        (
            lambda costs: [row.output[1] for row in costs.blocks if row.kind == "block"],
            lambda sides: sides == [28, 28, 14, 14, 14, 14, 14, 7, 7],
            "the maps of your blocks have the sides {}: keep the rows pool3 and pool4 in their "
            "places.",
        ),
        (
            lambda costs: costs["linear"].weights // 1000,
            lambda channels: channels == 1024,
            "{:,} channels reach the linear layer: row 5b must give 1,024.",
        ),
        (
            lambda costs: costs.parameters,
            lambda parameters: parameters <= 5_000_000,
            "it has {:,} parameters, and 5,000,000 are allowed: which rows have most of them?",
        ),
        (
            lambda costs: costs.multiply_adds / 1e9,
            lambda billions: billions >= 1.4,
            "{:.2f} billion multiply-adds are left, and 1.4 should be: save where a parameter does "
            "little work.",
        ),
    ),
    read=_grown,
    hints=(
        "A parameter of 5a works at 7x7 positions, one of 3a at 28x28. Where do parameters cost "
        "least work?",
        "Rows 5a and 5b have 2.5 million. 5b reads all channels of 5a: fewer there save twice. "
        "Then look at 5b's reductions; its outputs must stay.",
    ),
    because="5a and 5b have 36 % of the parameters and 8 % of the work. A narrow 5a and "
    "smaller reductions in 5b save 2 million parameters and 6 % of the work. Whether such a "
    "network is as good, only training tells.",
)

q4 = Choice(
    "4e",
    {
        "3b": "after 3b it sees 59 pixels, far below the dotted line.",
        "4b": "that is where the way through the 5x5 branches crosses the line.",
        "4d": "after 4d it sees 203 pixels: its point lies just below the dotted line.",
        "5b": "it crosses the dotted line earlier.",
    },
    hints=(
        "Follow the line of the 3x3 branch until it crosses the dotted one.",
        "A 3x3 window adds two steps of the grid. How many pixels is a step after pool3?",
    ),
    because="'4e': 203 + 2 x 16 = 235 pixels, more than 224.",
)
