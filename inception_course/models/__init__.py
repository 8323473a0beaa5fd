"""Every network of the course by its name."""

import inspect
from collections.abc import Iterable
from difflib import get_close_matches

from torch import nn

from . import googlenet

NETWORKS = {
    "googlenet": googlenet.googlenet,
    "googlenet_bn": googlenet.googlenet_bn,
    "googlenet_d2l": googlenet.googlenet_d2l,
}


def names() -> list[str]:
    """The names that `create` knows."""
    return list(NETWORKS)


def create(name: str, *, num_classes: int = 10, in_channels: int = 1, **options) -> nn.Module:
    """The network `name`, newly initialised, with the options of the function of that name.

    Shape: [B, in_channels, H, W] -> logits [B, num_classes]

    Raises `ValueError` with the nearest valid choice for a name or an option it does not know.
    """
    if name not in NETWORKS:
        raise ValueError(_unknown("network", name, NETWORKS))
    known = inspect.signature(NETWORKS[name]).parameters
    for option in options:
        if option not in known:
            raise ValueError(_unknown(f"option of {name}", option, known))
    return NETWORKS[name](num_classes=num_classes, in_channels=in_channels, **options)


def _unknown(kind: str, given: str, valid: Iterable[str]) -> str:
    valid = list(valid)
    nearest = get_close_matches(given, valid, n=1)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    return f"unknown {kind} {given!r}: {hint}valid are {', '.join(valid)}"
