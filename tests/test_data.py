"""data: splits, the packaged sample, finding, downloading, batches and augmentation."""

import bz2
import functools
import gzip
import hashlib
import importlib
import json
import lzma
import math
import random
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from helpers import damaged
from torch import Generator
from torch.utils.data import TensorDataset
from torchvision.transforms.v2 import functional as torchvision_transforms

from inception_course import data, machine
from inception_course.data import (
    Batches,
    Compose,
    Cutout,
    DataError,
    RandomFlip,
    RandomResizedCrop,
    Translate,
)

# By its name, since `data.fashion_mnist` is the function.
fashion = importlib.import_module("inception_course.data.fashion_mnist")
TINY_SIZES = {"train": 60, "val": 10, "test": 20}


@pytest.fixture(scope="module")
def full():
    """The real data, wherever it is on this machine; asked for before `nothing_here` hides it."""
    return {split: data.fashion_mnist(split, root=data.find().folder) for split in data.SIZES}


@pytest.fixture(autouse=True)
def nothing_here(tmp_path, monkeypatch):
    """No data set on this machine, an empty cache, no waiting, no proxy."""
    monkeypatch.delenv(data.VARIABLE, raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(fashion.platformdirs, "user_cache_path", lambda name: tmp_path / "cache")
    monkeypatch.setattr(fashion, "SYSTEM", tmp_path / "system")
    monkeypatch.setattr(
        fashion, "fetch", functools.partial(fashion.fetch, sources=(), progress=False)
    )
    monkeypatch.setattr(fashion, "PAUSES", (0, 0))
    monkeypatch.setattr(fashion, "TIMEOUT", (60, 0.3))
    get = fashion.requests.get

    def patient(url, timeout, **options):  # a busy machine is no server that stalls
        return get(url, timeout=timeout if "/stalled/" in url else 60, **options)

    monkeypatch.setattr(fashion.requests, "get", patient)


@pytest.fixture
def tiny(monkeypatch):
    """A made-up Fashion-MNIST of 90 images, as {name: unpacked file}."""
    generator = Generator().manual_seed(0)
    files = {}
    for part, count in (("train", 70), ("t10k", 20)):
        images = torch.randint(256, (count, 28, 28), generator=generator, dtype=torch.uint8)
        labels = (torch.arange(count) % 10).byte()
        files |= zip(data.file_names(part), map(data.to_idx, (images, labels)), strict=True)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    monkeypatch.setattr(fashion, "SHA256", hashes)
    monkeypatch.setattr(fashion, "SIZES", TINY_SIZES)
    return files


def place(files, folder, packed=True):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(content) if packed else content)
    return folder


def listing(folder):
    return {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in sorted(folder.rglob("*"))}


class Server(ThreadingHTTPServer):
    """Serves `files` well or badly: the first folder of the URL says how."""

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Handler)
        self.packed = {f"{name}.gz": gzip.compress(content) for name, content in files.items()}
        self.asked, self.seen = [], threading.Event()
        self.closing, self.both = threading.Event(), threading.Barrier(2, timeout=60)

    def url(self, manner):
        return f"http://127.0.0.1:{self.server_port}/{manner}/"

    def handle_error(self, request, client_address):
        pass  # a client that was killed hangs up


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        _, manner, name = self.path.split("/")
        content, status, headers, sent = self.server.packed[name], 200, {}, None
        again = self.path in self.server.asked
        self.server.asked.append(self.path)
        self.server.seen.set()
        if manner == "forbidden":
            status, content = 403, b"no"
        elif manner == "busy" and not again:
            status, content = 503, b"later"
        elif manner == "webpage":
            content = b"<!DOCTYPE html><title>Please log in</title>"
        elif manner == "flipped":
            middle = len(content) // 2
            content = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        elif manner == "encoded":
            headers = {"Content-Encoding": "gzip"}
        elif manner == "together":
            self.server.both.wait()
        if manner in ("truncated", "stalled"):
            sent = len(content) // 2
        self.send_response(status)
        for key, value in {"Content-Length": len(content), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(content[:sent])
        if manner == "stalled":
            self.wfile.flush()
            self.server.closing.wait(60)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(tiny):
    with Server(tiny) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.closing.set()
        server.shutdown()
        thread.join()


# Splits and the full set


def test_the_three_splits_share_no_index_and_use_every_one():
    train, val, test = map(data.split_indices, ("train", "val", "test"))
    assert [len(train), len(val), len(test)] == [55_000, 5_000, 10_000]
    assert torch.equal(torch.cat([train, val]).sort().values, torch.arange(60_000))
    assert torch.equal(test, torch.arange(10_000))


def test_the_shuffle_before_the_split_is_the_same_everywhere():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    assert data.split_indices("val")[:5].tolist() == [27442, 38478, 32369, 39250, 45401]
    assert torch.equal(torch.get_rng_state(), state)


def test_a_split_is_bytes_and_labels_of_the_indexed_images(tiny, tmp_path):
    root = place(tiny, tmp_path / "here")
    raw = tiny["train-images-idx3-ubyte"][16:]
    for split in ("train", "val"):
        images, labels = data.fashion_mnist(split, root=root).tensors
        indices = data.split_indices(split).tolist()
        assert images.shape == (TINY_SIZES[split], 1, 28, 28)
        assert (images.dtype, labels.dtype) == (torch.uint8, torch.int64)
        assert labels.tolist() == [index % 10 for index in indices]
        first = raw[784 * indices[0] : 784 * (indices[0] + 1)]
        assert images[0].numpy().tobytes() == first
    assert len(data.fashion_mnist("test", root=root)) == 20


@pytest.mark.slow
@pytest.mark.needs("data")
def test_the_full_set_has_the_documented_sizes_mean_and_deviation(full):
    assert {split: len(part) for split, part in full.items()} == data.SIZES
    pixels = full["train"].tensors[0].float() / 255
    assert pixels.mean().item() == pytest.approx(data.MEAN, abs=5e-5)
    assert pixels.std().item() == pytest.approx(data.STD, abs=5e-5)


def test_normalized_training_images_have_mean_near_zero_and_deviation_near_one():
    images, _ = all_of(Batches(data.fashion_mnist("train", sample=5_000), 1_000))
    assert images.mean().item() == pytest.approx(0, abs=0.01)
    assert images.std().item() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("split", ["tset", "training", "", None])
def test_an_unknown_split_is_refused_with_the_known_ones(split):
    with pytest.raises(ValueError, match=f"train, val, test; not {split!r}"):
        data.fashion_mnist(split)


# The packaged sample


@pytest.mark.parametrize("split", data.SAMPLE_SIZES)
def test_every_prefix_of_the_sample_is_balanced(split):
    _, labels = data.fashion_mnist(split, sample=data.SAMPLE_SIZES[split]).tensors
    counts = torch.nn.functional.one_hot(labels, 10).cumsum(dim=0)
    assert (counts.amax(dim=1) - counts.amin(dim=1)).max() == 1
    assert labels[:10].tolist() != labels[10:20].tolist()  # each ten has an order of its own


def test_a_smaller_sample_is_the_beginning_of_a_larger_one():
    small, large = (data.fashion_mnist("val", sample=n).tensors for n in (7, 30))
    assert small[0].shape == (7, 1, 28, 28)
    assert (small[0].dtype, small[1].dtype) == (torch.uint8, torch.int64)
    assert torch.equal(small[0], large[0][:7])
    assert torch.equal(small[1], large[1][:7])


@pytest.mark.parametrize("count", [0, -1, 1_001])
def test_a_sample_of_impossible_size_is_refused_with_the_largest(count):
    with pytest.raises(ValueError, match=f"1 to 1000 images, not {count}"):
        data.fashion_mnist("test", sample=count)


def test_sample_and_root_together_are_refused(tmp_path):
    with pytest.raises(ValueError, match="either sample or root"):
        data.fashion_mnist("test", sample=5, root=tmp_path)


def test_the_sample_is_small_enough_for_the_repository_and_carries_its_license():
    assert sum(path.stat().st_size for path in fashion.SAMPLE.iterdir()) < 3_000_000
    notes = json.loads((fashion.SAMPLE / "sample.json").read_text("utf-8"))
    assert notes["counts"] == data.SAMPLE_SIZES
    assert "Zalando SE" in notes["license"]
    assert "Permission is hereby granted" in (fashion.SAMPLE / "LICENSE.txt").read_text("utf-8")


@pytest.mark.needs("data")
def test_the_sample_is_the_real_images_at_the_positions_of_its_rule(full):
    for split, count in data.SAMPLE_SIZES.items():
        images, labels = full[split].tensors
        rows = data.sample_positions(labels, count)
        sample = data.fashion_mnist(split, sample=count).tensors
        assert len(rows.unique()) == count
        assert torch.equal(sample[0], images[rows])
        assert torch.equal(sample[1], labels[rows])


@pytest.mark.needs("data")
def test_writing_the_sample_again_gives_the_packaged_one(full, tmp_path, monkeypatch):
    monkeypatch.setattr(fashion, "fashion_mnist", lambda split, root: full[split])
    monkeypatch.setattr(
        fashion.lzma, "compress", lambda content, preset: content
    )  # 10 times faster
    written = data.write_sample(tmp_path / "sample")
    assert sorted(p.name for p in written.iterdir()) == sorted(
        p.name for p in fashion.SAMPLE.iterdir()
    )
    for path in written.iterdir():
        packaged = (fashion.SAMPLE / path.name).read_bytes()
        unpacked = lzma.decompress(packaged) if path.suffix == ".xz" else packaged
        assert path.read_bytes() == unpacked, path.name


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [damage, Path.unlink, lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("name", ["val-images-idx3-ubyte.xz", "sample.json"])
def test_a_damaged_sample_is_refused(harm, name, tmp_path, monkeypatch):
    for path in fashion.SAMPLE.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(fashion, "SAMPLE", tmp_path)
    if harm is damage and name == "sample.json":
        text = (tmp_path / name).read_text()
        (tmp_path / name).write_text(re.sub('(?<=val-images-idx3-ubyte": ").', "x", text))
    else:
        harm(tmp_path / name)
    with pytest.raises(DataError, match="packaged sample is damaged, install it again"):
        data.fashion_mnist("val", sample=10)


# Finding


def test_places_are_tried_in_the_documented_order(tiny, tmp_path, monkeypatch):
    assert data.find() == ("download", tmp_path / "cache")
    place(tiny, tmp_path / "system")
    assert data.find() == ("system", tmp_path / "system")
    place(tiny, tmp_path / "cache")
    assert data.find() == ("cache", tmp_path / "cache")
    monkeypatch.setenv(data.VARIABLE, str(place(tiny, tmp_path / "shared")))
    assert data.find() == ("environment", tmp_path / "shared")
    assert data.find(place(tiny, tmp_path / "mine")) == ("root", tmp_path / "mine")


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("below", ["", "FashionMNIST/raw"])
def test_files_are_found_packed_or_not_in_the_folder_or_where_torchvision_puts_them(
    packed, below, tiny, tmp_path
):
    place(tiny, tmp_path / "root" / below, packed)
    assert len(data.fashion_mnist("train", root=tmp_path / "root")) == 60


def dotted(name):
    return name.replace("-idx", ".idx")


@pytest.mark.parametrize(
    "spelling",
    [
        dotted,
        lambda name: f"raw/{name}.gz",
        lambda name: f"{name}.GZ",
        lambda name: f"{name}/{name}",  # as Kaggle's archive is unpacked
        lambda name: f"{dotted(name)}/{dotted(name)}",
        lambda name: f"raw/{dotted(name)}/{dotted(name)}.GZ",
        lambda name: f"fashion-mnist/data/fashion/{name}.gz",  # Zalando's repository
        lambda name: f"fashion-mnist-master/data/fashion/{name}.gz",  # its archive
        lambda name: f"data/fashion/{name}.gz",
        lambda name: f"datasets/fashion-mnist/{name}.gz",
        lambda name: f"archive/{name}",  # Kaggle's
        lambda name: f"{name} (1).gz",  # a browser's second download
        lambda name: name.replace("-", "_"),
        str.upper,
    ],
)
def test_the_usual_spellings_of_the_files_are_found(spelling, tiny, tmp_path):
    for name, content in tiny.items():
        path = tmp_path / spelling(name)
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(gzip.compress(content) if path.suffix.lower() == ".gz" else content)
    assert len(data.fashion_mnist("train", root=tmp_path)) == 60
    assert data.find(tmp_path).kind == "root"


def test_a_damaged_file_beside_a_good_one_does_no_harm(tiny, tmp_path):
    place(tiny, tmp_path)
    place(tiny, tmp_path / "FashionMNIST" / "raw", packed=False)
    damage(tmp_path / "train-images-idx3-ubyte.gz")
    assert len(data.fashion_mnist("train", root=tmp_path)) == 60


def test_a_folder_that_holds_itself_is_searched_once(tiny, tmp_path):
    (tmp_path / "raw").symlink_to(tmp_path)
    with pytest.raises(DataError, match="holds no train-images"):
        data.find(tmp_path)
    place(tiny, tmp_path)
    assert data.find(tmp_path).kind == "root"


def test_a_gz_that_a_browser_unpacked_is_read(tiny, tmp_path):
    for name, content in tiny.items():
        (tmp_path / f"{name}.gz").write_bytes(content)
    assert data.find(str(tmp_path)).kind == "root"


@pytest.mark.parametrize("variable", [True, False])
def test_a_misspelt_folder_is_refused_with_the_nearest_name(variable, tiny, tmp_path, monkeypatch):
    right, wrong = place(tiny, tmp_path / "Fashion" / "Data"), tmp_path / "fashoin" / "data"
    place(tiny, tmp_path / "cache")  # not a silent second choice
    monkeypatch.setenv(data.VARIABLE, str(wrong if variable else right))
    setting = f"${data.VARIABLE}: " if variable else "root="
    with pytest.raises(DataError, match=re.escape(setting)) as caught:
        data.fashion_mnist("test", root=None if variable else wrong)
    assert f"no folder {wrong}; is it {tmp_path / 'Fashion'}?" in str(caught.value)
    assert "leave this setting out" in str(caught.value)


def test_an_empty_variable_is_no_variable(tiny, tmp_path, monkeypatch):
    place(tiny, tmp_path / "cache")
    monkeypatch.setenv(data.VARIABLE, "")
    assert data.find().kind == "cache"


def test_a_folder_without_the_files_and_a_file_are_refused_by_name(tiny, tmp_path):
    empty, file = tmp_path / "empty", tmp_path / "file"
    empty.mkdir()
    file.touch()
    with pytest.raises(DataError, match=r"empty holds no train-images-idx3-ubyte\.gz"):
        data.fashion_mnist("train", root=empty)
    with pytest.raises(DataError, match="file is not a folder"):
        data.fashion_mnist("train", root=file)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("cut", [0, 10, -1])
def test_a_truncated_file_in_a_named_folder_is_refused_and_kept(packed, cut, tiny, tmp_path):
    root = place(tiny, tmp_path / "root", packed)
    path = next(root.glob("t10k-images*"))
    path.write_bytes(path.read_bytes()[:cut])
    before = listing(root)
    with pytest.raises(DataError, match=f"{path.name} is damaged") as caught:
        data.fashion_mnist("test", root=root)
    assert "Put the four files of Fashion-MNIST there" in str(caught.value)
    with pytest.raises(DataError, match="is damaged"):
        fashion.fetch(root)
    assert listing(root) == before


def test_a_flipped_bit_is_noticed_even_where_gzip_cannot(tiny, tmp_path):
    root = place(tiny, tmp_path / "root", packed=False)
    damage(root / "train-labels-idx1-ubyte")
    with pytest.raises(DataError, match=r"labels-idx1-ubyte is damaged: its SHA-256 is \w{64}"):
        data.find(root)


@pytest.mark.parametrize(
    ("ending", "content", "kind"),
    [("zip", b"PK\3\4", "zip"), ("bz2", bz2.compress(b"idx"), "bzip2"), ("gz", b"Rar!", "rar")],
)
def test_a_file_packed_in_another_way_is_told_to_be_unpacked(ending, content, kind, tiny, tmp_path):
    root = place(tiny, tmp_path / "root")
    (root / "t10k-images-idx3-ubyte.gz").unlink()
    (root / f"t10k-images-idx3-ubyte.{ending}").write_bytes(content)
    with pytest.raises(DataError, match=rf"ubyte\.{ending} is packed as {kind}: unpack it"):
        data.fashion_mnist("test", root=root)


def digit_like_files():
    """The right sizes, MNIST's first labels, and images as dark as MNIST's."""
    for part, count, first in (
        ("train", 60_000, [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]),
        ("t10k", 10_000, [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]),
    ):
        labels = torch.zeros(count, dtype=torch.uint8)
        labels[:10] = torch.tensor(first)
        images = torch.zeros(count, 28, 28, dtype=torch.uint8)
        images[:, 8:20, 10:18] = 255
        yield from zip(data.file_names(part), map(data.to_idx, (images, labels)), strict=True)


@pytest.mark.parametrize("packed", [True, False])
def test_handwritten_digits_are_refused_by_name(packed, tmp_path):
    for name, content in digit_like_files():
        path = tmp_path / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(content, 1) if packed else content)
        with pytest.raises(DataError, match=re.escape(f"{path} is MNIST, the handwritten digits")):
            fashion._load(tmp_path, name)
    with pytest.raises(DataError, match="handwritten digits"):
        data.fashion_mnist("train", root=tmp_path)
    with pytest.raises(DataError, match="handwritten digits"):
        fashion.fetch(tmp_path)


def test_damaged_clothing_is_not_taken_for_digits():
    images, labels = data.fashion_mnist("train", sample=1000).tensors
    assert not fashion._is_digits(data.to_idx(images[:, 0]))
    assert not fashion._is_digits(data.to_idx(labels.byte()))
    assert not any(map(fashion._is_digits, (b"", b"\0\0\x08\x03", b"\0\0\x08\x01", b"<html>")))


def refusal(right, **options):
    """What is said of damaged test images; None if they are read as they are all the same."""
    try:
        read = data.fashion_mnist("test", **options).tensors
    except DataError as error:
        return str(error)
    assert all(map(torch.equal, read, right))
    return None


def test_no_damaged_file_is_read_as_something_else(tiny, tmp_path):
    draw, refused = random.Random(0), 0
    right = data.fashion_mnist("test", root=place(tiny, tmp_path / "right")).tensors
    for number in range(300):
        folder = place(tiny, tmp_path / "root", packed=number % 3)
        path = draw.choice(sorted(folder.glob("t10k*")))
        path.write_bytes(damaged(path.read_bytes(), number))
        if message := refusal(right, root=folder):
            refused += 1
            assert str(path) in message
        shutil.rmtree(folder)
    assert refused > 250


@pytest.mark.slow
def test_no_damaged_sample_is_read_as_something_else(tmp_path, monkeypatch):
    draw, refused = random.Random(1), 0
    right = data.fashion_mnist("test", sample=20).tensors
    files = ("sample.json", "test-labels-idx1-ubyte.xz", "test-images-idx3-ubyte.xz")
    monkeypatch.setattr(fashion, "SAMPLE", tmp_path)
    for number in range(60):
        for name in files:
            shutil.copy(Path(fashion.__file__).with_name("sample") / name, tmp_path)
        path = tmp_path / draw.choice(files)
        path.write_bytes(damaged(path.read_bytes(), number))
        if message := refusal(right, sample=20):
            refused += 1
            assert "install it again" in message
    assert refused > 40


# Downloading


def test_a_download_is_complete_and_leaves_nothing_else(server, tiny, tmp_path):
    assert fashion.fetch(sources=[server.url("good")]) == tmp_path / "cache"
    assert sorted(p.name for p in (tmp_path / "cache").iterdir()) == sorted(server.packed)
    assert data.find().kind == "cache"
    assert len(server.asked) == 4
    fashion.fetch(sources=[server.url("good")])
    assert len(server.asked) == 4


def test_the_first_use_downloads_by_itself(server, monkeypatch):
    fetch = functools.partial(fashion.fetch, sources=[server.url("good")])
    monkeypatch.setattr(fashion, "fetch", fetch)
    assert len(data.fashion_mnist("val")) == 10
    assert data.find().kind == "cache"


def test_the_progress_bar_is_on_stderr_where_a_terminal_watches(
    server, tmp_path, capfd, monkeypatch
):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    fashion.fetch(tmp_path / "loud", sources=[server.url("good")], progress=True)
    heard = capfd.readouterr()
    assert heard.out == ""
    assert "t10k-images-idx3-ubyte.gz: 100%" in heard.err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    fashion.fetch(tmp_path / "log", sources=[server.url("good")], progress=True)
    assert capfd.readouterr() == ("", "")
    fashion.fetch(tmp_path / "quiet", sources=[server.url("good")], progress=False)
    assert capfd.readouterr() == ("", "")


BAD = {
    "forbidden": "403 Client Error",
    "truncated": "IncompleteRead",
    "stalled": "Read timed out",
    "flipped": r"as sent is damaged",
    "webpage": r"as sent is a web page",
}


@pytest.mark.parametrize("manner", BAD)
def test_after_a_bad_source_comes_the_next(manner, server):
    fashion.fetch(sources=[server.url(manner), server.url("good")])
    assert data.find().kind == "cache"
    bad = [path for path in server.asked if manner in path]
    assert len(bad) == (1 if manner == "forbidden" else 2)


def test_when_every_source_is_bad_the_error_says_what_each_answered(server, tmp_path):
    sources = [server.url(manner) for manner in BAD] + ["http://127.0.0.1:9/"]
    with pytest.raises(DataError) as caught:
        fashion.fetch(sources=sources)
    message = str(caught.value)
    for source, answer in zip(
        sources, [*BAD.values(), "Failed to establish a new connection"], strict=True
    ):
        assert re.search(f"{source}\n.*{answer}", message)
    assert "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz" in message
    assert f"to {tmp_path / 'cache'}" in message
    assert "use sample=, which needs no files" in message
    assert not list((tmp_path / "cache").iterdir())


def test_a_broken_set_up_of_certificates_is_not_taken_for_a_full_disk(tiny, monkeypatch):
    def no_certificates(*arguments, **options):
        raise OSError("Could not find a suitable TLS CA certificate bundle")

    monkeypatch.setattr(fashion.requests, "get", no_certificates)
    with pytest.raises(DataError, match=r"could not be downloaded.*\n.*\n.*certificate bundle"):
        fashion.fetch(sources=["https://somewhere/"])


@pytest.mark.parametrize("manner", ["busy", "encoded"])
def test_a_busy_server_is_asked_again_and_an_unpacking_one_is_understood(manner, server):
    fashion.fetch(sources=[server.url(manner)])
    assert data.find().kind == "cache"


@pytest.mark.parametrize("packed", [True, False])
def test_a_damaged_file_in_the_cache_is_fetched_again(packed, server, tiny, tmp_path):
    place(tiny, tmp_path / "cache", packed)
    damage(next((tmp_path / "cache").glob("t10k-labels*")))
    assert data.find().kind == "download"
    fashion.fetch(sources=[server.url("good")])
    assert server.asked == ["/good/t10k-labels-idx1-ubyte.gz"]
    assert data.find().kind == "cache"


def test_a_damaged_cache_gives_way_to_the_system_copy(tiny, tmp_path):
    damage(next(place(tiny, tmp_path / "cache").glob("t10k-labels*")))
    place(tiny, tmp_path / "system")
    assert len(data.fashion_mnist("test")) == 20


def test_a_complete_shared_folder_is_used_without_writing(server, tiny, tmp_path, monkeypatch):
    shared = place(tiny, tmp_path / "shared")
    before = listing(tmp_path)
    monkeypatch.setenv(data.VARIABLE, str(shared))
    assert fashion.fetch(shared, sources=[server.url("good")]) == shared
    assert len(data.fashion_mnist("train")) == 60
    assert not server.asked
    assert listing(tmp_path) == before


def test_a_cache_that_cannot_be_written_is_reported_with_the_way_out(server, tmp_path):
    (tmp_path / "cache").touch()  # a file where the folder should be
    with pytest.raises(DataError, match=r"cannot use .*cache.*\nSet \$INCEPTION_COURSE_DATA"):
        fashion.fetch(sources=[server.url("good")])


def test_a_write_that_fails_leaves_no_part_behind(tmp_path, monkeypatch):
    def full_disk(part, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(OSError, match="No space left"):
        machine.write_atomically(tmp_path / "file", b"content")
    assert not list(tmp_path.iterdir())


FETCH = """
import json, sys
from inception_course import data
folder, source, hashes = sys.argv[1:]
fashion = sys.modules["inception_course.data.fashion_mnist"]
fashion.SHA256 = json.loads(hashes)
fashion.fetch(folder, [source], progress=False)
"""


def start_fetching(folder, source):
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, folder, source, json.dumps(fashion.SHA256)]
    )


@pytest.mark.slow
def test_two_processes_at_once_leave_one_good_copy(server, tmp_path):
    folder = tmp_path / "shared"
    both = [start_fetching(folder, server.url("together")) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert len(server.asked) == 8
    assert sorted(p.name for p in folder.iterdir()) == sorted(server.packed)
    assert data.find(folder).kind == "root"


@pytest.mark.slow
def test_a_download_killed_in_the_middle_leaves_no_half_file(server, tmp_path):
    process = start_fetching(tmp_path / "cache", server.url("stalled"))
    assert server.seen.wait(60)
    process.kill()
    process.wait(60)
    assert not list(tmp_path.rglob("*.gz"))
    half = tmp_path / "cache" / ".train-images-idx3-ubyte.gz.0a1b.part"  # killed while writing
    half.write_bytes(b"\x1f\x8b")
    assert data.find().kind == "download"
    fashion.fetch(sources=[server.url("good")])
    assert data.find().kind == "cache"


# Batches


def numbered(count, channels=1, size=4):
    """Images whose every pixel is their label, which is their number."""
    labels = torch.arange(count)
    images = labels.byte()[:, None, None, None].expand(count, channels, size, size)
    return TensorDataset(images, labels)


def all_of(batches):
    images, labels = zip(*batches, strict=True)
    return torch.cat(images), torch.cat(labels)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(
    ("count", "lengths"),
    [(1, [1]), (7, [7]), (8, [8]), (9, [9]), (10, [8, 2]), (17, [8, 9]), (25, [8, 8, 9])],
)
def test_a_last_batch_of_one_joins_the_one_before(count, lengths, shuffle):
    batches = Batches(numbered(count), 8, shuffle=shuffle)
    assert [len(labels) for _, labels in batches] == lengths
    assert len(batches) == len(lengths)
    assert sorted(all_of(batches)[1].tolist()) == list(range(count))


@pytest.mark.parametrize(
    ("count", "lengths"), [(3, [3]), (11, [11]), (12, [8, 4]), (16, [8, 8]), (19, [8, 11])]
)
def test_a_last_batch_smaller_than_asked_joins_the_one_before(count, lengths):
    batches = Batches(numbered(count), 8, min_last=4)
    assert [len(labels) for _, labels in batches] == lengths


def test_a_batch_size_of_one_is_taken_at_its_word():
    assert [len(labels) for _, labels in Batches(numbered(3), 1)] == [1, 1, 1]


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_normalized_and_stay_with_their_labels(channels):
    images, labels = all_of(Batches(numbered(100, channels), 16, shuffle=True))
    assert images.shape == (100, channels, 4, 4)
    assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
    expected = (labels.double() / 255 - data.MEAN) / data.STD
    torch.testing.assert_close(
        images, expected.float()[:, None, None, None].expand_as(images), atol=1e-6, rtol=1e-5
    )


def test_the_images_do_not_depend_on_the_batch_size():
    dataset = data.fashion_mnist("val", sample=101)
    small, large = (all_of(Batches(dataset, b, size=40, shuffle=True, seed=3)) for b in (10, 64))
    torch.testing.assert_close(small[0], large[0])
    assert torch.equal(small[1], large[1])


def augmented(seed):
    dataset = data.fashion_mnist("train", sample=40)
    augment = Compose((RandomFlip(), Translate(2), Cutout(4)))
    return Batches(dataset, 16, augment=augment, shuffle=True, seed=seed)


def test_order_and_augmentation_follow_from_seed_and_epoch_alone():
    batches = augmented(seed=5)
    passes = [all_of(batches) for _ in range(3)]
    assert batches.epoch == 3
    torch.manual_seed(99)  # the global generator plays no part
    resumed = augmented(seed=5)
    resumed.epoch = 2
    for ours, theirs in zip(passes[2], all_of(resumed), strict=True):
        assert torch.equal(ours, theirs)
    orders = [labels.tolist() for _, labels in (*passes, all_of(augmented(seed=6)))]
    assert len(set(map(tuple, orders))) == 4


def test_two_passes_at_the_same_time_do_not_interfere():
    apart = augmented(seed=1)
    first, second = list(apart), list(apart)
    together = augmented(seed=1)
    one, two = iter(together), iter(together)
    assert together.epoch == 2
    for expected_one, expected_two in zip(first, second, strict=True):
        for expected, given in ((expected_one, next(one)), (expected_two, next(two))):
            assert all(map(torch.equal, expected, given))


def test_the_dataset_and_the_global_generator_are_left_alone():
    dataset = data.fashion_mnist("val", sample=30)
    before, state = dataset.tensors[0].clone(), torch.get_rng_state()
    list(
        Batches(
            dataset,
            8,
            size=32,
            augment=Compose((RandomFlip(), Translate(1), Cutout(9))),
            shuffle=True,
        )
    )
    assert torch.equal(dataset.tensors[0], before)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("size", [14, 28, 32, 96, 224])
def test_resizing_agrees_with_torchvision_within_the_stated_tolerance(size):
    dataset = data.fashion_mnist("val", sample=20)
    ours, _ = all_of(Batches(dataset, 8, size=size))
    assert ours.shape == (20, 1, size, size)

    def theirs(image):
        resized = torchvision_transforms.resize(image, [size, size], antialias=True)
        pixels = resized / 255 if resized.dtype == torch.uint8 else resized
        return (pixels - data.MEAN) / data.STD

    per_image = torch.stack([theirs(image.float() / 255) for image in dataset.tensors[0]])
    torch.testing.assert_close(ours, per_image, atol=1e-6, rtol=0)
    gray_level = 1 / (255 * data.STD)
    torch.testing.assert_close(ours, theirs(dataset.tensors[0]), atol=1.01 * gray_level, rtol=0)


def test_batches_arrive_on_the_device_asked_for():
    for images, labels in Batches(numbered(4), 2, size=8, device="meta"):
        assert images.device.type == labels.device.type == "meta"
        assert images.shape == (2, 1, 8, 8)


@pytest.mark.parametrize(
    ("tensors", "given"),
    [
        ((torch.zeros(5, 1, 4, 4), torch.zeros(5).long()), r"float32 \[5, 1, 4, 4\]"),
        ((torch.zeros(5, 4, 4).byte(), torch.zeros(5).long()), r"uint8 \[5, 4, 4\]"),
        ((torch.zeros(5, 1, 4, 4).byte(), torch.zeros(5)), r"float32 \[5\]"),
        ((torch.zeros(0, 1, 4, 4).byte(), torch.zeros(0).long()), r"uint8 \[0, 1, 4, 4\]"),
        ((torch.zeros(5, 1, 4, 4).byte(),), r"uint8 \[5, 1, 4, 4\]$"),
    ],
)
def test_other_datasets_are_refused_with_their_shapes(tensors, given):
    with pytest.raises(ValueError, match=rf"expected a TensorDataset of uint8 .*given.*{given}"):
        Batches(TensorDataset(*tensors), 4)


def test_other_mistakes_are_refused():
    unequal = numbered(5)
    unequal.tensors = (unequal.tensors[0], torch.arange(4))
    with pytest.raises(ValueError, match="5 images but 4 labels"):
        Batches(unequal, 4)
    with pytest.raises(ValueError, match="given list of no tensors"):
        Batches([1, 2], 4)
    with pytest.raises(ValueError, match="batch_size must be 1 or more, not 0"):
        Batches(numbered(5), 0)
    with pytest.raises(ValueError, match="size must be 1 pixel or more, not 0"):
        Batches(numbered(5), 4, size=0)


def test_what_is_in_memory_makes_batches_as_before():
    dataset = numbered(25)
    made = data.loader(dataset, 8, shuffle=True, seed=3, augment=Compose((RandomFlip(),)))
    assert isinstance(made, Batches)
    by_hand = Batches(dataset, 8, shuffle=True, seed=3, augment=Compose((RandomFlip(),)))
    for ours, theirs in zip(all_of(made), all_of(by_hand), strict=True):
        assert torch.equal(ours, theirs)
    assert torch.equal(data.targets(dataset), torch.arange(25))


# Augmentation


@pytest.fixture(scope="module")
def images():
    """Random images without a black pixel, not square, of two channels: [400, 2, 9, 7]."""
    generator = Generator().manual_seed(0)
    return torch.randint(1, 256, (400, 2, 9, 7), generator=generator, dtype=torch.uint8)


AUGMENTATIONS = [
    RandomFlip(),
    Translate(2),
    Translate(0),
    Cutout(3),
    RandomResizedCrop(),
    RandomResizedCrop(area=(0.5, 0.5), aspect=(1.0, 1.0)),
    Compose((RandomResizedCrop(), RandomFlip(), Translate(1), Cutout(2))),
]


@pytest.mark.parametrize("augment", AUGMENTATIONS, ids=repr)
def test_augmentation_keeps_shape_and_bytes_and_repeats_with_its_generator(augment, images):
    before = images.clone()
    once, again = (augment(images, Generator().manual_seed(8)) for _ in range(2))
    assert (once.shape, once.dtype) == (images.shape, torch.uint8)
    assert torch.equal(once, again)
    assert torch.equal(images, before)
    assert eval(repr(augment)) == augment
    assert json.loads(json.dumps(repr(augment))) == repr(augment)


def test_flip_mirrors_half_of_the_images_and_leaves_the_rest(images):
    flipped = RandomFlip()(images, Generator().manual_seed(0))
    same = (flipped == images).flatten(1).all(dim=1)
    mirrored = (flipped == images.flip(3)).flatten(1).all(dim=1)
    assert (same ^ mirrored).all()
    assert 160 < mirrored.sum() < 240


def test_shift_moves_every_image_whole_by_at_most_its_pixels(images):
    moved = Translate(2)(images, Generator().manual_seed(0))
    padded = torch.nn.functional.pad(images, [2] * 4)
    offsets = []
    for before, after in zip(padded, moved, strict=True):
        matches = [
            (down, right)
            for down in range(5)
            for right in range(5)
            if torch.equal(before[:, down : down + 9, right : right + 7], after)
        ]
        assert len(matches) == 1
        offsets += matches
    assert len(set(offsets)) == 25


def test_erase_blackens_one_square_that_reaches_every_pixel(images):
    erased = Cutout(3)(images, Generator().manual_seed(0))
    black = erased == 0
    assert torch.equal(erased[~black], images[~black])
    assert torch.equal(black[:, 0], black[:, 1])
    area, rows, columns = (black[:, 0].sum((1, 2)), black[:, 0].any(2), black[:, 0].any(1))
    assert torch.equal(area, rows.sum(1) * columns.sum(1))
    assert (rows.sum(1).min(), rows.sum(1).max()) == (1, 3)
    often = black[:, 0].float().mean(0)
    assert often.min() > 0.05  # 9 of (9 + 2) * (7 + 2) places, so 0.09 everywhere
    assert often.max() < 0.14


SHAPES = [(28, 28), (100, 50), (50, 300), (10, 1000), (3, 3), (1, 1)]


@pytest.mark.parametrize(("height", "width"), SHAPES)
def test_patches_are_inside_the_image_and_keep_to_the_aspects(height, width):
    boxes = RandomResizedCrop().boxes(20_000, height, width, Generator().manual_seed(0)).double()
    tops, lefts, heights, widths = boxes.unbind(dim=1)
    assert min(tops.min(), lefts.min()) >= 0
    assert (tops + heights).max() < height + 1e-3
    assert (lefts + widths).max() < width + 1e-3
    assert (widths / heights).min() > 3 / 4 - 1e-4
    assert (widths / heights).max() < 4 / 3 + 1e-4


@pytest.mark.parametrize(
    ("height", "width", "largest"),
    [(28, 28, 1), (1000, 900, 1), (100, 50, 2 / 3), (50, 300, 2 / 9)],
)
def test_every_share_of_the_area_is_as_likely(height, width, largest):
    boxes = RandomResizedCrop().boxes(20_000, height, width, Generator().manual_seed(0))
    share = boxes[:, 2] * boxes[:, 3] / (height * width)
    quantiles = torch.tensor([0, 0.25, 0.5, 0.75, 1])
    expected = 0.08 + (largest - 0.08) * quantiles
    torch.testing.assert_close(share.quantile(quantiles), expected, atol=0.01, rtol=0)


def test_places_and_aspects_are_even_and_independent_of_each_other():
    boxes = RandomResizedCrop(area=(0.08, 0.5)).boxes(20_000, 60, 60, Generator().manual_seed(0))
    tops, lefts, heights, widths = boxes.unbind(dim=1)
    down, right = tops / (60 - heights), lefts / (60 - widths)
    aspect = (widths / heights).log() / math.log(4 / 3)  # -1 to 1
    for value, low, high in ((down, 0, 1), (right, 0, 1), (aspect, -1, 1)):
        quantiles = torch.tensor([0, 0.5, 1])
        expected = low + (high - low) * quantiles
        torch.testing.assert_close(value.quantile(quantiles), expected, atol=0.03, rtol=0)
    related = torch.corrcoef(torch.stack([down, right, aspect, heights * widths]))
    assert (related - torch.eye(4)).abs().max() < 0.03


def test_a_patch_of_everything_is_the_image_itself(images):
    square = images[:, :, :7]
    whole = RandomResizedCrop(area=(1.0, 1.0), aspect=(1.0, 1.0))
    assert torch.equal(whole(square, Generator().manual_seed(0)), square)
    everything = torch.tensor([[0.0, 0.0, 9.0, 7.0]]).expand(len(images), 4)
    assert torch.equal(data.resize_boxes(images, everything), images)


@pytest.mark.parametrize(
    "box", [(0, 0, 9, 7), (2, 1, 5, 4), (5, 3, 4, 4), (0, 0, 1, 7), (8, 6, 1, 1)]
)
def test_a_patch_is_enlarged_as_torchvision_does(box, images):
    ours = data.resize_boxes(images, torch.tensor(box).float().expand(len(images), 4))
    theirs = torchvision_transforms.resized_crop(images, *box, size=[9, 7], antialias=True)
    torch.testing.assert_close(ours, theirs, atol=1, rtol=0)


def test_each_image_of_a_batch_has_its_own_patch():
    ramps = torch.arange(200, dtype=torch.uint8).expand(64, 1, 200, 200)
    cut = RandomResizedCrop()(ramps, Generator().manual_seed(0))[:, 0, 0]  # from left to right
    assert len(set(map(tuple, cut.tolist()))) == 64
    boxes = RandomResizedCrop().boxes(64, 200, 200, Generator().manual_seed(0))
    torch.testing.assert_close(cut[:, 0].float(), boxes[:, 1], atol=1, rtol=0)


def test_compose_applies_its_steps_in_order(images):
    one, two = Generator().manual_seed(4), Generator().manual_seed(4)
    by_hand = Cutout(2)(Translate(1)(images, one), one)
    assert torch.equal(Compose((Translate(1), Cutout(2)))(images, two), by_hand)
    assert torch.equal(Compose()(images, one), images)
