"""Learn from what fires together: Hebb's and Oja's rules on patches of images.

Each rule takes weights [units, pixels] and a batch of inputs [B, pixels], and returns new weights.
A unit's output is linear: output = inputs @ weights.
"""

from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.utils.data import TensorDataset

Rule = Callable[[Tensor, Tensor, float], Tensor]


def patches(dataset: TensorDataset, count: int, *, size: int = 8, seed: int = 0) -> Tensor:
    """Cut squares from random places of random images, as rows; pixels are from 0 to 1.

    Shape: [count, size * size]
    """
    images = dataset.tensors[0][:, 0]  # [N, H, W]
    height, width = images.shape[1:]
    if not 1 <= size <= min(height, width):
        raise ValueError(f"a patch of {size}x{size} does not fit into an image {height}x{width}")
    squares = images.unfold(1, size, 1).unfold(2, size, 1)  # [N, rows, columns, size, size]
    generator = Generator().manual_seed(seed)
    at = (torch.randint(places, (count,), generator=generator) for places in squares.shape[:3])
    return squares[tuple(at)].flatten(1).float() / 255


def remove_mean(rows: Tensor) -> Tensor:
    """Subtract each pixel's mean over all rows, so that products of pixels become covariances."""
    return rows - rows.mean(dim=0)


def hebb(weights: Tensor, inputs: Tensor, rate: float) -> Tensor:
    """Let each weight grow by the product of its input and its output (after Hebb 1949)."""
    outputs = inputs @ weights.T  # [B, units]
    return weights + rate * outputs.T @ inputs / len(inputs)


def oja(weights: Tensor, inputs: Tensor, rate: float) -> Tensor:
    """Add Hebb's growth, minus the decay that keeps the weights at length 1 (Oja 1982)."""
    outputs = inputs @ weights.T
    growth = outputs.T @ inputs / len(inputs)
    decay = outputs.square().mean(dim=0).unsqueeze(1) * weights
    return weights + rate * (growth - decay)


def learn(
    rule: Rule,
    rows: Tensor,
    *,
    rate: float,
    steps: int,
    units: int = 1,
    seed: int = 0,
) -> Tensor:
    """Return the weights before every step and after the last, [steps + 1, units, pixels].

    They start at random, each unit's at length 1. A step sees 100 rows drawn at random.
    """
    generator = Generator().manual_seed(seed)
    weights = torch.randn(units, rows.shape[1], generator=generator)
    weights /= weights.norm(dim=1, keepdim=True)
    history = [weights]
    for _ in range(steps):
        chosen = torch.randint(len(rows), (100,), generator=generator)
        history.append(rule(history[-1], rows[chosen], rate))
    return torch.stack(history)


def principal_components(rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Find the directions in which `rows`, of mean zero, vary most, and the variance along each.

    Shape: [N, pixels] -> [count, pixels] and [count], largest variance first. Signs are arbitrary.
    """
    variances, directions = torch.linalg.eigh(rows.T @ rows / len(rows))
    return directions.T.flip(0)[:count], variances.flip(0)[:count]


def alignment(weights: Tensor, directions: Tensor) -> Tensor:
    """Return |cosine| of the angle between each weight vector and the direction of the same row.

    Shape: [..., units, pixels] and [units, pixels] -> [..., units]; 1 means the same line.
    """
    return torch.nn.functional.cosine_similarity(weights, directions, dim=-1).abs()
