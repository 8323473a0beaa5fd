"""GoogLeNet's Table 3 in miniature: what more views and more networks gain, and what they cost.

    table = ensembles.measure(["runs/first", "runs/second"], val_set, "val", "crops.json")

Answers are saved as they come, beside the record, and a second call resumes from there. To add a
network, add its folder.
"""

import copy
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, product
from pathlib import Path
from statistics import mean
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from .. import data, machine, records
from ..batch_norm import fold_batch_norm
from ..evaluate import FASHION, Protocol, calibration, eval_mode, multi_crop
from ..machine import best_time, usable_cores, using_threads
from ..train import checkpoint, load_trained

AT_ONCE = 250  # images: their answers are saved together


@dataclass(frozen=True, slots=True)
class Single:
    """Holds how one network did with one protocol: fractions of 1, and `seconds` per image."""

    model: str
    crops: int
    error: float
    calibration_error: float
    overconfidence: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Row:
    """Holds a row of the table, N networks with M views: means over all choices of N networks.

    `lowest` and `highest` are the errors of the best and the worst choice. `difference` is the
    error minus that of one network and one view, `uncertainty` its standard error: how far it
    would scatter with other images of the same kind. `seconds` are per image.
    """

    models: int
    crops: int
    error: float
    lowest: float
    highest: float
    difference: float
    uncertainty: float
    calibration_error: float
    overconfidence: float
    seconds: float

    @property
    def cost(self) -> int:
        """Return the number of forward passes per image."""
        return self.models * self.crops


@dataclass(frozen=True, slots=True)
class Table:
    """Holds what was measured: each network alone, and the rows of the table."""

    title: ClassVar[str] = "a table of crops"
    settings: dict
    singles: tuple[Single, ...]
    rows: tuple[Row, ...]

    @property
    def models(self) -> int:
        """Return the number of networks."""
        return len({single.model for single in self.singles})

    def row(self, models: int, crops: int) -> Row:
        """Find a row; raises `ValueError` if the table has no such row."""
        for row in self.rows:
            if (row.models, row.crops) == (models, crops):
                return row
        known = ", ".join(f"{row.models} x {row.crops}" for row in self.rows)
        raise ValueError(
            f"no row of {models} networks x {crops} views; there are {known or 'none'}"
        )


def measure(
    folders: Sequence[str | Path],
    dataset: TensorDataset,
    name: str,
    path: str | Path,
    *,
    protocols: Mapping[int, Protocol] = FASHION,
    seconds: float = math.inf,
    progress: Callable[[Iterable], Iterable] = iter,
    watch: Callable[[str], object] | None = None,
) -> Table:
    """Ask the networks that trainings left in `folders` about `dataset`, and return the table.

    The networks answer in the arithmetic of `optimize_for_inference`. The table is saved at `path`,
    the answers beside it, with the ending .pt; a second call keeps those that are there. After
    `seconds` no further images are asked about, and rows that lack answers are left out. `name`
    says what `dataset` is; `watch` is called with a sentence for each network.

    Raises `ValueError` if `path` holds answers to other questions, if another process uses it, or
    if a network knows other classes; `CheckpointError` if a folder has no network.
    """
    path = Path(path)
    names = [Path(folder).name for folder in folders]
    if len(set(names)) < len(names) or not names:
        raise ValueError(f"name one or more folders, each of another name; given {names}")
    settings = {
        "data": name,
        "images": len(dataset),
        "digest": _digest(dataset.tensors[0].numpy().tobytes()),
        "protocols": {str(count): asdict(protocol) for count, protocol in protocols.items()},
    }
    settings = json.loads(json.dumps(settings))  # tuples as lists, as they will be read back
    end = time.monotonic() + seconds
    with records.claimed(path), using_threads(usable_cores()):
        loaded = {folder: _load(Path(folder)) for folder in folders}
        answers = _begin(path.with_suffix(".pt"), settings)
        for (crops, protocol), folder in product(sorted(protocols.items()), folders):
            model, size, digest = loaded[folder]
            images, _ = next(iter(data.Batches(dataset, 50, size=size)))
            model = optimize_for_inference(model, images)
            saved = answers.setdefault(
                f"{Path(folder).name} {crops}",
                {"digest": digest, "seconds": 0.0, "probabilities": torch.empty(0, 10)},
            )
            if saved["digest"] != digest:
                raise ValueError(
                    f"{path} has answers of other weights of {folder}: take another file"
                )
            while (done := len(saved["probabilities"])) < len(dataset) and time.monotonic() < end:
                piece = TensorDataset(*(t[done : done + AT_ONCE] for t in dataset.tensors))
                start = time.perf_counter()
                more = multi_crop(model, piece, protocol, size=size, progress=progress)
                saved["seconds"] += time.perf_counter() - start
                saved["probabilities"] = torch.cat([saved["probabilities"], more])
                _save(path.with_suffix(".pt"), {"settings": settings, "answers": answers})
            if watch:
                watch(f"{folder}, {crops} views: {len(saved['probabilities'])} images answered")
        table = tabulate(answers, names, dataset.tensors[1], settings)
        records.save(table, path)
    return table


def _begin(path: Path, settings: dict) -> dict:
    """Read the answers of an earlier call; refuse those that were measured otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        return {}
    saved = checkpoint.from_bytes(path.read_bytes(), path)
    if not isinstance(saved, dict) or not {"settings", "answers"} <= saved.keys():
        raise ValueError(f"{path} does not hold answers of networks: take another file")
    for name, value in settings.items():
        if saved["settings"].get(name) != value:
            raise ValueError(f"{path} has answers of other {name}: take another file")
    return saved["answers"]


def _save(path: Path, content: dict) -> None:
    machine.write_atomically(path, checkpoint.to_bytes(content))


def _load(folder: Path) -> tuple[torch.nn.Module, int, str]:
    """Return the network of a run, the side of the images it learned from, and its digest."""
    model, run = load_trained(folder)
    known = vars(model)["classes"]
    if known != data.CLASSES:
        raise ValueError(
            f"{folder} has a network that knows {', '.join(known)}: views are compared on "
            "Fashion-MNIST alone"
        )
    model.to(memory_format=torch.channels_last)
    return model, run.recipe.image_size, _digest((folder / "weights.pt").read_bytes())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def tabulate(answers: dict, names: Sequence[str], labels: Tensor, settings: dict) -> Table:
    """Make the table from `answers`: probabilities [N, 10] and seconds, by name and views.

    A number of views has rows only if every network has answered about every image.
    """
    singles: list[Single] = []
    rows: list[Row] = []
    base: Tensor | None = None
    for crops in sorted(map(int, settings["protocols"])):
        given = [answers[key] for name in names if (key := f"{name} {crops}") in answers]
        if [len(each["probabilities"]) for each in given] != [len(labels)] * len(names):
            continue
        probabilities = torch.stack([each["probabilities"] for each in given])  # [models, N, 10]
        seconds = [each["seconds"] / len(labels) for each in given]
        for models in range(1, len(names) + 1):
            choices = list(combinations(range(len(names)), models))
            together = [probabilities[list(choice)].mean(dim=0) for choice in choices]
            wrong = [(p.argmax(dim=1) != labels).double() for p in together]  # each [N]
            judged = [calibration(p, labels) for p in together]
            if models == 1:
                singles += [
                    Single(name, crops, w.mean().item(), c.error, c.overconfidence, s)
                    for name, w, c, s in zip(names, wrong, judged, seconds, strict=True)
                ]
            errors = [each.mean().item() for each in wrong]
            by_image = torch.stack(wrong).sum(dim=0) / len(wrong)
            base = by_image if base is None else base
            difference = by_image - base
            rows.append(
                Row(
                    models,
                    crops,
                    error=mean(errors),
                    lowest=min(errors),
                    highest=max(errors),
                    difference=difference.mean().item(),
                    uncertainty=difference.std().item() / math.sqrt(len(labels)),
                    calibration_error=mean(c.error for c in judged),
                    overconfidence=mean(c.overconfidence for c in judged),
                    seconds=models * mean(seconds),
                )
            )
    return Table(settings, tuple(singles), tuple(rows))


def optimize_for_inference(model: nn.Module, images: Tensor) -> nn.Module:
    """Copy `model` for `evaluate.predict`, in the fastest arithmetic of this machine.

    Its batch norms are folded into the layers before them, which changes nothing but rounding. If
    a short probe on `images`, [B, C, H, W] on the model's device, shows that it saves a tenth of
    the time, everything behind the first convolution is computed in bfloat16.
    """
    images = images.to(memory_format=torch.channels_last)
    with eval_mode(model):
        exact = fold_batch_norm(model).to(memory_format=torch.channels_last)
        mixed = MixedPrecision(exact).eval()
        return mixed if answer_time(mixed, images) < 0.9 * answer_time(exact, images) else exact


class MixedPrecision(nn.Module):
    """A copy of `model` that computes in bfloat16, except for its first convolution.

    bfloat16 keeps eight binary digits. To round the pixels, too, would change the answers more, and
    the first convolution is a small part of the work.

    Shape: as `model`; the logits are float32
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = copy.deepcopy(model)
        first = next(name for name, m in self.model.named_modules() if isinstance(m, nn.Conv2d))
        parent, _, name = first.rpartition(".")
        setattr(self.model.get_submodule(parent), name, InFloat32(self.model.get_submodule(first)))

    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, torch.bfloat16):
            return self.model(images).float()


class InFloat32(nn.Sequential):
    """Layers that compute in float32 even inside an autocast."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x)


def answer_time(model: nn.Module, images: Tensor) -> float:
    """Measure the seconds that `model` takes to answer about `images`."""
    return best_time(lambda: model(images).cpu())  # .cpu() waits until a GPU has finished
