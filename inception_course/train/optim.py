"""The optimizer, the learning-rate schedule and the averaged weights that a recipe asks for."""

import math
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, get_swa_avg_fn

from .recipes import Recipe


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Make SGD or AdamW. Weight decay is for weights only: biases and norms have one dimension."""
    groups: list[dict[str, Any]] = [
        {"params": [p for p in model.parameters() if p.ndim > 1]},
        {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    rate, decay = recipe.learning_rate, recipe.weight_decay
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=rate, weight_decay=decay)
    nesterov = recipe.momentum > 0
    return torch.optim.SGD(
        groups, lr=rate, momentum=recipe.momentum, nesterov=nesterov, weight_decay=decay
    )


def learning_rate(recipe: Recipe, epoch: float) -> float:
    """Return the learning rate after `epoch` passes, fractions included.

    "one-cycle" rises linearly from 0 in the first part of the run and falls to 0 along a cosine;
    "step" is the GoogLeNet paper's (section 6): 4 % less every 8 epochs.
    """
    if recipe.schedule == "constant":
        return recipe.learning_rate
    if recipe.schedule == "step":
        return recipe.learning_rate * 0.96 ** (epoch // 8)
    done = epoch / recipe.epochs
    if done < recipe.warmup:
        return recipe.learning_rate * done / recipe.warmup
    falling = (done - recipe.warmup) / (1 - recipe.warmup)
    return recipe.learning_rate * (1 + math.cos(math.pi * falling)) / 2


def make_schedule(
    optimizer: torch.optim.Optimizer, recipe: Recipe, steps_per_epoch: int, done: int = 0
) -> LambdaLR:
    """Schedule the learning rate of each step: that of its middle, so that the first learns, too.

    `done` is the number of steps that the run has taken already.
    """

    def factor(step: int) -> float:
        return learning_rate(recipe, (step + 0.5) / steps_per_epoch) / recipe.learning_rate

    for group in optimizer.param_groups:
        group["initial_lr"] = recipe.learning_rate
    return LambdaLR(optimizer, factor, last_epoch=done - 1)


def make_average(model: nn.Module, recipe: Recipe) -> AveragedModel | None:
    """Make a running mean of weights and statistics; return None if the recipe wants none."""
    if not recipe.ema_decay:
        return None
    if recipe.ema_decay == 1:  # one by one: counters cannot be averaged together
        return AveragedModel(model, avg_fn=get_swa_avg_fn(), use_buffers=True)
    return AveragedModel(
        model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema_decay), use_buffers=True
    )
