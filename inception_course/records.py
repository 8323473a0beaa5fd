"""Records of measurements: frozen dataclasses of numbers, texts and tuples, as JSON and back."""

import json
from dataclasses import asdict, is_dataclass
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

Record = TypeVar("Record")


def to_json(record: Any) -> str:
    return json.dumps(asdict(record), indent=1)


def from_json(kind: type[Record], text: str) -> Record:
    """What `to_json` wrote of a dataclass; its annotations say what is in it.

    Raises `ValueError` if `text` is not such a record.
    """
    try:
        record: Record = _restored(kind, json.loads(text))
    except (AttributeError, TypeError, ValueError) as error:
        name = getattr(kind, "title", f"a {kind.__name__.lower()}")
        raise ValueError(f"this is not the record of {name}: {error}") from error
    return record


def _restored(kind: Any, value: Any) -> Any:
    """JSON knows no dataclasses and no tuples."""
    if is_dataclass(kind):
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
