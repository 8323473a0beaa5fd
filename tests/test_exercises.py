"""Every exercise accepts right answers of any sensible form, and tells wrong ones why."""

import functools
import importlib
import math
import pkgutil
import sys
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from answers import RIGHT, WRONG

from inception_course import cost, models
from inception_course.lessons import exercises
from inception_course.lessons.exercises import (
    Choice,
    Code,
    Exercise,
    Number,
    Open,
    Solution,
    ch01,
    ch08,
)
from inception_course.lessons.exercises.answers import number
from inception_course.train import Epoch

NEVER_RIGHT = [None, "", "yes", True, [], float("nan"), torch.zeros(3), print, object()]


def everything():
    for module in pkgutil.iter_modules(exercises.__path__):
        chapter = importlib.import_module(f"{exercises.__name__}.{module.name}")
        for name, value in vars(chapter).items():
            if isinstance(value, Exercise):
                yield f"{module.name}.{name}", value


EXERCISES = dict(everything())


def of(kind):
    return [name for name, exercise in EXERCISES.items() if isinstance(exercise, kind)]


def wrong_answers():
    """The mistakes of each table, and those that only the tests know."""
    for name, exercise in EXERCISES.items():
        yield from ((name, *pair) for pair in exercise.known())
        yield from ((name, *pair) for pair in WRONG.get(name, ()))


def test_every_exercise_has_five_plausible_wrong_answers():
    assert WRONG.keys() | RIGHT.keys() <= EXERCISES.keys()
    count = dict.fromkeys(EXERCISES, 0)
    for name, _, _ in wrong_answers():
        count[name] += 1
    assert min(count.values()) >= 5, count


@pytest.mark.parametrize(("name", "answer", "said"), list(wrong_answers()))
def test_a_wrong_answer_is_told_why(name, answer, said):
    verdict = EXERCISES[name].check(answer)
    assert not verdict.passed
    assert said in verdict.message
    assert verdict.message.endswith((".", "?"))
    assert "raised" not in verdict.message


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_passes(name):
    verdict = EXERCISES[name].check(EXERCISES[name].solution().answer)
    assert verdict.passed, verdict.message
    assert repr(verdict) == "Right."


@pytest.mark.parametrize(
    ("name", "answer"), [(name, answer) for name, answers in RIGHT.items() for answer in answers]
)
def test_another_right_answer_passes(name, answer):
    verdict = EXERCISES[name].check(answer)
    assert verdict.passed, verdict.message


def forms_of_a_number(value):
    yield from (value, float(value), np.float64(value), np.array([[value]]), [value], (value,))
    yield from (torch.tensor(value, dtype=torch.float64), torch.tensor([float(value)]))
    yield from (Decimal(str(value)), Fraction(value), str(value), f" {value:,} ", f"'{value}'.")
    yield from (f"{value:_}", f"≈ {value}", f"{100 * value} %", f"{value}/1")
    yield from (f"{value}x", f"{value} * 10^0", f"{value}:1", f"{value} units")
    if value == round(value):
        yield from (
            int(value),
            np.int64(value),
            torch.tensor(int(value)),
            f"{value:,}".replace(",", " "),
        )


def forms_of_a_choice(text):
    yield from (
        text,
        text.upper(),
        text.title(),
        f"  {text}\n",
        f"{text}.",
        f"{text}!",
        f"'{text}'",
    )
    yield from (f'"{text}"', f"`{text}`", f"“{text}”.", np.str_(text), np.array([text]), [text])
    yield from (f"({text})", f"the {text} set", f"{text}_block", f"[{text}] branch")
    yield from (text.replace(" ", "_"), text.replace(" ", "-"), text.replace(" ", "  "))


def forms_of_a_function(function):
    class Callable:
        def __call__(self, *arguments):
            return function(*arguments)

        def method(self, *arguments):
            return function(*arguments)

    yield from (function, Callable(), Callable().method, functools.partial(function))
    yield from (lambda *a: function(*a), functools.wraps(function)(lambda *a: function(*a)))
    yield from (torch.enable_grad()(function), lambda *a, verbose=False: function(*a))
    for written in (in_double_precision, as_an_array, as_lists, laid_out_differently):
        yield lambda *a, written=written: written(function(*a))


def in_double_precision(result):
    return result.double() if torch.is_tensor(result) and result.is_floating_point() else result


def as_an_array(result):
    return result.detach().numpy() if torch.is_tensor(result) else result


def as_lists(result):
    return result.tolist() if torch.is_tensor(result) else result


def laid_out_differently(result):
    if not torch.is_tensor(result) or not result.ndim:
        return result
    return result.transpose(0, -1).contiguous().transpose(0, -1)


FORMS = {Number: forms_of_a_number, Choice: forms_of_a_choice, Code: forms_of_a_function}


@pytest.mark.parametrize("name", of((Number, Choice, Code)))
def test_a_right_answer_may_have_ten_forms(name):
    exercise = EXERCISES[name]
    forms = list(FORMS[type(exercise)](exercise.solution().answer))
    assert len(forms) >= 10
    for form in forms:
        verdict = exercise.check(form)
        assert verdict.passed, f"{form!r}: {verdict.message}"


@pytest.mark.parametrize("name", of(Choice))
def test_the_options_do_not_begin_with_the_right_one(name):
    message = EXERCISES[name].check("something else").message
    places = [message.index(repr(option)) for option in sorted(dict(EXERCISES[name].known()))]
    assert places == sorted(places)
    assert "choose one of" in message


@pytest.fixture(params=[torch.float64, torch.bfloat16], ids=str)
def precision(request):
    before = torch.get_default_dtype()
    torch.set_default_dtype(request.param)
    yield request.param
    torch.set_default_dtype(before)


@pytest.mark.slow
@pytest.mark.parametrize("name", of(Code))
def test_inputs_have_the_readers_own_precision(name, precision):
    exercise = EXERCISES[name]
    assert exercise.check(exercise.solution().answer).passed
    for mistake, said in exercise.known():
        assert said in exercise.check(mistake).message
    for answer in RIGHT.get(name, ()):
        assert exercise.check(answer).passed


@pytest.mark.parametrize("name", of(Code))
def test_the_readers_modes_make_no_difference(name):
    with torch.no_grad(), torch.device("meta"):
        assert EXERCISES[name].check(EXERCISES[name].solution().answer).passed
        assert not EXERCISES[name].check(lambda *arguments: 1 / 0).passed


@pytest.mark.parametrize("name", of(Code))
def test_a_check_changes_nothing(name):
    before = torch.get_rng_state()

    def random(*arguments):
        return torch.rand(1)

    EXERCISES[name].check(random)
    EXERCISES[name].check(EXERCISES[name].solution().answer)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", of(Code))
def test_a_function_is_tried_on_several_inputs(name):
    """Right for the first input and wrong for the others is wrong."""
    exercise = EXERCISES[name]
    calls = iter(range(100))

    def right_once(*arguments):
        result = exercise.answer(*arguments)
        if next(calls) == 0:
            return result
        return exercise.answer(*arguments) if exercise.in_place else 2 * result

    assert not exercise.check(right_once).passed


@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.parametrize("answer", NEVER_RIGHT, ids=lambda answer: type(answer).__name__)
def test_nothing_passes_by_accident(name, answer):
    verdict = EXERCISES[name].check(answer)
    assert not verdict.passed
    assert "cannot be read" not in verdict.message


@pytest.mark.parametrize("name", EXERCISES)
def test_an_unanswered_exercise_says_so(name):
    def bare(*arguments): ...

    def described(*arguments):
        """Still to be written."""

    for answer in (..., bare, described):
        verdict = EXERCISES[name].check(answer)
        assert not verdict.passed
        assert "Not answered yet" in verdict.message


@pytest.mark.parametrize("name", EXERCISES)
def test_hints_lead_on_and_then_stay(name):
    exercise = EXERCISES[name]
    hints = [repr(exercise.hint()) for _ in range(4)]
    assert hints[0].startswith("Hint 1: ")
    assert hints[1].startswith("Hint 2: ")
    assert hints[-1] == hints[-2]


@pytest.mark.parametrize("name", of((Number, Choice)))
def test_the_last_hint_is_not_the_answer(name):
    exercise = EXERCISES[name]
    if isinstance(exercise, Choice):
        assert exercise.answer not in exercise.hints[-1]
    words = exercise.hints[-1].replace(":", " ").rstrip(".?").split()
    assert exercise.answer not in map(number, words)


def test_a_solution_in_code_shows_its_source():
    assert "optimizer.step()" in repr(ch08.q5.solution())
    assert repr(ch08.q1.solution()).startswith("ln(1,000) = 6.908")
    assert isinstance(ch08.q1.solution(), Solution)


@pytest.mark.parametrize("name", of(Code))
def test_a_function_that_cannot_be_compared_is_told_in_words(name):
    def nothing(*arguments):
        forgotten = len(arguments)  # noqa: F841 - computed, and not returned

    def misspelled(*arguments):
        return arguments.flot()

    def leaving(*arguments):
        sys.exit(1)

    exercise = EXERCISES[name]
    count = len(next(iter(exercise.cases())))
    said = {
        nothing: "did not change" if exercise.in_place else "returns nothing: add a return",
        misspelled: "stops at `return arguments.flot()`: 'tuple' object has no attribute",
        leaving: "your function ends the whole program at `sys.exit(1)`",
        lambda: 1: f"takes 0 arguments, the exercise gives it {count}: ",
        lambda one, *, two: 1: "takes 2 arguments, the exercise gives it",
        7: "give your function itself, by its name; you gave 7",
    }
    for answer, message in said.items():
        assert message in exercise.check(answer).message
    assert "(AttributeError)" in exercise.check(misspelled).message


def test_an_example_says_what_should_come_and_what_does():
    verdict = ch01.q2.check(lambda chain: 1 + sum(window - 1 for window, _ in chain))
    assert "With chain [(3, 2), (3, 1)]: it should be 7, and yours is 5." in verdict.message
    verdict = EXERCISES["ch00.q2"].check(lambda images, mean, std: images / 255 - mean / std + 1)
    assert "at [" in verdict.message
    assert "nan" not in verdict.message


@pytest.mark.slow
def test_answers_are_what_the_package_counts_and_measures():
    alexnet, googlenet = (
        cost.table(models.create(name, in_channels=3, num_classes=1000), (3, side, side))
        for name, side in (("alexnet", 227), ("googlenet", 224))
    )
    vgg = cost.table(models.create("vgg16", in_channels=3, num_classes=1000), (3, 224, 224))
    with torch.device("meta"):
        larger = cost.table(models.create("googlenet", in_channels=3), (3, 299, 299))
    counted = {
        "ch00.q3": alexnet.parameters / googlenet.parameters,
        "ch01.q3": math.ceil(3 * 4 * vgg.parameters / vgg.activation_bytes),
        "ch05.q2": larger["5b"].output[1],
    }
    for name, count in counted.items():
        assert EXERCISES[name].check(count).passed, name


RUN_OF_TWO = [Epoch(n, 0.1, 2.0, 0.4, 1.5, 0.3 * n, 3.0, 800.0) for n in (1, 2)]

FASTER = Open(
    lambda: RUN_OF_TWO,
    "the epochs of a run",
    (
        (len, lambda count: count <= 2, "two epochs are enough, and yours has {}."),
        (
            lambda epochs: epochs[-1].val_accuracy,
            lambda accuracy: accuracy >= 0.6,
            "it ends at {:.2f}: change the learning rate until it ends above 0.6.",
        ),
    ),
    hints=("Which settings make a step larger?", "Try ten times the learning rate."),
    because="Ten times the rate:",
)


def failing():
    return RUN_OF_TWO[7]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (RUN_OF_TWO * 2, "two epochs are enough, and yours has 4."),
        (RUN_OF_TWO[:1], "it ends at 0.30: change the learning rate"),
        (lambda: RUN_OF_TWO[:1], "it ends at 0.30"),
        (failing, "your function stops at `return RUN_OF_TWO[7]`: list index out of range"),
        (3, "this question wants the epochs of a run; you gave 3."),
        ([], "this question wants the epochs of a run; you gave a list of 0."),
        (..., "Not answered yet"),
    ],
)
def test_an_open_exercise_judges_a_result_by_its_properties(answer, said):
    verdict = FASTER.check(answer)
    assert not verdict.passed
    assert said in verdict.message


def test_an_open_exercise_takes_a_result_and_what_makes_one():
    assert FASTER.check(RUN_OF_TWO).passed
    assert FASTER.check(FASTER.solution().answer).passed
    assert "lambda: RUN_OF_TWO" in repr(FASTER.solution())
