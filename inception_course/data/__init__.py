"""Data: Fashion-MNIST (`fashion_mnist`) or your own pictures (`folders`), as batches.

`batches` makes whole batches of a dataset, `augment` has the random changes to them.
"""

# ruff: noqa: F401 - what is imported here is what the package offers

from .augment import (
    Augment,
    Compose,
    Cutout,
    RandomFlip,
    RandomResizedCrop,
    Translate,
    resize_boxes,
)
from .batches import Batches, Dataset, Loader, loader, subset, targets
from .fashion_mnist import (
    CLASSES,
    MEAN,
    SAMPLE,
    SAMPLE_SIZES,
    SIZES,
    STD,
    VARIABLE,
    DataError,
    DataSource,
    fashion_mnist,
    fetch,
    file_names,
    find,
    sample_positions,
    split_indices,
    to_idx,
    write_sample,
)
