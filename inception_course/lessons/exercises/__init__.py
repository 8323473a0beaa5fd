"""Exercises that answer back: `check` an answer, ask for a `hint`, or look at the `solution`.

    from inception_course.lessons.exercises import ch00
    ch00.q1.check(0.25)

A check never raises and never changes anything, so that the notebook runs on whatever is answered.
"""

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check says; `passed` is for a grader."""

    passed: bool
    message: str

    def __repr__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class Solution:
    """A right answer; shows itself as the text that explains it, or as its source code."""

    answer: Any
    text: str

    def __repr__(self) -> str:
        if not callable(self.answer):
            return self.text
        return f"{self.text}\n\n{textwrap.dedent(inspect.getsource(self.answer))}".rstrip()


class Exercise:
    """A question with a check.

    `examine` gets an answer and returns what is wrong with it, in a sentence that teaches, or None
    if it is right. `hints` are given one after the other, ever more explicit.
    """

    def __init__(
        self, examine: Callable[[Any], str | None], hints: tuple[str, ...], solution: Solution
    ):
        self._examine, self._hints, self._solution = examine, hints, solution
        self._given = 0

    def check(self, answer: Any) -> Verdict:
        if answer is ... or is_empty(answer):
            return Verdict(False, "Not answered yet: put your answer in place of the three dots.")
        try:
            wrong = self._examine(answer)
        except Exception as error:  # of the learner's code, or of an answer of another kind
            wrong = f"your answer raised {type(error).__name__}: {error}"
        return Verdict(False, f"Not yet: {wrong}") if wrong else Verdict(True, "Right.")

    def hint(self) -> Verdict:
        """The next hint; after the last one, the last one again."""
        self._given = min(self._given + 1, len(self._hints))
        return Verdict(False, f"Hint {self._given}: {self._hints[self._given - 1]}")

    def solution(self) -> Solution:
        return self._solution


def is_empty(function: Any) -> bool:
    """Whether `function` is one whose body is still three dots."""

    def bare(): ...

    def described():
        """Like the first, below a docstring."""

    code = getattr(function, "__code__", None)
    return (
        code is not None
        and code.co_code in (bare.__code__.co_code, described.__code__.co_code)
        and code.co_consts[-1] is None  # and not another constant that is returned
    )


# What `examine` functions are made of


def number(answer: Any) -> float:
    """`answer` as a float; raises `TypeError` for anything that is not one real number."""
    if hasattr(answer, "item") and getattr(answer, "ndim", None) == 0:
        answer = answer.item()
    if isinstance(answer, bool) or not isinstance(answer, Real):
        raise TypeError(f"this question wants a number, and got {answer!r}")
    return float(answer)


def written(function: Any) -> Callable:
    """`function` if it is one, and not just three dots; raises `TypeError` otherwise."""
    if not callable(function):
        raise TypeError(f"this question wants a function, and got {function!r}")
    return function


def choice(answer: Any, options: dict[str, str | None]) -> str | None:
    """What `options` says to the answer: None for the right one, the mistake for the others."""
    if not isinstance(answer, str) or answer.strip().lower() not in options:
        raise TypeError(f"choose one of {', '.join(map(repr, options))}; got {answer!r}")
    return options[answer.strip().lower()]
