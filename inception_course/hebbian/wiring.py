"""Find a network's wiring from what fires together: the planted network, and its recovery.

After Arora, Bhaskara, Ge and Ma, "Provable Bounds for Learning Some Deep Representations", 2014,
which the GoogLeNet paper names as its motivation. A hidden layer with few active units makes units
of the layer below fire, through a sparse random wiring that nobody sees. Units below that fire
together have a parent in common; so the wiring is found from pairs.

What a layer does is a sparse matrix (scipy's CSR) [samples, units] of 0 and 1.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

PAPERS_THRESHOLD = 1 / 3


@dataclass(frozen=True, slots=True)
class Recovery:
    """Holds what was found of one layer's wiring.

    `truth` and `found` say, per hidden unit, which units below it excites: bool [units, n].
    `match` says, per true hidden unit, which row of `found` is exactly the same, or -1.
    """

    truth: np.ndarray
    found: np.ndarray
    match: np.ndarray
    precision: float  # which part of the pairs taken for related shares a parent
    recall: float  # which part of the pairs that share a parent was taken for related
    bit_error: float  # which part of the exactly recovered units' inferred activity is wrong

    @property
    def exact(self) -> int:
        """Count the hidden units that were found with exactly the units that they excite."""
        return int((self.match >= 0).sum())

    @property
    def share(self) -> float:
        """Return the fraction of the hidden units that are recovered exactly."""
        return self.exact / len(self.truth)

    def __str__(self) -> str:
        return (
            f"pairs: precision {self.precision:.3f}, recall {self.recall:.3f}; hidden units "
            f"exactly recovered: {self.exact} of {len(self.truth)}; "
            f"wrong bits: {self.bit_error:.1e}"
        )


def recover(
    *,
    n: int = 400,
    degree: int = 8,
    ones: int = 1,
    samples: int = 8000,
    threshold: float = PAPERS_THRESHOLD,
    shuffled: bool = False,
    seed: int = 0,
) -> Recovery:
    """Plant a wiring, look only at the layer below it, and recover the wiring.

    `shuffled` puts each unit's samples in a random order, which keeps how often it fires and
    destroys what fires together: then there is nothing to recover.

    Raises `ValueError` for a network that cannot exist.
    """
    _check(n, degree, ones, samples)
    rng = np.random.default_rng(seed)
    wiring = random_wiring(n, degree, rng)
    hidden, seen = fire(wiring, ones, samples, rng)
    if shuffled:
        seen = csr_matrix(rng.permuted(seen.toarray() > 0, axis=0), dtype=np.float32)
    related = related_pairs(seen, ones / n, threshold)
    found = recover_units(related, degree // 2, seed=seed)
    return _compare(wiring > 0, found, related, hidden, infer(seen, found, degree))


@dataclass(frozen=True, slots=True)
class CoFiring:
    """Holds how often each pair of seen units fires together, as a flat array for each kind.

    The counts are divided by the number of samples in which one hidden unit is active.
    """

    siblings: np.ndarray  # pairs with a parent in common
    strangers: np.ndarray


def co_firing(
    *, n: int = 400, degree: int = 8, ones: int = 1, samples: int = 8000, seed: int = 0
) -> CoFiring:
    """Plant the network that `recover` sees with the same arguments, and count its pairs."""
    _check(n, degree, ones, samples)
    rng = np.random.default_rng(seed)
    wiring = random_wiring(n, degree, rng)
    _, seen = fire(wiring, ones, samples, rng)
    together = (seen.T @ seen).toarray() / (samples * ones / n)
    parents = (wiring > 0).astype(np.float32)
    pairs = np.triu_indices(n, 1)
    related = (parents.T @ parents)[pairs] > 0
    return CoFiring(together[pairs][related], together[pairs][~related])


def random_wiring(n: int, degree: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a wiring in which every unit excites degree/2 units below and inhibits as many.

    Every unit below is excited by degree/2 and inhibited by as many, too.

    Shape: float32 [n hidden, n below] of -1, 0 and +1
    """
    targets = np.empty((n, 0), dtype=int)
    for _ in range(degree):  # one permutation gives every unit one child and one parent
        column = rng.permutation(n)
        while (clash := (targets == column[:, None]).any(axis=1)).any():
            rows = np.union1d(np.flatnonzero(clash), rng.integers(n, size=clash.sum()))
            column[rows] = rng.permutation(column[rows])
        targets = np.c_[targets, column]
    wiring = np.zeros((n, n), dtype=np.float32)
    np.put_along_axis(wiring, targets[:, : degree // 2], 1, axis=1)
    np.put_along_axis(wiring, targets[:, degree // 2 :], -1, axis=1)
    return wiring


def fire(
    wiring: np.ndarray, ones: int, samples: int, rng: np.random.Generator
) -> tuple[csr_matrix, csr_matrix]:
    """Draw samples of the hidden layer and of the layer below.

    Exactly `ones` hidden units are active; below, a unit fires if what comes in along its edges is
    above zero.
    """
    n = len(wiring)
    active = np.empty((samples, 0), dtype=int)
    for last in range(n - ones, n):  # Floyd's way to draw without repetition
        drawn = rng.integers(last + 1, size=samples)
        taken = (active == drawn[:, None]).any(axis=1)
        active = np.c_[active, np.where(taken, last, drawn)]
    rows = np.repeat(np.arange(samples), ones)
    values = np.ones(samples * ones, dtype=np.float32)
    hidden = csr_matrix((values, (rows, active.ravel())), shape=(samples, n))
    return hidden, (hidden @ csr_matrix(wiring) > 0).astype(np.float32)


def related_pairs(layer: csr_matrix, rho: float, threshold: float = PAPERS_THRESHOLD) -> np.ndarray:
    """Find units that fire together in at least threshold * rho of all samples (PairwiseGraph).

    `rho` is the active part of the layer above: how often two units fire because of one parent.

    Shape: [samples, n] -> bool [n, n], symmetric, no unit with itself
    """
    together = (layer.T @ layer).toarray()
    related = together >= threshold * rho * layer.shape[0]
    np.fill_diagonal(related, False)
    return related


def recover_units(related: np.ndarray, degree: int, *, seed: int = 0) -> np.ndarray:
    """Find the groups of units below that have a parent in common (RecoverGraph).

    A parent that excites `degree` units makes all of them pairwise related. So take a pair: the
    units related to both are siblings, if they are not too many; keep those that most of them know.

    Shape: bool [n, n] -> bool [groups found, n]
    """
    knows = [{unit, *np.flatnonzero(row).tolist()} for unit, row in enumerate(related)]
    circles = (related | np.eye(len(related), dtype=bool)).astype(np.float32)
    # A pair that more units know has several parents; other pairs show each parent alone.
    few = circles @ circles < 1.3 * degree
    pairs = np.argwhere(np.triu(related))
    np.random.default_rng(seed).shuffle(pairs)
    marked: set[tuple[int, int]] = set()
    groups: set[tuple[int, ...]] = set()
    for first, second in pairs[few[tuple(pairs.T)]].tolist():
        if (first, second) in marked:
            continue
        siblings = knows[first] & knows[second]
        # Here a unit knows itself, so that the paper's 0.8 d - 1 others are 0.8 d.
        group = sorted(unit for unit in siblings if len(knows[unit] & siblings) >= 0.8 * degree)
        marked.update((low, high) for low in group for high in group if low < high)
        groups.add(tuple(group))
    found = np.zeros((len(groups), len(related)), dtype=bool)
    for row, members in enumerate(sorted(groups)):
        found[row, list(members)] = True
    return found[found.any(axis=1)]


def infer(layer: csr_matrix, found: np.ndarray, degree: int) -> csr_matrix:
    """Infer the activity of the layer above: on if more than 0.3 d units of its group fire.

    This is the paper's PartialEncoder. `degree` is d: how many units one excites or inhibits.

    Shape: [samples, n] and bool [found, n] -> [samples, found]
    """
    return (layer @ csr_matrix(found.T, dtype=np.float32) > 0.3 * degree).astype(np.float32)


def critical_rho(degree: int) -> float:
    """Return the active part below which pairs tell siblings from strangers: (rho d)^2 < 0.1 rho.

    Siblings fire together with a rate of about rho, strangers with at most (rho d)^2. The paper
    writes d, all edges; only the half that excites makes units fire, so d/2 stands here, which
    allows four times as much.
    """
    return 0.1 / (degree / 2) ** 2


def _check(n: int, degree: int, ones: int, samples: int) -> None:
    if degree % 2 or not 2 <= degree <= n // 2:
        raise ValueError(
            f"degree d = {degree}: a unit excites d/2 units and inhibits d/2 of the n = {n} below, "
            f"so d is even, at least 2, and for a sparse wiring at most n/2 = {n // 2}"
        )
    if samples < 1:
        raise ValueError(f"samples = {samples} must be 1 or more")
    if not 1 <= ones <= n:
        raise ValueError(
            f"ones = {ones} of n = {n} give rho = {ones / n:.3g}, the active part of the hidden "
            "layer, and rho lies above 0 and is at most 1: take at least one active unit"
        )


def _compare(
    truth: np.ndarray,
    found: np.ndarray,
    related: np.ndarray,
    hidden: csr_matrix,
    inferred: csr_matrix,
) -> Recovery:
    rows = {group.tobytes(): row for row, group in enumerate(found)}
    match = np.array([rows.get(unit.tobytes(), -1) for unit in truth])
    excites = truth.astype(np.float32)
    siblings = excites.T @ excites > 0
    np.fill_diagonal(siblings, False)
    right = (related & siblings).sum()
    known = match >= 0
    wrong = (inferred[:, match[known]] != hidden[:, known]).sum()
    bits = hidden.shape[0] * known.sum()
    return Recovery(
        truth,
        found,
        match,
        precision=float(right / related.sum()) if related.any() else float("nan"),
        recall=float(right / siblings.sum()),
        bit_error=float(wrong / bits) if bits else float("nan"),
    )
