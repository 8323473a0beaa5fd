"""Records of measurements: frozen dataclasses of numbers, texts and tuples, as JSON and back.

A record ends with the SHA-256 of the rest: no damaged number is ever taken for a measured one.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from .machine import claim, write_atomically

Record = TypeVar("Record")
CHECKSUM = "sha256"


def save(record: Any, path: Path) -> None:
    """Write a record to a file; its folder is made if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, to_json(record).encode())


def load(kind: type[Record], path: Path) -> Record:
    """Read the record in a file; raises `ValueError` if it is not one of this kind."""
    try:
        return from_json(kind, path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Keep other processes from the record at `path`; raises `ValueError` if one uses it."""
    try:
        with claim(path.parent, path.name):
            yield
    except BlockingIOError as error:
        raise ValueError(
            f"{path} is in use by {error}: wait for its end, or take another file"
        ) from error


def to_json(record: Any) -> str:
    values = json.loads(json.dumps(asdict(record)))
    return json.dumps(values | {CHECKSUM: _checksum(values)}, indent=1)


def _checksum(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def from_json(kind: type[Record], text: str) -> Record:
    """Restore a dataclass that `to_json` wrote; its annotations say what is in it.

    Raises `ValueError` if `text` is not such a record.
    """
    try:
        values = json.loads(text)
        if CHECKSUM not in values:
            raise ValueError("it was changed, or is damaged, or of the first edition: no SHA-256")
        if values.pop(CHECKSUM) != _checksum(values):
            raise ValueError("it was changed, or is damaged: its SHA-256 is not what it was")
        record: Record = _restored(kind, values)
    except (AttributeError, RecursionError, TypeError, ValueError) as error:
        name = getattr(kind, "title", f"a {kind.__name__.lower()}")
        raise ValueError(f"this is not the record of {name}: {error}") from error
    return record


def _restored(kind: Any, value: Any) -> Any:
    """Restore what JSON does not know: dataclasses and tuples."""
    if isinstance(kind, type) and is_dataclass(kind):
        known = get_type_hints(kind)
        return kind(**{name: _restored(known.get(name), each) for name, each in value.items()})
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if origin in (Union, UnionType):  # of something and None
        (kind,) = (each for each in inner if each is not NoneType)
        return None if value is None else _restored(kind, value)
    if origin is tuple:
        return tuple(_restored(inner[0] if inner else None, each) for each in value)
    if origin is dict and inner:
        return {name: _restored(inner[1], each) for name, each in value.items()}
    return value
