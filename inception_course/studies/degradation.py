"""Depth without and with shortcuts: the training error, and what a net is worth without a block.

The nets are those that the ResNet paper trains on small images, with half of their channels and a
first convolution that halves the map.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from .. import data, models
from ..batch_norm import estimate_population
from ..evaluate import accuracy
from ..models.blocks import Norm, ResidualBlock
from ..models.resnet import ResNet
from ..train import Recipe
from .comparison import Contender, Inquiry

NETS = (("plain", 8), ("residual", 8), ("plain", 44), ("residual", 44), ("preactivated", 44))
TRAIN_IMAGES = 20_000
ASKED_IMAGES = 2000
DRAWS = 5  # how often several blocks are drawn at random
RECIPE = Recipe("degradation", 3, 128, 0.1, momentum=0.9, schedule="one-cycle")


def small_net(kind: str, layers: int, norm: Norm = nn.BatchNorm2d) -> ResNet:
    """Make a net of 6n + 2 layers with 8, 16 and 32 channels, for images of 28x28 pixels."""
    return models.resnet_small(layers=layers, kind=kind, stride=2, width=0.5, norm=norm)


def block_gradients(kind: str, layers: int, norm: bool, seed: int) -> list[float]:
    """Return for each block the norm of the gradient of its weights, before any training."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return gradients_of(small_net(kind, layers, norm=nn.BatchNorm2d if norm else None))


def gradients_of(net: ResNet) -> list[float]:
    """Return for each block the norm of the gradient of its weights, on 128 images."""
    net.train()
    images, labels = next(iter(data.Batches(data.fashion_mnist("train", sample=128), 128)))
    nn.functional.cross_entropy(net(images), labels).backward()
    weights = [
        [p for p in block.parameters() if p.ndim > 1]
        for block in net.body.values()
        if isinstance(block, ResidualBlock)
    ]
    return [nn.utils.clip_grad_norm_(each, math.inf).item() for each in weights]  # clips none


def removable(net: ResNet) -> list[str]:
    """List the blocks that keep the shape of their map, in order."""
    kept, x = [], net.eval().stem(torch.zeros(1, 1, 28, 28))
    for name, block in net.body.items():
        before, x = x.shape, block(x)
        if isinstance(block, ResidualBlock) and x.shape == before:
            kept.append(name)
    return kept


@contextmanager
def without(net: ResNet, names: Iterable[str]) -> Iterator[ResNet]:
    """Inside, the net works without the blocks of these names; afterwards they are back."""
    kept = {name: net.body[name] for name in names}
    net.body.update({name: nn.Identity() for name in kept})
    try:
        yield net
    finally:
        net.body.update(kept)


def dropped(net: ResNet, val_set: TensorDataset) -> list[dict]:
    """Take blocks away, one at a time and several at random, and measure the accuracy that is left.

    Batch normalization uses the statistics of the whole net ("old"), or "new" ones, of 2,000
    training images that pass through the blocks that are left.
    """
    few = TensorDataset(*(each[:ASKED_IMAGES] for each in val_set.tensors))
    train_images: Iterable[Tensor] = [
        images for images, _ in data.Batches(data.fashion_mnist("train", sample=2000), 250)
    ]
    names = removable(net)
    chosen = [[name] for name in names]
    generator = torch.Generator().manual_seed(0)
    for count in (2, 4, 6):
        if count < len(names):
            chosen += [
                [names[n] for n in torch.randperm(len(names), generator=generator)[:count].tolist()]
                for _ in range(DRAWS)
            ]
    whole = {name: value.clone() for name, value in net.state_dict().items()}
    rows = [{"blocks": 0, "statistics": "old", "accuracy": accuracy(net, few)}]
    for gone in chosen:
        row = {"blocks": len(gone), "block": gone[0] if len(gone) == 1 else None}
        with without(net, gone):
            rows.append(row | {"statistics": "old", "accuracy": accuracy(net, few)})
            estimate_population(net, train_images)
            rows.append(row | {"statistics": "new", "accuracy": accuracy(net, few)})
        net.load_state_dict(whole)
    return rows


class FirstImages(Inquiry):
    """An inquiry whose nets learn from the first images of the training split."""

    def images(self) -> tuple[TensorDataset, TensorDataset]:
        train_set, val_set = super().images()
        return TensorDataset(*(each[:TRAIN_IMAGES] for each in train_set.tensors)), val_set


DEGRADATION = FirstImages(
    "degradation",
    "Training error against depth, without and with shortcuts, and nets without some of their "
    "blocks (15 trainings, 15 minutes).",
    tuple(
        Contender(f"{kind}, {layers} layers", RECIPE, partial(small_net, kind, layers))
        for kind, layers in NETS
    ),
    seeds=(0, 1, 2),
    clean=True,
    ask=dropped,
)
