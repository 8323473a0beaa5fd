"""data/folders.py: a reader's own pictures, from files of all kinds to a trained network."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from inception_course import data, evaluate, train
from inception_course.data import (
    Compose,
    DataError,
    RandomFlip,
    RandomResizedCrop,
    Translate,
    folders,
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
    for name in ("cat", "dog"):
        for number in range(3):
            draw(tmp_path / name / "below" / f"{number}.png", (90, 90, 90), number)
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
    assert found[0].endswith("Replace these files or remove them.")


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
        ("undivided", remove, "train", "there is no folder"),
        ("undivided", lambda f: [remove(f / n) for n in COLORS], "train", "has 0 folders: give"),
        ("undivided", lambda f: [remove(f / n) for n in ("red", "blue")], "val", "has 1 folders"),
        (
            "undivided",
            lambda f: draw(f / "pink" / "one.png", (250, 150, 150), 0),
            "train",
            "pink has 1 pictures, and a class needs at least 3: one each to learn from, to",
        ),
    ],
)
def test_a_folder_that_will_not_do_is_told_why(layout, change, split, message, request):
    folder = request.getfixturevalue(layout)
    change(folder)
    with pytest.raises(DataError, match=message):
        folders.open_folder(folder, split)


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
        image = folders.read(tmp_path / name)
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
    assert folders.read(tmp_path / "gray.png").getcolors() == [(20, (expected,) * 3)]


def test_transparent_places_are_white(tmp_path):
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert folders.read(tmp_path / "clear.png").getcolors() == [(16, (255, 255, 255))]


def test_a_photograph_is_turned_as_the_camera_says(tmp_path):
    image = Image.new("RGB", (40, 20))
    image.paste((255, 255, 255), (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: the left side is on top
    image.save(tmp_path / "upright.jpg", exif=exif)
    turned = folders.read(tmp_path / "upright.jpg")
    assert turned.size == (20, 40)
    assert min(turned.getpixel((10, 5))) > 240
    assert max(turned.getpixel((10, 35))) < 15


def test_a_large_photograph_is_read_small_but_never_too_small(tmp_path):
    draw(tmp_path / "large.jpg", (90, 160, 90), 0, size=(900, 640))
    sizes = {least: folders.read(tmp_path / "large.jpg", least).size for least in (80, 81, 641)}
    assert sizes == {80: (113, 80), 81: (225, 160), 641: (900, 640)}
    assert folders.read(tmp_path / "large.jpg").size == (900, 640)


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
            image.save(tmp_path / name / f"{number}.png")
    dataset = folders.open_folder(tmp_path, "val")
    ((images, labels),) = dataset.batches(2, size=10)
    assert images.shape == (2, 3, 10, 10)
    assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
    mean, std = torch.tensor(folders.MEAN), torch.tensor(folders.STD)
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
            Image.fromarray(ramp.numpy()).save(tmp_path / name / f"{number}.png")
    dataset = folders.open_folder(tmp_path, "train")
    batches = dataset.batches(2, size=20, augment=Compose((RandomResizedCrop(),)), shuffle=True)
    seen = []
    for _ in range(20):
        ((images, _),) = batches
        pixels = 255 * (images[:, 0] * folders.STD[0] + folders.MEAN[0])
        seen += [tuple(row.round().int().tolist()) for row in pixels[:, 10, [0, -1]]]
    spans = torch.tensor([last - first for first, last in seen]) / 238  # of 20 centers, 19/20
    assert len(set(seen)) > 30
    assert 0.24 < spans.min() < 0.5
    assert 0.8 < spans.max() <= 1


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


# Training


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


def course(*arguments):
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "inception_course", *map(str, arguments)],
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_command_line_trains_on_pictures_and_evaluates(undivided, tmp_path):
    run = tmp_path / "run"
    options = ("--recipe", "quick", "--epochs", 1, "--out", run)
    done = course("train", "--images", undivided, *options)
    assert done.returncode in (0, 1), done.stderr  # 1: so short a run may be stuck, and says so
    assert "48 images, 1 epochs" in done.stdout
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


def test_without_a_recipe_pictures_are_learned_by_their_own(undivided, tmp_path):
    damage_contents(undivided / "green" / "01-b.png")
    done = course("train", "--images", undivided, "--out", tmp_path / "run")
    assert done.returncode == 1
    assert "01-b.png" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_the_weights_of_fashion_mnist_name_its_classes(tmp_path):
    assert checkpoint.load_pretrained("googlenet_bn-quick").classes == data.CLASSES
