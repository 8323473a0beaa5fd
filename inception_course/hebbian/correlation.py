"""Find what fires together in a trained network: correlations in its feature maps, and its zeros.

A unit is one channel at one position of a map. Correlations are over images, so each unit's own
mean over the images is gone, and with it the part that is the same in every picture.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.utils.data import TensorDataset

from ..evaluate import predict


def feature_maps(
    model: nn.Module, dataset: TensorDataset, layers: Sequence[str]
) -> dict[str, Tensor]:
    """Collect the outputs of `layers`, which are named as in `model.named_modules()`.

    Returns float32 [N, C, H, W] on the CPU for each name. The model is in eval mode, and no hook
    is left behind.
    """
    collected: dict[str, list[Tensor]] = {name: [] for name in layers}
    hooks = []
    try:
        for name, pieces in collected.items():

            def keep(module: nn.Module, inputs: Any, output: Tensor, pieces: Any = pieces) -> None:
                pieces.append(output.float().cpu())

            hooks.append(model.get_submodule(name).register_forward_hook(keep))
        predict(model, dataset)
    finally:
        for hook in hooks:
            hook.remove()
    # To save memory, the batches of one map are freed before the next map is put together.
    return {name: torch.cat(collected.pop(name)).contiguous() for name in list(collected)}


def center_correlations(maps: Tensor, *, shuffled: bool = False) -> Tensor:
    """Correlate every unit at the center of the map with every unit of the map.

    `shuffled` pairs the center with the map of another image: what is left is chance. A unit that
    never changes correlates with nothing, and no unit is compared with itself: both are 0.

    Shape: [N, C, H, W] -> [C at the center, C, H, W], from -1 to 1
    """
    count, channels, height, width = maps.shape
    varying = maps - maps.mean(dim=0)
    spread = varying.square().mean(dim=0).sqrt()
    varying = varying / spread.clamp_min(1e-6)
    center = varying[:, :, height // 2, width // 2]
    if shuffled:
        center = center[torch.randperm(count, generator=Generator().manual_seed(0))]
    found = (center.T @ varying.flatten(1) / count).view(channels, channels, height, width)
    found[:, :, height // 2, width // 2].fill_diagonal_(0)
    return found


def rings(height: int, width: int) -> Tensor:
    """Measure each position's distance from the center: 0 the center, 1 the rest of 3x3, 2 of 5x5.

    Shape: int64 [height, width]
    """
    rows = (torch.arange(height) - height // 2).abs().unsqueeze(1)
    columns = (torch.arange(width) - width // 2).abs()
    return torch.maximum(rows, columns)


def by_distance(correlations: Tensor) -> Tensor:
    """Average the strength |r| on each ring around the center, over all pairs of channels.

    Shape: [C, C, H, W] -> [rings]
    """
    ring = rings(*correlations.shape[2:])
    pairs = torch.tensor([(ring == distance).sum() for distance in range(int(ring.max()) + 1)])
    total = correlations.abs().sum(dim=(0, 1)).flatten()
    sums = torch.zeros(len(pairs)).index_add_(0, ring.flatten(), total)
    pairs = pairs * correlations.shape[0] ** 2
    pairs[0] -= correlations.shape[0]  # a unit is not compared with itself
    return sums / pairs.clamp_min(1)


def zero_share(values: Tensor) -> float:
    """Return the part of `values` that is exactly zero."""
    return (values == 0).float().mean().item()
