"""Training: `fit` trains a network by a `Recipe` and gives a `Run`; the loop is in `loop`."""

# ruff: noqa: F401 - what is imported here is what the package offers

from .checkpoint import CheckpointError, CheckpointManager, load_trained
from .loop import fit, objective, one_epoch, validate
from .optim import learning_rate, make_average, make_optimizer, make_schedule
from .recipes import NETWORKS, RECIPES, Recipe
from .run import Diverged, Epoch, Interrupted, Run, RunningMean
from .session import Precision, choose_precision, describe
