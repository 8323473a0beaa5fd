"""Make a network of the course: `models.googlenet()`, or by its name `create("googlenet")`."""

import inspect
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

from .alexnet import alexnet
from .blocks import Network
from .googlenet import googlenet, googlenet_bn, googlenet_d2l, googlenet_naive
from .inception_bn import inception_bn
from .inception_v3 import inception_v3
from .inception_v4 import inception_resnet_v2, inception_v4
from .nin import nin
from .resnet import resnet18, resnet34, resnet50, resnet_small
from .torchvision_weights import (
    alexnet_torchvision,
    googlenet_torchvision,
    resnet50_torchvision,
    transplant,
)
from .vgg import vgg11, vgg16, vgg19
from .xception import xception
from .zfnet import zfnet

_NETWORKS: dict[str, Callable[..., Network]] = {
    function.__name__: function
    for function in (
        *(alexnet, zfnet, vgg11, vgg16, vgg19, nin),
        *(googlenet, googlenet_bn, googlenet_naive, googlenet_d2l),
        *(inception_bn, inception_v3, inception_v4, inception_resnet_v2, xception),
        *(resnet18, resnet34, resnet50, resnet_small),
        *(alexnet_torchvision, googlenet_torchvision, resnet50_torchvision),
    )
}
__all__ = [*_NETWORKS, "create", "names", "options_of", "transplant"]


def names() -> list[str]:
    """List the names that `create` knows; each is a function of this package."""
    return list(_NETWORKS)


def create(name: str, **options: Any) -> Network:
    """Make the network `name`, newly initialized, with the options of the function of that name.

    Shape: [B, in_channels, H, W] -> logits [B, num_classes]; without options, 1 channel and 10
    classes.

    Raises `ValueError` with the nearest valid choice for a name or an option it does not know.
    """
    known = options_of(name)
    for option in options:
        if option not in known:
            raise ValueError(_unknown(f"option of {name}", option, known))
    return _NETWORKS[name](**options)


def options_of(name: str) -> list[str]:
    """List the options of the network `name`; raises `ValueError` if there is no such network."""
    if name not in _NETWORKS:
        raise ValueError(_unknown("network", name, names()))
    return list(inspect.signature(_NETWORKS[name]).parameters)


def _unknown(kind: str, given: str, valid: Iterable[str]) -> str:
    valid = list(valid)
    nearest = get_close_matches(given, valid, n=1)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    return f"unknown {kind} {given!r}: {hint}valid are {', '.join(valid)}"
