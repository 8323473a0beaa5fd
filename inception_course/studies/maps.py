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

# The layer whose map goes into each block.
LAYERS = {
    "3a": "stem", "3b": "body.3a", "4a": "body.pool3", "4b": "body.4a",
    "4c": "body.4b", "4d": "body.4c", "4e": "body.4d",
}  # fmt: skip
BY_DISTANCE = ("3a", "4c")  # before these, correlations are told for each distance
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
    """Return rows of two kinds on what correlates in the map that goes into each block.

    One says which part of the strongest partners lies inside a window, and would by chance; the
    other, for some blocks, mean |r| on a ring around the center, and by chance.
    """
    shown = TensorDataset(*val_set[:IMAGES])
    maps = hebbian.feature_maps(net, shown, list(LAYERS.values()))
    rows = []
    for block, layer in LAYERS.items():
        r = hebbian.center_correlations(maps[layer])
        inside, chance = hebbian.coverage(r), hebbian.chance_coverage(*r.shape[2:])
        for n, window in enumerate(hebbian.WINDOWS):
            parts = {"inside": inside[n].item(), "chance": chance[n].item()}
            rows.append({"block": block, "window": window} | parts)
        if block in BY_DISTANCE:
            shuffled = hebbian.center_correlations(maps[layer], shuffled=True)
            curves = (hebbian.by_distance(each).tolist() for each in (r, shuffled))
            for ring, pair in enumerate(zip(*curves, strict=True)):
                rows.append({"block": block, "ring": ring, "r": pair[0], "chance": pair[1]})
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
