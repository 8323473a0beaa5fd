"""Every network of the course by its name."""

import inspect
from collections.abc import Iterable
from difflib import get_close_matches

import torch
from torch import nn

from . import alexnet, googlenet, inception_bn, inception_v3, nin, resnet, vgg, zfnet

NETWORKS = {
    "alexnet": alexnet.alexnet,
    "zfnet": zfnet.zfnet,
    "vgg11": vgg.vgg11,
    "vgg16": vgg.vgg16,
    "vgg19": vgg.vgg19,
    "nin": nin.nin,
    "googlenet": googlenet.googlenet,
    "googlenet_d2l": googlenet.googlenet_d2l,
    "googlenet_bn": googlenet.googlenet_bn,
    "googlenet_naive": googlenet.googlenet_naive,
    "googlenet_torchvision": googlenet.googlenet_torchvision,
    "inception_bn": inception_bn.inception_bn,
    "inception_v3": inception_v3.inception_v3,
    "resnet18": resnet.resnet18,
    "resnet34": resnet.resnet34,
    "resnet50": resnet.resnet50,
}
WEIGHTED = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)


def names() -> list[str]:
    """The names that `create` knows."""
    return list(NETWORKS)


def create(name: str, *, num_classes: int = 10, in_channels: int = 1, **options) -> nn.Module:
    """The network `name`, newly initialized, with the options of the function of that name.

    Shape: [B, in_channels, H, W] -> logits [B, num_classes]

    Raises `ValueError` with the nearest valid choice for a name or an option it does not know.
    """
    known = options_of(name)
    for option in options:
        if option not in known:
            raise ValueError(_unknown(f"option of {name}", option, known))
    return NETWORKS[name](num_classes=num_classes, in_channels=in_channels, **options)


def options_of(name: str) -> list[str]:
    """The options that `create` takes for the network `name`; `ValueError` if there is none."""
    if name not in NETWORKS:
        raise ValueError(_unknown("network", name, NETWORKS))
    network = NETWORKS[name]
    if network is googlenet.googlenet_naive:  # hands its other options on
        return ["pool_projection", *options_of("googlenet")]
    known = inspect.signature(network).parameters.values()
    return [parameter.name for parameter in known if parameter.kind is parameter.KEYWORD_ONLY]


@torch.no_grad()
def transplant(source: nn.Module, target: nn.Module) -> None:
    """Copy the weights of `source` into `target`, layer by layer in their order.

    For two nets with the same convolutions, normalizations and linear layers under other names.

    Raises `ValueError`, with nothing copied, at the first layer that differs in kind or shape.
    """
    pairs = []
    givers, takers = (
        [m for m in net.modules() if isinstance(m, WEIGHTED)] for net in (source, target)
    )
    if len(givers) != len(takers):
        raise ValueError(f"{len(givers)} layers cannot go into {len(takers)}")
    for number, (giver, taker) in enumerate(zip(givers, takers, strict=True), 1):
        given, taken = giver.state_dict(), taker.state_dict()
        shapes = [{key: list(v.shape) for key, v in state.items()} for state in (given, taken)]
        if type(giver) is not type(taker) or shapes[0] != shapes[1]:
            raise ValueError(f"layer {number} is {giver} there and {taker} here")
        pairs.append((taker, given))
    for taker, given in pairs:
        taker.load_state_dict(given)


def _unknown(kind: str, given: str, valid: Iterable[str]) -> str:
    valid = list(valid)
    nearest = get_close_matches(given, valid, n=1)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    return f"unknown {kind} {given!r}: {hint}valid are {', '.join(valid)}"
