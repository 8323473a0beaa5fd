"""A reader's own pictures, from folders and files of all kinds to a trained network."""

import os
import shutil
import struct
import subprocess
import sys
import unicodedata
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import course, damaged
from PIL import Image, PngImagePlugin
from torch import nn

from inception_course import data, evaluate, train
from inception_course.data import (
    Compose,
    DataError,
    RandomFlip,
    RandomResizedCrop,
    Translate,
    folders,
    pictures,
)
from inception_course.train import checkpoint

COLORS = {"red": (200, 40, 40), "green": (40, 180, 50), "blue": (50, 60, 210)}
FORMATS = ("a.jpg", "b.png", "palette.png", "transparent.png", "cmyk.jpg", "c.JPEG")

TINY = train.Recipe(
    "tiny",
    epochs=4,
    batch_size=8,
    learning_rate=0.05,
    momentum=0.9,
    image_size=16,
    random_resized_crop=True,
    flip=True,
)


def draw(path, color, seed, size=None):
    """One picture, speckled around its color; `size` is width and height, else drawn too."""
    generator = torch.Generator().manual_seed(seed)
    width, height = size or torch.randint(20, 70, (2,), generator=generator).tolist()
    speckles = torch.randint(-40, 40, (height, width, 3), generator=generator)
    pixels = (torch.tensor(color) + speckles).clamp(0, 255).byte()
    image = Image.fromarray(pixels.numpy())
    path.parent.mkdir(parents=True, exist_ok=True)
    if "palette" in path.name:
        image.quantize(32).save(path, transparency=bytes([255] * 32))
    elif "transparent" in path.name:
        image.putalpha(255)
        image.save(path)
    elif "cmyk" in path.name:
        image.convert("CMYK").save(path)
    else:
        image.save(path)


def save(image, path):
    """As PNG with its path in a comment: files of the same pixels and of different bytes."""
    comment = PngImagePlugin.PngInfo()
    comment.add_text("path", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, pnginfo=comment)


def fill(folder, count, seed):
    for number, (name, color) in enumerate(COLORS.items()):
        for i in range(count):
            file = f"{i:02}-{FORMATS[i % len(FORMATS)]}"
            draw(folder / name / file, color, seed=1000 * seed + 100 * number + i)


@pytest.fixture(scope="session")
def undivided_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undivided")
    fill(folder, 20, seed=0)
    return folder


@pytest.fixture(scope="session")
def divided_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("divided")
    for seed, (split, count) in enumerate({"train": 12, "val": 6}.items()):
        fill(folder / split, count, seed)
    return folder


@pytest.fixture
def undivided(undivided_once, tmp_path):
    return Path(shutil.copytree(undivided_once, tmp_path / "pictures"))


@pytest.fixture
def divided(divided_once, tmp_path):
    return Path(shutil.copytree(divided_once, tmp_path / "pictures"))


def small_net(seed=0, classes=3):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(0.1),
            nn.Linear(8, classes),
        )


def identical(one, two):
    return len(one) == len(two) and all(
        torch.equal(a, b) for pair in zip(one, two, strict=True) for a, b in zip(*pair, strict=True)
    )


# Folders and splits


def test_a_divided_folder_is_taken_as_it_is(divided):
    train_set = folders.open_folder(divided, "train")
    val_set = folders.open_folder(divided, "val")
    assert (len(train_set), len(val_set)) == (36, 18)
    assert train_set.classes == val_set.classes == ("blue", "green", "red")
    for path, label in zip(val_set.paths, val_set.labels, strict=True):
        assert path.parent == divided / "val" / val_set.classes[label]


def test_an_undivided_folder_is_cut_into_three_parts_of_every_class(undivided):
    splits = {split: folders.open_folder(undivided, split) for split in ("train", "val", "test")}
    for split, count in {"train": 16, "val": 2, "test": 2}.items():
        assert Counter(splits[split].labels.tolist()) == {0: count, 1: count, 2: count}
        again = folders.open_folder(undivided, split)
        assert again.paths == splits[split].paths
        for path, label in zip(again.paths, again.labels, strict=True):
            assert path.parent.name == again.classes[label]
    everything = [path for part in splits.values() for path in part.paths]
    assert sorted(everything) == sorted(path for path in undivided.rglob("*") if path.is_file())
    val_set = splits["val"]
    names = [{path.name for path in val_set.paths if path.parent.name == c} for c in COLORS]
    assert names[0] != names[1] or names[1] != names[2]  # each class is shuffled by itself


def test_three_pictures_of_a_class_are_enough_and_other_files_do_no_harm(tmp_path):
    for gray, name in ((60, "cat"), (90, "dog")):
        for number in range(3):
            draw(tmp_path / name / "below" / f"{number}.png", (gray, gray, gray), number)
    (tmp_path / "cat" / "notes.txt").write_text("not a picture")
    (tmp_path / "cat" / "._0.png").write_bytes(b"what macOS leaves beside a file")
    draw(tmp_path / "cat" / ".ipynb_checkpoints" / "0-checkpoint.png", (90, 90, 90), 0)
    (tmp_path / ".cache").mkdir()
    (tmp_path / "readme.md").touch()
    for split in ("train", "val", "test"):
        assert folders.open_folder(tmp_path, split).labels.tolist() == [0, 1]


def test_a_class_may_be_called_train(undivided):
    (undivided / "red").rename(undivided / "train")
    assert folders.open_folder(undivided, "val").classes == ("blue", "green", "train")


HIDDEN = [
    ".ipynb_checkpoints",  # Jupyter's copies
    "__MACOSX",
    "$RECYCLE.BIN",
    "System Volume Information",
    "@eaDir",
    ".cache/deep",
    "found.001",
    "RECYCLED",
    "Thumbnails",
    "venv",
    "wandb/latest",
    "lightning_logs",
]


@pytest.mark.slow
@pytest.mark.parametrize("place", ["", "red", "red/deep"])
@pytest.mark.parametrize("name", HIDDEN)
def test_hidden_folders_and_those_of_systems_never_count(name, place, undivided):
    before = [folders.open_folder(undivided, split).paths for split in folders.PURPOSE]
    told = folders.describe(undivided)
    for number in range(3):
        draw(undivided / place / name / f"{number}.png", (200, 40, 40), 999 + number)
    (undivided / place / "Thumbs.db").write_bytes(b"of Windows")
    assert [folders.open_folder(undivided, split).paths for split in folders.PURPOSE] == before
    assert folders.describe(undivided) == told


@pytest.mark.parametrize("place", ["", "red"])
def test_runs_of_the_course_beside_the_pictures_never_count(place, undivided):
    told = folders.describe(undivided)
    for name in ("first", "second"):
        draw(undivided / place / "runs" / name / "curves.png", (250, 250, 250), len(name))
        (undivided / place / "runs" / name / "run.json").write_text("{}")
    (undivided / place / "runs" / "just begun").mkdir()
    draw(undivided / place / "out" / "curves.png", (250, 250, 250), 1)
    (undivided / place / "out" / "run.json").write_text("{}")
    assert folders.describe(undivided) == told


def test_a_run_within_a_class_does_not_hide_the_class(undivided):
    told = folders.describe(undivided)
    draw(undivided / "red" / "mine" / "curves.png", (250, 250, 250), 1)
    (undivided / "red" / "mine" / "run.json").write_text("{}")
    assert folders.describe(undivided) == told


NFC, NFD = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


def test_a_name_is_one_however_its_accents_are_written(tmp_path):
    layout(tmp_path / "divided", f"train/{NFC}", "train/tea", f"val/{NFD}", "val/tea")
    val_set = folders.open_folder(tmp_path / "divided", "val")
    assert (val_set.classes, len(val_set)) == ((NFC, "tea"), 6)
    (tmp_path / "divided" / "val" / NFD / "0.heic").write_bytes(b"0")
    for number in range(3):
        (tmp_path / "divided" / "val" / NFD / f"{number}.png").unlink()
    with pytest.raises(DataError, match=r"has no pictures to use:\nNot read: 1 \.heic"):
        folders.open_folder(tmp_path / "divided", "val")


@pytest.mark.skipif(sys.platform == "darwin", reason="there the two names are one folder")
def test_two_spellings_of_a_name_are_one_class(tmp_path):
    layout(tmp_path, NFC, NFD, "tea")
    train_set = folders.open_folder(tmp_path, "train")
    assert (train_set.classes, len(train_set)) == ((NFC, "tea"), 4 + 1)


def test_a_hidden_folder_around_the_pictures_does_no_harm(tmp_path):
    fill(tmp_path / ".cache" / "pictures", 4, seed=0)
    assert len(folders.open_folder(tmp_path / ".cache" / "pictures", "train")) == 6


def test_folders_behind_links_count_once(undivided, tmp_path):
    (undivided / "red").rename(tmp_path / "elsewhere")
    (undivided / "red").symlink_to(tmp_path / "elsewhere")
    (undivided / "blue" / "all").symlink_to(undivided)
    assert [len(folders.open_folder(undivided, split)) for split in folders.PURPOSE] == [48, 6, 6]


def test_two_links_to_the_same_pictures_are_refused(divided, undivided_once, tmp_path):
    shutil.rmtree(divided / "val")
    (divided / "val").symlink_to(divided / "train")
    with pytest.raises(DataError, match=r"val and \S+train are the same folder, by a link: remove"):
        folders.open_folder(divided, "train")
    mine = Path(shutil.copytree(undivided_once, tmp_path / "mine"))
    (mine / "scarlet").symlink_to(mine / "red")
    with pytest.raises(DataError, match=r"scarlet and \S+red are the same folder"):
        folders.describe(mine)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes in folders")
def test_a_pipe_is_no_picture(undivided):
    told = folders.describe(undivided)
    os.mkfifo(undivided / "red" / "pipe.png")
    assert folders.describe(undivided) == told
    folders.open_folder(undivided, "train")


names_are_bytes = pytest.mark.skipif(sys.platform != "linux", reason="names of files are text here")


@names_are_bytes
def test_a_class_whose_name_is_no_text_is_refused(undivided):
    (undivided / "blue").rename(undivided / os.fsdecode(b"chat\xe9"))
    with pytest.raises(DataError, match=r"b'chat\\xe9' is not in UTF-8: rename this folder"):
        folders.describe(undivided)


@names_are_bytes
def test_a_file_whose_name_is_no_text_can_be_trained_on(undivided):
    draw(undivided / "red" / os.fsdecode(b"\xe9.png"), (200, 40, 40), 99)
    (undivided / "red" / os.fsdecode(b"\xe9.txt")).touch()
    assert r"1 .txt (red/\udce9.txt)" in folders.describe(undivided)
    signatures = [folders.open_folder(undivided, split).signature() for split in folders.PURPOSE]
    assert [line for part in signatures for line in part if line.startswith(b"\xe9.png")]


# What is said before a training


def test_classes_and_counts_of_each_split_are_described(undivided_once, divided_once):
    assert folders.describe(undivided_once).splitlines() == [
        f"Pictures in {undivided_once}:",
        "  class    train     val    test",
        "  blue        16       2       2",
        "  green       16       2       2",
        "  red         16       2       2",
        "  in all      48       6       6",
    ]
    assert folders.describe(divided_once).splitlines()[1:3] == [
        "  class    train     val",
        "  blue        12       6",
    ]


def test_many_classes_are_not_described_endlessly(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "SHOWN", 2)
    fill(tmp_path, 3, seed=0)
    assert folders.describe(tmp_path).splitlines()[3:] == [
        "  green            1       1       1",
        "  and 1 more",
        "  in all           3       3       3",
    ]


def test_files_that_are_left_out_are_counted_by_ending_and_named(undivided):
    for number in range(30):
        (undivided / "red" / f"{number:02}.HEIC").write_bytes(bytes([number]))
    (undivided / "red" / "notes.txt").write_text("not a picture")
    (undivided / "README").write_text("not a picture either")
    draw(undivided / "loose.png", (0, 0, 0), 5)
    *table, unread, loose = folders.describe(undivided).splitlines()
    assert table[-1] == "  in all      48       6       6"
    assert unread == (
        "Not read: 30 .heic (red/00.HEIC, red/01.HEIC, red/02.HEIC, red/03.HEIC, red/04.HEIC and "
        "25 more), 1 without an ending (README), 1 .txt (red/notes.txt). Save pictures as JPEG or "
        "PNG."
    )
    assert loose.startswith("In no folder of a class: 1 (loose.png). Move")


def test_whatever_ending_pillow_reads_counts(tmp_path):
    for name in COLORS:
        for number, ending in enumerate(("jpg", "jfif", "JPE", "gif", "bmp", "webp", "tif", "ppm")):
            image = Image.new("RGB", (9, 9 + number), COLORS[name])
            (tmp_path / name).mkdir(exist_ok=True)
            kind = "JPEG" if ending in ("jfif", "JPE") else None
            image.save(tmp_path / name / f"{number}.{ending}", kind)
    assert folders.describe(tmp_path).splitlines()[-1] == "  in all      18       3       3"
    for split in folders.PURPOSE:
        folders.open_folder(tmp_path, split)


# No picture is in two splits


def every_file(folder):
    return [path for split in folders.PURPOSE for path in folders.open_folder(folder, split).paths]


def test_of_a_picture_and_its_copies_one_is_used(undivided):
    for number in range(6):
        shutil.copy(undivided / "red" / "01-b.png", undivided / "red" / f"copy {number}.png")
    used = every_file(undivided)
    assert len(used) == 60
    assert len({path.read_bytes() for path in used}) == 60
    told = folders.describe(undivided).splitlines()[-1]
    assert told.startswith(
        "Not used, since another one has the same bytes: 6 (red/copy 0.png is red/01-b.png, "
    )
    assert "and 1 more" in told


def test_a_picture_to_validate_or_test_with_is_not_learned_from(divided):
    for name in COLORS:
        draw(divided / "test" / name / "own.png", COLORS[name], 99)
    shutil.copy(divided / "val" / "red" / "00-a.jpg", divided / "train" / "red" / "again.jpg")
    shutil.copy(divided / "train" / "red" / "00-a.jpg", divided / "test" / "red" / "again.jpg")
    shutil.copy(divided / "val" / "red" / "02-palette.png", divided / "test" / "red" / "more.png")
    lengths = {split: len(folders.open_folder(divided, split)) for split in folders.PURPOSE}
    assert lengths == {"train": 36 - 1, "val": 18 - 1, "test": 3 + 2}
    assert len({path.read_bytes() for path in every_file(divided)}) == 35 + 17 + 5
    told = folders.describe(divided).splitlines()[-1]
    for copy in (
        "train/red/again.jpg is val/red/00-a.jpg",
        "train/red/00-a.jpg is test/red/again.jpg",
        "val/red/02-palette.png is test/red/more.png",
    ):
        assert copy in told


def test_a_reader_may_repeat_a_picture_within_a_split(divided):
    shutil.copy(divided / "train" / "red" / "01-b.png", divided / "train" / "red" / "more.png")
    assert len(folders.open_folder(divided, "train")) == 37


def test_a_picture_in_two_classes_is_in_none(undivided):
    shutil.copy(undivided / "red" / "01-b.png", undivided / "blue" / "wrong.png")
    used = every_file(undivided)
    assert len(used) == 59
    assert not {"wrong.png"} & {path.name for path in used}
    assert undivided / "red" / "01-b.png" not in used
    told = folders.describe(undivided)
    assert "blue/wrong.png is red/01-b.png, red/01-b.png is blue/wrong.png" in told
    assert "remove the one in the wrong class" in told


# Mistakes


def damage_contents(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("name", ["00-a.jpg", "01-b.png", "03-transparent.png", "04-cmyk.jpg"])
def test_half_a_file_is_found_before_training(name, undivided):
    damage_contents(undivided / "green" / name)
    found = []
    for split in ("train", "val", "test"):
        try:
            folders.open_folder(undivided, split)
        except DataError as error:
            found.append(str(error))
    assert len(found) == 1
    assert str(undivided / "green" / name) in found[0]
    assert found[0].startswith("1 of ")
    assert found[0].endswith("Replace the file or remove it.")


def test_an_empty_file_is_called_empty_and_no_copy(undivided):
    for name in ("0.png", "1.png"):
        (undivided / "red" / name).touch()
    assert "same bytes" not in folders.describe(undivided)
    problem = pictures.problem(undivided / "red" / "0.png")
    assert problem.endswith("0.png cannot be read: it is empty. Replace the file or remove it.")


def test_what_is_no_picture_is_named_but_not_endlessly(divided):
    for number in range(8):
        (divided / "train" / "red" / f"fake{number}.jpg").write_text("<html>")
    with pytest.raises(DataError, match=r"^8 of 44 pictures cannot be read") as error:
        folders.open_folder(divided, "train")
    assert str(error.value).count("fake") == 2 * folders.NAMED  # Pillow names them too
    assert "and 3 more" in str(error.value)
    assert len(folders.open_folder(divided, "val")) == 18  # nothing is wrong there


def test_a_file_that_goes_bad_later_is_named_as_well(divided):
    val_set = folders.open_folder(divided, "val")
    val_set.paths[4].write_bytes(b"")
    with pytest.raises(DataError, match=rf"{val_set.paths[4].name} cannot be read"):
        list(val_set.batches(4, size=8))


def remove(folder):
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("layout", "change", "split", "message"),
    [
        ("divided", lambda f: remove(f / "val"), "train", "has a folder train but no folder val"),
        ("divided", lambda f: None, "test", "no folder test: .*or take another split"),
        ("divided", lambda f: remove(f / "val" / "red"), "val", "red is missing: put files there"),
        ("divided", lambda f: (f / "train/pink").mkdir(), "train", "pink has no pictures"),
        ("divided", lambda f: (f / "val/pink").mkdir(), "val", "pink is of a class that .*train"),
        ("undivided", lambda f: (f / "pink").mkdir(), "train", r"pink has no pictures.*\.jpg"),
        ("divided", lambda f: (f / "val/Red").mkdir(), "val", "capital letters .*name Red to red"),
        ("undivided", remove, "train", "there is no folder"),
        (
            "undivided",
            lambda f: [remove(f), f.write_bytes(b"PK")],
            "train",
            "pictures is a file: .* unpack it first",
        ),
        ("undivided", lambda f: [remove(f / n) for n in COLORS], "train", "has 0 folders: give"),
        (
            "undivided",
            lambda f: [remove(f / n) for n in ("red", "blue")],
            "val",
            "has 1 folder: give",
        ),
        (
            "undivided",
            lambda f: draw(f / "pink" / "one.png", (250, 150, 150), 0),
            "train",
            "pink has 1 picture, and a class needs at least 3: one each to learn from, to",
        ),
    ],
)
def test_a_folder_that_will_not_do_is_told_why(layout, change, split, message, request):
    folder = request.getfixturevalue(layout)
    change(folder)
    with pytest.raises(DataError, match=message):
        folders.open_folder(folder, split)


def layout(folder, *places):
    """Folders with three pictures each."""
    for number, place in enumerate(places):
        for i in range(3):
            draw(folder / place / f"{i}.png", (90, 90, 90), 10 * number + i, size=(8, 8))


def product(outer, inner):
    return [f"{one}/{two}" for one in outer for two in inner]


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (
            product(["Training", "Testing"], ["cat", "dog"]),
            "has the folders Testing, Training. .* train, val and, if you like, test, .*: rename "
            "Testing to val, Training to train",
        ),
        (
            product(["Train", "Val", "Test"], ["cat", "dog"]),
            "rename Test to test, Train to train, Val to val",
        ),
        (product(["train", "validation"], ["cat", "dog"]), "rename validation to val"),
        (product(["train", "test"], ["cat", "dog"]), "no folder val: make one like train"),
        (product(["seg_train", "seg_test"], ["cat", "dog"]), "rename seg_test to val, seg_train"),
        (["train", "test1"], "in each of them a folder for each class: rename test1 to val"),
        (["train", "val"], "train has 0 folders: give each class a folder of its own"),
        (
            product(["fold 0", "fold 1"], ["cat", "dog"]),
            "has the folders fold 0, fold 1, and each of them has cat, dog. If the classes are "
            "cat, dog, name .* train, val and test. If they are fold 0, fold 1, move",
        ),
        (product(["cat", "dog"], ["train", "test"]), "each of them has test, train"),
        (["cat", *product(["cat", "dog"], ["train", "test"])], "each of them has test, train"),
        (["trainA", "trainB", "testA", "testB"], "in each of them a folder for each class. If"),
        (["TrainImages", "TestImages"], "class: rename TestImages to val, TrainImages to train"),
        (["trainingset", "testset"], "class: rename testset to val, trainingset to train"),
        (["testdata", "trn"], "class: rename testdata to val, trn to train"),
        (["fit", "holdout"], "class: rename fit to train, holdout to val"),
        (
            product(["images_background", "images_evaluation"], ["a", "b"]),
            "If they are images_background, images_evaluation, move",
        ),
        (
            ["images_background/a", "images_evaluation/b"],
            "class: rename images_background to train, images_evaluation to val",
        ),
        (["fold1", "fold2"], "divide the pictures, .* a folder for each class. If they are class"),
        (["labeled", "unlabeled"], "divide the pictures, .*: rename labeled to train"),
        (["images", "masks"], "has the folders images, masks, as for finding things within a pict"),
        (["JPEGImages", "Annotations", "ImageSets"], "finding things within a picture"),
        (product(["train", "valid"], ["images", "labels"]), "train has .* images, labels, as for"),
        (["a/cat", "a/dog", "b/cat", "b/bird"], "more than one of them has cat. If .* bird, cat, "),
        (["images/train", "images/val", "labels/train"], "more than one of them has train. If"),
        (product(["pictures"], ["cat", "dog"]), r"one folder, pictures, .* name \S+/pictures inst"),
        (product(["data"], product(["train", "val"], ["cat", "dog"])), "name .*/data instead"),
        (["cat"], "has 1 folder: give each class"),
        ([""], "has 0 folders: give each class"),
    ],
)
def test_another_layout_is_refused_with_the_one_found_and_the_one_needed(places, message, tmp_path):
    layout(tmp_path / "mine", *places)
    (tmp_path / "mine" / "__MACOSX").mkdir()
    for ask in (folders.describe, lambda folder: folders.open_folder(folder, "train")):
        with pytest.raises(DataError, match=message):
            ask(tmp_path / "mine")


@pytest.mark.parametrize(
    ("places", "classes"),
    [
        (["cat/indoors", "dog/indoors"], ("cat", "dog")),
        (["cat/indoors", "cat/outdoors", "dog"], ("cat", "dog")),
        (["steam train", "diesel train"], ("diesel train", "steam train")),
        (["trainers", "valley"], ("trainers", "valley")),
        (["train", "bus"], ("bus", "train")),
        (["with_mask", "without_mask"], ("with_mask", "without_mask")),
        (["background", "test tube", "valve"], ("background", "test tube", "valve")),
        (["fold", "crease", "fit"], ("crease", "fit", "fold")),
    ],
)
def test_classes_may_have_folders_below_and_names_like_splits(places, classes, tmp_path):
    layout(tmp_path, *places)
    assert folders.open_folder(tmp_path, "train").classes == classes


def test_a_test_folder_of_another_kind_does_not_stop_a_training(divided):
    draw(divided / "test" / "unknown" / "1.png", (1, 2, 3), 4)
    assert len(folders.open_folder(divided, "train")) == 36
    told = folders.describe(divided).splitlines()[-1]
    assert told.startswith("In no folder of a class: 1 (test/unknown/1.png). ")
    assert told.endswith("make a folder of the same name there, or remove this one.")
    with pytest.raises(DataError, match=r"test/unknown is of a class that .*train does not have"):
        folders.open_folder(divided, "test")


def test_a_test_folder_of_another_name_is_told_the_right_one(divided):
    fill(divided / "Testing", 1, seed=5)
    draw(divided / "test.png", (1, 2, 3), 4)
    *_, loose, told = sorted(folders.describe(divided).splitlines()[-2:], key=len)
    assert loose == (
        "In no folder of a class: 1 (test.png). Move them into the folder of their class."
    )
    assert told.startswith("In no folder of a class: 3 (Testing/blue/00-a.jpg, ")
    assert told.endswith("no folder test: rename Testing to test, or take another split.")


def test_a_class_without_pictures_is_told_what_it_has_instead(undivided):
    for number in range(12):
        (undivided / "pink").mkdir(exist_ok=True)
        (undivided / "pink" / f"{number}.heic").touch()
    with pytest.raises(
        DataError, match=r"pink has no pictures to use:\nNot read: 12 \.heic .*JPEG"
    ):
        folders.open_folder(undivided, "train")
    for number in range(2):
        draw(undivided / "pink" / f"{number}.png", (9, 9, 9), number)
    with pytest.raises(DataError, match=r"pink has 2 pictures, and .*\nNot read: 12 \.heic .*JPEG"):
        folders.open_folder(undivided, "train")


def test_what_cannot_be_looked_at_is_named(undivided):
    (undivided / "red" / "gone.png").symlink_to(undivided / "nowhere.png")
    with pytest.raises(DataError, match=r"gone\.png cannot be read: No such file.*Remove it"):
        folders.open_folder(undivided, "train")


def test_other_mistakes_are_refused(divided):
    with pytest.raises(ValueError, match="train, val, test; not 'dev'"):
        folders.open_folder(divided, "dev")
    val_set = folders.open_folder(divided, "val")
    with pytest.raises(ValueError, match="common size of 1 pixel or more, not None"):
        evaluate.predict(small_net(), val_set)
    with pytest.raises(ValueError, match="batch_size must be 1 or more"):
        val_set.batches(0, size=8)


# Reading


def test_every_kind_of_file_is_read_as_it_looks(tmp_path):
    color = (200, 100, 40)
    for name in FORMATS:
        draw(tmp_path / name, color, seed=1, size=(40, 30))
        image = pictures.read(tmp_path / name)
        assert (image.mode, image.size) == ("RGB", (40, 30))
        mean = torch.tensor(list(image.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))))
        assert (mean - torch.tensor(color)).abs().max() < 12, name


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGBA", "P", "I;16"])
def test_every_mode_becomes_red_green_and_blue(mode, tmp_path):
    if mode == "I;16":
        image = Image.new(mode, (5, 4), 0x4000)
    else:
        image = Image.new("L", (5, 4), 64).convert(mode, dither=Image.Dither.NONE)
    image.save(tmp_path / "gray.png")
    expected = 0 if mode == "1" else 64
    assert pictures.read(tmp_path / "gray.png").getcolors() == [(20, (expected,) * 3)]


RAMP = np.arange(256).reshape(16, 16)


@pytest.mark.parametrize(
    "values",
    [
        (RAMP / 255).astype(np.float32),
        RAMP.astype(np.float32),
        (RAMP * 257).astype(np.float32),
        (RAMP * 257).astype(np.uint16),
        (RAMP * 257).astype(np.int32),
        RAMP.astype(np.int32),
        (RAMP / 255 * 1.0000002).astype(np.float32),
        (RAMP / 255 - 1e-7).astype(np.float32),
    ],
    ids=[
        *("0 to 1", "0 to 255", "0 to 65535", "16 bits", "32 bits", "32 bits for 8"),
        *("rounded up", "rounded down"),
    ],
)
def test_gray_levels_are_read_as_the_file_holds_them(values, tmp_path):
    Image.fromarray(values).save(tmp_path / "gray.tif")
    image = pictures.read(tmp_path / "gray.tif")
    assert np.array_equal(np.asarray(image), np.stack([RAMP] * 3, axis=2))


def twelve_bits(values):
    pairs = zip(values.flat[::2], values.flat[1::2], strict=True)
    return b"".join(int(first << 12 | second).to_bytes(3, "big") for first, second in pairs)


@pytest.mark.parametrize(
    ("bits", "content", "tags"),
    [
        (12, twelve_bits(16 * RAMP), {}),
        (16, (128 * RAMP).astype("<i2").tobytes(), {339: 2}),  # signed
        (16, (257 * (255 - RAMP)).astype("<u2").tobytes(), {262: 0}),  # white is zero
    ],
)
def test_a_tiff_is_read_by_its_tags(bits, content, tags, tmp_path):
    entries = {256: 16, 257: 16, 258: bits, 259: 1, 262: 1, 273: 8, 277: 1, 278: 16}
    entries |= {279: len(content), **tags}
    file = struct.pack("<2sHI", b"II", 42, 8 + len(content)) + content
    file += struct.pack("<H", len(entries))
    file += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries.items())
    (tmp_path / "gray.tif").write_bytes(file + bytes(4))
    assert np.array_equal(np.asarray(pictures.read(tmp_path / "gray.tif"))[:, :, 0], RAMP)


def invisible(values):
    """A picture whose every pixel is transparent."""
    image = Image.fromarray(np.stack([values] * 3, axis=2).astype(np.uint8))
    image.putalpha(0)
    return image


LOST = {
    "levels of 8 bits in 16.png": lambda: Image.fromarray(RAMP.astype(np.uint16)),
    "levels of 8 bits in 16.tif": lambda: Image.fromarray(RAMP.astype(np.uint16)),
    "levels of 12 bits in 16.png": lambda: Image.fromarray((RAMP * 16).astype(np.uint16)),
    "levels of 12 bits in 32.tif": lambda: Image.fromarray((RAMP * 16).astype(np.int32)),
    "a little more than 1.tif": lambda: Image.fromarray((RAMP / 250).astype(np.float32)),
    "below 0.tif": lambda: Image.fromarray((RAMP / 127.5 - 1).astype(np.float32)),
    "large.tif": lambda: Image.fromarray((RAMP * 2**20).astype(np.int32)),
    "no number.tif": lambda: Image.fromarray(np.where(RAMP, 0.5, np.nan).astype(np.float32)),
    "invisible.png": lambda: invisible(RAMP),
    "white on clear.png": lambda: Image.merge(
        "LA", (Image.new("L", (16, 16), 255), Image.fromarray(RAMP.astype(np.uint8)))
    ),
}


@pytest.mark.parametrize("name", LOST)
def test_a_picture_whose_levels_would_be_lost_is_refused_by_name(name, undivided):
    path = undivided / "red" / name
    LOST[name]().save(path)
    found = []
    for split in folders.PURPOSE:
        try:
            folders.open_folder(undivided, split)
        except DataError as error:
            found.append(str(error))
    assert len(found) == 1
    assert f"{path} cannot be read: it" in found[0]
    assert "Save it with 8 bits" in found[0]
    with pytest.raises(DataError, match="Save it with 8 bits"):
        pictures.read(path)


KINDS = {"RGB": (2, 3, 0), "LA": (4, 1, 1), "RGBA": (6, 3, 1)}  # of PNG: code, colors, alpha


@pytest.mark.parametrize("kind", KINDS)
def test_colors_of_sixteen_bits_keep_their_upper_eight_or_are_refused(kind, tmp_path):
    code, colors, alpha = KINDS[kind]

    def write(path, levels, opaque=65535):
        channels = [levels] * colors + [np.full_like(levels, opaque)] * alpha
        pixels = np.stack(channels, axis=2).astype(">u2").reshape(len(levels), -1).view(np.uint8)
        rows = np.pad(pixels, ((0, 0), (1, 0)))
        chunks = [
            (b"IHDR", struct.pack(">2I5B", *levels.shape, 16, code, 0, 0, 0)),
            (b"IDAT", zlib.compress(rows.tobytes())),
            (b"IEND", b""),
        ]
        path.write_bytes(
            b"\x89PNG\r\n\x1a\n"
            + b"".join(
                struct.pack(">I", len(content))
                + kind
                + content
                + struct.pack(">I", zlib.crc32(kind + content))
                for kind, content in chunks
            )
        )
        return path

    ramp = np.arange(16).reshape(4, 4)
    right = pictures.read(write(tmp_path / "right.png", 4096 * ramp))
    assert np.array_equal(np.asarray(right)[:, :, 1], 16 * ramp)
    with pytest.raises(DataError, match="comes out in one color"):
        pictures.read(write(tmp_path / "dark.png", 16 * ramp))
    for opaque in (4095, 65535):  # 12 bits, stored in 16
        path = write(tmp_path / "dim.png", 16 * RAMP, opaque)
        with pytest.raises(DataError, match=r"go from 0 to 4095 of 65535, .* only 16 shades\. "):
            pictures.read(path)


def test_a_picture_of_one_color_is_one(tmp_path):
    for mode in ("L", "RGB", "RGBA", "P", "I;16", "F", "CMYK"):
        Image.new(mode, (5, 4), 1 if mode in ("F", "P") else 0).save(tmp_path / "plain.tif")
        assert len(pictures.read(tmp_path / "plain.tif").getcolors()) == 1
        assert pictures.problem(tmp_path / "plain.tif") is None


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (2, 3)])
def test_a_picture_of_any_shape_can_be_trained_on(size, tmp_path):
    for number, mode in enumerate(("1", "L", "LA", "RGB", "RGBA", "P", "CMYK", "I;16", "F")):
        path = tmp_path / f"{number}.tif"
        Image.new(mode, size).save(path)
        assert pictures.problem(path) is None
        dataset = pictures.Pictures((path, path), torch.tensor([0, 1]), ("a", "b"))
        for augment in (None, AUGMENT):
            ((images, _),) = dataset.batches(2, size=8, augment=augment)
            assert images.shape == (2, 3, 8, 8)


def test_a_picture_of_too_many_pixels_is_told_to_become_smaller(undivided, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5_000)
    draw(undivided / "red" / "poster.png", (9, 9, 9), 0, size=(101, 100))
    problem = pictures.problem(undivided / "red" / "poster.png")
    assert "poster.png cannot be read: it has more than 10,000 pixels. Make it small" in problem


def test_a_damaged_picture_is_refused_by_name_or_can_be_trained_on(tmp_path):
    outcomes = Counter()
    names = ("a.jpg", "b.png", "palette.png", "cmyk.jpg", "c.webp", "d.tif", "e.gif", "f.bmp")
    for name in names:
        draw(tmp_path / "right" / name, (90, 160, 60), 0, size=(40, 30))
    path = tmp_path / "damaged"
    for number in range(400):
        name = names[number % len(names)]
        right = (tmp_path / "right" / name).read_bytes()
        path = tmp_path / f"damaged-{name}"
        path.write_bytes(damaged(right, number))
        problem = pictures.problem(path)
        outcomes[problem is None, name[-3:]] += 1
        if problem:
            assert str(path) in problem
            assert problem.endswith(("the file or remove it.", "pixels a side.", "transparency."))
            continue
        dataset = pictures.Pictures((path, path), torch.tensor([0, 1]), ("a", "b"))
        for augment in (None, AUGMENT):
            ((images, _),) = dataset.batches(2, size=8, augment=augment)
            assert images.isfinite().all()
        if name.endswith("png"):  # the format that has checksums
            whole = pictures.read(tmp_path / "right" / name)
            assert pictures.read(path).tobytes() == whole.tobytes()
    assert outcomes[False, "png"] > 60
    assert outcomes[True, "jpg"] > 10


def test_transparent_places_are_white(tmp_path):
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert pictures.read(tmp_path / "clear.png").getcolors() == [(16, (255, 255, 255))]


def test_a_photograph_is_turned_as_the_camera_says(tmp_path):
    image = Image.new("RGB", (40, 20))
    image.paste((255, 255, 255), (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: the left side is on top
    image.save(tmp_path / "upright.jpg", exif=exif)
    turned = pictures.read(tmp_path / "upright.jpg")
    assert turned.size == (20, 40)
    assert min(turned.getpixel((10, 5))) > 240
    assert max(turned.getpixel((10, 35))) < 15


def test_a_large_photograph_is_read_small_but_never_too_small(tmp_path):
    draw(tmp_path / "large.jpg", (90, 160, 90), 0, size=(900, 640))
    sizes = {least: pictures.read(tmp_path / "large.jpg", least).size for least in (80, 81, 641)}
    assert sizes == {80: (113, 80), 81: (225, 160), 641: (900, 640)}
    assert pictures.read(tmp_path / "large.jpg").size == (900, 640)


# Batches


@pytest.fixture
def val_set(divided):
    return folders.open_folder(divided, "val")


AUGMENT = Compose((RandomResizedCrop(), RandomFlip(), Translate(1)))


def test_without_augmentation_the_largest_square_in_the_middle_is_seen(tmp_path):
    for name, size in {"wide": (60, 20), "high": (20, 60)}.items():
        image = Image.new("RGB", size, "red")
        image.paste(
            (0, 51, 255),
            ((size[0] - 20) // 2, (size[1] - 20) // 2, (size[0] + 20) // 2, (size[1] + 20) // 2),
        )
        for number in range(3):
            (tmp_path / name).mkdir(exist_ok=True)
            save(image, tmp_path / name / f"{number}.png")
    dataset = folders.open_folder(tmp_path, "val")
    ((images, labels),) = dataset.batches(2, size=10)
    assert images.shape == (2, 3, 10, 10)
    assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
    mean, std = torch.tensor(pictures.MEAN), torch.tensor(pictures.STD)
    expected = (torch.tensor([0, 0.2, 1]) - mean) / std
    inside = images[:, :, 1:-1, 1:-1]  # the border blends with what is beside it
    torch.testing.assert_close(inside, expected[:, None, None].expand(2, 3, 8, 8))


def test_batches_are_as_long_as_those_of_a_dataset_in_memory(val_set):
    assert [len(labels) for _, labels in val_set.batches(7, size=4)] == [7, 7, 4]
    assert [len(labels) for _, labels in val_set.batches(17, size=4)] == [18]
    assert len(val_set.batches(17, size=4)) == 1
    assert torch.cat([labels for _, labels in val_set.batches(7, size=4)]).equal(val_set.labels)
    shuffled = torch.cat([labels for _, labels in val_set.batches(7, size=4, shuffle=True)])
    assert not shuffled.equal(val_set.labels)
    assert shuffled.sort().values.equal(val_set.labels)


def test_a_crop_looks_at_a_part_and_at_another_one_in_every_pass(tmp_path):
    ramp = torch.arange(250, dtype=torch.uint8).expand(3, 250, 250).permute(1, 2, 0).contiguous()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for number in range(3):
            save(Image.fromarray(ramp.numpy()), tmp_path / name / f"{number}.png")
    dataset = folders.open_folder(tmp_path, "train")
    batches = dataset.batches(2, size=20, augment=Compose((RandomResizedCrop(),)), shuffle=True)
    seen = []
    for _ in range(20):
        ((images, _),) = batches
        pixels = 255 * (images[:, 0] * pictures.STD[0] + pictures.MEAN[0])
        seen += [tuple(row.round().int().tolist()) for row in pixels[:, 10, [0, -1]]]
    spans = torch.tensor([last - first for first, last in seen]) / 238  # of 20 centers, 19/20
    assert len(set(seen)) > 30
    assert 0.24 < spans.min() < 0.5
    assert 0.8 < spans.max() <= 1


@pytest.mark.parametrize("augment", [RandomResizedCrop(), RandomFlip()])
def test_a_single_augmentation_is_taken_as_it_is(augment, val_set):
    alone, composed = (
        data.loader(val_set, 4, size=8, augment=each) for each in (augment, Compose((augment,)))
    )
    assert identical(list(alone), list(composed))


def test_a_batch_follows_from_seed_epoch_and_number_alone(val_set):
    def batches(**options):
        return val_set.batches(4, size=8, augment=AUGMENT, shuffle=True, **options)

    torch.manual_seed(0)
    state = torch.get_rng_state()
    ours = batches(seed=5)
    passes = [list(ours) for _ in range(3)]
    assert ours.epoch == 3
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(1)
    resumed = batches(seed=5)
    resumed.epoch, resumed.start = 2, 3
    assert identical(list(resumed), passes[2][3:])
    resumed.epoch = 2
    assert identical(list(resumed), passes[2])  # a start is good for one pass
    assert not identical(passes[0], passes[1])
    assert not identical(passes[0], list(batches(seed=6)))


def test_what_is_skipped_is_not_read(val_set):
    batches = val_set.batches(6, size=8)
    for path in val_set.paths[:12]:
        path.unlink()
    batches.start = 2
    assert [len(labels) for _, labels in batches] == [6]


def test_workers_change_nothing(val_set):
    alone, helped = (
        list(replace(val_set, workers=count).batches(4, size=8, augment=AUGMENT, shuffle=True))
        for count in (0, 1)
    )
    assert identical(alone, helped)


def test_two_passes_at_the_same_time_do_not_interfere(val_set):
    apart = val_set.batches(6, size=8, augment=AUGMENT, shuffle=True)
    first, second = list(apart), list(apart)
    together = val_set.batches(6, size=8, augment=AUGMENT, shuffle=True)
    pairs = list(zip(together, together, strict=True))
    assert identical([one for one, _ in pairs], first)
    assert identical([two for _, two in pairs], second)


READING = """
import os, signal, sys
import torch
from inception_course.data import folders

def main():
    torch.multiprocessing.set_start_method(sys.argv[2])
    signal.signal(signal.SIGINT, lambda *_: print("stop asked for"))
    pictures = folders.open_folder(sys.argv[1], "val", workers=1)
    batches = iter(pictures.batches(4, size=8))
    if sys.argv[3] == "reads":
        next(batches)
    os.killpg(0, signal.SIGINT)
    read = 4 if sys.argv[3] == "reads" else 0
    print(sum(len(labels) for _, labels in batches) == len(pictures) - read)

if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs signals to a group of processes: not on Windows")
@pytest.mark.parametrize("worker", ["reads", "starts"])
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_worker_reads_on_after_ctrl_c_which_reaches_it_too(method, worker, divided, tmp_path):
    (tmp_path / "reading.py").write_text(READING)
    done = subprocess.run(
        [sys.executable, tmp_path / "reading.py", divided, method, worker],
        capture_output=True,
        text=True,
        timeout=300,
        start_new_session=True,
    )
    assert (done.stdout.splitlines(), done.stderr) == (["stop asked for", "True"], "")


# Training


@pytest.mark.slow
def test_a_network_learns_from_pictures_and_is_evaluated_on_them(divided):
    train_set, val_set = (folders.open_folder(divided, split) for split in ("train", "val"))
    model = small_net()
    run = train.fit(model, train_set, val_set, replace(TINY, epochs=8))
    assert run.last.val_accuracy > 0.8  # chance is 1/3
    assert run.environment["classes"] == 3
    assert evaluate.accuracy(model, val_set, size=16) == pytest.approx(run.last.val_accuracy)
    cells = evaluate.confusion(model, val_set, size=16)
    assert cells.sum(dim=1).tolist() == [6, 6, 6]
    assert cells.trace().item() / 18 == pytest.approx(run.last.val_accuracy)


def test_some_of_the_pictures_are_of_all_classes(divided):
    train_set, val_set = (folders.open_folder(divided, split) for split in ("train", "val"))
    passes = []

    def progress(batches):
        passes.append(torch.cat([labels for _, labels in batches]))
        return batches

    recipe = replace(TINY, epochs=1, train_images=12)
    train.fit(small_net(), train_set, val_set, recipe, progress=progress)
    assert len(passes[0]) == 12
    assert passes[0].unique().tolist() == [0, 1, 2]


def test_a_class_without_a_picture_counts_in_the_record(divided):
    train_set, val_set = (folders.open_folder(divided, split) for split in ("train", "val"))
    run = train.fit(small_net(), train_set.subset(torch.arange(12)), val_set, TINY)
    assert run.environment["classes"] == 3


@pytest.mark.slow
def test_a_run_on_pictures_resumes_where_it_stopped(undivided, tmp_path):
    train_set, val_set = (folders.open_folder(undivided, split) for split in ("train", "val"))
    whole, fresh = small_net(), small_net(seed=7)
    one = train.fit(whole, train_set, val_set, TINY)

    def stop(epoch):
        if epoch.number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train.fit(
            small_net(), train_set, val_set, TINY, on_epoch_end=stop, checkpoint=tmp_path / "run"
        )
    two = train.fit(fresh, train_set, val_set, TINY, checkpoint=tmp_path / "run", resume=True)
    assert [e.val_loss for e in one.epochs] == [e.val_loss for e in two.epochs]
    for name, value in whole.state_dict().items():
        assert torch.equal(value, fresh.state_dict()[name])


# The command line


@pytest.mark.slow
def test_the_command_line_trains_on_pictures_and_evaluates(undivided, tmp_path):
    run = tmp_path / "run"
    options = ("--recipe", "quick", "--epochs", 1, "--out", run)
    done = course("train", "--images", undivided, *options)
    assert done.returncode in (0, 1), done.stderr  # 1: so short a run may be stuck, and says so
    assert done.stdout.startswith(f"Pictures in {undivided}:")  # before anything is trained
    assert "48 images, 1 epoch." in done.stdout
    assert checkpoint.load_weights(run / "weights.pt").classes == ("blue", "green", "red")

    done = course("evaluate", run, "--images", undivided)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("test: accuracy ")
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == ["blue", "green", "red"]

    done = course("evaluate", run, "--sample", 20)
    assert done.returncode == 1
    assert "this network knows blue, green, red" in done.stderr
    done = course("train", "--images", undivided, "--sample", 20)
    assert done.returncode == 1
    assert "leave out --sample" in done.stderr


@pytest.mark.slow
def test_without_a_recipe_pictures_are_learned_by_their_own(undivided, tmp_path):
    damage_contents(undivided / "green" / "01-b.png")
    done = course("train", "--images", undivided, "--out", tmp_path / "run")
    assert done.returncode == 1
    assert "01-b.png" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_the_weights_of_fashion_mnist_name_its_classes(tmp_path):
    assert checkpoint.load_pretrained("googlenet_bn-quick").classes == data.CLASSES
