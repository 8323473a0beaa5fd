"""Every figure of the course: a function takes results and returns a `Picture`."""

# ruff: noqa: F401 - what is imported here is what the package offers

from .anatomy import against_paper, gradient_norms, receptive_fields
from .benchmark import bench
from .diagram import network
from .evaluation import (
    by_networks,
    crop_boxes,
    crops_and_networks,
    mosaic,
    ranking,
    reliability,
    squares,
)
from .family import family_tree
from .hebb import (
    break_even,
    channel_clusters,
    correlation_by_distance,
    dense_blocks,
    filters,
    islands,
    phase_transition,
    rule_lengths,
    width_predictions,
    window_coverage,
    wiring,
    zeros,
)
from .images import class_balance, classes, confusion, image, mistakes, pixels
from .lineage import aliasing, channel_rows, gallery, layer_bars, shift_curves, strongest
from .normalization import (
    accuracy_by_depth,
    accuracy_by_step,
    along_the_step,
    by_layer,
    correlations,
    percentile_bands,
    sigmoid_input,
    standardized,
)
from .one_by_one import (
    accuracy_by_width,
    block_shares,
    channels_along,
    spectra,
    two_orders,
    with_and_without,
)
from .runs import epoch_curves, first_layer, learning_curves, race, schedules, seeds
from .style import Note, Picture

__all__ = [name for name, value in list(vars().items()) if callable(value)]
