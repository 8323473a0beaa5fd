"""Hebb, correlation and sparsity: the motivation of the Inception paper, made measurable.

It has four modules: the `rules` learn from what fires together, `wiring` recovers a hidden network
from it, `correlation` looks for it in a trained network, `products` measures what sparsity saves.
"""

# ruff: noqa: F401 - what is imported here is what the package offers

from .correlation import (
    by_distance,
    center_correlations,
    feature_maps,
    rings,
    zero_share,
)
from .products import (
    Block,
    ProductTimes,
    csr,
    cut_blocks,
    find_blocks,
    multiply_blocks,
    product_times,
    random_sparse,
    scattered_blocks,
    seconds,
)
from .rules import alignment, hebb, learn, oja, patches, principal_components, remove_mean
from .wiring import (
    CoFiring,
    Recovery,
    co_firing,
    critical_rho,
    fire,
    infer,
    random_wiring,
    recover,
    recover_units,
)
