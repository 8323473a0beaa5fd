"""Questions to a trained network: what does it answer, how often is it right, what does it mix up?

And to several views of an image, and to several networks: do more of them answer better, and can
their confidence be believed? Each function asks in eval mode, without gradients, and leaves the
model in the mode it was in.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset, TensorDataset

from .data import MEAN, STD, Batches, loader, targets
from .machine import keep_freed_memory

BATCH_SIZE = 250  # images asked at once; the answers do not depend on it


@contextmanager
def eval_mode(model: nn.Module):
    """Eval mode and no gradients inside; every module's own mode as before afterwards.

    Memory that one batch freed is kept for the next, which saves up to half of the time.
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad(), keep_freed_memory():
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
    batches = loader(dataset, BATCH_SIZE, size=size, device=device)
    with eval_mode(model):
        answers = [
            model(images.to(memory_format=torch.channels_last)).float().cpu()  # the faster layout
            for images, _ in progress(batches)
        ]
    return torch.cat(answers)


def accuracy(model: nn.Module, dataset: Dataset, *, size: int | None = None) -> float:
    """The fraction of images (0 to 1) whose largest logit is that of their label."""
    return top_1(predict(model, dataset, size=size), targets(dataset))


def confusion(model: nn.Module, dataset: Dataset, *, size: int | None = None) -> Tensor:
    """How many images of class i (row) were called class j (column): int64 [classes, classes]."""
    labels = targets(dataset)
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


class Box(NamedTuple):
    """A part of an image, in pixels: columns `left` to `right`, rows `top` to `bottom`."""

    left: int
    top: int
    right: int
    bottom: int


class View(NamedTuple):
    """One way in which an image is shown to a network, and where in the image it lies.

    `square` and `box` are parts of the image after its shorter side was resized to `scale` pixels.
    `box` is what is shown; a `place` of "whole" is all of the square, resized to the crop's size.
    """

    scale: int
    square: Box
    place: str
    box: Box
    mirrored: bool


CORNERS = ("top left", "top right", "bottom left", "bottom right")
PLACES = {  # where a crop lies in the room that the square leaves it: across and down, 0 to 1
    "top left": (0, 0),
    "top right": (1, 0),
    "bottom left": (0, 1),
    "bottom right": (1, 1),
    "center": (0.5, 0.5),
}


@dataclass(frozen=True)
class Protocol:
    """Which views of an image are shown to a network; their answers are averaged.

    The image gets a black `margin` (columns left and right, rows above and below) and is resized so
    that its shorter side is each of `scales` in turn. `squares` are cut from it along its longer
    side, 0 for the first and 1 for the last. Of each square the `places` are shown at `size` pixels
    a side, the "whole" square among them resized to that; and, with `mirror`, each one mirrored.
    """

    size: int
    scales: tuple[int, ...]
    squares: tuple[float, ...] = (0, 0.5, 1)
    places: tuple[str, ...] = (*CORNERS, "center", "whole")
    mirror: bool = True
    margin: tuple[int, int] = (0, 0)

    def __post_init__(self):
        if unknown := set(self.places) - {*PLACES, "whole"}:
            raise ValueError(f"places are {', '.join(PLACES)} and whole; not {unknown}")
        if not 0 < self.size <= min(self.scales, default=0):
            raise ValueError(
                f"crops of {self.size} pixels do not fit into squares of {self.scales}: "
                "choose a smaller size or larger scales"
            )

    def __len__(self) -> int:
        """The number of views."""
        return len(self.scales) * len(self.squares) * len(self.places) * (2 if self.mirror else 1)

    def at(self, size: int) -> "Protocol":
        """The same protocol for a network that sees `size` pixels a side: all scales in ratio."""
        scales = tuple(round(scale * size / self.size) for scale in self.scales)
        return replace(self, size=size, scales=scales)

    def views(self, height: int, width: int) -> list[View]:
        """Every view of an image of `height` x `width` pixels."""
        across, down = self.margin
        height, width = height + 2 * down, width + 2 * across
        views = []
        for scale, along in product(self.scales, self.squares):
            rows, columns = resized(height, width, scale)
            left, top = int(along * (columns - scale)), int(along * (rows - scale))
            square = Box(left, top, left + scale, top + scale)
            for place in self.places:
                box = square
                if place != "whole":
                    x, y = (int(part * (scale - self.size)) for part in PLACES[place])
                    box = Box(left + x, top + y, left + x + self.size, top + y + self.size)
                mirrors = (False, True) if self.mirror else (False,)
                views += [View(scale, square, place, box, mirrored) for mirrored in mirrors]
        return views


def resized(height: int, width: int, shorter: int) -> tuple[int, int]:
    """Height and width after the shorter of them was made `shorter` pixels."""
    ratio = shorter / min(height, width)
    return round(height * ratio), round(width * ratio)


# By the number of views. GoogLeNet's (section 7); its paper does not say which 10 crops its Table 3
# means: they are AlexNet's here, four corners and the center of the center square, mirrored.
IMAGENET = {
    1: Protocol(224, (256,), squares=(0.5,), places=("center",), mirror=False),
    10: Protocol(224, (256,), squares=(0.5,), places=(*CORNERS, "center")),
    144: Protocol(224, (256, 288, 320, 352)),
}

# For the square images of Fashion-MNIST. Of a square image all three squares are the same, so it
# gets a black margin: two pixels, as far as the recipes move an image while a network learns, and
# one more left and right, which sets the squares apart. The scales stay near 32 pixels, at which a
# garment has the size that was learned from.
FASHION = {
    1: Protocol(28, (28,), squares=(0.5,), places=("center",), mirror=False),
    10: Protocol(28, (32,), squares=(0.5,), places=(*CORNERS, "center"), margin=(2, 2)),
    144: Protocol(28, (31, 32, 33, 34), margin=(3, 2)),
}

# The scales in the paper's ratio to the crop instead: garments are larger than a network ever saw.
ENLARGED = {
    10: IMAGENET[10].at(28),
    144: replace(IMAGENET[144].at(28), margin=(2, 0)),
}


def crops(
    images: Tensor, protocol: Protocol, *, black: float = 0.0
) -> Iterator[tuple[View, Tensor]]:
    """Every view of a batch of images: what it is, and the crops [B, C, size, size].

    `images` are [B, C, H, W], in portrait or landscape; `black` is the value of a black pixel.
    """
    across, down = protocol.margin
    height, width = images.shape[2:]
    images = F.pad(images.float(), (across, across, down, down), value=black)
    scale = None
    for view in protocol.views(height, width):
        if view.scale != scale:  # the views of one scale come one after the other
            scale = view.scale
            image = resize(images, resized(*images.shape[2:], scale))
        left, top, right, bottom = view.box
        crop = resize(image[:, :, top:bottom, left:right], (protocol.size, protocol.size))
        yield view, crop.flip(3) if view.mirrored else crop


def resize(images: Tensor, shape: tuple[int, int]) -> Tensor:
    if tuple(images.shape[2:]) == tuple(shape):
        return images
    return F.interpolate(images, shape, mode="bilinear", antialias=True)


def multi_crop(
    model: nn.Module,
    dataset: TensorDataset,
    protocol: Protocol,
    *,
    size: int | None = None,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Tensor:
    """The softmax probabilities of every image, averaged over the views: [N, num_classes].

    As in GoogLeNet's paper, section 7. `size` is the side in pixels that the network was trained
    on, if it is not the protocol's.
    """
    protocol = protocol.at(size) if size else protocol
    device = next(model.parameters()).device
    averages = []
    with eval_mode(model):
        for images, _ in progress(Batches(dataset, BATCH_SIZE, device=device)):
            total = 0
            for _, crop in crops(images, protocol, black=-MEAN / STD):
                logits = model(crop.contiguous(memory_format=torch.channels_last))
                total = total + logits.float().softmax(dim=1)
            averages.append((total / len(protocol)).cpu())
    return torch.cat(averages)


def ensemble(
    models: Sequence[nn.Module],
    dataset: TensorDataset,
    protocol: Protocol = FASHION[1],
    *,
    size: int | None = None,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Tensor:
    """The softmax probabilities averaged over networks and views: [N, num_classes].

    Raises `ValueError` without any network.
    """
    if not models:
        raise ValueError("an ensemble needs at least one network")
    answers = (multi_crop(m, dataset, protocol, size=size, progress=progress) for m in models)
    return sum(answers) / len(models)


def top_1(answers: Tensor, labels: Tensor) -> float:
    """The fraction of answers, logits or probabilities [N, classes], largest at their label [N]."""
    return (answers.argmax(dim=1) == labels).float().mean().item()


@dataclass(frozen=True, slots=True)
class Calibration:
    """How often answers were right that were given with the same confidence (a fraction of 1).

    Bin i holds the confidences above i/bins up to (i+1)/bins; `confidence` and `accuracy` are its
    means, `None` where it holds no image.
    """

    counts: tuple[int, ...]
    confidence: tuple[float | None, ...]
    accuracy: tuple[float | None, ...]

    @property
    def error(self) -> float:
        """Expected calibration error: the mean distance of confidence and accuracy, by image."""
        return self._mean(lambda confidence, accuracy: abs(confidence - accuracy))

    @property
    def overconfidence(self) -> float:
        """Mean confidence minus accuracy: above 0 it promises too much, below 0 too little."""
        return self._mean(lambda confidence, accuracy: confidence - accuracy)

    def _mean(self, gap: Callable[[float, float], float]) -> float:
        bins = zip(self.counts, self.confidence, self.accuracy, strict=True)
        filled = (count * gap(sure, right) for count, sure, right in bins if count)
        return sum(filled) / sum(self.counts)


def calibration(probabilities: Tensor, labels: Tensor, bins: int = 15) -> Calibration:
    """Sort answers [N, classes] into bins by their confidence, the largest probability of a row.

    As Guo and others (2017, arXiv:1706.04599). Raises `ValueError` if rows do not sum to 1.
    """
    if not torch.allclose(probabilities.sum(dim=1), torch.ones(len(probabilities)), atol=1e-3):
        raise ValueError("rows must be probabilities that sum to 1: take logits.softmax(dim=1)")
    if bins < 1:
        raise ValueError(f"bins must be 1 or more, not {bins}")
    sure, called = probabilities.double().max(dim=1)
    edges = torch.arange(1, bins, dtype=torch.double) / bins
    bin_of = torch.bucketize(sure, edges)  # an edge belongs to the bin below it
    counts, sure, right = (
        torch.bincount(bin_of, weights, minlength=bins).tolist()
        for weights in (None, sure, (called == labels).double())
    )
    return Calibration(tuple(counts), _means(sure, counts), _means(right, counts))


def _means(sums: list[float], counts: list[int]) -> tuple[float | None, ...]:
    return tuple(s / count if count else None for s, count in zip(sums, counts, strict=True))
