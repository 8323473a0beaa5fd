"""Do five networks gain less together if all of them start from the same initial weights?"""

from dataclasses import dataclass, replace
from itertools import combinations, product
from statistics import mean
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from .. import data, train
from ..evaluate import predict, top_1
from .reduction import RECIPE, SAMPLE, narrow_net
from .study import Study, Unit

MEMBERS = 5
GROUPS = (0, 1, 2, 3, 4)
STARTS = ("same", "different")
TRAINED = replace(RECIPE, epochs=4)


@dataclass(frozen=True, slots=True)
class Group:
    """Holds the accuracies of five networks and of their average, on the validation images.

    `start` says whether their initial weights are the "same" or "different"; the order of the
    images always differs. `disagreement` is the share of images that two members classify
    differently, a mean over the pairs. `loss` is the cross-entropy of the average, in nats.
    """

    start: str
    seed: int
    singles: tuple[float, ...]
    together: float
    disagreement: float
    loss: float

    @property
    def unit(self) -> Unit:
        return self.start, self.seed

    @property
    def gain(self) -> float:
        """Return the accuracy of the average minus the mean accuracy of the members."""
        return self.together - mean(self.singles)

    def __str__(self) -> str:
        return (
            f"{self.start} initial weights, seed {self.seed}: together validation accuracy "
            f"{self.together:.4f}, alone {mean(self.singles):.4f}, two of them disagree about "
            f"{self.disagreement:.1%}"
        )


@dataclass(frozen=True, slots=True)
class Groups:
    """Holds the groups that are trained."""

    title: ClassVar[str] = "ensembles by their initial weights"
    settings: dict
    environment: dict
    trainings: tuple[Group, ...]

    def of(self, start: str) -> list[Group]:
        """Return the groups of a kind, sorted by seed."""
        return sorted((g for g in self.trainings if g.start == start), key=lambda g: g.seed)


class SameStart(Study):
    """Trains groups of five small nets on the same images, each net in an order of its own.

    The two groups with one seed, one of each kind, use the same orders and share the first member.
    """

    name = "same-start"
    about = (
        "Whether an ensemble gains less from nets with the same initial weights "
        "(10 trainings, 25 minutes)."
    )
    record = Groups

    def settings(self) -> dict[str, Any]:
        fields = ("epochs", "batch_size", "learning_rate")
        chosen = {field: getattr(TRAINED, field) for field in fields}
        return {"name": self.name} | chosen | {"sample": SAMPLE, "members": MEMBERS}

    def images(self) -> tuple[TensorDataset, TensorDataset]:
        return data.fashion_mnist("train", sample=SAMPLE), data.fashion_mnist("val")

    def units(self) -> list[Unit]:
        return list(product(STARTS, GROUPS))

    def measure(self, unit: Unit) -> Group:
        start, seed = unit
        orders = [MEMBERS * seed + number for number in range(MEMBERS)]
        initial = [orders[0]] * MEMBERS if start == "same" else orders
        val_set = data.fashion_mnist("val")
        labels = val_set.tensors[1]
        answers = torch.stack(
            [
                predict(member(first, order), val_set).softmax(dim=1)
                for first, order in zip(initial, orders, strict=True)
            ]
        )  # [members, N, 10]
        average = answers.mean(dim=0)
        return Group(
            start,
            seed,
            singles=tuple(top_1(each, labels) for each in answers),
            together=top_1(average, labels),
            disagreement=disagreement(answers),
            loss=F.nll_loss(average.log(), labels).item(),
        )


def member(initial: int, order: int) -> torch.nn.Module:
    """Train a small net; seed `initial` decides its weights, seed `order` the order of images."""
    with torch.random.fork_rng():
        torch.manual_seed(initial)
        model = narrow_net(16, bypass=True)
    train_set = data.fashion_mnist("train", sample=SAMPLE)
    train.fit(model, train_set, data.fashion_mnist("val"), replace(TRAINED, seed=order))
    return model


def disagreement(answers: Tensor) -> float:
    """Return the share of images that two networks classify differently, averaged over pairs.

    `answers` are [models, N, classes].
    """
    called = answers.argmax(dim=2)
    pairs = combinations(called, 2)
    return mean((one != other).float().mean().item() for one, other in pairs)
