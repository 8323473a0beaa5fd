"""Your own pictures: folders of files, a folder for each class, read while a network trains.

Two layouts are known. Either you have divided the pictures, as ImageNet is for torchvision:
`FOLDER/train/CLASS/*`, `FOLDER/val/CLASS/*` and, if you like, `FOLDER/test/CLASS/*`. Or not:
`FOLDER/CLASS/*`; then of every class a tenth becomes "val", a tenth "test" and the rest "train",
always the same ones as long as the folder stays as it is.
"""

import os
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from PIL import Image, ImageOps
from torch import Generator, Tensor
from torch.utils.data import DataLoader
from torchvision.datasets.folder import IMG_EXTENSIONS
from torchvision.transforms.v2.functional import pil_to_tensor

from ..machine import usable_cores
from .augment import Compose, RandomResizedCrop
from .batches import Loader
from .fashion_mnist import DataError

PURPOSE = {"train": "learn from", "val": "validate with", "test": "test with"}  # of each split
# The pixels of ImageNet have these, scaled to 0..1, red, green and blue, as torchvision's networks
# take them: near enough to most photographs, and the same for every folder.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NAMED = 5  # files in an error message


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures on disk and their classes: a dataset for `train.fit` and `evaluate`.

    `workers` is the number of processes that read the pictures; with 0 they are read between the
    steps of the training. It changes no batch, only the pace.
    """

    paths: tuple[Path, ...]
    labels: Tensor  # int64 [N]
    classes: tuple[str, ...]
    workers: int = 0

    def __len__(self) -> int:
        return len(self.paths)

    def subset(self, rows: Tensor) -> "Pictures":
        """The pictures in these rows."""
        paths = tuple(self.paths[row] for row in rows.tolist())
        return replace(self, paths=paths, labels=self.labels[rows])

    def signature(self) -> list[bytes]:
        """Names, sizes and classes of the files, which change when a picture does."""
        files = zip(self.paths, self.labels.tolist(), strict=True)
        return [
            f"{path.name} {path.stat().st_size} {self.classes[label]}\n".encode()
            for path, label in files
        ]

    def batches(self, batch_size: int, **options: Any) -> "PictureBatches":
        """The pictures in batches; the options are those of `PictureBatches`."""
        return PictureBatches(self, batch_size, **options)


def open_folder(folder: str | os.PathLike[str], split: str, *, workers: int = 0) -> Pictures:
    """The pictures of one split of a folder, in one of the two layouts above; classes by name.

    Only files with the endings of torchvision's `IMG_EXTENSIONS` count. Each is read once, small
    and quickly, so that a damaged one is found before a training and not in its middle.

    Raises DataError, which names the file or folder and the way out.
    """
    folder = Path(folder).expanduser()
    if split not in PURPOSE:
        raise ValueError(f"split must be one of {', '.join(PURPOSE)}; not {split!r}")
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}")
    names = subfolders(folder)
    if "train" in names and ("val" in names or subfolders(folder / "train")):
        classes, files = _divided(folder, split)
    else:
        classes, files = _undivided(folder, split)
    paths = [path for of_class in files for path in of_class]
    labels = [label for label, of_class in enumerate(files) for _ in of_class]
    _require_readable(paths)
    return Pictures(tuple(paths), torch.tensor(labels), classes, workers)


def subfolders(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _divided(folder: Path, split: str) -> tuple[tuple[str, ...], list[list[Path]]]:
    for needed in ("val", split):
        if not (folder / needed).is_dir():
            raise DataError(
                f"{folder} has a folder train but no folder {needed}: make one like train with "
                f"pictures to {PURPOSE[needed]}, or take another split"
            )
    classes = _classes(folder / "train")
    if extra := set(subfolders(folder / split)) - set(classes):
        raise DataError(
            f"{folder / split / min(extra)} is of a class that {folder / 'train'} does not have: "
            "make a folder of the same name there, or remove this one"
        )
    return classes, [_pictures(folder / split / name) for name in classes]


def _undivided(folder: Path, split: str) -> tuple[tuple[str, ...], list[list[Path]]]:
    classes = _classes(folder)
    generator = Generator().manual_seed(2014)
    parts = []
    for name in classes:
        files = _pictures(folder / name)
        if len(files) < len(PURPOSE):
            raise DataError(
                f"{folder / name} has {len(files)} pictures, and a class needs at least "
                f"{len(PURPOSE)}: one each to {', to '.join(PURPOSE.values())}"
            )
        files = [files[row] for row in torch.randperm(len(files), generator=generator)]
        tenth = max(1, len(files) // 10)
        cut = {"val": files[:tenth], "test": files[tenth : 2 * tenth], "train": files[2 * tenth :]}
        parts.append(sorted(cut[split]))
    return classes, parts


def _classes(folder: Path) -> tuple[str, ...]:
    classes = tuple(subfolders(folder))
    if len(classes) < 2:
        raise DataError(
            f"{folder} has {len(classes)} folders: give each class a folder of its own, with its "
            "pictures in it, and at least two classes"
        )
    return classes


def _pictures(folder: Path) -> list[Path]:
    """The picture files of one class, those in folders below included."""
    endings = IMG_EXTENSIONS
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in endings
        # macOS makes ._x.jpg, and Jupyter copies of files in .ipynb_checkpoints.
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not files:
        missing = "has no pictures" if folder.is_dir() else "is missing"
        raise DataError(
            f"{folder} {missing}: put files there that end in {', '.join(endings)}, or remove the "
            "class from every split"
        )
    return files


def _require_readable(paths: list[Path]) -> None:
    with _quiet(), ThreadPoolExecutor(usable_cores()) as threads:  # decoding leaves Python's lock
        found = [problem for problem in threads.map(_problem, paths) if problem]
    if found:
        more = f"\n  and {len(found) - NAMED} more" if len(found) > NAMED else ""
        raise DataError(
            f"{len(found)} of {len(paths)} pictures cannot be read:\n  "
            + "\n  ".join(found[:NAMED])
            + f"{more}\nReplace these files or remove them."
        )


def _problem(path: Path) -> str | None:
    try:
        with Image.open(path) as image:
            image.draft(None, (1, 1))
            image.load()
    except Exception as error:  # the decoder of each format has errors of its own
        return f"{path}: {error}"
    return None


def read(path: Path, shorter: int = 2**16) -> Image.Image:
    """The picture as a person sees it: turned as its camera tells, in red, green and blue.

    Transparent places become white; of 16 bits per pixel the upper 8 are kept. A picture may come
    smaller than it is, though not with less than `shorter` pixels a side: for a JPEG it is faster.

    Raises DataError for a file that cannot be read.
    """
    try:
        with _quiet(), Image.open(path) as opened:
            opened.draft(None, (shorter, shorter))
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I"):
                image = image.convert("I").point(lambda level: level * (1 / 256)).convert("L")
            if "A" in image.getbands() or "transparency" in image.info:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            return image.convert("RGB")
    except Exception as error:
        raise DataError(
            f"{path} cannot be read: {error}. Replace the file or remove it."
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide warnings of what is odd and harmless, such as camera data that make no sense."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class PictureBatches(Loader):
    """Normalized batches of pictures, as `data.Batches` makes them of images in memory.

    `float32 [B, 3, size, size]` images and `int64 [B]` labels; a pixel becomes
    (pixel / 255 - MEAN) / STD of its color. A part of each picture is resized to `size` pixels
    square (bilinear, antialiased): the patch of the `data.RandomResizedCrop` in `augment`, taken
    from the picture's own pixels, or else the largest square in the middle. The other steps of
    `augment` come after that, at `size` pixels.

    A batch depends on `seed`, `epoch`, the batch size and its number alone, not on the number of
    workers, and what comes before `start` is not read.

    Raises ValueError without a size.
    """

    def __init__(
        self,
        pictures: Pictures,
        batch_size: int,
        *,
        size: int | None,
        augment: Compose | None = None,
        shuffle: bool = False,
        seed: int = 0,
        device: torch.device | str | None = None,
        min_last: int = 2,
    ):
        if size is None or size < 1:
            raise ValueError(f"pictures need a common size of 1 pixel or more, not {size}")
        count = len(pictures)
        super().__init__(count, batch_size, shuffle=shuffle, seed=seed, min_last=min_last)
        self.pictures, self.size, self.device = pictures, size, device
        steps = augment or ()
        self.crop = next((step for step in steps if isinstance(step, RandomResizedCrop)), None)
        self.augment = Compose(step for step in steps if step is not self.crop)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        generator, batches, start = self._begin()
        seeds = torch.randint(2**32, (len(self),), generator=generator)  # one for each batch
        jobs = [(rows.tolist(), int(seed)) for rows, seed in zip(batches, seeds, strict=True)]
        return map(self._normalize, self._reader(jobs[start:]))

    def _reader(self, jobs: list[tuple[list[int], int]]) -> Iterable[tuple[Tensor, Tensor]]:
        return DataLoader(
            cast(Any, jobs),  # its types know neither a list nor `batch_size=None`
            batch_size=None,  # a job is a batch already
            collate_fn=cast(Any, self._read),
            num_workers=self.pictures.workers,
            generator=Generator(),  # or it draws from the global one
        )

    def _read(self, job: tuple[list[int], int]) -> tuple[Tensor, Tensor]:
        """One batch of bytes, [B, 3, size, size], and its labels."""
        rows, seed = job
        generator = Generator().manual_seed(seed)
        images = torch.stack([self._patch(self.pictures.paths[row], generator) for row in rows])
        return self.augment(images, generator), self.pictures.labels[rows]

    def _patch(self, path: Path, generator: Generator) -> Tensor:
        # The smallest patch has a side of about a quarter of the picture's.
        image = read(path, shorter=4 * self.size if self.crop else self.size)
        width, height = image.size
        if self.crop:
            top, left, high, wide = self.crop.boxes(1, height, width, generator)[0].tolist()
        else:
            high = wide = min(height, width)
            top, left = (height - high) / 2, (width - wide) / 2
        box = (left, top, min(left + wide, width), min(top + high, height))
        size = (self.size, self.size)
        return pil_to_tensor(image.resize(size, Image.Resampling.BILINEAR, box=box))

    def _normalize(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        images, labels = batch[0].to(self.device), batch[1].to(self.device)
        mean, std = (torch.tensor(x, device=images.device).view(3, 1, 1) for x in (MEAN, STD))
        return (images / 255 - mean) / std, labels
