"""Make whole batches at once: normalized, augmented, resized, seeded so that a run can resume."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor
from torch.utils.data import TensorDataset

from .augment import Augment
from .fashion_mnist import MEAN, STD


class Loader(Iterable[tuple[Tensor, Tensor]]):
    """Gives `count` images batch by batch; with `shuffle`, each pass has an order of its own.

    `epoch` counts the passes begun, and the next pass begins with batch number `start`. The order
    of a pass depends on `seed` and `epoch` alone: set `epoch` and `start` to continue where a
    training stopped. A last batch smaller than `min_last` joins the one before, because batch norm
    cannot learn from one value.
    """

    size: int | None  # pixels a side of the images to come; None: as they are

    def __init__(self, count: int, batch_size: int, *, shuffle: bool, seed: int, min_last: int):
        if batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more, not {batch_size}")
        self.shuffle, self.seed, self.epoch, self.start = shuffle, seed, 0, 0
        self._bounds = [*range(0, count, batch_size), count]
        if count > batch_size and 0 < count % batch_size < min_last:
            del self._bounds[-2]

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def _begin(self) -> tuple[Generator, list[Tensor], int]:
        """Begin a pass: return its generator, the rows of each batch, and where to start."""
        # torch's generator takes 32 bits of a seed; the product keeps (seed, epoch) pairs apart.
        generator = Generator().manual_seed((self.seed * 1_000_003 + self.epoch) % 2**32)
        start, self.start = self.start, 0
        self.epoch += 1
        count = self._bounds[-1]
        order = torch.randperm(count, generator=generator) if self.shuffle else torch.arange(count)
        return generator, [order[a:b] for a, b in pairwise(self._bounds)], start


class Batches(Loader):
    """Gives normalized batches: `float32 [B, C, H, W]` images and `int64 [B]` labels.

    Pixels become (pixel / 255 - MEAN) / STD, in every channel alike. `augment` changes the bytes
    at their own size; then the whole batch is resized to `size` pixels square (bilinear,
    antialiased). That equals torchvision's resize of float images within 1e-6; its resize of bytes
    rounds, and differs by at most one gray level. Batches arrive on `device`; by default they stay
    where the dataset is. The augmentation depends on `seed`, `epoch` and the batch size alone.

    Raises ValueError for a dataset other than `uint8 [N, C, H, W]` with `int64 [N]`.
    """

    def __init__(
        self,
        dataset: TensorDataset,
        batch_size: int,
        *,
        size: int | None = None,
        augment: Augment | None = None,
        shuffle: bool = False,
        seed: int = 0,
        device: torch.device | str | None = None,
        min_last: int = 2,
    ):
        _require_images_and_labels(dataset)
        if size is not None and size < 1:
            raise ValueError(f"size must be 1 pixel or more, not {size}")
        self.images, self.labels = dataset.tensors
        self.size, self.augment, self.device = size, augment, device
        count = len(self.labels)
        super().__init__(count, batch_size, shuffle=shuffle, seed=seed, min_last=min_last)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self._one_pass(*self._begin())  # begun now, not when the first batch is taken

    def _one_pass(
        self, generator: Generator, batches: list[Tensor], start: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        for number, rows in enumerate(batches):
            images, labels = self.images[rows], self.labels[rows]
            if self.augment:  # skipped batches draw as well, so that the next ones stay the same
                images = self.augment(images, generator)
            if number >= start:
                yield self._normalize(images.to(self.device)), labels.to(self.device)

    def _normalize(self, images: Tensor) -> Tensor:
        # Normalizing is linear, so it is done while the images are small.
        images = images.float().mul_(1 / (255 * STD)).sub_(MEAN / STD)
        if self.size is None or images.shape[2:] == (self.size, self.size):
            return images
        return F.interpolate(images, (self.size, self.size), mode="bilinear", antialias=True)


@runtime_checkable
class LazyDataset(Protocol):
    """Describes a dataset that is read while a network trains, such as `folders.Pictures`."""

    @property
    def labels(self) -> Tensor: ...
    def __len__(self) -> int: ...
    def subset(self, rows: Tensor) -> "LazyDataset": ...
    def batches(self, batch_size: int, **options: Any) -> Loader: ...
    def signature(self) -> list[bytes]: ...


Dataset = TensorDataset | LazyDataset


def loader(dataset: Dataset, batch_size: int, **options: Any) -> Loader:
    """Return the batches of a dataset, in memory or not; the options are those of `Batches`."""
    if isinstance(dataset, LazyDataset):
        return dataset.batches(batch_size, **options)
    return Batches(dataset, batch_size, **options)


def subset(dataset: Dataset, rows: Tensor) -> Dataset:
    """Return the given rows of a dataset."""
    if isinstance(dataset, TensorDataset):
        return TensorDataset(*(tensor[rows] for tensor in dataset.tensors))
    return dataset.subset(rows)


def targets(dataset: Dataset) -> Tensor:
    """Return the class of every image of a dataset, `int64 [N]`."""
    return dataset.tensors[1] if isinstance(dataset, TensorDataset) else dataset.labels


def _require_images_and_labels(dataset: TensorDataset) -> None:
    tensors: tuple[Tensor, ...] = getattr(dataset, "tensors", ())
    kinds = [(t.dtype, t.dim()) for t in tensors]
    if kinds != [(torch.uint8, 4), (torch.int64, 1)] or not len(tensors[1]):
        given = ", ".join(f"{str(t.dtype)[6:]} {list(t.shape)}" for t in tensors)
        raise ValueError(
            "expected a TensorDataset of uint8 [N, C, H, W] images and int64 [N] labels, N > 0; "
            f"given {type(dataset).__name__} of {given or 'no tensors'}"
        )
    if len(tensors[0]) != len(tensors[1]):
        raise ValueError(f"{len(tensors[0])} images but {len(tensors[1])} labels")
