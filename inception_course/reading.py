"""How a number or a name is read as people write it: in an answer, and in a guess."""

import math
import re
import unicodedata
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from torch import Tensor

# The signs for times, minus, a fraction and a quotation, as they come out of a text.
_SIGNS = str.maketrans("\u00d7\u2212\u2044\u2019_", "x-/' ")
_QUOTES = " \"'`\u201c\u201d"
_RAISED = "[\u207a\u207b\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+"  # + - 0 1 2 3 4 to 9
_PARTS = "[\u00bc-\u00be\u2150-\u215e]"  # one quarter, one half, and so on
MAGNITUDES = {"thousand": "e3", "million": "e6", "billion": "e9"}


def unwrap(answer: Any) -> Any:
    """Return the only thing in a list, a tuple, an array or a tensor; anything else as it is."""
    while isinstance(answer, list | tuple) and len(answer) == 1:
        (answer,) = answer
    if isinstance(answer, Tensor | np.ndarray | np.generic) and math.prod(answer.shape) == 1:
        return answer.item()
    return answer


def plain(text: str) -> str:
    """Return `text` in lower case, without quotation marks, double spaces or a last full stop."""
    text = re.sub(_RAISED, r"^\g<0>", text)
    text = re.sub(rf"(\d*)\s?({_PARTS})", _with_part, text)
    text = unicodedata.normalize("NFKC", text).translate(_SIGNS).casefold()
    return " ".join(text.split()).lstrip(_QUOTES).rstrip(_QUOTES + ".!")


def _with_part(match: re.Match) -> str:
    return f"{int(match[1] or 0) + unicodedata.numeric(match[2]):.12g}"


def number(answer: Any) -> float | None:
    """Return `answer` as a float, or None where it is not one real number.

    Text is read as people write numbers: 15,872 or 1/4 or 1 in 4 or 20 % or 0,2 or 5 million.
    """
    answer = unwrap(answer)
    try:
        if isinstance(answer, str):
            return _spelled(answer)
        if isinstance(answer, bool) or not isinstance(answer, Real | Decimal):
            return None
        return float(answer) if math.isfinite(answer) else None
    except (ValueError, ArithmeticError):
        return None


def _spelled(text: str) -> float:
    text, percent = re.subn(r"\s*(%|percent|per cent)$", "", plain(text).lstrip("~≈= "))
    words = rf"(?<=\d)\s*({'|'.join(MAGNITUDES)})s?$"
    text = re.sub(words, lambda word: MAGNITUDES[word[1]], text)
    numerator, *denominator = re.split(r"\s*(?:/|\b(?:out of|in)\b)\s*", text, maxsplit=1)
    value = _decimal(numerator) / math.prod(map(_decimal, denominator))
    return value / 100 if percent else value


def _decimal(text: str) -> float:
    if re.fullmatch(r"[-+]?[1-9]\d{0,2}([, '])\d{3}(\1\d{3})*(\.\d*)?", text):
        text = re.sub(r"[, ']", "", text)
    if not re.fullmatch(r"[-+]?(\d+[.,]?\d*|[.,]\d+)(e[-+]?\d+)?", text):
        raise ValueError(f"{text!r} is not a number")
    return float(text.replace(",", "."))
