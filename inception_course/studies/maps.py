"""Correlations in the maps of trained networks, and of the same networks before training."""

import torch
from torch import nn
from torch.utils.data import TensorDataset

from .. import data, hebbian, models
from ..data import Batches
from ..train import RECIPES
from ..train.recipes import NETWORKS
from .comparison import Contender, Inquiry

BLOCKS = {"3a": "stem", "4c": "body.4b"}  # and the layer whose map goes into it
RECIPE = RECIPES["quick"]
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
    """Tell mean |r| on each ring around the center, and by chance, in the maps into each block."""
    shown = TensorDataset(*val_set[:IMAGES])
    rows = []
    for block, layer in BLOCKS.items():
        (found,) = hebbian.feature_maps(net, shown, [layer]).values()
        curve, floor = (
            hebbian.by_distance(hebbian.center_correlations(found, shuffled=shuffled)).tolist()
            for shuffled in (False, True)
        )
        for ring, pair in enumerate(zip(curve, floor, strict=True)):
            rows.append({"block": block, "ring": ring, "r": pair[0], "chance": pair[1]})
    return rows


MAPS = Inquiry(
    "maps",
    "How correlations in the maps fall with distance, before and after training on all images "
    "(5 trainings, 8 minutes).",
    (Contender("googlenet_bn", RECIPE, network),),
    seeds=(0, 1, 2, 3, 4),
    val_images=1000,
    ask=correlations,
    untrained=True,
)
