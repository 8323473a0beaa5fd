"""Train on your own pictures: folders of files, a folder for each class.

Two layouts are known. Either you have divided the pictures, as ImageNet is for torchvision:
`FOLDER/train/CLASS/*`, `FOLDER/val/CLASS/*` and, if you like, `FOLDER/test/CLASS/*`. Or not:
`FOLDER/CLASS/*`; then a tenth of every class becomes "val", a tenth "test" and the rest "train",
always the same ones as long as the folder stays as it is. `describe` says what was found.

Hidden folders and those that systems make (`__MACOSX`, `$RECYCLE.BIN`, …) never count. No picture
is in two splits: of files with the same bytes one is used, and none if they are in two classes.
"""

import functools
import hashlib
import itertools
import os
import re
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image
from torch import Generator

from ..machine import usable_cores
from .fashion_mnist import DataError
from .pictures import Pictures, problem, quiet

PURPOSE = {"train": "learn from", "val": "validate with", "test": "test with"}  # of each split
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")
SYSTEM = {
    *("__macosx", "$recycle.bin", "recycler", "system volume information", "lost+found"),
    *("found.000", "network trash folder", "temporary items", "~snapshot", "@__thumb"),
    *("@eadir", "@recycle", "@tmp", "#recycle", "#snapshot", "@recently-snapshot"),
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "__pycache__"),
}
SPLIT_NAMES = {  # what people call a split
    "train": ("train", "training", "trainset"),
    "val": ("val", "valid", "validation", "valset", "dev", "eval"),
    "test": ("test", "testing", "testset"),
}
NAMED = 5  # files in a message
SHOWN = 40  # classes in a table


def open_folder(folder: str | os.PathLike[str], split: str, *, workers: int = 0) -> Pictures:
    """Return the pictures of one split of a folder, in one of the two layouts above.

    Classes are sorted by name. Each picture is read once, small and quickly, so that a damaged one
    is found before a training and not in its middle.

    Raises DataError, which names the file or folder and the way out.
    """
    if split not in PURPOSE:
        raise ValueError(f"split must be one of {', '.join(PURPOSE)}; not {split!r}")
    found = _search(Path(folder).expanduser())
    classes = found.pictures(split)
    paths = tuple(path for paths in classes.values() for path in paths)
    labels = [label for label, paths in enumerate(classes.values()) for _ in paths]
    _require_readable(paths)
    return Pictures(paths, torch.tensor(labels), tuple(classes), workers)


def describe(folder: str | os.PathLike[str]) -> str:
    """Say which classes a folder has, how many pictures in each split, and what is not used.

    Raises DataError where the folder has another layout than the two above.
    """
    found = _search(Path(folder).expanduser())
    splits = [split for split in PURPOSE if split in found.splits]
    rows = [
        (name, [str(len(found.splits[split][name])) for split in splits])
        for name in found.splits["train"]
    ]
    total = [str(sum(map(len, found.splits[split].values()))) for split in splits]
    if len(rows) > SHOWN:
        rows[SHOWN:] = [(f"and {len(rows) - SHOWN} more", [])]
    rows = [("class", splits), *rows, ("in all", total)]
    width = max(len(name) for name, _ in rows)
    table = [f"  {name:{width}}" + "".join(f"{cell:>8}" for cell in cells) for name, cells in rows]
    return "\n".join([f"Pictures in {found.folder}:", *table, *found.not_used()])


# Find the pictures


Splits = dict[str, dict[str, list[Path]]]  # pictures by split and class


@dataclass(frozen=True)
class _Found:
    """Holds the pictures of a folder, and all other files."""

    folder: Path
    splits: Splits
    others: list[Path]  # files that are no pictures, or lie outside of the classes' folders
    copies: dict[Path, Path]  # a picture that is not used, and another one with the same bytes

    def pictures(self, split: str) -> dict[str, list[Path]]:
        """Return the pictures of a split by class; refuse a split in which a class has none."""
        if split not in self.splits:
            raise DataError(_no_split(self.folder, split))
        for name, paths in self.splits[split].items():
            if not paths:
                raise DataError(self.too_few(self.folder / split / name, "no pictures"))
        return self.splits[split]

    def too_few(self, place: Path, count: str) -> str:
        """Say that a class has too few pictures, and what helps."""
        if lines := self.not_used(place):
            return "\n".join([f"{place} has {count} to use:", *lines])
        return (
            f"{place} {f'has {count}' if place.is_dir() else 'is missing'}: put files there, such "
            "as .jpg or .png, or remove the class from every split"
        )

    def not_used(self, place: Path | None = None) -> list[str]:
        """Say which files in a folder are not used, and what helps: one line for each cause."""
        place = place or self.folder
        endings: dict[str, list[Path]] = defaultdict(list)
        for path in self.others:
            if place in path.parents:
                endings[path.suffix.lower()].append(path)
        outside = [path for e in picture_endings() for path in sorted(endings.pop(e, []))]
        lines = []
        if endings:
            kinds = sorted(endings.items(), key=lambda kind: (-len(kind[1]), kind[0]))
            counts = [f"{len(p)} {e or 'without an ending'} ({self._names(p)})" for e, p in kinds]
            lines.append(f"Not read: {', '.join(counts)}. Save pictures as JPEG or PNG.")
        if outside:
            lines.append(
                f"In no folder of a class: {len(outside)} ({self._names(outside)}). "
                "Move them into the folder of their class."
            )
        if copies := [path for path in self.copies if place in path.parents]:
            pairs = [f"{self._names([c])} is {self._names([self.copies[c]])}" for c in copies]
            lines.append(
                f"Not used, since another one has the same bytes: {len(copies)} ({_some(pairs)}). "
                "If their classes differ neither is used: remove the one in the wrong class."
            )
        return lines

    def _names(self, paths: list[Path]) -> str:
        return _some([path.relative_to(self.folder).as_posix() for path in paths])


def _some(items: list[str]) -> str:
    more = f" and {len(items) - NAMED} more" if len(items) > NAMED else ""
    return ", ".join(items[:NAMED]) + more


def _search(folder: Path) -> _Found:
    """Find the pictures of a folder by split and class, each one once."""
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}")
    try:
        names = subfolders(folder)
        divided = "train" in names and ("val" in names or bool(subfolders(folder / "train")))
        classes = _divided(folder) if divided else {"": _undivided(folder)}
        splits: Splits = {s: {name: [] for name in names} for s, names in classes.items()}
        others = []
        for path in _files(folder):
            outer, inner, *_ = *path.relative_to(folder).parts[:-1], "", ""
            split, name = (outer, inner) if divided else ("", outer)
            if name in splits.get(split, {}) and path.suffix.lower() in picture_endings():
                splits[split][name].append(path)
            else:
                others.append(path)
        found = _Found(folder, splits, others, _without_copies(splits))
    except OSError as error:
        raise DataError(
            f"{error.filename or folder} cannot be read: {error.strerror}. Remove it, or make it "
            "readable."
        ) from error
    return found if divided else replace(found, splits=_divide(found))


def subfolders(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and _counts(path.name))


def _files(folder: Path) -> list[Path]:
    """Return the files in a folder and below it, but for those that are hidden or the system's."""
    files, seen = [], set()

    def fail(error: OSError) -> None:
        raise error

    for root, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        real = Path(root).resolve()
        if real in seen:  # a link leads back to a folder above it
            folders.clear()
            continue
        seen.add(real)
        folders[:] = filter(_counts, folders)
        files += [Path(root, name) for name in names if _counts(name)]
    return sorted(files)


def _counts(name: str) -> bool:
    return not name.startswith(".") and name.lower() not in SYSTEM


def _divided(folder: Path) -> dict[str, list[str]]:
    """Return the classes of each split, if the reader has divided the pictures."""
    classes = subfolders(folder / "train")
    if not (folder / "val").is_dir() or set(subfolders(folder / "val")) - set(classes):
        raise DataError(_no_split(folder, "val"))
    if len(classes) < 2:
        raise DataError(_too_few_classes(folder / "train", classes))
    test = folder / "test"
    usable = test.is_dir() and set(subfolders(test)) <= set(classes)
    return dict.fromkeys(["train", "val", "test"] if usable else ["train", "val"], classes)


def _no_split(folder: Path, split: str) -> str:
    """Say why the reader's division has no such split, and what helps."""
    if (folder / split).is_dir():
        extra = min(set(subfolders(folder / split)) - set(subfolders(folder / "train")))
        return (
            f"{folder / split / extra} is of a class that {folder / 'train'} does not have: make a "
            "folder of the same name there, or remove this one"
        )
    alike = [name for name in subfolders(folder) if _split_kind(name) == split]
    make = f"make one like train with pictures to {PURPOSE[split]}"
    remedy = f"rename {alike[0]} to {split}" if alike else make
    other = ", or take another split" if split == "test" else ""
    return f"{folder} has a folder train but no folder {split}: {remedy}{other}"


def _undivided(folder: Path) -> list[str]:
    """Return the classes, if each folder is one; else say what was found, and what is needed."""
    names = subfolders(folder)
    inside = {name: subfolders(folder / name) for name in names}
    if len(names) == 1 and len(inside[names[0]]) > 1:
        raise DataError(
            f"{folder} has one folder, {names[0]}, and in it are {_some(inside[names[0]])}: name "
            f"{folder / names[0]} instead"
        )
    if len(names) < 2:
        raise DataError(_too_few_classes(folder, names))
    kinds = {name: kind for name in names if (kind := _split_kind(name))}
    if len(set(kinds.values())) > 1 or any(inside[name] for name in kinds if name.isalpha()):
        right = dict(kinds)
        if "val" not in kinds.values():  # two parts: the second one can validate
            right |= {name: "val" for name, kind in kinds.items() if kind == "test"}
        renames = [f"{name} to {kind}" for name, kind in right.items() if name != kind]
        raise DataError(
            f"{folder} has the folders {_some(names)}. If they divide the pictures, the course "
            "needs the folders train, val and, if you like, test, and in each of them a folder for "
            f"each class{': rename ' if renames else ''}{_some(renames)}. If they are classes, "
            "give them other names"
        )
    below = Counter(itertools.chain(*inside.values()))
    common = sorted(name for name, count in below.items() if count > 1)
    if common and len(below) > 1 and not any(_has_pictures(folder / name) for name in names):
        who = "each of them" if set(below.values()) == {len(names)} else "more than one of them"
        raise DataError(
            f"{folder} has the folders {_some(names)}, and {who} has {_some(common)}. If the "
            f"classes are {_some(sorted(below))}, name the folders around them train, val and "
            f"test. If they are {_some(names)}, move their pictures up, into these folders "
            "themselves"
        )
    return names


def _split_kind(name: str) -> str | None:
    """Return the split that a folder's name means, such as "test" for Testing or test_images."""
    words = re.findall("[a-z]+", name.lower())
    kinds = {kind for kind, known in SPLIT_NAMES.items() if set(known) & set(words)}
    return kinds.pop() if len(kinds) == 1 else None


def _too_few_classes(folder: Path, names: list[str]) -> str:
    return (
        f"{folder} has {len(names)} {'folder' if names else 'folders'}: give each class a folder "
        "of its own, with its pictures in it, and at least two classes"
    )


def _has_pictures(folder: Path) -> bool:
    return any(path.suffix.lower() in picture_endings() for path in folder.iterdir())


@functools.cache
def picture_endings() -> frozenset[str]:
    """Return how files end that this machine's Pillow reads as pictures, such as .jpg."""
    endings = Image.registered_extensions()
    return frozenset(e for e, name in endings.items() if name in FORMATS and name in Image.OPEN)


def _without_copies(splits: Splits) -> dict[Path, Path]:
    """Take out pictures that are in another split or class, too; return each with its like.

    Of several, that of the test is kept, else that to validate with. Two classes contradict each
    other, so there none is kept.
    """
    order = [split for split in ("test", "val", "train", "") if split in splits]
    files = [(s, name, path) for s in order for name, paths in splits[s].items() for path in paths]
    sizes = Counter(path.stat().st_size for _, _, path in files)
    alike = defaultdict(list)
    for split, name, path in files:
        if sizes[path.stat().st_size] > 1:
            alike[hashlib.sha256(path.read_bytes()).digest()].append((split, name, path))
    copies = {}
    for group in alike.values():
        kept_split, _, kept = group[0]
        contradict = len({name for _, name, _ in group}) > 1
        for split, name, path in group:
            if contradict or (path != kept and (split != kept_split or split == "")):
                splits[split][name].remove(path)
                copies[path] = kept if path != kept else group[1][2]
    return copies


def _divide(found: _Found) -> Splits:
    """Cut each class into three splits, shuffled by itself and always in the same way."""
    generator = Generator().manual_seed(2014)
    splits: Splits = {split: {} for split in PURPOSE}
    for name, paths in found.splits[""].items():
        if not paths:
            raise DataError(found.too_few(found.folder / name, "no pictures"))
        if len(paths) < len(PURPOSE):
            count = f"{len(paths)} picture{'s' if len(paths) > 1 else ''}"
            needs = f", and a class needs at least {len(PURPOSE)}: one each to "
            lines = [f"{found.folder / name} has {count}{needs}{', to '.join(PURPOSE.values())}"]
            raise DataError("\n".join([*lines, *found.not_used(found.folder / name)]))
        paths = [paths[row] for row in torch.randperm(len(paths), generator=generator)]
        tenth = max(1, len(paths) // 10)
        cuts = {"train": paths[2 * tenth :], "val": paths[:tenth], "test": paths[tenth : 2 * tenth]}
        for split, part in cuts.items():
            splits[split][name] = sorted(part)
    return splits


# Check them


def _require_readable(paths: tuple[Path, ...]) -> None:
    with quiet(), ThreadPoolExecutor(usable_cores()) as threads:  # decoding leaves Python's lock
        found = [problem for problem in threads.map(problem, paths) if problem]
    if found:
        more = f"\n  and {len(found) - NAMED} more" if len(found) > NAMED else ""
        raise DataError(
            f"{len(found)} of {len(paths)} pictures cannot be read:\n  "
            + "\n  ".join(found[:NAMED])
            + more
        )
