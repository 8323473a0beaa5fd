"""Look inside a network while it runs: compute statistics of chosen layers at every call.

    with probe.record(model, ["unit1", "unit3"], outside=probe.outside(2)) as seen:
        model(images)
    seen["unit3"]["outside"]  # one number for each time that the layer ran

The functions below make the statistics. Each describes a layer's input, its output, or the
gradient of the loss with respect to its output.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class Statistic(NamedTuple):
    """A statistic calls `compute` with a layer's "input", "output" or "gradient"."""

    of: str
    compute: Callable[[Tensor], Any]


def percentiles(*ranks: float, unit: int | None = None) -> Statistic:
    """Find the values below which `ranks` per cent of a layer's inputs lie, smallest rank first.

    All images and units count; with `unit`, that unit or channel alone.
    """
    return Statistic("input", partial(_percentiles, ranks=sorted(ranks), unit=unit))


def _percentiles(x: Tensor, ranks: list[float], unit: int | None) -> list[float]:
    x = (x if unit is None else x[:, unit]).flatten().float()
    return torch.quantile(x, torch.tensor(ranks, device=x.device) / 100).tolist()


def outside(limit: float) -> Statistic:
    """Count the fraction (0 to 1) of a layer's inputs with |x| > `limit`."""
    return Statistic("input", partial(_outside, limit=limit))


def _outside(x: Tensor, limit: float) -> float:
    return (x.abs() > limit).float().mean().item()


def flat(slope: float = 0.05, act: Callable[[Tensor], Tensor] = torch.sigmoid) -> Statistic:
    """Count the fraction (0 to 1) of a layer's inputs at which `act` is flatter than `slope`.

    The sigmoid's slope is 0.25 at 0, and below 0.05 where |x| > 2.89.
    """
    return Statistic("input", partial(_flat, slope=slope, act=act))


def _flat(x: Tensor, slope: float, act: Callable[[Tensor], Tensor]) -> float:
    x = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        (slopes,) = torch.autograd.grad(act(x).sum(), x)
    return (slopes.abs() < slope).float().mean().item()


def rms(of: str) -> Statistic:
    """Take the root mean square of a layer's "input", "output" or "gradient"."""
    return Statistic(of, _rms)


def _rms(x: Tensor) -> float:
    return x.float().square().mean().sqrt().item()


def layers(model: nn.Module, *kinds: type) -> list[str]:
    """Return the names of the layers of these kinds, in the order in which the model has them."""
    return [name for name, module in model.named_modules() if isinstance(module, kinds)]


@contextmanager
def record(
    model: nn.Module, layers: Iterable[str], **statistics: Statistic
) -> Iterator[dict[str, dict[str, list[Any]]]]:
    """Collect `statistics` of the layers with these names while the block runs.

    Yields, by layer and statistic, a list with one value for each time that the layer ran, in that
    order; a layer used twice in one pass has two. A gradient's value is None until `backward` has
    been called, and there is none for a pass without gradients. The model computes what it would
    without the recording, and its hooks are gone afterwards, also after an error.

    Raises `ValueError` for a layer that the model does not have, and when a layer of which more
    than the input is asked gives no tensor.
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    seen: dict[str, dict[str, list[Any]]]
    seen = {name: {statistic: [] for statistic in statistics} for name in layers}
    if unknown := [name for name in seen if name not in modules]:
        raise ValueError(f"the model has no layer {unknown[0]!r}; it has {', '.join(modules)}")
    chosen = {
        of: {name: each.compute for name, each in statistics.items() if each.of == of}
        for of in ("input", "output", "gradient")
    }
    handles = []

    def before(name: str, module: nn.Module, inputs: tuple) -> None:
        for statistic, compute in chosen["input"].items():
            seen[name][statistic].append(_without_gradients(compute, inputs[0]))

    def after(name: str, module: nn.Module, inputs: tuple, output: Any) -> None:
        if not isinstance(output, Tensor):
            if of := next((of for of in ("output", "gradient") if chosen[of]), None):
                raise ValueError(
                    f"there is no {of} of layer {name!r} to measure: it gives a "
                    f"{type(output).__name__}, not one tensor; measure its input, or another layer"
                )
            return
        for statistic, compute in chosen["output"].items():
            seen[name][statistic].append(_without_gradients(compute, output))
        if output.requires_grad:
            for statistic, compute in chosen["gradient"].items():
                values = seen[name][statistic]
                values.append(None)
                fill = partial(_fill, values, len(values) - 1, compute)
                handles.append(output.register_hook(fill))

    try:
        for name in seen:
            handles.append(modules[name].register_forward_pre_hook(partial(before, name)))
            handles.append(modules[name].register_forward_hook(partial(after, name)))
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _without_gradients(compute: Callable[[Tensor], Any], x: Tensor) -> Any:
    with torch.no_grad():
        return compute(x)


def _fill(values: list, index: int, compute: Callable[[Tensor], Any], gradient: Tensor) -> None:
    values[index] = _without_gradients(compute, gradient)
