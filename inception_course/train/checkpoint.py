"""Save what a training needs to resume, so that the last good file survives a killed process.

A run's folder holds `run.json`, the record to read, and `checkpoint-1.pt` and `checkpoint-2.pt`,
the last two states to resume from: a line that says what it is, the SHA-256 of the rest, and the
rest as `torch.save` writes it.
"""

import hashlib
import io
import tempfile
import time
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import TensorDataset

from .. import models
from ..data import CLASSES, Dataset
from ..machine import claim, first_line, write_atomically
from .recipes import Recipe
from .run import Run

STATES, RECORD = ("checkpoint-1.pt", "checkpoint-2.pt"), "run.json"
HEADER = b"inception-course checkpoint 2\n"
FIRST_EDITION = b"inception-course checkpoint 1\n"
WEIGHTS = Path(__file__).parents[1] / "weights"


class CheckpointError(RuntimeError):
    """A checkpoint is missing, damaged or of another run; the message says what to do."""


def new_folder(name: str) -> Path:
    """Return where a run of this name goes: runs/NAME-DATE-TIME, below the working folder."""
    return Path("runs", f"{name}-{datetime.now():%Y-%m-%d-%H%M%S}")


class CheckpointManager:
    """Saves a training as it goes, in two files by turns, so that the last good one stays.

    A training resumes only from a checkpoint of the same recipe and data. Without a folder nothing
    is saved.
    """

    def __init__(
        self,
        folder: str | Path | None,
        recipe: dict,
        train_set: Dataset,
        val_set: Dataset,
        *,
        save_every: float,  # seconds
    ):
        self.folder, self.save_every = (Path(folder) if folder else None), save_every
        if self.folder:
            data = {
                "training data": fingerprint(train_set),
                "validation data": fingerprint(val_set),
            }
            self.identity = recipe | data
        self.latest: Path | None = None  # the last good checkpoint
        self.count = 0  # saves so far
        self.last = time.monotonic()  # when it was saved

    @property
    def should_save(self) -> bool:
        """Tell whether the last save is `save_every` seconds ago."""
        return self.folder is not None and time.monotonic() - self.last >= self.save_every

    def restore(self, resume: bool, allow_changes: bool = False) -> dict | None:
        """Return the last good state in the folder, to resume from; None for a new run."""
        if self.folder is None:
            return None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise CheckpointError(
                f"nothing can be saved in {self.folder} ({error.strerror or error}): take another "
                "folder"
            ) from error
        paths = [self.folder / name for name in STATES]
        here = [path for path in paths if path.exists()]
        if not resume and has_checkpoint(self.folder):
            raise CheckpointError(
                f"{self.folder} already holds a run: pass resume=True (--resume) to continue "
                "it, or take another folder"
            )
        good, refused = {}, []
        for path in here:
            try:
                good[path] = read_state(path)
            except CheckpointError as error:
                refused.append(str(error))
        if not good and has_checkpoint(self.folder):
            reasons = "; ".join(refused) or f"{self.folder} has only the record of a run"
            raise CheckpointError(
                f"no checkpoint can be used: {reasons}. Take another folder, or delete this one to "
                "start again"
            )
        if not good:
            return None
        self.latest = newest = max(good, key=lambda path: good[path]["count"])
        saved = good[newest]
        self.count = saved["count"]
        for reason in refused:
            warnings.warn(f"{reason}; resuming from {self.latest} instead", stacklevel=4)
        self._compare(saved["identity"], allow_changes)
        for rest in self.folder.glob(".*.part"):
            rest.unlink(missing_ok=True)  # of a process that was killed while it wrote
        state = saved["state"]
        if saved["identity"] != self.identity:  # its steps are not ours: begin the epoch again
            state["position"] = {"epoch": state["position"]["epoch"]}
        if saved["identity"].get("precision") != self.identity.get("precision"):
            state["precision"] = None  # as the recipe says now
        return state

    def _compare(self, before: dict, allow_changes: bool) -> None:
        changes = "; ".join(
            f"{name} was {before.get(name)!r}, now {now!r}"
            for name, now in sorted(self.identity.items())
            if before.get(name) != now
        )
        if changes and not allow_changes:
            raise CheckpointError(
                f"{self.latest} is of another recipe or other data ({changes}): take another "
                "folder, or pass allow_changes=True (--allow-changes) to resume all the same"
            )

    def save(self, state: dict) -> None:
        """Save a training, and its record (`state["run"]`, JSON) as a file to read.

        If that fails, what was there stays, and a warning says what to do. Weights that are no
        longer numbers are not saved.
        """
        if self.folder is None or not is_finite(state["model"]):
            return
        path = next(p for name in STATES if (p := self.folder / name) != self.latest)
        body = to_bytes({"count": self.count + 1, "identity": self.identity, "state": state})
        content = HEADER + hashlib.sha256(body).hexdigest().encode() + b"\n" + body
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content)
            self.latest, self.count = path, self.count + 1
            write_atomically(self.folder / RECORD, state["run"].encode())
        except OSError as error:
            kept = f"{self.latest} is as it was" if self.latest else "nothing is saved yet"
            warnings.warn(
                f"{datetime.now():%H:%M} the training could not be saved in {self.folder} "
                f"({error.strerror or error}); {kept}. It continues and tries again: "
                f"free {len(content) / 1e6:.0f} MB there",
                stacklevel=3,
            )
        self.last = time.monotonic()


@contextmanager
def claimed(folder: str | Path | None) -> Iterator[None]:
    """Keep other trainings out of the folder, as long as this one uses it."""
    with ExitStack() as stack:
        if folder is not None:
            try:
                stack.enter_context(claim(Path(folder)))
            except BlockingIOError as error:
                raise CheckpointError(
                    f"{folder} is in use by {error}: wait for its end, or take another folder"
                ) from error
            except OSError:  # no file can be written there, which `restore` says, or none locked
                pass
        yield


def has_checkpoint(folder: Path) -> bool:
    """Tell whether there is a run in the folder, or what is left of one."""
    return any((folder / name).exists() for name in (*STATES, RECORD))


def is_finite(weights: dict) -> bool:
    return all(values.isfinite().all() for values in weights.values())


def fingerprint(dataset: Dataset) -> str:
    """Return what identifies a data set: how many images, and the SHA-256 of images and labels.

    For pictures on disk it is the SHA-256 of their `signature`, which needs no reading of them.
    """
    sha256 = hashlib.sha256()
    if isinstance(dataset, TensorDataset):
        for values in dataset.tensors:
            sha256.update(repr(list(values.shape)).encode())
            sha256.update(values.cpu().contiguous().numpy().data)
    else:
        for piece in dataset.signature():
            sha256.update(piece)
    return f"{len(dataset)} images with SHA-256 {sha256.hexdigest()[:16]}"


def read_state(path: Path) -> dict:
    """Return the contents of a checkpoint, if they are what was written."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror or error})") from error
    if content.startswith(FIRST_EDITION):
        raise CheckpointError(
            f"{path} is of the course's first edition, which trains otherwise: begin the run again"
        )
    if not content.startswith(HEADER):
        raise CheckpointError(f"{path} is damaged or not a checkpoint of this course")
    digest, _, body = content[len(HEADER) :].partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise CheckpointError(f"{path} is damaged: its SHA-256 is not what it was")
    saved = from_bytes(body, path)
    if not isinstance(saved, dict) or not {"count", "identity", "state"} <= saved.keys():
        raise CheckpointError(f"{path} is not the state of a run")
    return saved


def to_bytes(values: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(values, buffer)
    return buffer.getvalue()


def from_bytes(content: bytes, path: str | Path) -> object:
    """Read what `to_bytes` made, tensors and plain values only; never run code from the file.

    It is a zip archive, whose checksums torch writes and does not read.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if damaged := archive.testzip():
                raise CheckpointError(f"{path} is damaged: the checksum of {damaged} is wrong")
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except Exception as error:  # a damaged archive or pickle fails in many ways
        raise CheckpointError(
            f"{path} is damaged or was not saved by this course ({first_line(error)}): take "
            "another copy, or train again"
        ) from error


def save_weights(
    path: str | Path,
    model: nn.Module,
    name: str,
    options: dict,
    classes: Sequence[str] = CLASSES,
) -> None:
    """Save a trained network with what `models.create` needs to build it again, and its classes.

    Raises `CheckpointError` if there is no room.
    """
    saved = {"name": name, "options": options, "classes": list(classes)}
    content = to_bytes(saved | {"weights": model.state_dict()})
    try:
        write_atomically(Path(path), content)
    except OSError as error:
        raise CheckpointError(
            f"{path} could not be written ({error.strerror or error}): it needs "
            f"{len(content) / 1e6:.0f} MB and a name that no folder has; then resume the run"
        ) from error


def load_weights(path: str | Path) -> nn.Module:
    """Load a network that `save_weights` saved, on the CPU, in eval mode, with its `.classes`."""
    try:
        saved = from_bytes(Path(path).read_bytes(), path)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        reason = f"there is no {path}" if missing else f"{path} cannot be read: {error.strerror}"
        raise CheckpointError(reason) from error
    if not isinstance(saved, dict) or not {"name", "options", "weights"} <= saved.keys():
        raise CheckpointError(f"{path} holds no network: name the weights.pt of a run")
    try:
        model = models.create(saved["name"], **saved["options"])
        model.load_state_dict(saved["weights"])
        classes = vars(model)["classes"] = tuple(map(str, saved.get("classes", CLASSES)))
        count = saved["options"].get("num_classes", len(CLASSES))
        if len(set(classes)) != count:
            raise ValueError(f"{len(set(classes))} names for {count} classes")
    except (TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{path} holds a network that this course does not have ({first_line(error)})"
        ) from error
    made = model.state_dict()
    others = [v.dtype for name, v in saved["weights"].items() if v.dtype != made[name].dtype]
    if others or not is_finite(saved["weights"]):
        kind = f"of {others.pop()}" if others else "that are no numbers"
        raise CheckpointError(f"{path} holds weights {kind}: they are not as a training saved them")
    return model.eval()


def load_pretrained(name: str) -> nn.Module:
    """Load a trained network that comes with the course, on the CPU, in eval mode.

    What made it is beside it in `inception_course/weights`. Raises `ValueError` for another name.
    """
    known = sorted(path.stem for path in WEIGHTS.glob("*.pt"))
    if name not in known:
        raise ValueError(f"the course comes with the weights of {', '.join(known)}; not {name!r}")
    return load_weights(WEIGHTS / f"{name}.pt")


def load_trained(folder: str | Path) -> tuple[nn.Module, Run]:
    """Load what a training left in `folder`: the network, on the CPU, in eval mode, and its record.

    Raises `CheckpointError` if one of them is missing or damaged.
    """
    if Path(folder).is_file():
        raise CheckpointError(f"{folder} is a file: name the folder of the run")
    network = load_weights(Path(folder, "weights.pt"))
    record = Path(folder, RECORD)
    if not record.exists():
        raise CheckpointError(
            f"there is no {record}, which says by what recipe the network was trained"
        )
    try:
        return network, Run.from_json(record.read_text("utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{record} is damaged: {error}") from error


def load_initial(recipe: Recipe, model: str, folder: Path | None) -> nn.Module:
    """Load the network in `folder` that `recipe` begins with, a `model` trained by its `init_from`.

    Raises `CheckpointError` if it is another one, or none.
    """
    if recipe.init_from is None:
        raise CheckpointError(
            f"recipe {recipe.name} begins with new weights: leave out --init-from"
        )
    wanted = f"recipe {recipe.name} begins with a {model} trained by {recipe.init_from}"
    if folder is None:
        raise CheckpointError(f"{wanted}: name the folder of its run with --init-from")
    network, run = load_trained(folder)
    trained = (run.network or {}).get("model")
    if (run.recipe.name, trained) != (recipe.init_from, model):
        raise CheckpointError(
            f"{wanted}, and {folder} holds a {trained} trained by {run.recipe.name}"
        )
    return network
