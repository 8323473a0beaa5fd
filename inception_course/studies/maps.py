"""Correlations in the maps of trained networks, and of the same networks before training."""

from dataclasses import replace

import torch
from torch import nn
from torch.utils.data import TensorDataset

from .. import data, hebbian, models
from ..data import Batches
from ..train import RECIPES
from ..train.recipes import NETWORKS
from .comparison import Contender, Inquiry

LAYERS = {"3a": "stem", "4c": "body.4b"}  # the layer whose map goes into each block
RECIPE = replace(RECIPES["quick"], precision="float32")
IMAGES = 500


def network() -> nn.Module:
    """Make the network of the recipe; its batch normalization has seen 1,000 images."""
    name, options = NETWORKS[RECIPE.name]
    net = models.create(name, **options)
    with torch.no_grad():
        for images, _ in Batches(data.fashion_mnist("train", sample=1000), 50):
            net(images)
    return net


def correlations(net: nn.Module, val_set: TensorDataset) -> list[dict]:
    """Return mean |r| on each ring around the center of a block's input, and the same by chance."""
    shown = TensorDataset(*val_set[:IMAGES])
    maps = hebbian.feature_maps(net, shown, list(LAYERS.values()))
    rows = []
    for block, layer in LAYERS.items():
        curves = (
            hebbian.by_distance(hebbian.center_correlations(maps[layer], shuffled=each)).tolist()
            for each in (False, True)
        )
        for ring, (r, chance) in enumerate(zip(*curves, strict=True)):
            rows.append({"block": block, "ring": ring, "r": r, "chance": chance})
    return rows


MAPS = Inquiry(
    "maps",
    "What correlates in the maps, near and far, before and after training on all images "
    "(5 trainings, 8 minutes).",
    (Contender("googlenet_bn", RECIPE, network),),
    seeds=(0, 1, 2, 3, 4),
    val_images=1000,
    ask=correlations,
    untrained=True,
)
