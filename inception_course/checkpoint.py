"""What a training run needs to go on, saved so that a killed process leaves the last good file.

A run's folder holds `run.json`, the record to read, and `checkpoint.pt`, the state to go on from.
"""

import io
import pickle
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import torch
from torch import nn

from . import models
from .data import CLASSES, write_atomically

STATE, RECORD = "checkpoint.pt", "run.json"
WEIGHTS = Path(__file__).with_name("weights")


class CheckpointError(RuntimeError):
    """A checkpoint is missing, damaged or of another run; the message says what to do."""


def new_folder(name: str) -> Path:
    """Where a run of this name goes: runs/NAME-DATE-TIME, below the working folder."""
    return Path("runs", f"{name}-{datetime.now():%Y-%m-%d-%H%M%S}")


def begin(folder: str | Path, recipe: dict, resume: bool) -> dict | None:
    """What to go on from: the state saved in `folder`, or None for a new run."""
    path = Path(folder) / STATE
    if not path.exists():
        return None
    if not resume:
        raise CheckpointError(
            f"{folder} already holds a run: pass resume=True to go on with it, or another folder"
        )
    saved = load(path)
    if not isinstance(saved, dict) or not {"recipe", "state"} <= saved.keys():
        raise CheckpointError(f"{path} is not the state of a run: take another folder")
    if differing := {name for name in recipe if saved["recipe"].get(name) != recipe[name]}:
        changes = "; ".join(
            f"{name} was {saved['recipe'].get(name)!r}, now {recipe[name]!r}"
            for name in sorted(differing)
        )
        raise CheckpointError(f"{path} is of another recipe ({changes}): take another folder")
    return saved["state"]


def save(folder: str | Path, recipe: dict, state: dict) -> None:
    """Save a run's state, and its record (`state["run"]`, JSON) as a file to read."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    torch.save({"recipe": recipe, "state": state}, buffer)
    write_atomically(Path(folder) / STATE, buffer.getvalue())
    write_atomically(Path(folder) / RECORD, state["run"].encode())


def load(path: str | Path) -> dict:
    """What `torch.save` wrote, tensors and plain values only; never runs code from the file."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"there is no {path}") from None
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise CheckpointError(
            f"{path} is damaged or not a checkpoint ({reason}): delete it and start again"
        ) from error


def save_weights(
    path: str | Path,
    model: nn.Module,
    name: str,
    options: dict,
    classes: Sequence[str] = CLASSES,
) -> None:
    """Save a trained network with what `models.create` needs to build it again, and its classes."""
    buffer = io.BytesIO()
    saved = {"name": name, "options": options, "classes": list(classes)}
    torch.save(saved | {"weights": model.state_dict()}, buffer)
    write_atomically(Path(path), buffer.getvalue())


def load_weights(path: str | Path) -> nn.Module:
    """The network that `save_weights` saved, on the CPU, in eval mode; `.classes` are its names."""
    saved = load(path)
    if not isinstance(saved, dict) or not {"name", "options", "weights"} <= saved.keys():
        raise CheckpointError(f"{path} holds no network: name the weights.pt of a run")
    model = models.create(saved["name"], **saved["options"])
    model.load_state_dict(saved["weights"])
    model.classes = tuple(saved.get("classes", CLASSES))
    return model.eval()


def shipped(name: str) -> nn.Module:
    """A trained network that comes with the course, on the CPU, in eval mode.

    What made it is beside it in `inception_course/weights`. Raises `ValueError` for another name.
    """
    known = sorted(path.stem for path in WEIGHTS.glob("*.pt"))
    if name not in known:
        raise ValueError(f"the course comes with the weights of {', '.join(known)}; not {name!r}")
    return load_weights(WEIGHTS / f"{name}.pt")
