"""Measure what zeros in a matrix save: sparse products against dense, and dense blocks in sparse.

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

FORMS = ("dense", "CSR", "BSR")
BLOCK = 16  # side of the blocks of the BSR form
DENSITIES = (0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1.0)


# Sparse against dense


def random_sparse(size: int, density: float, *, block: int = 1, seed: int = 0) -> Tensor:
    """Draw a square matrix in which each block of `block` x `block` entries is zero or not.

    Raises `ValueError` for a density outside 0 to 1 or a block that does not divide the size.
    """
    if not 0 <= density <= 1:
        raise ValueError(f"density is the part that is not zero, from 0 to 1, not {density}")
    if block < 1 or size % block:
        raise ValueError(f"blocks of {block} do not tile a matrix of {size}: take a divisor")
    generator = Generator().manual_seed(seed)
    values = torch.randn(size, size, generator=generator)
    kept = torch.rand(size // block, size // block, generator=generator) < density
    return values * kept.repeat_interleave(block, 0).repeat_interleave(block, 1)


@contextmanager
def sparse_tensors() -> Iterator[None]:
    """Hide torch's warning that its sparse tensors may still change, and nothing else.

    CSR, compressed sparse rows, holds the entries that are not zero, row by row, with their
    columns. BSR is the same with small dense blocks in place of entries.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Sparse (CSR|BSR) tensor support is in beta state")
        yield


def stored(matrix: Tensor, form: str) -> Tensor:
    """Store the same matrix in one of `FORMS`."""
    with sparse_tensors():
        if form == "CSR":
            return matrix.to_sparse_csr()
        if form == "BSR":
            return matrix.to_sparse_bsr((BLOCK, BLOCK))
    if form != "dense":
        raise ValueError(f"form is one of {', '.join(FORMS)}; not {form!r}")
    return matrix


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
    """Holds the seconds of matrix [size, size] @ inputs [size, columns], per form and density.

    A form that this build of torch cannot multiply has times that are no number.
    """

    size: int
    columns: int
    densities: tuple[float, ...]
    seconds: dict[str, list[float]]

    def gain(self, form: str) -> list[float]:
        """Return how many times faster than the dense product this form is, per density."""
        dense = self.seconds["dense"]
        return [d / s for d, s in zip(dense, self.seconds[form], strict=True)]

    def break_even(self, form: str) -> float:
        """Return the density above which dense is faster, interpolated on a log scale.

        It is the lowest density if dense is always faster, 1 if it never is.
        """
        gains = np.log(self.gain(form))
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
    """Time the same product with the matrix stored in each of `FORMS`.

    Zeros are at random for dense and CSR, and in blocks of 16x16 for BSR, which could not store
    them otherwise.
    """
    inputs = torch.randn(size, columns, generator=Generator().manual_seed(seed))
    taken: dict[str, list[float]] = {form: [] for form in FORMS}
    for density in densities:
        for form, times in taken.items():
            block = BLOCK if form == "BSR" else 1
            matrix = stored(random_sparse(size, density, block=block, seed=seed), form)
            try:
                times.append(seconds(partial(torch.matmul, matrix, inputs), repeats=repeats))
            except RuntimeError:  # torch without Intel's MKL has no product for BSR
                times.append(float("nan"))
    return ProductTimes(size, columns, tuple(densities), taken)


# Dense blocks in a scattered matrix


def scattered_blocks(
    size: int = 512, blocks: int = 8, *, stray: float = 0.0, seed: int = 0
) -> Tensor:
    """Make a matrix of dense blocks on the diagonal, and shuffle its rows and columns.

    All else is zero but for the part `stray` of the entries outside the blocks.
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
    singular vectors of the normalized pattern give rows and columns of one block the same place.
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
