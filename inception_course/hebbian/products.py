"""Measure what zeros in a matrix save: sparse against dense products, dense blocks among zeros.

Times are medians of repetitions on one thread, in seconds.
"""

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from statistics import median

import numpy as np
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from torch import Generator, Tensor

from ..machine import using_threads

DENSITIES = (0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1.0)


# Sparse against dense


def random_sparse(size: int, density: float, *, seed: int = 0) -> Tensor:
    """Draw a square matrix in which an entry is not zero with probability `density`.

    Raises `ValueError` for a density outside 0 to 1.
    """
    if not 0 <= density <= 1:
        raise ValueError(f"density is the part that is not zero, from 0 to 1, not {density}")
    generator = Generator().manual_seed(seed)
    values = torch.randn(size, size, generator=generator)
    return values * (torch.rand(size, size, generator=generator) < density)


@contextmanager
def sparse_tensors() -> Iterator[None]:
    """Hide torch's warning that its sparse tensors may still change, and nothing else."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Sparse CSR tensor support is in beta state")
        yield


def csr(matrix: Tensor) -> Tensor:
    """Store a matrix as compressed sparse rows: entries that are not zero, and their columns."""
    with sparse_tensors():
        return matrix.to_sparse_csr()


def seconds(work: Callable[[], object], *, repeats: int = 9) -> float:
    """Time `work` on one thread: the median, after a first run that does not count."""
    with using_threads(1), sparse_tensors():
        work()
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
    return median(times)


@dataclass(frozen=True, slots=True)
class ProductTimes:
    """Holds the seconds of matrix [size, size] @ inputs [size, columns] for each density."""

    size: int
    columns: int
    densities: tuple[float, ...]
    dense: tuple[float, ...]
    csr: tuple[float, ...]

    @property
    def gain(self) -> list[float]:
        """Return how many times faster than the dense product CSR is, for each density."""
        return [dense / sparse for dense, sparse in zip(self.dense, self.csr, strict=True)]

    @property
    def break_even(self) -> float:
        """Return the density above which dense is faster, interpolated on a log scale.

        It is the lowest density if dense is always faster, 1 if it never is.
        """
        gains = np.log(self.gain)
        if not gains[0] > 0:
            return self.densities[0]
        slower = np.flatnonzero(gains < 0)
        if len(slower) == 0:
            return 1.0
        low, high = slower[0] - 1, slower[0]
        part = gains[low] / (gains[low] - gains[high])
        logs = np.log(self.densities)
        return float(np.exp(logs[low] + part * (logs[high] - logs[low])))


def product_times(
    size: int = 1024,
    densities: Sequence[float] = DENSITIES,
    *,
    columns: int = 256,
    repeats: int = 9,
    seed: int = 0,
) -> ProductTimes:
    """Time the same product with the matrix stored whole and as CSR; its zeros are at random."""
    inputs = torch.randn(size, columns, generator=Generator().manual_seed(seed))
    dense, sparse = list[float](), list[float]()
    for density in densities:
        matrix = random_sparse(size, density, seed=seed)
        for form, times in ((matrix, dense), (csr(matrix), sparse)):
            times.append(seconds(partial(torch.matmul, form, inputs), repeats=repeats))
    return ProductTimes(size, columns, tuple(densities), tuple(dense), tuple(sparse))


# Dense blocks in a scattered matrix


def scattered_blocks(
    size: int = 512, blocks: int = 8, *, stray: float = 0.0, seed: int = 0
) -> Tensor:
    """Make a matrix of dense blocks on the diagonal, and shuffle its rows and columns.

    Outside the blocks all entries are zero, except for the part `stray` of them.
    """
    if blocks < 1 or size % blocks:
        raise ValueError(f"{blocks} equal blocks do not tile a matrix of {size}: take a divisor")
    generator = Generator().manual_seed(seed)
    part = torch.arange(size) // (size // blocks)
    inside = part.unsqueeze(1) == part
    inside |= torch.rand(size, size, generator=generator) < stray
    matrix = torch.randn(size, size, generator=generator) * inside
    rows, columns = (torch.randperm(size, generator=generator) for _ in range(2))
    return matrix[rows][:, columns]


def find_blocks(matrix: Tensor, blocks: int) -> tuple[np.ndarray, np.ndarray]:
    """Group rows with the columns that they use; return the group of each row and column, from 1.

    This is spectral clustering of the bipartite graph of rows and columns (Dhillon 2001): the first
    singular vectors of the normalized pattern place the rows and columns of a block close together.
    """
    pattern = (matrix != 0).double().numpy()
    row_scale, column_scale = (1 / np.sqrt(pattern.sum(axis=axis).clip(min=1)) for axis in (1, 0))
    left, _, right = np.linalg.svd(row_scale[:, None] * pattern * column_scale)
    places = np.concatenate(
        (row_scale[:, None] * left[:, :blocks], column_scale[:, None] * right[:blocks].T)
    )
    places /= np.linalg.norm(places, axis=1, keepdims=True).clip(min=1e-12)
    groups = fcluster(linkage(places, method="ward"), blocks, criterion="maxclust")
    return groups[: len(pattern)], groups[len(pattern) :]


@dataclass(frozen=True, slots=True)
class Block:
    """Holds a dense part of a matrix, and the rows and columns where it belongs."""

    rows: Tensor
    columns: Tensor
    values: Tensor


def cut_blocks(
    matrix: Tensor, row_groups: np.ndarray, column_groups: np.ndarray
) -> tuple[list[Block], Tensor]:
    """Cut out the dense block of each group; return the blocks and what is left, dense."""
    rest, found = matrix.clone(), []
    for group in np.intersect1d(row_groups, column_groups):
        rows = torch.from_numpy(np.flatnonzero(row_groups == group))
        columns = torch.from_numpy(np.flatnonzero(column_groups == group))
        cells = rows.unsqueeze(1), columns
        found.append(Block(rows, columns, matrix[cells].contiguous()))
        rest[cells] = 0
    return found, rest


def multiply_blocks(blocks: Sequence[Block], inputs: Tensor, size: int) -> Tensor:
    """Multiply the matrix of these blocks, which has `size` rows, by `inputs`."""
    outputs = torch.zeros(size, inputs.shape[1])
    for block in blocks:
        outputs[block.rows] += block.values @ inputs[block.columns]
    return outputs
