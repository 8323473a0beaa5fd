"""Every figure of the course: a function takes results and returns a `Picture`."""

# ruff: noqa: F401 - what is imported here is what the package offers

from .anatomy import against_paper, gradient_norms, influence, receptive_fields
from .benchmark import bench
from .blocks_drawn import block, blocks
from .diagram import lanes, strip
from .evaluation import (
    calibration_errors,
    crop_boxes,
    crops_and_networks,
    mosaic,
    reliability,
    same_start,
    squares,
)
from .family import error_over_work, family_tree
from .hebb import (
    break_even,
    co_firing,
    dense_blocks,
    one_convolution,
    phase_transition,
    pruning,
    rule_lengths,
    turning,
    wiring,
    zeros,
)
from .images import classes, confusion, descents, image, mistakes, pixels
from .lineage import (
    aliasing,
    channel_rows,
    errors_by_depth,
    gallery,
    layer_bars,
    shift_curves,
    strongest,
)
from .normalization import (
    accuracy_by_rate,
    correlations,
    percentile_bands,
    sigmoid_input,
    sigmoid_inputs,
    standardized,
)
from .one_by_one import (
    accuracy_by_width,
    block_shares,
    channels_along,
    mixed_colors,
    spectra,
    two_orders,
    with_and_without,
)
from .parts import (
    activation_rates,
    activation_states,
    equal_cost,
    map_correlations,
    overfit,
    shift,
    thinned,
)
from .residual import (
    degradation,
    gradients_by_depth,
    one_block_dropped,
    over_work,
    several_blocks_dropped,
)
from .rethinking import additions, factors, resolutions, smoothing, work_and_time
from .runs import epoch_curves, learning_curves, race, schedules, seeds
from .saturation import accuracy_by_gain, dilemma, saturation_heat_map, signal_by_layer
from .style import Note, Picture
from .tricks import batch_sizes, best_and_late, frontier, heads, ladder

__all__ = [name for name, value in list(vars().items()) if callable(value)]
