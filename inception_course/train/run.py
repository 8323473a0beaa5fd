"""What a training leaves behind, and the errors it can end with."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from .. import records
from .recipes import Recipe


class RunningMean:
    """Holds the mean loss and accuracy over images, however they are divided into batches."""

    def __init__(self, loss_sum: float = 0.0, correct: int = 0, count: int = 0):
        self._sums = loss_sum, correct, count
        self._new: list[tuple[Tensor, Tensor, int]] = []  # read later: no step waits for a GPU

    def update(self, logits: Tensor, labels: Tensor, loss: Tensor) -> None:
        """Add a batch: logits `[B, classes]`, labels `[B]`, and the mean loss over the batch."""
        correct = (logits.detach().argmax(dim=1) == labels).sum()
        self._new.append((loss.detach(), correct, len(labels)))

    @property
    def sums(self) -> tuple[float, int, int]:
        """Return the sum of the losses, the number of right answers, and the number of images."""
        for loss, correct, count in self._new:
            loss_sum, right, images = self._sums
            self._sums = loss_sum + count * loss.item(), right + int(correct), images + count
        self._new.clear()
        return self._sums

    @property
    def loss(self) -> float:
        loss_sum, _, count = self.sums
        return loss_sum / count

    @property
    def accuracy(self) -> float:
        _, correct, count = self.sums
        return correct / count

    @property
    def count(self) -> int:
        return self.sums[2]


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass through the training data, and what the validation data said after it.

    Losses are mean cross-entropies in nats of the main head, without label smoothing; accuracies
    are fractions of 1. Training means are taken while the network learns, validation means of the
    network at the end of the pass (its averaged weights, if the recipe averages).
    """

    number: int
    learning_rate: float  # in the last step
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    seconds: float  # training and validation
    images_per_second: float  # while training


@dataclass(frozen=True, slots=True)
class Run:
    """Holds what a training left behind: one `Epoch` per pass, the recipe, and where it ran.

    `network` names what was trained: {"model": NAME, "options": {…}}; it is empty where the caller
    did not say. `test_accuracy` is a fraction of 1, over the whole test set. `test_confusion` tells
    for each class how many of its test images were given to each class, in the same order. Both are
    None until they were measured.
    """

    epochs: tuple[Epoch, ...]
    recipe: Recipe
    environment: dict[str, Any]
    test_accuracy: float | None = None
    test_confusion: dict[str, tuple[int, ...]] | None = None
    network: dict[str, Any] | None = None

    @property
    def best(self) -> Epoch:
        """Return the epoch with the highest validation accuracy."""
        return max(self.epochs, key=lambda epoch: epoch.val_accuracy)

    @property
    def last(self) -> Epoch:
        return self.epochs[-1]

    @property
    def seconds(self) -> float:
        return sum(epoch.seconds for epoch in self.epochs)

    @property
    def images_per_second(self) -> float:
        """Return the pace while training, over the whole run."""
        return len(self.epochs) / sum(1 / epoch.images_per_second for epoch in self.epochs)

    @property
    def right(self) -> dict[str, float]:
        """Return for each class which fraction of its test images the network is right about."""
        rows = (self.test_confusion or {}).items()
        return {name: row[label] / sum(row) for label, (name, row) in enumerate(rows) if any(row)}

    @property
    def diagnosis(self) -> str | None:
        """Say what is wrong with the run, in words; None if nothing is."""
        classes = self.environment["classes"]
        chance = math.log(classes)
        if not self.epochs or abs(self.last.train_loss - chance) > 0.01 * chance:
            return None
        return (
            f"stuck at chance: the loss of epoch {self.last.number} is {self.last.train_loss:.3f}, "
            f"and a network that knows nothing has ln({classes}) = {chance:.3f}. Use a network "
            "with batch normalization, or another learning rate, or another seed."
        )

    def __str__(self) -> str:
        if not self.epochs:
            return f"{self.recipe.name}: no epoch finished"
        best = self.best
        planned = self.recipe.epochs
        text = (
            f"{self.recipe.name}: {len(self.epochs)} of {planned} epoch{'s'[: planned > 1]} in "
            f"{self.seconds:.0f} s ({self.images_per_second:.0f} images/s), "
            f"best validation accuracy {best.val_accuracy:.4f} after epoch {best.number}"
        )
        return f"{text}\n{self.diagnosis}" if self.diagnosis else text

    def to_json(self) -> str:
        return records.to_json(self)

    @classmethod
    def from_json(cls, text: str) -> "Run":
        """Read a record; raises `ValueError` if `text` is not the record of a run."""
        return records.from_json(cls, text)


class Diverged(ArithmeticError):
    """The loss is no longer a number; `run` has the epochs finished before."""

    def __init__(self, loss: float, where: str, rate: float, run: Run, kept: Path | None = None):
        super().__init__(
            f"the loss is {loss} in {where}, at learning rate {rate:.3g}: try a smaller one, or a "
            "network with batch normalization"
            + (f". The last good checkpoint is {kept}" if kept else "")
        )
        self.run = run


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM stopped a training after a step; `run` has the epochs finished before."""

    def __init__(self, number: int, where: str, run: Run, kept: Path | None):
        super().__init__(
            f"stopped after {where}"
            + (f"; resume=True continues from {kept}" if kept else "")
            + "; .run of this exception has the finished epochs"
        )
        self.signal, self.where, self.run = number, where, run
