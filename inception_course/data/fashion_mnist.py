"""Find or download Fashion-MNIST, verify it, and split it.

The data is 70,000 gray images of 28x28 pixels in 10 classes (Xiao, Rasul and Vollgraf 2017,
https://arxiv.org/abs/1708.07747). It is small enough to live in memory as bytes, so no
worker process is needed to read it.
"""

import difflib
import gzip
import hashlib
import json
import lzma
import os
import re
import struct
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import platformdirs
import requests
import torch
from torch import Generator, Tensor
from torch.utils.data import TensorDataset
from tqdm import tqdm

from ..machine import write_atomically

# fmt: off
CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
           "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
# fmt: on

# The pixels of the "train" split have these, scaled to 0..1. From:
# images = fashion_mnist("train").tensors[0].double() / 255; print(images.mean(), images.std())
MEAN, STD = 0.2859, 0.3530

SIZES = {"train": 55_000, "val": 5_000, "test": 10_000}
SAMPLE_SIZES = {"train": 5_000, "val": 1_000, "test": 1_000}
SAMPLE = Path(__file__).with_name("sample")

VARIABLE = "INCEPTION_COURSE_DATA"
SYSTEM = Path("/usr/share/datasets/fashion-mnist")  # Debian's package dataset-fashion-mnist
SOURCES = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
)
# These are of the unpacked files: to pack the same images again makes another .gz.
SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
# Folders, below the one that is named, in which the files may lie: torchvision's, Zalando's, and
# those that an archive of Zalando's repository or of Kaggle makes.
FOLDERS = ("raw", "fashion", "fashionmnist", "fashionmnistmaster", "data", "datasets", "archive")
# How files begin that are packed in a way that the course cannot read.
ARCHIVES = {b"PK\3\4": "zip", b"BZh": "bzip2", b"7z\xbc\xaf": "7z", b"Rar!": "rar"}
TIMEOUT = (5, 10)  # seconds to connect, and between two pieces of the answer
PAUSES = (0, 1, 3)  # seconds before each attempt at a source


class DataError(Exception):
    """Says that data is missing, damaged or of another kind; names the file and what helps."""


class DataSource(NamedTuple):
    """Names a folder with the data, and why it was chosen.

    `kind` is "root" (named by argument), "environment" (by $INCEPTION_COURSE_DATA), "cache"
    (the user's), "system" (Debian's package), or "download": not there yet, to be fetched.
    """

    kind: str
    folder: Path


def fashion_mnist(
    split: str, *, sample: int | None = None, root: str | os.PathLike[str] | None = None
) -> TensorDataset:
    """Return images `uint8 [N, 1, 28, 28]` and labels `int64 [N]` of one split.

    "train" (55,000) and "val" (5,000) share the official training set, see `split_indices`; "test"
    is the official 10,000. `sample=N` gives the first N of the packaged sample, which is balanced
    over the classes for every N and needs no download. Otherwise the data comes from `find(root)`,
    or is fetched into the user's cache.

    Raises ValueError for an unknown split or a sample too large, DataError for unusable data.
    """
    if split not in SIZES:
        raise ValueError(f"split must be one of {', '.join(SIZES)}; not {split!r}")
    if sample is not None:
        return _packaged(split, sample, root)
    names = file_names("t10k" if split == "test" else "train")
    source, contents = _open(names, root)
    if source.kind == "download":
        _, contents = _open(names, fetch())
    images, labels = map(from_idx, contents)
    rows = split_indices(split)
    return TensorDataset(images[rows].unsqueeze(1), labels[rows].long())


def split_indices(split: str) -> Tensor:
    """Return which images of the official training (or test) file make up a split, `int64 [N]`."""
    sizes = [SIZES["train"], SIZES["val"]]
    order = torch.randperm(sum(sizes), generator=Generator().manual_seed(2014))
    train, val = order.split(sizes)
    return {"train": train, "val": val, "test": torch.arange(SIZES["test"])}[split]


def find(root: str | os.PathLike[str] | None = None) -> DataSource:
    """Find where all four files are, read and verified, without downloading anything.

    Looks in `root`, else in $INCEPTION_COURSE_DATA; a folder named in either way is the only one
    looked at. Else in the user's cache, then in the system's copy. The files may be packed (.gz)
    or not, may be spelled `train-images.idx3-ubyte` or in capitals, and lie in the folder itself or
    where torchvision, Zalando and Kaggle put them below it.

    Raises DataError if a folder was named and is not usable.
    """
    return _open(SHA256, root)[0]


def _cache() -> Path:
    return platformdirs.user_cache_path("inception_course")


def file_names(part: str) -> tuple[str, str]:
    """Return the names of the images' and labels' file, unpacked, of "train" or "t10k" (test)."""
    return f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"


def _open(
    names: Iterable[str], root: str | os.PathLike[str] | None
) -> tuple[DataSource, list[bytes]]:
    """Return the first source whose files are good, and what they hold."""
    setting = ""
    if root is not None:
        sources, setting = [DataSource("root", Path(root).expanduser())], f"root={str(root)!r}"
    elif named := os.environ.get(VARIABLE):
        sources, setting = [DataSource("environment", Path(named).expanduser())], f"${VARIABLE}"
    else:
        sources = [DataSource("cache", _cache()), DataSource("system", SYSTEM)]
    for source in sources:
        try:
            return source, [_load(source.folder, name) for name in names]
        except DataError as error:
            if setting:
                raise DataError(
                    f"{setting}: {error}.\nPut the four files of Fashion-MNIST there, or leave "
                    "this setting out and they are found or downloaded; sample= needs no files."
                ) from error
    return DataSource("download", _cache()), []


def _load(folder: Path, name: str) -> bytes:
    """Return the verified contents of one of the four files, unpacked."""
    errors = []
    try:
        for path in _spelled(folder, name):
            try:
                return _verified(path.read_bytes(), SHA256[name], path)
            except DataError as error:
                errors.append(error)
        raise errors[0] if errors else DataError(_missing(folder, name))
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error}") from error


def _spelled(folder: Path, name: str, depth: int = 4) -> Iterator[Path]:
    """Yield the files that have this name, however people spell it; the course's spelling first."""
    paths = folder.iterdir() if folder.is_dir() and depth else ()
    for path in sorted(paths, key=lambda path: (path.name != f"{name}.gz", path.name)):
        letters = _letters(path.name)
        if letters.startswith(_letters(name)) and path.is_file():
            yield path
        elif letters in (*FOLDERS, _letters(name)):  # Kaggle puts a file into a folder of its name
            yield from _spelled(path, name, depth - 1)


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _missing(folder: Path, name: str) -> str:
    if folder.exists():
        return f"{folder} holds no {name}.gz" if folder.is_dir() else f"{folder} is not a folder"
    here = folder.absolute()
    while not here.parent.is_dir():
        here = here.parent
    beside = {path.name.lower(): path for path in here.parent.iterdir()}
    near = difflib.get_close_matches(here.name.lower(), beside, n=1)
    return f"there is no folder {folder}" + (f"; is it {beside[near[0]]}?" if near else "")


def _verified(content: bytes, sha256: str, origin: Path | str) -> bytes:
    """Unpack `content`, and check that it then is what it should be; `origin` is for the error."""
    try:  # told by the first bytes, since some browsers unpack a .gz and keep its name
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
        elif content.startswith(b"\xfd7zXZ"):
            content = lzma.decompress(content)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{origin} is damaged: {error}") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest == sha256:
        return content
    if _is_digits(content):
        raise DataError(f"{origin} is MNIST, the handwritten digits, which uses the same names")
    for start, kind in ARCHIVES.items():
        if content.startswith(start):
            raise DataError(f"{origin} is packed as {kind}: unpack it into the same folder")
    if content.lstrip().startswith(b"<"):
        raise DataError(f"{origin} is a web page, perhaps of a network that wants a login")
    raise DataError(f"{origin} is damaged: its SHA-256 is {digest}, not {sha256}")


def _is_digits(content: bytes) -> bool:
    """Tell whether a file is MNIST's: by its first labels, or its images' mean (0.13, not 0.29)."""
    if content.startswith(b"\0\0\x08\x01"):
        return content[8:18] in (b"\5\0\4\1\x09\2\1\3\1\4", b"\7\2\1\0\4\1\4\x09\5\x09")
    if not content.startswith(b"\0\0\x08\x03") or len(content) < 1_000 * 28 * 28:
        return False
    some = content[16 : 1_000 * 28 * 28]
    return 0.1 < sum(some) / len(some) / 255 < 0.2


def from_idx(content: bytes) -> Tensor:
    """Read the idx format: two zeros, type (8 is uint8), rank, big-endian sizes, values."""
    rank = content[3]
    shape = struct.unpack_from(f">{rank}I", content, 4)
    start = 4 + 4 * rank
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=start).reshape(shape)


def to_idx(values: Tensor) -> bytes:
    """Write uint8 values of any shape in the format that `from_idx` reads."""
    sizes = struct.pack(f">4B{values.dim()}I", 0, 0, 8, values.dim(), *values.shape)
    return sizes + values.numpy().tobytes()


def fetch(
    destination: str | os.PathLike[str] | None = None,
    sources: Sequence[str] = SOURCES,
    progress: bool = True,
) -> Path:
    """Download those of the four files that are missing, and return the folder that has them all.

    A damaged file is replaced in the user's cache (the default), but never in a folder that was
    named. Nothing is written where all is well. `sources` are URLs that end in "/", tried in
    order; `progress` draws a bar on stderr. Raises DataError with the answer of every source.
    """
    folder = _cache() if destination is None else Path(destination).expanduser()
    missing, failures = [], []
    try:
        for name in SHA256:
            try:
                _load(folder, name)
            except DataError:
                if destination is not None and any(_spelled(folder, name)):
                    raise
                missing.append(name)
        folder.mkdir(parents=True, exist_ok=True)
        for source in sources:
            try:
                for name in tuple(missing):
                    write_atomically(folder / f"{name}.gz", _download(source, name, progress))
                    missing.remove(name)
            except DataError as error:
                failures.append(f"  {source}\n    {error}\n")
    except OSError as error:
        raise DataError(
            f"cannot use {folder}: {error}.\nSet ${VARIABLE} to a folder of yours that holds "
            f"{', '.join(f'{name}.gz' for name in SHA256)}; sample= needs no files."
        ) from error
    if missing:
        raise DataError(
            f"Fashion-MNIST could not be downloaded. Tried:\n{''.join(failures)}"
            "Without a network, use sample=, which needs no files; or copy\n  "
            f"{', '.join(f'{name}.gz' for name in missing)}\nfrom another machine to {folder}"
        )
    return folder


def _download(source: str, name: str, progress: bool) -> bytes:
    """Download one .gz, held in memory (26 MB at most) until it is known to be good."""
    for pause in PAUSES:
        time.sleep(pause)
        try:
            content = _get(f"{source}{name}.gz", progress)
            _verified(content, SHA256[name], f"{name}.gz as sent")
            return content
        except (OSError, DataError) as error:  # all errors of requests are OSErrors
            failure = DataError(f"{error}")
            status = error.response if isinstance(error, requests.HTTPError) else None
            if status is not None and status.status_code < 500:
                break  # such as 403 and 404: the next answer would be the same
    raise failure


def _get(url: str, progress: bool) -> bytes:
    headers = {"Accept-Encoding": "identity"}  # or a server may unpack the .gz on the way
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        response.raise_for_status()
        size = int(response.headers.get("Content-Length", 0)) or None
        label = url.rpartition("/")[2]
        off = None if progress else True  # None: where no terminal watches
        with tqdm(total=size, unit="B", unit_scale=True, desc=label, disable=off) as bar:
            content = bytearray()
            for piece in response.iter_content(1 << 16):
                content += piece
                bar.update(len(piece))
    return bytes(content)


def _packaged(split: str, count: int, root: str | os.PathLike[str] | None) -> TensorDataset:
    if root is not None:
        raise ValueError("sample= reads the packaged sample: leave out either sample or root")
    if not 1 <= count <= SAMPLE_SIZES[split]:
        raise ValueError(
            f"the packaged {split} sample has 1 to {SAMPLE_SIZES[split]} images, not {count}; "
            f"without sample= there are {SIZES[split]}"
        )
    try:
        sha256 = json.loads((SAMPLE / "sample.json").read_text("utf-8"))["sha256"]
        paths = {name: SAMPLE / f"{name}.xz" for name in file_names(split)}
        files = [_verified(path.read_bytes(), sha256[n], path) for n, path in paths.items()]
    except (OSError, ValueError, KeyError, TypeError, DataError) as error:
        raise DataError(f"the packaged sample is damaged, install it again: {error}") from error
    images, labels = (from_idx(file)[:count] for file in files)
    return TensorDataset(images.unsqueeze(1), labels.long())


def sample_positions(labels: Tensor, count: int) -> Tensor:
    """Return the positions in `labels` of a sample that is balanced in every prefix, `int64`.

    Every ten positions are those of the next image of each class, in shuffled order.
    """
    rounds, classes = count // len(CLASSES), range(len(CLASSES))
    next_of_each = torch.stack([(labels == c).nonzero()[:rounds, 0] for c in classes], dim=1)
    order = torch.rand(next_of_each.shape, generator=Generator().manual_seed(2014)).argsort(dim=1)
    return next_of_each.gather(1, order).flatten()


def write_sample(
    folder: str | os.PathLike[str], root: str | os.PathLike[str] | None = None
) -> Path:
    """Cut the packaged sample from the full data (see `find`) into `folder`, and return that.

    The idx files are packed by xz, 2.6 MB in all. "sample.json" has the rule and the hashes.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    sha256 = {}
    for split, count in SAMPLE_SIZES.items():
        images, labels = fashion_mnist(split, root=root).tensors
        rows = sample_positions(labels, count)
        contents = (to_idx(images[rows].squeeze(1)), to_idx(labels[rows].byte()))
        for name, content in zip(file_names(split), contents, strict=True):
            sha256[name] = hashlib.sha256(content).hexdigest()
            write_atomically(
                folder / f"{name}.xz", lzma.compress(content, preset=9 | lzma.PRESET_EXTREME)
            )
    notes = {
        "about": "A sample of Fashion-MNIST, made by: python -m inception_course data sample",
        "rule": "split_indices(split)[sample_positions(labels, count)], in data/fashion_mnist.py",
        "license": "MIT, Copyright (c) 2017 Zalando SE, https://tech.zalando.com; see LICENSE.txt",
        "counts": SAMPLE_SIZES,
        "sha256": sha256,
    }
    write_atomically(folder / "sample.json", (json.dumps(notes, indent=2) + "\n").encode())
    write_atomically(folder / "LICENSE.txt", (SAMPLE / "LICENSE.txt").read_bytes())
    return folder
