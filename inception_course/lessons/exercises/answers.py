"""How an answer is read, described and compared: equal values of any sensible type are equal."""

import inspect
import math
import re
from collections.abc import Iterator
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...reading import number, plain, unwrap


def numbers(answer: Any) -> list[float] | None:
    """Return several numbers as floats, from a list, a tensor or text with commas between them."""
    if isinstance(answer, str):
        answer = re.split(r"[\s,;]+", plain(answer).strip("()[]"))
    try:
        values = [number(each) for each in answer]
    except TypeError:  # there is nothing to go through
        return None
    known = [value for value in values if value is not None]
    return known if len(known) == len(values) else None


def alike(given: float, exact: float, tolerance: float = 0.0) -> bool:
    """Whether `given` is `exact`, within `tolerance`, or a fraction rounded to two digits or more.

    Whole numbers are counts: without a tolerance they must be equal.
    """
    if exact == round(exact):
        return math.isclose(given, exact, rel_tol=1e-9, abs_tol=tolerance)
    rounded = [float(f"{exact:.{digits}g}") for digits in range(2, 8)]
    near = any(math.isclose(given, each, rel_tol=1e-6) for each in rounded)
    return near or math.isclose(given, exact, rel_tol=1e-6, abs_tol=tolerance)


def same(given: Any, want: Any) -> bool:
    """Whether a result has the values of `want`, as well as their precision can tell.

    A tensor has the shape of `want`, too, and holds fractions or whole numbers as `want` does.
    """
    if isinstance(want, Exception):
        return type(given) is type(want)
    if not isinstance(want, Tensor):
        value, exact = number(given), number(want)
        if value is None or exact is None:
            return False
        return math.isclose(value, exact, rel_tol=1e-6 if exact % 1 else 1e-9)
    given = tensor_like(given, want)
    if given is None or given.shape != want.shape:
        return False
    if given.is_floating_point() != want.is_floating_point():
        return False
    if not want.is_floating_point():
        return torch.equal(given.long(), want.long())
    step = max(torch.finfo(each.dtype).eps for each in (given, want))
    slack = step**0.5 / 4 * max(1.0, want.abs().max().item())
    return torch.allclose(given.double(), want.double(), rtol=0, atol=slack)


def tensor_like(given: Any, want: Tensor) -> Tensor | None:
    """Return a result as a tensor to compare with `want`: an array, too, and a number for one."""
    if isinstance(given, np.ndarray):
        given = torch.as_tensor(given)
    if isinstance(given, Tensor) and (want.ndim or given.numel() != 1):
        return given.detach().cpu()
    value = None if want.ndim else number(given)
    if value is None:
        return None
    precise = isinstance(given, Tensor) and given.is_floating_point()
    return torch.tensor(value, dtype=given.dtype if precise else want.dtype)


def mismatch(given: Any, want: Any, kind: str) -> str | None:
    """Say why a result cannot be compared with `want`: it is no `kind`, or of another shape."""
    if not isinstance(want, Tensor) or not want.ndim:
        wrong = number(given) is None
        return f"a number is wanted, and your function returns {what(given)}." if wrong else None
    result = tensor_like(given, want)
    if result is None:
        return f"{kind} is wanted, and this is {what(given)}."
    if result.is_floating_point() != want.is_floating_point():
        kinds = ["whole numbers", "floats"]
        wanted, got = (kinds[each.is_floating_point()] for each in (want, result))
        return f"a tensor of {wanted} is wanted, and yours holds {got} ({result.dtype})."
    if result.shape != want.shape:
        return f"the result has the shape {list(want.shape)}, and yours {list(result.shape)}."
    return None


def difference(given: Any, want: Any) -> str:
    """Say where a result differs most from `want`."""
    if not isinstance(want, Tensor) or not want.ndim:
        return f"it should be {shown(want)}, and yours is {shown(given)}"
    result = given if isinstance(given, Tensor) else torch.as_tensor(given)
    distance = (result.detach().cpu().double() - want.double()).abs()
    place = tuple(int(each) for each in torch.unravel_index(distance.argmax(), distance.shape))
    wanted, got = shown(want[place]), shown(result[place])
    return f"at {list(place)} it should be {wanted}, and yours is {got}"


def shown(value: Any) -> str:
    """Return a number as a reader likes it: counts in full, fractions with four digits."""
    value = number(value)
    if value is None:
        return "not a number"
    return f"{value:,.0f}" if value == round(value) else f"{value:.4g}"


def holdings(value: Any) -> Iterator[Tensor | nn.Module]:
    """Go through the tensors and modules that `value` is made of."""
    if isinstance(value, Tensor | nn.Module):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from holdings(each)


def content(value: Tensor | nn.Module) -> list:
    """Return all that a tensor or a module holds, to see later whether it has changed."""
    if isinstance(value, Tensor):
        return [value.dtype, value.tolist()]
    modes = [module.training for module in value.modules()]
    return [modes, {name: content(each) for name, each in value.state_dict().items()}]


def what(value: Any) -> str:
    """Say in words what `value` is."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return f"the text {value!r}"
    if isinstance(unwrap(value), Real | Decimal):
        return str(unwrap(value))
    if isinstance(value, Tensor | np.ndarray):
        return f"a tensor of shape {list(value.shape)}"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    return "a function" if inspect.isroutine(value) else f"a {type(value).__name__}"


def named(name: str, value: Any) -> str:
    """Say in words what an argument is: a tensor by its shape, a short value in full."""
    if isinstance(value, Tensor):
        return f"{name} of shape {list(value.shape)}"
    return name if any(True for _ in holdings(value)) else f"{name} {value!r}"
