"""Exercises that answer back: `check` an answer, ask for a `hint`, or look at the `solution`.

    from inception_course.lessons.exercises import ch00
    ch00.q1.check(0.25)

Each exercise is a table: the answer, and a reply to every known mistake. There are four kinds,
`Number`, `Choice`, `Code` and `Open`. A check never raises and never changes anything, so that the
notebook continues whatever the answer is.
"""

import inspect
import math
import re
import textwrap
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import torch
from torch import Tensor

from .answers import (
    alike,
    content,
    difference,
    holdings,
    last_word,
    mismatch,
    named,
    number,
    numbers,
    plain,
    readings,
    same,
    unwrap,
    what,
)

UNITS = {1_000: "thousands", 1_024: "K of 1,024", 1_000_000: "millions", 0.01: "per cent"}
# Brackets, and words that may stand around an option and do not change its meaning.
AROUND = r"[()\[\]{}]|(?<![a-z])(the|set|split|data|images?|branch|block|inception|after)(?![a-z])"
STOPS = (Exception, SystemExit)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Holds what a check says; `passed` is for a grader."""

    passed: bool
    message: str

    def __repr__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class Solution:
    """A right answer; what is shown is the text that explains it, or its source code."""

    answer: Any
    text: str

    def __repr__(self) -> str:
        if not callable(self.answer):
            return self.text
        return f"{self.text}\n\n{textwrap.dedent(inspect.getsource(self.answer))}".rstrip()


@dataclass(eq=False)
class Exercise:
    """A question with a check.

    `hints` are given one after the other, ever more explicit; the last one is not the answer.
    `because` explains the `answer`.
    """

    answer: Any
    _: KW_ONLY
    hints: Sequence[str]
    because: str
    _given: int = field(default=0, init=False)

    def examine(self, answer: Any) -> str | None:
        """Return what is wrong with an answer, in a sentence that teaches; None if it is right."""
        raise NotImplementedError

    def known(self) -> Iterator[tuple[Any, str]]:
        """Yield the wrong answers of the table, each with its reply."""
        yield from getattr(self, "wrong", {}).items()

    def check(self, answer: Any) -> Verdict:
        if answer is ... or is_empty(answer):
            return Verdict(False, "Not answered yet: put your answer in place of the three dots.")
        try:
            wrong = self.examine(answer)
        except STOPS as error:  # of an answer that runs code when it is examined
            wrong = f"this cannot be read as an answer: {error}"
        return Verdict(False, f"Not yet: {wrong}") if wrong else Verdict(True, "Right.")

    def hint(self) -> Verdict:
        """Return the next hint; after the last one, the last one again."""
        self._given = min(self._given + 1, len(self.hints))
        return Verdict(False, f"Hint {self._given}: {self.hints[self._given - 1]}")

    def solution(self) -> Solution:
        return Solution(self.answer, self.because)


def is_empty(function: Any) -> bool:
    """Tell whether `function` is one whose body is still three dots."""

    def bare(): ...

    def described():
        """Have three dots below a docstring."""

    code = getattr(function, "__code__", None)
    return (
        code is not None
        and code.co_code in (bare.__code__.co_code, described.__code__.co_code)
        and code.co_consts[-1] is None  # and not another constant that is returned
    )


@dataclass(eq=False)
class Number(Exercise):
    """A question for a number; `wrong` maps a mistake, or a tuple of several, to its reply.

    A fraction may be rounded to two digits; a whole number must be equal, unless there is a
    `tolerance`. Nothing outside `between` is right. Any word may follow the number, except for
    words that begin with one of `other_units`.
    """

    wrong: Mapping[float | tuple[float, ...], str]
    otherwise: str
    _: KW_ONLY
    tolerance: float = 0.0
    between: tuple[float, float] = (-math.inf, math.inf)
    other_units: Collection[str] = ()

    def known(self) -> Iterator[tuple[Any, str]]:
        for values, message in self.wrong.items():
            for value in values if isinstance(values, tuple) else [values]:
                yield value, message

    def examine(self, answer: Any) -> str | None:
        givens, (low, high) = readings(answer), self.between
        if not givens:
            return f"this question wants a number, and you gave {what(answer)}."
        for given in givens:
            if alike(given, self.answer, self.tolerance) and low <= given <= high:
                return self._another_unit(last_word(answer))
        for value, message in self.known():
            if any(alike(given, value) for given in givens):
                return message
        given = givens[0]
        if not low <= given <= high:
            return f"what is asked for lies between {low:g} and {high:g}."
        return (self.answer and self._slip(given)) or self.otherwise

    def _another_unit(self, word: str) -> str | None:
        other = any(word.startswith(each) for each in self.other_units)
        return f"the number is right, and {word!r} is not what it counts." if other else None

    def _slip(self, given: float) -> str | None:
        """Recognize the right number in another unit, of another sign, upside down, or rounded."""
        for size, unit in UNITS.items():
            if alike(given, self.answer / size):
                return f"you seem to count in {unit}; give the number itself."
        if alike(given, -self.answer):
            return "the size is right, and the sign is not."
        if alike(given, 1 / self.answer):
            return "that is the inverse of what is asked for."
        if math.isclose(given, self.answer, rel_tol=0.01):
            return "that is close; give it without rounding on the way."
        return None


@dataclass(eq=False)
class Choice(Exercise):
    """A question with options: the right one, and wrong ones, each with its reply.

    The reader may write an option as the text does, with words such as `set` or `block` around it,
    or as a longer or shorter form of the same word; `also` has other words for an option.
    """

    wrong: Mapping[str, str]
    _: KW_ONLY
    also: Mapping[str, str] = field(default_factory=dict)

    def examine(self, answer: Any) -> str | None:
        options = sorted([self.answer, *self.wrong])
        chosen = self._chosen(unwrap(answer), options)
        if chosen is None:
            listed = f"{', '.join(map(repr, options[:-1]))} or {options[-1]!r}"
            return f"choose one of {listed}; you gave {what(answer)}."
        return self.wrong.get(chosen)

    def _chosen(self, answer: Any, options: list[str]) -> str | None:
        text, value = _core(answer), number(answer)
        meanings = {each: each for each in options} | dict(self.also)
        for spelling, option in meanings.items():
            if text.replace(" ", "") == _core(spelling).replace(" ", ""):
                return option
        fitting = {
            option
            for spelling, option in meanings.items()
            if _one_word(text, spelling) or (value is not None and value == number(spelling))
        }
        return fitting.pop() if len(fitting) == 1 else None


def _core(answer: Any) -> str:
    """Return an answer's words without those that may stand around an option; (3, 3) is 3x3."""
    if sizes := numbers(answer):
        return "x".join(f"{each:g}" for each in sizes)
    text = plain(answer.replace("-", " ")) if isinstance(answer, str) else ""
    return " ".join(re.sub(AROUND, " ", text).split())


def _one_word(text: str, option: str) -> bool:
    """Tell whether one begins the other, as val begins validation; conv2 does not begin conv2d."""
    short, long = sorted((text, option), key=len)
    rest = long.removeprefix(short)
    return len(short) > 2 and short[-1].isalpha() and rest != long and rest.isalpha()


@contextmanager
def _aside() -> Iterator[None]:
    """Inside, gradients are on and the device is the CPU; the reader's random state is kept."""
    with torch.random.fork_rng([]), torch.enable_grad(), torch.device("cpu"):
        yield


class OtherKind(Exception):
    """Says that what a function returns cannot be compared with what it should return."""


@dataclass(eq=False)
class Code(Exercise):
    """A question for a function: it must do what `answer` does in all `cases`.

    `cases` makes tuples of arguments, which should differ in shape, layout and values; they are
    drawn from torch's generator with a fixed seed, in the reader's default precision. `wrong` has
    functions that go wrong in a known way. `outcome` turns what a function returns into what is
    compared; `returns` names the kind it needs. A function that works `in_place` is called twice,
    because it may leave something behind; `outcome` looks at its arguments.
    """

    cases: Callable[[], Iterable[tuple]]
    wrong: Mapping[Callable, str]
    otherwise: str
    _: KW_ONLY
    returns: str = "a tensor"
    outcome: Callable[..., Any] = lambda result, *arguments: result
    in_place: bool = False

    @_aside()
    def examine(self, answer: Any) -> str | None:
        if not callable(answer):
            return f"give your function itself, by its name; you gave {what(answer)}."
        if arity := self._arity(answer):
            return arity
        wants, _ = self._run(self.answer)
        results, changed = self._run(answer)
        equal = list(map(same, results, wants))
        if changed:
            lead = "the values are right, but your" if all(equal) else "your"
            return f"{lead} function changed `{changed}`, which it was given: return a new one."
        if all(equal):
            return None
        at = equal.index(False)
        result, want, inputs = results[at], wants[at], self._inputs(at)
        misfit = mismatch(result, want, self.returns)
        example = f" With {inputs}: {difference(result, want)}." if not misfit else ""
        for mistake, message in self.wrong.items():
            known, _ = self._run(mistake)
            if all(map(same, results, known)) and not isinstance(known[at], Exception):
                return message if isinstance(want, Tensor) else message + example
        if isinstance(result, OtherKind):
            return str(result)
        if isinstance(result, STOPS):
            return f"{_stopped(result)} It was given {inputs}."
        if result is None:
            return "your function returns nothing: add a return statement."
        lead = f"right for {self._inputs(0)}, and wrong for another input: " if at else ""
        return lead + (misfit or self.otherwise + example)

    @property
    def _names(self) -> list[str]:
        return list(inspect.signature(self.answer).parameters)

    def _arity(self, function: Callable) -> str | None:
        try:
            signature = inspect.signature(function)
        except ValueError:  # a function that is written in C
            return None
        try:
            signature.bind(*self._names)
        except TypeError:
            count, names = len(signature.parameters), self._names
            takes = f"takes {count} argument{'s' * (count != 1)}"
            gives = f"the exercise gives it {len(names)}: {', '.join(names)}"
            return f"your function {takes}, {gives}."
        return None

    def _drawn(self) -> list[tuple]:
        torch.manual_seed(0)
        return list(self.cases())

    def _inputs(self, at: int) -> str:
        return ", ".join(map(named, self._names, self._drawn()[at]))

    def _run(self, function: Callable) -> tuple[list, str | None]:
        """Return the result of each case, and the name of an argument that was changed."""
        results, changed = [], None
        for arguments in self._drawn():
            held = [list(holdings(value)) for value in arguments]
            before = [list(map(content, each)) for each in held]
            results.append(self._result(function, arguments))
            after = [list(map(content, each)) for each in held]
            if before != after and not self.in_place:
                names = zip(self._names, before, after, strict=True)
                changed = next(name for name, was, now in names if was != now)
        return results, changed

    def _result(self, function: Callable, arguments: tuple) -> Any:
        try:
            for _ in range(1 + self.in_place):
                result = function(*arguments)
        except STOPS as error:
            return error
        if result is None and not self.in_place:
            return None
        try:
            return self.outcome(result, *arguments)
        except Exception:
            return OtherKind(f"{self.returns} is wanted, and this is {what(result)}.")


def _stopped(error: BaseException) -> str:
    """Say at which line of the reader's function an error came up."""
    lines = [
        frame.line
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename != __file__ and "site-packages" not in frame.filename
    ]
    where = f" at `{lines[0]}`" if any(lines) else ""
    if isinstance(error, SystemExit):
        return f"your function ends the whole program{where}: let it return instead."
    reason = str(error).partition("\n")[0]
    return f"your function stops{where}: {reason} ({type(error).__name__})."


@dataclass(eq=False)
class Open(Exercise):
    """A question with many right answers: change an experiment so that its result has properties.

    The reader gives the result, or a function of no arguments that makes it. `read` turns it into
    what is measured, or into None if it is not what the question `wants`. A property is a measure,
    a test of the measured value, and the reply if the test fails, in which {} is this value.
    """

    wants: str
    properties: Sequence[tuple[Callable[[Any], Any], Callable[[Any], bool], str]]
    _: KW_ONLY
    read: Callable[[Any], Any] = lambda result: result

    def examine(self, answer: Any) -> str | None:
        result = answer
        if inspect.isroutine(answer):
            try:
                result = answer()
            except STOPS as error:
                return _stopped(error)
        result = self.read(result)
        for measure, holds, otherwise in self.properties:
            try:
                measured = measure(result)
            except (AttributeError, LookupError, TypeError):
                return f"this question wants {self.wants}; you gave {what(answer)}."
            if not holds(measured):
                return otherwise.format(measured)
        return None
