"""Train on your own pictures: folders of files, a folder for each class.

Two layouts are known. Either you have divided the pictures, as ImageNet is for torchvision:
`FOLDER/train/CLASS/*`, `FOLDER/val/CLASS/*` and, if you like, `FOLDER/test/CLASS/*`. Or not:
`FOLDER/CLASS/*`; then a tenth of every class becomes "val", a tenth "test" and the rest "train",
always the same ones as long as the folder stays as it is. `describe` says what was found.

Hidden folders, those that systems and tools make (`__MACOSX`, `$RECYCLE.BIN`, …) and the course's
own runs never count. No picture is in two splits: of files with the same bytes one is used, and
none if they are in two classes. Names that differ only in how Unicode spells an accent are one.
"""

import functools
import hashlib
import itertools
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
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
SYSTEM = {  # files and folders that systems and tools leave behind
    *("__macosx", "$recycle.bin", "recycler", "recycled", "system volume information"),
    *("lost+found", "network trash folder", "temporary items", "~snapshot", "@__thumb"),
    *("@eadir", "@recycle", "@tmp", "#recycle", "#snapshot", "@recently-snapshot"),
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "thumbnails"),
    *("__pycache__", "venv", "wandb", "lightning_logs"),
}
RUN = "run.json"  # the file by which a folder of the course's own runs is known
SPLIT_NAMES = {  # what people call a split
    "train": ("train", "training", "trn"),
    "val": ("val", "valid", "validation", "dev", "eval", "evaluation"),
    "test": ("test", "testing", "tst", "holdout"),
}
PART_NAMES = {  # what else they call a split, if all other folders are splits as well
    "train": ("fit", "background", "labeled"),
    "part": ("fold", "unlabeled"),
}
TASK_NAMES = {  # folders of a data set that marks things within each picture
    "pictures": ("image", "images", "img", "imgs", "pictures", "photos"),
    "marks": ("mask", "masks", "label", "labels", "annotation", "annotations", "segmentation"),
}
NAMED = 5  # as many files are named in a message
SHOWN = 40  # as many classes are shown in a table


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
                place = self.folder / split
                place = subfolders(place).get(name, place / name)
                raise DataError(self.too_few(place, "no pictures"))
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
            if _inside(place, path):
                endings[path.suffix.lower()].append(path)
        outside = [path for e in picture_endings() for path in sorted(endings.pop(e, []))]
        lines = []
        if endings:
            kinds = sorted(endings.items(), key=lambda kind: (-len(kind[1]), kind[0]))
            counts = [f"{len(p)} {e or 'without an ending'} ({self._names(p)})" for e, p in kinds]
            lines.append(f"Not read: {', '.join(counts)}. Save pictures as JPEG or PNG.")
        remedies: dict[str, list[Path]] = defaultdict(list)
        for path in outside:
            remedies[self._remedy(path)].append(path)
        lines += [
            f"In no folder of a class: {len(paths)} ({self._names(paths)}). {remedy}."
            for remedy, paths in remedies.items()
        ]
        if copies := [path for path in self.copies if _inside(place, path)]:
            pairs = [f"{self._names([c])} is {self._names([self.copies[c]])}" for c in copies]
            lines.append(
                f"Not used, since another one has the same bytes: {len(copies)} ({_some(pairs)}). "
                "If their classes differ neither is used: remove the one in the wrong class."
            )
        return lines

    def _remedy(self, path: Path) -> str:
        """Say how a picture outside of the classes' folders gets into one."""
        outer, *inner = path.relative_to(self.folder).parts
        if inner and "test" not in self.splits and _split_kind(outer) == "test":
            return self._no_test
        return "Move them into the folder of their class"

    @functools.cached_property
    def _no_test(self) -> str:
        return _no_split(self.folder, "test")

    def _names(self, paths: list[Path]) -> str:
        names = [path.relative_to(self.folder).as_posix() for path in paths]
        return _some([name.encode(errors="backslashreplace").decode() for name in names])


def _some(items: Iterable[str]) -> str:
    items = list(items)
    more = f" and {len(items) - NAMED} more" if len(items) > NAMED else ""
    return ", ".join(items[:NAMED]) + more


def _inside(folder: Path, path: Path) -> bool:
    return _nfc(folder) in _nfc(path).parents


def _nfc(path: Path) -> Path:
    """Return the path as most systems spell it: some write é as e and an accent."""
    return Path(unicodedata.normalize("NFC", str(path)))


def _search(folder: Path) -> _Found:
    """Find the pictures of a folder by split and class, each one once."""
    if folder.is_file():
        raise DataError(
            f"{folder} is a file: if pictures are packed in it, unpack it first, and name the "
            "folder that comes out"
        )
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}")
    try:
        names = subfolders(folder)
        divided = "train" in names and ("val" in names or bool(subfolders(folder / "train")))
        classes = _divided(folder) if divided else {"": _undivided(folder)}
        _require_text(itertools.chain(*classes.values()))
        _require_apart(folder / split for split in classes)
        splits: Splits = {s: {name: [] for name in names} for s, names in classes.items()}
        others = []
        for path in _files(folder):
            outer, inner, *_ = *_nfc(path.relative_to(folder)).parts[:-1], "", ""
            split, name = (outer, inner) if divided else ("", outer)
            if name in splits.get(split, {}) and _is_picture(path):
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


def subfolders(folder: Path) -> dict[str, Path]:
    """Return the folders in a folder by name, sorted, but for those that never count."""
    paths = [path for path in folder.iterdir() if path.is_dir() and _counts(path)]
    return dict(sorted((_nfc(path).name, path) for path in paths))


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
        folders[:] = [name for name in folders if _counts(Path(root, name))]
        paths = [Path(root, name) for name in names if not _hidden(name)]
        files += [path for path in paths if path.is_file() or not path.exists()]  # no pipe
    return sorted(files)


def _counts(folder: Path) -> bool:
    return not _hidden(folder.name) and not _keeps_runs(folder)


def _hidden(name: str) -> bool:
    name = name.lower()
    return name.startswith(".") or name in SYSTEM or bool(re.fullmatch(r"found\.\d{3}", name))


def _keeps_runs(folder: Path) -> bool:
    """Tell whether a folder is a run of the course, or holds such folders and no pictures."""
    if (folder / RUN).is_file():
        return True
    runs = [path.parent for path in folder.glob(f"*/{RUN}")]
    return bool(runs) and not any(
        any(path.iterdir()) if path.is_dir() else _is_picture(path)
        for path in folder.iterdir()
        if path not in runs
    )


def _require_text(classes: Iterable[str]) -> None:
    """Refuse a class that nobody can print, such as one of an archive in an old encoding."""
    for name in classes:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise DataError(
                f"the name of the folder {os.fsencode(name)!r} is not in UTF-8: rename this folder"
            ) from None


def _require_apart(splits: Iterable[Path]) -> None:
    """Refuse splits and classes that are the same folder because of a link."""
    places = list(splits)
    places += [path for split in places for path in subfolders(split).values()]
    seen: dict[Path, Path] = {}
    for place in places:
        other = seen.setdefault(place.resolve(), place)
        if other != place:
            raise DataError(
                f"{place} and {other} are the same folder, by a link: remove the link, or put a "
                "folder with other pictures in its place"
            )


def _divided(folder: Path) -> dict[str, list[str]]:
    """Return the classes of each split, if the reader has divided the pictures."""
    splits = subfolders(folder)
    classes = list(subfolders(folder / "train"))
    _require_no_marks(folder / "train", classes)
    if "val" not in splits or set(subfolders(folder / "val")) - set(classes):
        raise DataError(_no_split(folder, "val"))
    if len(classes) < 2:
        raise DataError(_too_few_classes(folder / "train", classes))
    usable = "test" in splits and set(subfolders(folder / "test")) <= set(classes)
    return dict.fromkeys(["train", "val", "test"] if usable else ["train", "val"], classes)


def _no_split(folder: Path, split: str) -> str:
    """Say why the reader's division has no such split, and what helps."""
    if split in subfolders(folder):
        here, classes = subfolders(folder / split), subfolders(folder / "train")
        extra = min(set(here) - set(classes))
        for name in classes:
            if name.casefold() == extra.casefold():
                return (
                    f"{here[extra]} and {classes[name]} differ in capital letters only: rename "
                    f"{extra} to {name}"
                )
        return (
            f"{here[extra]} is of a class that {folder / 'train'} does not have: make a "
            "folder of the same name there, or remove this one"
        )
    alike = [name for name in subfolders(folder) if _split_kind(name) == split]
    make = f"make one like train with pictures to {PURPOSE[split]}"
    remedy = f"rename {alike[0]} to {split}" if alike else make
    other = ", or take another split" if split == "test" else ""
    return f"{folder} has a folder train but no folder {split}: {remedy}{other}"


def _undivided(folder: Path) -> list[str]:
    """Return the classes, if each folder is one; else say what was found, and what is needed."""
    places = subfolders(folder)
    names = list(places)
    inside = {name: list(subfolders(place)) for name, place in places.items()}
    if len(names) == 1 and len(inside[names[0]]) > 1:
        raise DataError(
            f"{folder} has one folder, {names[0]}, and in it are {_some(inside[names[0]])}: name "
            f"{places[names[0]]} instead"
        )
    if len(names) < 2:
        raise DataError(_too_few_classes(folder, names))
    kinds = _kinds(names, SPLIT_NAMES)
    if len(set(kinds.values())) > 1 or any(inside[name] for name in kinds if name.isalpha()):
        raise DataError(_parts(folder, names, kinds))
    below = Counter(itertools.chain(*inside.values()))
    common = sorted(name for name, count in below.items() if count > 1)
    flat = any(_has_pictures(place) for place in places.values())
    splits_below = len(set(_kinds(common, SPLIT_NAMES).values())) > 1
    if common and len(below) > 1 and (splits_below or not flat):
        who = "each of them" if set(below.values()) == {len(names)} else "more than one of them"
        raise DataError(
            f"{folder} has the folders {_some(names)}, and {who} has {_some(common)}. If the "
            f"classes are {_some(sorted(below))}, name the folders around them train, val and "
            f"test. If they are {_some(names)}, move their pictures up, into these folders "
            "themselves"
        )
    kinds |= _kinds([name for name in names if name not in kinds], PART_NAMES)
    if len(kinds) == len(names) and (len(set(kinds.values())) > 1 or "part" in kinds.values()):
        raise DataError(_parts(folder, names, kinds))
    _require_no_marks(folder, names)
    return names


def _parts(folder: Path, names: list[str], kinds: dict[str, str]) -> str:
    """Say that these folders seem to be splits, and what they should be called then."""
    if "val" not in kinds.values():  # two parts: the second one can validate
        kinds = {name: "val" if kind == "test" else kind for name, kind in kinds.items()}
    renames = [
        f"{name} to {kind}" for name, kind in sorted(kinds.items()) if name != kind in PURPOSE
    ]
    if len(set(kinds.values())) < len(kinds):  # two folders cannot have one name
        renames = []
    return (
        f"{folder} has the folders {_some(names)}. If they divide the pictures, the course "
        "needs the folders train, val and, if you like, test, and in each of them a folder for "
        f"each class{': rename ' if renames else ''}{_some(renames)}. If they are classes, "
        "give them other names"
    )


def _require_no_marks(folder: Path, names: list[str]) -> None:
    """Refuse pictures and their masks or labels, which mark things within a picture."""
    if len(set(_kinds(names, TASK_NAMES).values())) > 1:
        raise DataError(
            f"{folder} has the folders {_some(names)}, as for finding things within a picture. "
            "Here a picture is of one class: give each class a folder of its own, with its "
            "pictures in it. If these are classes, give them other names"
        )


def _split_kind(name: str) -> str | None:
    """Return the split that a folder's name means, such as "test" for Testing or test_images."""
    return _kinds([name], SPLIT_NAMES).get(name)


def _kinds(names: Iterable[str], table: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Return the kind of each name that has words of one kind in the table, and of no other."""
    found = {}
    for name in names:
        words = re.findall("[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)  # trainA and TestImages are two
        parts = {re.sub("(?<=.)(set|data|images)$", "", word.lower()) for word in words}
        kinds = [kind for kind, known in table.items() if parts & set(known)]
        if len(kinds) == 1:
            found[name] = kinds[0]
    return found


def _too_few_classes(folder: Path, names: list[str]) -> str:
    return (
        f"{folder} has {len(names)} {'folder' if names else 'folders'}: give each class a folder "
        "of its own, with its pictures in it, and at least two classes"
    )


def _has_pictures(folder: Path) -> bool:
    return any(map(_is_picture, folder.iterdir()))


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in picture_endings()


@functools.cache
def picture_endings() -> frozenset[str]:
    """Return how files end that this machine's Pillow reads as pictures, such as .jpg."""
    endings = Image.registered_extensions()
    return frozenset(e for e, name in endings.items() if name in FORMATS and name in Image.OPEN)


def _without_copies(splits: Splits) -> dict[Path, Path]:
    """Take out pictures that are in another split or class, too; return each with its copy.

    Of several copies, one in "test" is kept, otherwise one in "val". If they are in two classes,
    which contradict each other, none is kept.
    """
    order = [split for split in ("test", "val", "train", "") if split in splits]
    files = [(s, name, path) for s in order for name, paths in splits[s].items() for path in paths]
    sizes = Counter(path.stat().st_size for _, _, path in files)
    sizes[0] = 0  # empty files are damaged, and no copies
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
    """Divide each class into three splits, after a shuffle that is always the same."""
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
