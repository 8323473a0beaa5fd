"""The training loop. `fit` trains by a recipe, `one_epoch` is one pass, `validate` asks how good.

What surrounds a training (precision, threads, signals, saving, resuming) is in `session`.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LRScheduler

from ..data import Dataset, targets
from ..evaluate import predict
from ..models.blocks import Logits
from .recipes import Recipe
from .run import Epoch, Run, RunningMean
from .session import open_session


def fit(
    model: nn.Module,
    train_set: Dataset,
    val_set: Dataset,
    recipe: Recipe,
    *,
    network: Mapping[str, Any] | None = None,
    on_epoch_end: Callable[[Epoch], object] | None = None,
    progress: Callable[[Iterable], Iterable] = iter,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    allow_changes: bool = False,
    save_every: float = 60.0,
) -> Run:
    """Train `model` in place on `train_set` by `recipe`, and validate it on `val_set` every epoch.

    `on_epoch_end` is called with each finished epoch; `progress` wraps each pass over the batches,
    as `tqdm` does. At the end the model holds the averaged weights, if the recipe averages. The
    caller's random state is left alone. `network` says in the record what `model` is.

    With `checkpoint`, a folder, the record of the run and all that is needed to resume it are saved
    there after every epoch, and within one every `save_every` seconds. `resume=True` continues from
    there to the very numbers of a run that was never stopped, or begins one if there is none.
    `allow_changes=True` continues with another recipe or other data, too, and then repeats the
    epoch in which the run stopped.

    Ctrl-C and SIGTERM finish the step, save, and raise `Interrupted`, which has the run so far; a
    second one stops at once. Processes that torchrun started share the work, see `processes`.

    Raises `Diverged` when the loss is no longer a number; the weights may then be none either, and
    the last good checkpoint is kept. Raises `CheckpointError` when the folder holds another run or
    none that can be read, or may not be written.
    """
    with open_session(
        model,
        train_set,
        val_set,
        recipe,
        objective,
        network=network,
        on_epoch_end=on_epoch_end,
        progress=progress,
        folder=checkpoint,
        resume=resume,
        allow_changes=allow_changes,
        save_every=save_every,
    ) as session:
        for epoch in session.epochs():
            trained = one_epoch(
                session.network,
                session.batches(epoch),
                session.optimizer,
                session.schedule,
                recipe,
                autocast=session.autocast,
                after_step=session.after_step,
                seen=session.seen,
            )
            validated = validate(session.averaged, val_set, recipe.image_size)
            session.end_epoch(epoch, trained, validated)
    return session.run


def one_epoch(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    optimizer: torch.optim.Optimizer,
    schedule: LRScheduler,
    recipe: Recipe,
    *,
    autocast: Callable[[], AbstractContextManager] = nullcontext,
    after_step: Callable[[Tensor], object] = lambda loss: None,
    seen: RunningMean | None = None,
) -> RunningMean:
    """Learn from each batch once; return the mean loss and accuracy while the network learned.

    `after_step` is called with the loss after every step. `seen` holds the means of the batches
    that an interrupted pass has learned from already.
    """
    seen = seen or RunningMean()
    model.train()
    for images, labels in batches:
        with autocast():
            outputs = model(images)
        loss, cross_entropy = objective(outputs, labels, recipe)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        seen.update(heads(outputs).main, labels, cross_entropy)
        after_step(loss)
    return seen


def validate(model: nn.Module, dataset: Dataset, size: int | None = None) -> RunningMean:
    """Measure mean loss and accuracy on a data set, in eval mode, with images of `size` pixels."""
    means = RunningMean()
    logits, labels = predict(model, dataset, size=size), targets(dataset)
    means.update(logits, labels, F.cross_entropy(logits, labels))
    return means


def objective(outputs: Tensor | Logits, labels: Tensor, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """Return the loss to minimize, and the cross-entropy of the main head, without smoothing.

    The loss is the main head's, plus `auxiliary_weight` times that of each auxiliary head, each
    with the recipe's label smoothing. Both are means over the batch, in nats.
    """
    logits, auxiliary = heads(outputs)
    loss, cross_entropy = smoothed(logits, labels, recipe.label_smoothing)
    for logits in auxiliary:
        loss = loss + recipe.auxiliary_weight * smoothed(logits, labels, recipe.label_smoothing)[0]
    return loss, cross_entropy


def smoothed(logits: Tensor, labels: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """Return the cross-entropy with label smoothing (Rethinking, section 7), and without."""
    log_probabilities = logits.float().log_softmax(dim=1)
    cross_entropy = F.nll_loss(log_probabilities, labels)
    if not smoothing:
        return cross_entropy, cross_entropy
    uniform = -log_probabilities.mean()  # the cross-entropy if all classes were as likely
    return (1 - smoothing) * cross_entropy + smoothing * uniform, cross_entropy


def heads(outputs: Tensor | Logits) -> Logits:
    return outputs if isinstance(outputs, Logits) else Logits(outputs, ())
