"""The Inception Course. Data, model, fit, result, figure: a module is a step on this way.

data         Fashion-MNIST or your own pictures, as batches
models       the networks, one file for each paper: its table, then the class
train        the loop (`train/loop.py`), recipes, what a run leaves behind
evaluate     accuracy, confusion, crops, ensembles, calibration
studies      every recorded measurement, and the one way to measure
plots        every figure

cost, probe, batch_norm, hebbian    look inside a network
machine, records, reading           cores, files and numbers as people write them
lessons                             exercises, widgets and the doctor of the notebooks
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .models import create as create
    from .train import RECIPES as RECIPES
    from .train import Recipe as Recipe
    from .train import fit as fit

_HOME = {"create": "models", "fit": "train", "Recipe": "train", "RECIPES": "train"}


def __getattr__(name: str) -> object:
    """Import what is asked for now, because the doctor has to run where torch is missing."""
    from importlib import import_module

    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("." + _HOME[name], __name__), name)
