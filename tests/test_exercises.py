"""Every exercise accepts its solution and refuses plausible wrong answers, saying why."""

import importlib
import math
import pkgutil

import pytest
import torch
from torch.nn import functional as F

from inception_course import exercises
from inception_course.exercises import Exercise, Solution, ch06


def unscaled(images, mean, std):
    return (images.float() - mean) / std


def undivided(images, mean, std):
    return images.float() / 255 - mean


def wrong_order(images, mean, std):
    return images.float() / 255 / std - mean


def in_place(images, mean, std):
    images.sub_(1)
    return (images.float() / 255 - mean) / std


def still_bytes(images, mean, std):
    return images


def nothing(*arguments):
    forgotten = len(arguments)  # noqa: F841 - computed, and not returned


def idle(model, optimizer, images, labels):
    F.cross_entropy(model(images), labels).backward()


def mean_of_means(batches):
    means = [(logits.argmax(1) == labels).float().mean().item() for logits, labels in batches]
    return sum(means) / len(means)


def only_the_last(batches):
    logits, labels = batches[-1]
    return (logits.argmax(1) == labels).float().mean().item()


def only_counted(batches):
    return sum((logits.argmax(1) == labels).sum().item() for logits, labels in batches)


# exercise: wrong answers, each with a part of what is said to it
WRONG = {
    "ch00.q1": [
        (0.1, "knows a shoe"),
        (20, "per cent"),
        (5 / 21, "frequent"),
        (1 / 3, "one group"),
    ],
    "ch00.q2": [
        (unscaled, "divide by 255"),
        (undivided, "divide by std"),
        (wrong_order, "order"),
        (in_place, "changed the images"),
        (still_bytes, "floats"),
        (nothing, "returns nothing"),
    ],
    "ch00.q3": [(12, "papers print"), (0.115, "inverse"), (54, "difference"), (2, "divide")],
    "ch00.q4": [("train", "by heart"), ("test", "too good"), ("all", "choose one of")],
    "ch06.q1": [(math.log2(10), "bits"), (1.0, "base 10"), (0.1, "probability"), (10, "minus")],
    "ch06.q2": [
        (idle, "did not change"),
        (ch06._step_accumulating, "still there"),
        (ch06._step_softmax, "logits"),
        (ch06._step_sum, "mean over the images"),
        (ch06._step_late_zero, "did not change"),
    ],
    "ch06.q3": [(469, "one epoch"), (4687.5, "round up"), (4680, "smaller"), (600_000, "seen")],
    "ch06.q4": [("bag", "easiest"), ("trouser", "easiest"), ("sandal", "shoes"), ("hat", "choose")],
    "ch06.q5": [
        (mean_of_means, "weighs an image"),
        (only_the_last, "last batch"),
        (only_counted, "divide by how many"),
        (nothing, "returns nothing"),
    ],
}
NEVER_RIGHT = [None, "", "yes", True, [], float("nan"), torch.zeros(3), print, object()]


def everything():
    for module in pkgutil.iter_modules(exercises.__path__):
        chapter = importlib.import_module(f"{exercises.__name__}.{module.name}")
        for name, value in vars(chapter).items():
            if isinstance(value, Exercise):
                yield f"{module.name}.{name}", value


EXERCISES = dict(everything())


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
