"""Every exercise accepts its solution and refuses plausible wrong answers, saying why."""

import importlib
import pkgutil

import pytest
import torch
import wrong_answers

from inception_course.lessons import exercises
from inception_course.lessons.exercises import Exercise, Solution, ch06

NEVER_RIGHT = [None, "", "yes", True, [], float("nan"), torch.zeros(3), print, object()]


def everything():
    for module in pkgutil.iter_modules(exercises.__path__):
        chapter = importlib.import_module(f"{exercises.__name__}.{module.name}")
        for name, value in vars(chapter).items():
            if isinstance(value, Exercise):
                yield f"{module.name}.{name}", value


def all_wrong():
    for module in pkgutil.iter_modules(wrong_answers.__path__):
        chapter = importlib.import_module(f"{wrong_answers.__name__}.{module.name}")
        for question, answers in chapter.WRONG.items():
            yield f"{module.name}.{question}", answers


EXERCISES = dict(everything())
WRONG = dict(all_wrong())


def test_every_exercise_has_wrong_answers_here():
    assert WRONG.keys() == EXERCISES.keys()
    assert all(len(answers) >= 3 for answers in WRONG.values())


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_passes(name):
    verdict = EXERCISES[name].check(EXERCISES[name].solution().answer)
    assert verdict.passed, verdict.message
    assert repr(verdict) == "Right."


@pytest.mark.parametrize(
    ("name", "answer", "said"),
    [(name, answer, said) for name, answers in WRONG.items() for answer, said in answers],
)
def test_a_wrong_answer_is_told_why(name, answer, said):
    verdict = EXERCISES[name].check(answer)
    assert not verdict.passed
    assert said in verdict.message


@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.parametrize("answer", NEVER_RIGHT, ids=repr)
def test_nothing_passes_by_accident(name, answer):
    assert not EXERCISES[name].check(answer).passed


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


def test_a_solution_in_code_shows_its_source():
    assert "optimizer.step()" in repr(ch06.q2.solution())
    assert repr(ch06.q1.solution()).startswith("ln(10) = 2.303")
    assert isinstance(ch06.q1.solution(), Solution)


def test_the_learners_error_is_reported_not_raised():
    verdict = EXERCISES["ch00.q2"].check(lambda images, mean, std: images.flot())
    assert "AttributeError" in verdict.message
