"""Read pictures of all kinds while a network trains, and make batches of them."""

import ctypes
import signal
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Generator, Tensor
from torch.utils.data import DataLoader
from torchvision.transforms.v2.functional import pil_to_tensor

from .augment import Augment, Compose, RandomResizedCrop
from .batches import Loader
from .fashion_mnist import DataError

# The pixels of ImageNet have these, scaled to 0..1, red, green and blue, as torchvision's networks
# take them: near enough to most photographs, and the same for every folder.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BITS, WHITE, FORMAT = 258, 262, 339  # tags of TIFF
WHITE_IS_ZERO, SIGNED = 0, 2  # values of the last two
STOPPING = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, eq=False)
class Pictures:
    """Holds pictures on disk and their classes: a dataset for `train.fit` and `evaluate`.

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
        """Return the pictures in these rows."""
        paths = tuple(self.paths[row] for row in rows.tolist())
        return replace(self, paths=paths, labels=self.labels[rows])

    def signature(self) -> list[bytes]:
        """Return names, sizes and classes of the files, which change when a picture does."""
        files = zip(self.paths, self.labels.tolist(), strict=True)
        return [
            f"{path.name} {path.stat().st_size} {self.classes[label]}\n".encode(
                errors="surrogateescape"  # the bytes of a name that is not in UTF-8
            )
            for path, label in files
        ]

    def batches(self, batch_size: int, **options: Any) -> "PictureBatches":
        """Return the pictures in batches; the options are those of `PictureBatches`."""
        return PictureBatches(self, batch_size, **options)


class PictureBatches(Loader):
    """Gives normalized batches of pictures, as `data.Batches` makes them of images in memory.

    `float32 [B, 3, size, size]` images and `int64 [B]` labels; a pixel becomes
    (pixel / 255 - MEAN) / STD of its color. A part of each picture is resized to `size` pixels
    square (bilinear, antialiased): the patch of the `data.RandomResizedCrop` in `augment`, taken
    from the picture's own pixels, or else the largest square in the middle. The other steps of
    `augment` come after that, at `size` pixels.

    A batch depends on `seed`, `epoch`, the batch size and its number alone, not on the number of
    workers, and what comes before `start` is not read.

    Raises ValueError without a size.
    """

    size: int

    def __init__(
        self,
        pictures: Pictures,
        batch_size: int,
        *,
        size: int | None,
        augment: Augment | None = None,
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
        one = () if augment is None else (augment,)
        steps = augment if isinstance(augment, Compose) else one
        self.crop = next((step for step in steps if isinstance(step, RandomResizedCrop)), None)
        self.augment = Compose(step for step in steps if step is not self.crop)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        generator, batches, start = self._begin()
        seeds = torch.randint(2**32, (len(self),), generator=generator)  # one for each batch
        jobs = [(rows.tolist(), int(seed)) for rows, seed in zip(batches, seeds, strict=True)]
        reader = self._reader(jobs[start:])
        with _signals_put_off() if self.pictures.workers else nullcontext():
            batches_of_bytes = iter(reader)  # starts the workers
        return map(self._normalize, batches_of_bytes)

    def _reader(self, jobs: list[tuple[list[int], int]]) -> Iterable[tuple[Tensor, Tensor]]:
        return DataLoader(
            cast(Any, jobs),  # its types know neither a list nor `batch_size=None`
            batch_size=None,  # a job is a batch already
            collate_fn=cast(Any, self._read),
            num_workers=self.pictures.workers,
            generator=Generator(),  # or it draws from the global one
            worker_init_fn=_leave_signals_alone,
        )

    def _read(self, job: tuple[list[int], int]) -> tuple[Tensor, Tensor]:
        """Read one batch of bytes, [B, 3, size, size], and its labels."""
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


@contextmanager
def _signals_put_off() -> Iterator[None]:
    """Inside, keep Ctrl-C and SIGTERM from workers that are started, until they ignore them.

    A worker that is spawned needs seconds until then, and Ctrl-C must not end it earlier.
    """
    if sys.platform == "win32":
        console = ctypes.windll.kernel32.SetConsoleCtrlHandler
        console(None, True)  # processes started inside ignore Ctrl-C
        try:
            yield
        finally:
            console(None, False)
    else:
        resource_tracker.ensure_running()  # which lets the signals through once it has started
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _leave_signals_alone(worker: int) -> None:
    """Let a worker ignore Ctrl-C, which reaches it too: it reads until the training has stopped."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


def read(path: Path, shorter: int = 2**16) -> Image.Image:
    """Return the picture as a person sees it: turned as its camera tells, in RGB of 8 bits.

    Transparent places become white. Gray levels are read as the file holds them: integers by their
    number of bits, and floats, as well as integers of 32 bits, from 0 to 1, to 255 or to 65,535,
    whichever contains them. A picture may come smaller than it is, though not with less than
    `shorter` pixels a side: for a JPEG it is faster.

    Raises DataError for a file that cannot be read, or whose levels do not fit in 8 bits.
    """
    with quiet():
        return _read(path, shorter)


def problem(path: Path) -> str | None:
    """Say why a picture cannot be trained on; None if it can. Call it inside `quiet`."""
    try:
        _read(path, 1).resize((1, 1))
        with _explained(path), Image.open(path) as image:
            image.verify()  # the checksums of a PNG, which nobody looks at otherwise
    except DataError as error:
        return str(error)
    return None


def _read(path: Path, shorter: int) -> Image.Image:
    with _explained(path), Image.open(path) as opened:
        opened.draft(None, (shorter, shorter))
        tags = getattr(opened, "tag_v2", {})  # of a TIFF
        # Pillow keeps the upper 8 of the 16 bits that a color may have, and says nothing of it.
        halved = opened.mode[0] not in "IF" and ";16" in str(opened.tile)
        image = ImageOps.exif_transpose(opened)
        if image.mode[0] in "IF":
            image = _in_eight_bits(path, image, tags)
        if image.mode in ("P", "PA") or "transparency" in image.info:
            image = image.convert("RGBA")
        levels = image
        if "A" in image.getbands():
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image.convert("RGBA"))
        image = image.convert("RGB")
        lossless = levels.mode in ("1", "L", "RGB") and not halved
        if halved:
            _require_shades(path, levels)
        if not lossless and not _varies(image) and (halved or _varies(levels)):
            raise DataError(
                f"{path} cannot be read: it comes out in one color, and what it shows is lost. "
                "Save it with 8 bits for each color and without transparency."
            )
        return image


def _in_eight_bits(path: Path, image: Image.Image, tags: Any) -> Image.Image:
    """Convert gray levels that are floats or larger integers; `tags` are those of a TIFF."""
    bits = max(tags.get(BITS, (16,))) - (tags.get(FORMAT, (1,))[0] == SIGNED)
    values = np.asarray(image)
    low, high = values.min(), values.max()
    if values.dtype.kind != "f" and bits <= 16:
        limit, levels = 2**bits - 1, values // 2 ** (bits - 8)
    else:  # half a level too much is rounding
        limit = min((x for x in (1, 255, 65535) if np.rint(high * (255 / x)) <= 255), default=0)
        levels = np.rint(values * (255 / max(limit, 1)))
    if not limit or levels.min() < 0 or levels.max() > 255:
        raise DataError(
            f"{path} cannot be read: its levels go from {low:g} to {high:g}, and not from 0 to 1, "
            "to 255 or to 65535. Save it with 8 bits."
        )
    kept = len(np.unique(levels))
    if np.ptp(levels) <= 16 and len(np.unique(values)) > kept:  # such as 12 bits, stored in 16
        raise DataError(_few_shades(path, f"{low:g} to {high:g} of {limit}", kept))
    if tags.get(WHITE) == WHITE_IS_ZERO:
        levels = 255 - levels
    return Image.fromarray(levels.astype(np.uint8))


def _require_shades(path: Path, image: Image.Image) -> None:
    """Refuse colors of 16 bits that hardly differ in their upper 8, which is all Pillow reads."""
    bands = image.getbands()
    colors = np.asarray(image).reshape(-1, len(bands))[:, : len(bands) - ("A" in bands)]
    low, high = int(colors.min()), int(colors.max())
    if 0 < high - low <= 16:
        shades = len(np.unique(colors))
        raise DataError(_few_shades(path, f"{256 * low} to {256 * high + 255} of 65535", shades))


def _few_shades(path: Path, levels: str, shades: int) -> str:
    come_out = "one color" if shades < 3 else f"only {shades} shades"
    return (
        f"{path} cannot be read: its levels go from {levels}, and would come out in {come_out}. "
        "Save it with 8 bits, from black to white."
    )


def _varies(image: Image.Image) -> bool:
    extrema = image.getextrema()
    bands = extrema if isinstance(extrema[0], tuple) else (extrema,)
    return any(low != high for low, high in bands)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Inside, any error of a decoder becomes one that names the file and says what helps."""
    try:
        yield
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise DataError(
            f"{path} cannot be read: it has more than {most:,} pixels. Make it smaller; a network "
            "sees a few hundred pixels a side."
        ) from error
    except Exception as error:  # the decoder of each format has errors of its own
        empty = path.is_file() and path.stat().st_size == 0
        raise DataError(
            f"{path} cannot be read: {'it is empty' if empty else error}. Replace the file or "
            "remove it."
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Hide warnings about what is odd but harmless, such as camera data that make no sense."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
