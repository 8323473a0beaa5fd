"""Batch normalization, written out: Ioffe and Szegedy 2015, arXiv:1502.03167.

The names are the paper's: mean and variance of a mini-batch, `x_hat` the normalized activation,
`gamma` and `beta` the learned scale and shift.
"""

import copy
import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from .evaluate import eval_mode


class Normalize(torch.autograd.Function):
    """Computes Algorithm 1 and the six gradients that follow it in the paper (section 3).

    Shape: x [m, C], gamma [C], beta [C] -> y [m, C], mean [C], variance [C]

    Each column is normalized by itself. The variance is the biased one, divided by m; mean and
    variance are returned for the running statistics, and no gradient flows back through them.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        mean = x.mean(dim=0)
        variance = ((x - mean) ** 2).mean(dim=0)
        x_hat = (x - mean) / torch.sqrt(variance + eps)
        y = gamma * x_hat + beta
        ctx.save_for_backward(x, gamma, mean, variance, x_hat)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance)
        return y, mean, variance

    @staticmethod
    def backward(ctx: Any, d_y: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
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
    """Does what `nn.BatchNorm1d` and `nn.BatchNorm2d` do, by the written-out transform.

    In training mode each channel is normalized by the mean and variance of the mini-batch, over
    the images and, after a convolution, over the positions (section 3.2). Running means of both,
    the variance unbiased, stand in for them in eval mode (Algorithm 2).

    Shape: [N, C] or [N, C, H, W] -> the same

    Raises `ValueError` for another shape, and in training mode for a single value per channel.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1):
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.gamma = nn.Parameter(torch.ones(num_features))
        self.beta = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    def reset_running_stats(self) -> None:
        self.running_mean.zero_()
        self.running_var.fill_(1)

    def forward(self, x: Tensor) -> Tensor:
        channels = self.num_features
        if x.ndim not in (2, 4) or x.shape[1] != channels:
            raise ValueError(
                f"batch normalization of {channels} channels takes [N, {channels}] "
                f"or [N, {channels}, H, W], not {list(x.shape)}"
            )
        columns = x.movedim(1, -1)  # [N, C] or [N, H, W, C]: a column a channel
        rows = columns.reshape(-1, channels)  # [m, C]
        if self.training:
            y = self._normalize(rows)
        else:
            scale, shift = fixed_map(
                self.gamma, self.beta, self.running_mean, self.running_var, self.eps
            )
            y = scale * rows + shift
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


def fixed_map(
    gamma: Tensor | None, beta: Tensor | None, mean: Tensor, variance: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """Return scale and shift, [C] each, that replace the transform at inference (Algorithm 2).

    y = gamma / sqrt(variance + eps) * x + (beta - gamma * mean / sqrt(variance + eps))

    A transform that learns no gamma or no beta has None there, which stands for 1 or 0.
    """
    scale = (1 if gamma is None else gamma) / torch.sqrt(variance + eps)
    return scale, (0 if beta is None else beta) - scale * mean


Layer: TypeAlias = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
Norm: TypeAlias = BatchNorm | nn.modules.batchnorm._BatchNorm  # the base of all that torch has
FOLLOWS = {
    nn.Linear: nn.BatchNorm1d,
    nn.Conv1d: nn.BatchNorm1d,
    nn.Conv2d: nn.BatchNorm2d,
    nn.Conv3d: nn.BatchNorm3d,
}


def estimate_population(model: nn.Module, batches: Iterable[Tensor | Sequence[Any]]) -> None:
    """Set every batch norm's statistics to E[x] and Var[x] over `batches` (Algorithm 2, line 10).

    They become the plain mean, over all that each norm is given, of the means and of the unbiased
    variances, for the weights as they are now. No weight changes, and every module keeps its mode.
    A batch norm that no batch reaches, such as one in an auxiliary head, keeps its statistics; one
    with `track_running_stats=False` has none to set. A batch is a tensor of images, or a tuple or
    list that begins with one, as a `DataLoader` gives it.

    Raises `ValueError` without a batch, or for an empty one or one of another kind. After any error
    all statistics are as they were before.
    """
    norms = [m for m in model.modules() if isinstance(m, Norm) and m.running_mean is not None]
    before = [(norm.momentum, copy.deepcopy(norm.state_dict())) for norm in norms]
    seen: dict[nn.Module, list[Tensor]] = {}  # of each call, mean and variance [2, C]

    def keep(norm: Any, *_: Any) -> None:
        seen.setdefault(norm, []).append(torch.stack([norm.running_mean, norm.running_var]))

    hooks = [norm.register_forward_pre_hook(_forget) for norm in norms]
    hooks += [norm.register_forward_hook(keep) for norm in norms]
    asked = False
    try:
        with eval_mode(model):  # dropout and the like stay quiet
            for norm in norms:
                norm.train()
                norm.momentum = 1.0  # the statistics are those of the last call alone
            for batch in batches:
                model(_images_of(batch))
                asked = True
        if not asked:
            raise ValueError(
                "there is no batch to estimate from: an iterator that was read before is empty, "
                "make a new one"
            )
        for reached, calls in seen.items():
            mean, variance = torch.stack(calls).double().mean(dim=0)
            found = {"running_mean": mean, "running_var": variance}
            reached.load_state_dict(reached.state_dict() | found)
            if (count := getattr(reached, "num_batches_tracked", None)) is not None:
                count.fill_(len(calls))
    except BaseException:
        for norm, (_, statistics) in zip(norms, before, strict=True):
            norm.load_state_dict(statistics)
        raise
    finally:
        for norm, (momentum, _) in zip(norms, before, strict=True):
            norm.momentum = momentum
        for hook in hooks:
            hook.remove()


def _forget(norm: Any, _: Any) -> None:
    norm.reset_running_stats()


def _images_of(batch: Any) -> Tensor:
    images = batch[0] if isinstance(batch, (tuple, list)) and batch else batch
    if not isinstance(images, Tensor) or not images.dim() or not len(images):
        kind = "one without images" if isinstance(images, Tensor) else type(images).__name__
        raise ValueError(
            "a batch is a tensor of images, one at least, or a tuple that begins with it; not "
            f"{kind}"
        )
    return images


def fold_batch_norm(model: nn.Module) -> nn.Module:
    """Return a copy of `model` with every batch norm merged into the layer right before it.

    At inference batch normalization is a fixed scale and shift per channel, and so is a change of
    the weights and bias of the convolution or linear layer that feeds it. A batch norm that does
    not follow such a layer inside an `nn.Sequential` stays. So does one after a layer with hooks
    or parametrizations, which would not get what they expect. An `nn.Identity` takes its place, and
    whoever reads the layer's output before it reads the normalized one from then on.

    A linear layer merged with a batch norm takes [N, C] from then on, and raises `ValueError` for
    other shapes, whose channels lie elsewhere.

    Raises `ValueError` where a batch norm depends on the mini-batch: in training mode, or without
    running statistics.
    """
    if model.training or any(m.training for m in model.modules() if isinstance(m, Norm)):
        raise ValueError(
            "in training mode batch normalization depends on the batch and cannot be folded: "
            "call model.eval() first"
        )
    model = copy.deepcopy(model)
    uses = [id(child) for parent in model.modules() for child in parent._modules.values()]
    for sequence in [m for m in model.modules() if isinstance(m, nn.Sequential)]:
        if type(sequence).forward is not nn.Sequential.forward:
            continue  # its layers may work in another order
        for (_, layer), (name, norm) in pairwise(list(sequence._modules.items())):
            if isinstance(layer, Layer) and isinstance(norm, Norm) and _fits(layer, norm):
                if uses.count(id(layer)) > 1:
                    raise ValueError(f"{layer} is used in several places, and folds into one only")
                _fold(layer, norm)
                sequence._modules[name] = nn.Identity().eval()
    return model


def _fits(layer: Layer, norm: Norm) -> bool:
    """Tell whether the norm scales the layer's own outputs, with nothing between the two."""
    # Other classes, such as those that parametrizations make, may compute something else.
    norms = (FOLLOWS.get(type(layer)), nn.SyncBatchNorm, BatchNorm)
    plain = type(layer) in FOLLOWS and type(norm) in norms
    hooks = [h for m in (layer, norm) for h in (m._forward_pre_hooks, m._forward_hooks)]
    return plain and not any(hooks) and len(layer.weight) == norm.num_features


def _fold(layer: Layer, norm: Norm) -> None:
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise ValueError(
            f"{norm} depends on the batch in eval mode, too, and cannot be folded: it would have "
            "to be trained with track_running_stats=True"
        )
    learned = (norm.gamma, norm.beta) if isinstance(norm, BatchNorm) else (norm.weight, norm.bias)
    old = layer.weight
    with torch.no_grad():
        scale, shift = fixed_map(*learned, mean, variance, norm.eps)
        weight = old * scale.view(-1, *[1] * (old.dim() - 1))
        bias = shift if layer.bias is None else scale * layer.bias + shift
    # The parameters are new ones, since other layers may share the old.
    layer.weight = nn.Parameter(weight.to(old.dtype), requires_grad=old.requires_grad)
    layer.bias = nn.Parameter(bias.to(old.dtype), requires_grad=old.requires_grad)
    if isinstance(layer, nn.Linear):
        layer.register_forward_pre_hook(_refuse_sequences)


def _refuse_sequences(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Refuse [N, C, L]: its channels are dimension 1 to batch norm, the last to a linear layer."""
    if inputs[0].dim() != 2:
        raise ValueError(
            f"batch norm was folded into this layer for inputs [N, C]; it was given "
            f"{list(inputs[0].shape)}"
        )


def fully_connected(
    depth: int,
    *,
    width: int = 100,
    norm: Callable[[int], nn.Module] | None = None,
    act: Callable[[], nn.Module] = nn.Sigmoid,
    norm_after: bool = False,
    spread: float | None = None,
    gain: float = 1.0,
) -> nn.Sequential:
    """Make the net of the paper's first experiment: `depth` hidden layers of `width` units.

    Weights are Gaussian with standard deviation `spread`, or 1 / sqrt(fan-in) if None, so that a
    layer's inputs to its units are as spread out as what it gets; biases start at zero. Layers
    that feed a batch norm have none. With `norm_after` the norm stands after the activation, not
    before it. All initial weights are multiplied by `gain`.

    Shape: [B, 1, 28, 28] -> [B, 10]
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    c_in = 28 * 28
    for number in range(1, depth + 1):
        layers[f"linear{number}"] = nn.Linear(c_in, width, bias=norm is None or norm_after)
        if norm is not None and not norm_after:
            layers[f"norm{number}"] = norm(width)
        layers[f"unit{number}"] = act()
        if norm is not None and norm_after:
            layers[f"norm{number}"] = norm(width)
        c_in = width
    layers["output"] = nn.Linear(c_in, 10)
    for layer in layers.values():
        if isinstance(layer, nn.Linear):
            std = 1 / math.sqrt(layer.in_features) if spread is None else spread
            nn.init.normal_(layer.weight, std=gain * std)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return nn.Sequential(layers)
