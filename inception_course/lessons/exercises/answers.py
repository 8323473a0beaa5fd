"""How an answer is read, described and compared: equal values of any sensible type are equal."""

import inspect
import math
import re
from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...reading import MAGNITUDES, number, plain, unwrap

WORD = r"[^\W\d_]+"


def readings(answer: Any) -> list[float]:
    """Return the numbers that an answer may stand for; none if it is not a number.

    Text is read as `number` does, and may have powers, a ratio as 1:16, dots between thousands, and
    a word or a times sign at its end. 2,303 may be either of two numbers.
    """
    answer = unwrap(answer)
    texts = [answer]
    if isinstance(answer, str):
        text = _spelled_out(answer)
        texts = [text, re.sub(r"^([-+]?\d+),(\d{3})$", r"\1.\2", text)]
    values = dict.fromkeys(map(number, texts))
    return [value for value in values if value is not None]


def _spelled_out(text: str) -> str:
    text = plain(text)
    text = re.sub(r"\s*[x*·⋅]\s*10\s*(\^|\*\*)", "e", text)
    text = re.sub(r"(\([^()]+\)|\d+[.,]?\d*)\s*(?:\^|\*\*)\s*\(?([-+]?\d{1,3})\)?", _power, text)
    text = re.sub(r"(?<=\d)\s*:\s*(?=\d)", "/", text)
    unit = rf"(?<=\d)\s*(?!percent)({WORD})$"
    text = re.sub(unit, lambda word: MAGNITUDES.get(word[1].rstrip("s"), ""), text)
    return re.sub(r"\b\d{1,3}(\.\d{3}){2,}$", lambda dots: dots[0].replace(".", ""), text)


def _power(match: re.Match) -> str:
    base = number(match[1].strip("()"))
    try:
        return match[0] if base is None else str(base ** int(match[2]))
    except ArithmeticError:  # beyond all bounds
        return match[0]


def last_word(answer: Any) -> str:
    """Return the word at the end of a number that is given as text."""
    word = re.search(rf"{WORD}$", plain(answer)) if isinstance(answer, str) else None
    return word[0] if word else ""


def numbers(answer: Any) -> list[float] | None:
    """Return several numbers as floats, from a list, a tensor or text with signs between them."""
    if isinstance(answer, str):
        text = plain(answer).strip("()[]")
        apart = [re.split(between, text) for between in (";", r"\s+", r"[\s,;]+")]
        lists = map(numbers, [each for each in apart[:2] if len(each) > 1] + apart[2:])
        return next((each for each in lists if each is not None), None)
    try:
        values = [number(each) for each in answer]
    except TypeError:  # it is no series
        return None
    known = [value for value in values if value is not None]
    return known if len(known) == len(values) else None


def pairs(answer: Any) -> list[tuple[int, int]] | None:
    """Return pairs of whole numbers, from lists or a tensor."""
    if isinstance(answer, str) or not hasattr(answer, "__iter__"):
        return None
    read = [numbers(each) for each in answer]
    whole = [each for each in read if each and len(each) == 2 and all(x % 1 == 0 for x in each)]
    return [(int(first), int(second)) for first, second in whole] if whole == read else None


def tensor(values: Any) -> Tensor | None:
    """Return an array, or lists of numbers or of tensors, as a tensor; None if it cannot be one."""
    try:
        if isinstance(values, list | tuple) and all(hasattr(each, "shape") for each in values):
            values = torch.stack([torch.as_tensor(each) for each in values])
        return torch.as_tensor(values)
    except (RuntimeError, TypeError, ValueError):
        return None


def alike(given: float, exact: float, tolerance: float = 0.0) -> bool:
    """Tell if `given` is `exact`, within `tolerance`, or a fraction rounded to two digits or more.

    Whole numbers are counts: without a tolerance they must be equal.
    """
    if exact == round(exact):
        return math.isclose(given, exact, rel_tol=1e-9, abs_tol=tolerance)
    rounded = [
        float(Context(digits, rounding).create_decimal(str(float(exact))))
        for digits in range(2, 8)
        for rounding in (ROUND_HALF_EVEN, ROUND_HALF_UP)
    ]
    near = any(math.isclose(given, each, rel_tol=1e-6) for each in rounded)
    return near or math.isclose(given, exact, rel_tol=1e-6, abs_tol=tolerance)


def same(given: Any, want: Any) -> bool:
    """Tell whether a result has the values of `want`, within the precision of both.

    A tensor must have the shape of `want`, too, and hold fractions or whole numbers as `want` does.
    """
    if isinstance(want, Exception):
        return type(given) is type(want)
    if not isinstance(want, Tensor):
        value, exact = number(given), number(want)
        if value is None or exact is None:
            return False
        slack = max(1e-6, 4 * _step(given)) if exact % 1 else 1e-9
        return math.isclose(value, exact, rel_tol=slack)
    given = tensor_like(given, want)
    if given is None or given.shape != want.shape:
        return False
    if given.is_floating_point() != want.is_floating_point():
        return False
    if not want.is_floating_point():
        return torch.equal(given.long(), want.long())
    slack = max(map(_step, (given, want))) ** 0.5 / 4 * max(1.0, want.abs().max().item())
    return torch.allclose(given.double(), want.double(), rtol=0, atol=slack)


def _step(value: Any) -> float:
    """Return the precision of a tensor or an array that holds fractions; 0 for anything else."""
    held = torch.as_tensor(value) if isinstance(value, Tensor | np.ndarray | np.generic) else None
    return torch.finfo(held.dtype).eps if held is not None and held.is_floating_point() else 0.0


def tensor_like(given: Any, want: Tensor) -> Tensor | None:
    """Return a result, also a list or a number, as a tensor to compare with `want`, or None."""
    if isinstance(given, np.ndarray | list | tuple):
        given = tensor(given)
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
    result = tensor_like(given, want)
    if result is None:
        return f"it should be a tensor, and this is {what(given)}"
    distance = (result.double() - want.double()).abs()
    place = tuple(int(each) for each in torch.unravel_index(distance.argmax(), distance.shape))
    wanted, got = shown(want[place]), shown(result[place])
    return f"at {list(place)} it should be {wanted}, and yours is {got}"


def shown(value: Any) -> str:
    """Write a number for a reader: counts in full, fractions with four digits."""
    value = number(value)
    if value is None:
        return "not a number"
    return f"{value:,.0f}" if value == round(value) else f"{value:.4g}"


def holdings(value: Any) -> Iterator[Tensor | nn.Module]:
    """Yield the tensors and modules that `value` is made of."""
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
        lines = len(value.strip().splitlines())
        return f"a text of {lines} lines" if lines > 1 else f"the text {value!r}"
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
