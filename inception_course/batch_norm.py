"""Batch normalization, written out: Ioffe and Szegedy 2015, arXiv:1502.03167.

The names are the paper's: mean and variance of a mini-batch, `x_hat` the normalized activation,
`gamma` and `beta` the learned scale and shift.
"""

import copy
import math
from collections import OrderedDict
from collections.abc import Callable, Iterable
from itertools import pairwise

import torch
from torch import Tensor, nn

from .data import Batches

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


class Normalize(torch.autograd.Function):
    """Algorithm 1 and the six gradients that follow it in the paper (section 3).

    Shape: x [m, C], gamma [C], beta [C] -> y [m, C], mean [C], variance [C]

    Each column is normalized by itself. The variance is the biased one, divided by m; mean and
    variance are returned for the running statistics, and no gradient flows back through them.
    """

    @staticmethod
    def forward(ctx, x: Tensor, gamma: Tensor, beta: Tensor, eps: float):
        mean = x.mean(dim=0)
        variance = ((x - mean) ** 2).mean(dim=0)
        x_hat = (x - mean) / torch.sqrt(variance + eps)
        y = gamma * x_hat + beta
        ctx.save_for_backward(x, gamma, mean, variance, x_hat)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance)
        return y, mean, variance

    @staticmethod
    def backward(ctx, d_y: Tensor, *_):
        x, gamma, mean, variance, x_hat = ctx.saved_tensors
        m, std = len(x), torch.sqrt(variance + ctx.eps)
        d_x_hat = d_y * gamma
        d_variance = (d_x_hat * (x - mean)).sum(dim=0) * -0.5 / std**3
        d_mean = -(d_x_hat / std).sum(dim=0) + d_variance * (-2 * (x - mean)).mean(dim=0)
        d_x = d_x_hat / std + d_variance * 2 * (x - mean) / m + d_mean / m
        d_gamma = (d_y * x_hat).sum(dim=0)
        d_beta = d_y.sum(dim=0)
        return d_x, d_gamma, d_beta, None


class BatchNorm(nn.Module):
    """What `nn.BatchNorm1d` and `nn.BatchNorm2d` do, from the written-out transform.

    In training mode each channel is normalized by the mean and variance of the mini-batch, over
    the images and, after a convolution, over the positions (section 3.2). Running means of both,
    the variance unbiased, stand in for them in eval mode (Algorithm 2).

    Shape: [N, C] or [N, C, H, W] -> the same

    Raises `ValueError` for another shape, and in training mode for a single value per channel.
    """

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float = 0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim not in (2, 4) or x.shape[1] != len(self.gamma):
            raise ValueError(
                f"batch normalization of {len(self.gamma)} channels takes [N, {len(self.gamma)}] "
                f"or [N, {len(self.gamma)}, H, W], not {list(x.shape)}"
            )
        columns = x.movedim(1, -1)  # [N, C] or [N, H, W, C]: a column a channel
        rows = columns.reshape(-1, x.shape[1])  # [m, C]
        y = self._normalize(rows) if self.training else self._map(rows)
        return y.view(columns.shape).movedim(-1, 1)

    def _normalize(self, rows: Tensor) -> Tensor:
        m = len(rows)
        if m < 2:
            raise ValueError(
                "one value per channel has no variance: train with batches of at least 2, "
                "or call model.eval() to use the running statistics"
            )
        y, mean, variance = Normalize.apply(rows, self.gamma, self.beta, self.eps)
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * m / (m - 1), self.momentum)
        return y

    def _map(self, rows: Tensor) -> Tensor:
        scale, shift = fixed_map(
            self.gamma, self.beta, self.running_mean, self.running_var, self.eps
        )
        return scale * rows + shift


def fixed_map(
    gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """Scale and shift, [C] each, that take the place of the transform at inference (Algorithm 2).

    y = gamma / sqrt(variance + eps) * x + (beta - gamma * mean / sqrt(variance + eps))
    """
    scale = gamma / torch.sqrt(variance + eps)
    return scale, beta - scale * mean


def estimate_population(model: nn.Module, batches: Batches | Iterable) -> None:
    """Set every batch norm's statistics to E[x] and Var[x] over `batches` (Algorithm 2, line 10).

    The plain mean over the mini-batches of their means and of their unbiased variances, for the
    weights as they are now. No weight changes, and every module keeps its mode.
    """
    modes = {module: module.training for module in model.modules()}
    norms = [module for module in model.modules() if isinstance(module, NORMS)]
    momenta = [norm.momentum for norm in norms]
    try:
        model.eval()  # dropout and the like stay quiet
        for norm in norms:
            norm.train()
            norm.reset_running_stats()
            norm.momentum = None  # torch's word for a plain mean
        with torch.no_grad():
            for images, _ in batches:
                model(images)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, mode in modes.items():
            module.training = mode


def fold_batch_norm(model: nn.Module) -> nn.Module:
    """A copy of `model` with every batch norm merged into the layer right before it.

    At inference batch normalization is a fixed scale and shift per channel, and so is a change of
    the weights and bias of the convolution or linear layer that feeds it. A batch norm that follows
    nothing of that kind inside an `nn.Sequential` stays.

    Raises `ValueError` in training mode, where the transform depends on the mini-batch.
    """
    if model.training or any(m.training for m in model.modules() if isinstance(m, NORMS)):
        raise ValueError(
            "in training mode batch normalization depends on the batch and cannot be folded: "
            "call model.eval() first"
        )
    model = copy.deepcopy(model)
    uses = [id(child) for parent in model.modules() for child in parent._modules.values()]
    for sequence in [m for m in model.modules() if isinstance(m, nn.Sequential)]:
        for (_, layer), (name, norm) in pairwise(list(sequence._modules.items())):
            if isinstance(layer, nn.Conv2d | nn.Linear) and isinstance(norm, NORMS):
                if uses.count(id(layer)) > 1:
                    raise ValueError(f"{layer} is used in several places, and folds into one only")
                _fold(layer, norm)
                delattr(sequence, name)
    return model


def _fold(layer: nn.Conv2d | nn.Linear, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
    with torch.no_grad():
        scale, shift = fixed_map(
            norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.eps
        )
        bias = 0 if layer.bias is None else layer.bias
        layer.weight.mul_(scale.view(-1, *[1] * (layer.weight.ndim - 1)))
        layer.bias = nn.Parameter(scale * bias + shift)


def fully_connected(
    depth: int,
    *,
    width: int = 100,
    norm: Callable[[int], nn.Module] | None = None,
    act: Callable[[], nn.Module] = nn.Sigmoid,
    spread: float | None = None,
    in_features: int = 784,
    num_classes: int = 10,
) -> nn.Sequential:
    """`depth` hidden layers of `width` units: the net of the paper's first experiment.

    Weights are Gaussian with standard deviation `spread`, or 1 / sqrt(fan-in) if None, so that a
    layer's inputs to its units are as spread out as what it gets; biases start at zero. Layers
    that feed a batch norm have none.

    Shape: [B, 1, 28, 28] -> [B, num_classes]
    """
    layers = OrderedDict(flatten=nn.Flatten())
    c_in = in_features
    for number in range(1, depth + 1):
        layers[f"linear{number}"] = nn.Linear(c_in, width, bias=norm is None)
        if norm is not None:
            layers[f"norm{number}"] = norm(width)
        layers[f"unit{number}"] = act()
        c_in = width
    layers["output"] = nn.Linear(c_in, num_classes)
    for layer in layers.values():
        if isinstance(layer, nn.Linear):
            std = 1 / math.sqrt(layer.in_features) if spread is None else spread
            nn.init.normal_(layer.weight, std=std)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return nn.Sequential(layers)
