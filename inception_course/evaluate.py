"""Questions to a trained network: what does it answer, how often is it right, what does it mix up?

Each function asks in eval mode, without gradients, and leaves the model in the mode it was in.
"""

from collections.abc import Callable, Iterable
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset, TensorDataset

from .data import labels_of, make_batches

BATCH_SIZE = 250  # images asked at once; the answers do not depend on it


@contextmanager
def asking(model: nn.Module):
    """Eval mode and no gradients inside; every module's own mode as before afterwards."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield model
    finally:
        for module, mode in modes.items():
            module.training = mode


def predict(
    model: nn.Module,
    dataset: Dataset,
    *,
    size: int | None = None,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Tensor:
    """The logits of every image, [N, num_classes], on the CPU.

    `size` is the side, in pixels, to which the images are resized; None leaves them as they are.
    """
    device = next(model.parameters()).device
    batches = make_batches(dataset, BATCH_SIZE, size=size, device=device)
    with asking(model):
        answers = [
            model(images.to(memory_format=torch.channels_last)).float().cpu()  # the faster layout
            for images, _ in progress(batches)
        ]
    return torch.cat(answers)


def accuracy(model: nn.Module, dataset: Dataset, *, size: int | None = None) -> float:
    """The fraction of images (0 to 1) whose largest logit is that of their label."""
    answers = predict(model, dataset, size=size).argmax(dim=1)
    return (answers == labels_of(dataset)).float().mean().item()


def confusion(model: nn.Module, dataset: Dataset, *, size: int | None = None) -> Tensor:
    """How many images of class i (row) were called class j (column): int64 [classes, classes]."""
    labels = labels_of(dataset)
    logits = predict(model, dataset, size=size)
    classes = logits.shape[1]
    cells = torch.bincount(labels * classes + logits.argmax(dim=1), minlength=classes**2)
    return cells.view(classes, classes)


def shift_tolerance(
    model: nn.Module, dataset: TensorDataset, pixels: int, *, size: int | None = None
) -> float:
    """The fraction of images (0 to 1) whose class stays the same when the image moves by `pixels`.

    Each image moves left, right, up and down, and the four fractions are averaged; what comes into
    view is black. The true class plays no part. `pixels` counts at the size of the dataset, before
    images are resized to `size`.

    Raises `ValueError` if a shift leaves nothing of the image in view.
    """
    images, labels = dataset.tensors
    if not 0 <= pixels < min(images.shape[2:]):
        raise ValueError(
            f"pixels={pixels} moves images of {images.shape[2]}x{images.shape[3]} pixels out of "
            f"view: choose 0 to {min(images.shape[2:]) - 1}"
        )
    before = predict(model, dataset, size=size).argmax(dim=1)
    same = []
    for right, down in ((-pixels, 0), (pixels, 0), (0, -pixels), (0, pixels)):
        moved = TensorDataset(F.pad(images, (right, -right, down, -down)), labels)
        same.append((predict(model, moved, size=size).argmax(dim=1) == before).float().mean())
    return torch.stack(same).mean().item()
