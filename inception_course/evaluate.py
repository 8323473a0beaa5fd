"""Ask a trained network: what does it answer, how often is it right, what does it mix up?

Ask also about several views of an image, and several networks: do more of them answer better, and
can their confidence be believed? Each function asks in eval mode, without gradients, and leaves the
model in the mode it was in.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

import torch
from scipy.optimize import minimize_scalar
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from .data import MEAN, STD, Batches, Dataset, loader, targets
from .machine import keep_freed_memory

BATCH_SIZE = 250  # images asked at once; the answers do not depend on it


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[nn.Module]:
    """Inside, the model is in eval mode without gradients; afterwards every module's mode is back.

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
    """Return the logits of every image, [N, num_classes], on the CPU.

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
    """Return the fraction of images (0 to 1) whose largest logit is that of their label."""
    return top_1(predict(model, dataset, size=size), targets(dataset))


def confusion(
    model: nn.Module,
    dataset: Dataset,
    *,
    size: int | None = None,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Tensor:
    """Count the images of class i (row) that were called class j: int64 [classes, classes]."""
    labels = targets(dataset)
    logits = predict(model, dataset, size=size, progress=progress)
    classes = logits.shape[1]
    cells = torch.bincount(labels * classes + logits.argmax(dim=1), minlength=classes**2)
    return cells.view(classes, classes)


def shift_tolerance(
    model: nn.Module, dataset: TensorDataset, pixels: int, *, size: int | None = None
) -> float:
    """Return the fraction of images (0 to 1) that keep their class when they move by `pixels`.

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
    """Bounds a part of an image, in pixels: columns `left` to `right`, rows `top` to `bottom`."""

    left: int
    top: int
    right: int
    bottom: int


class View(NamedTuple):
    """Says how an image is shown to a network, and where in the image the view lies.

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
    """Says which views of an image are shown to a network, whose answers are averaged.

    The image gets a black `margin` (columns left and right, rows above and below) and is resized so
    that its shorter side is each of `scales` in turn. `squares` are cut from it along its longer
    side, 0 for the first and 1 for the last. Each square is shown at its `places`, `size` pixels a
    side, the "whole" square resized to that; and, with `mirror`, each place is mirrored as well.
    """

    size: int
    scales: tuple[int, ...]
    squares: tuple[float, ...] = (0, 0.5, 1)
    places: tuple[str, ...] = (*CORNERS, "center", "whole")
    mirror: bool = True
    margin: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        if unknown := set(self.places) - {*PLACES, "whole"}:
            raise ValueError(f"places are {', '.join(PLACES)} and whole; not {unknown}")
        if not 0 < self.size <= min(self.scales, default=0):
            raise ValueError(
                f"crops of {self.size} pixels do not fit into squares of {self.scales}: "
                "choose a smaller size or larger scales"
            )

    def __len__(self) -> int:
        """Return the number of views."""
        return len(self.scales) * len(self.squares) * len(self.places) * (2 if self.mirror else 1)

    def at(self, size: int) -> "Protocol":
        """Return the protocol in proportion for a network that sees `size` pixels a side."""
        scales = tuple(round(scale * size / self.size) for scale in self.scales)
        return replace(self, size=size, scales=scales)

    def views(self, height: int, width: int) -> list[View]:
        """List every view of an image of `height` x `width` pixels."""
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
    """Return height and width after the shorter of them was made `shorter` pixels."""
    ratio = shorter / min(height, width)
    return round(height * ratio), round(width * ratio)


# The keys count the views. 144 are GoogLeNet's (section 7). Its paper does not say which 10 crops
# its Table 3 means: here they are AlexNet's, four corners and the center of the center square,
# mirrored.
IMAGENET = {
    1: Protocol(224, (256,), squares=(0.5,), places=("center",), mirror=False),
    10: Protocol(224, (256,), squares=(0.5,), places=(*CORNERS, "center")),
    144: Protocol(224, (256, 288, 320, 352)),
}

# These are for the square images of Fashion-MNIST. A square image has one square only, so it gets
# a black margin: two pixels, as far as the recipes move an image while a network learns, and one
# more left and right, which sets three squares apart. The scales stay near 32 pixels, at which a
# garment has the size that was learned from.
FASHION = {
    1: Protocol(28, (28,), squares=(0.5,), places=("center",), mirror=False),
    10: Protocol(28, (32,), squares=(0.5,), places=(*CORNERS, "center"), margin=(2, 2)),
    144: Protocol(28, (31, 32, 33, 34), margin=(3, 2)),
}

# These scales keep the paper's ratio to the crop: garments are larger than a network ever saw.
ENLARGED = {
    10: IMAGENET[10].at(28),
    144: replace(IMAGENET[144].at(28), margin=(2, 0)),
}


def crops(
    images: Tensor, protocol: Protocol, *, black: float = 0.0
) -> Iterator[tuple[View, Tensor]]:
    """Yield every view of a batch of images: what it is, and the crops [B, C, size, size].

    `images` are [B, C, H, W], in portrait or landscape; `black` is the value of a black pixel.
    """
    across, down = protocol.margin
    views = protocol.views(*images.shape[2:])
    images = F.pad(images.float(), (across, across, down, down), value=black)
    height, width = images.shape[2:]
    scale = None
    for view in views:
        if view.scale != scale:  # the views of one scale come one after the other
            scale = view.scale
            image = resize(images, resized(height, width, scale))
        left, top, right, bottom = view.box
        crop = resize(image[:, :, top:bottom, left:right], (protocol.size, protocol.size))
        yield view, crop.flip(3) if view.mirrored else crop


def resize(images: Tensor, shape: tuple[int, int]) -> Tensor:
    """Resize images to `shape`, height and width (bilinear, antialiased)."""
    if images.shape[2:] == shape:
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
    """Return the softmax probabilities of every image, averaged over the views: [N, num_classes].

    This is the testing of GoogLeNet's paper, section 7. `size` is the side in pixels that the
    network was trained on, if it is not the protocol's.
    """
    protocol = protocol.at(size) if size else protocol
    device = next(model.parameters()).device
    averages = []
    with eval_mode(model):
        for images, _ in progress(Batches(dataset, BATCH_SIZE, device=device)):
            total = torch.zeros(())
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
    """Return the softmax probabilities averaged over networks and views: [N, num_classes].

    Raises `ValueError` without any network.
    """
    if not models:
        raise ValueError("an ensemble needs at least one network")
    answers = [multi_crop(m, dataset, protocol, size=size, progress=progress) for m in models]
    return torch.stack(answers).mean(dim=0)


def top_1(answers: Tensor, labels: Tensor) -> float:
    """Return the fraction of answers [N, classes] that are largest at their label [N]."""
    return (answers.argmax(dim=1) == labels).float().mean().item()


@dataclass(frozen=True, slots=True)
class Calibration:
    """Says how often answers were right that were given with the same confidence (0 to 1).

    Bin i holds the confidences above i/bins up to (i+1)/bins; `confidence` and `accuracy` are its
    means, `None` where it holds no image.
    """

    counts: tuple[int, ...]
    confidence: tuple[float | None, ...]
    accuracy: tuple[float | None, ...]

    @property
    def error(self) -> float:
        """Return the expected calibration error: the mean distance of confidence and accuracy."""
        return sum(n * abs(sure - right) for n, sure, right in self._bins()) / sum(self.counts)

    @property
    def overconfidence(self) -> float:
        """Return mean confidence minus accuracy: above 0 it promises too much."""
        return sum(n * (sure - right) for n, sure, right in self._bins()) / sum(self.counts)

    def _bins(self) -> Iterator[tuple[int, float, float]]:
        for n, sure, right in zip(self.counts, self.confidence, self.accuracy, strict=True):
            if sure is not None and right is not None:
                yield n, sure, right


def calibration(probabilities: Tensor, labels: Tensor, bins: int = 15) -> Calibration:
    """Sort answers [N, classes] into bins by their confidence, the largest probability of a row.

    Guo and others (2017, arXiv:1706.04599) do so. Raises `ValueError` if rows are no probabilities.
    """
    sums = probabilities.sum(dim=1)
    if (probabilities < 0).any() or not torch.allclose(sums, torch.ones_like(sums), atol=1e-3):
        raise ValueError(
            "rows must be probabilities from 0 to 1 that sum to 1: take logits.softmax(dim=1)"
        )
    if bins < 1:
        raise ValueError(f"bins must be 1 or more, not {bins}")
    confidence, called = probabilities.double().max(dim=1)
    edges = torch.arange(1, bins, dtype=torch.double) / bins
    bin_of = torch.bucketize(confidence, edges)  # an edge belongs to the bin below it
    counts = torch.bincount(bin_of, minlength=bins).tolist()

    def means(values: Tensor) -> tuple[float | None, ...]:
        sums = torch.bincount(bin_of, values.double(), minlength=bins).tolist()
        return tuple(s / n if n else None for s, n in zip(sums, counts, strict=True))

    return Calibration(tuple(counts), means(confidence), means(called == labels))


def calibration_error_by_chance(
    probabilities: Tensor, generator: Generator, *, draws: int = 200
) -> Tensor:
    """Return calibration errors that a perfectly calibrated network shows by chance alone: [draws].

    Each label is drawn from its row of `probabilities` [N, classes], so that every row is right as
    often as it says; what is left is the noise of N images. A measured error inside the range of
    these numbers says nothing against a network.
    """
    labels = torch.multinomial(probabilities, draws, replacement=True, generator=generator)
    return torch.tensor([calibration(probabilities, each).error for each in labels.T])


def temperature(logits: Tensor, labels: Tensor) -> float:
    """Return the number T, 0.05 to 20, for which logits / T have the least cross-entropy.

    Dividing by T changes how sure a network is, and none of its answers (Guo and others, 2017).
    Take T from validation images, not from those that it is tested on.
    """

    def loss(log_t: float) -> float:
        return F.cross_entropy(logits.double() / math.exp(log_t), labels).item()

    limit = math.log(20)
    return math.exp(minimize_scalar(loss, bounds=(-limit, limit), method="bounded").x)
