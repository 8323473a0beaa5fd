"""A reader's guess in a figure: drawn if it can be, and without an effect if it is left open."""

import inspect
import warnings
from functools import cache

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from test_plots import (
    ACTIVATED,
    BENCH,
    CONTESTED,
    CORRELATED,
    COSTS,
    DEEP,
    EQUAL,
    GRADIENTS,
    MAP,
    RESULT,
    RUN,
    SAMPLE,
    SHIFTED,
    SMOOTHED,
    STRIPES,
    TABLE,
    THINNED,
    TIMES,
    WORK,
    contest,
)  # fmt: skip

from inception_course import evaluate, hebbian, plots, studies, train
from inception_course.plots import guess as marks
from inception_course.studies import comparison, paper_tables, reduction
from inception_course.studies.reduction import BlockTimes, Trained

pytestmark = pytest.mark.drawing
SURE = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.3, 0.7]])
JUDGED = evaluate.calibration(SURE, torch.tensor([0, 0, 1, 1]))
PLACE = reduction.block_inputs()[0]
NARROW = [Trained(w, b, 0, 10, 0.7 + 0.1 * b) for w in (1, None) for b in (True, False)]
RUNGS = dict.fromkeys((each.name for each in comparison.LADDER.contenders), (0.88, 0.9))
WAYS = {"one pass": (0.88, 0.9), "six passes": (0.92, 0.95)}
SIZES = dict.fromkeys((each.name for each in comparison.BATCHES.contenders), (0.7, 0.8))
CELLS = torch.eye(10, dtype=torch.long) * 8 + 1
BY_RATE = {"plain": {1: [0.8], 6: [0.1]}, "BN": {1: [0.8], 6: [0.7]}}
NORMS = {"no heads": {"conv1": 0.001, "5b": 0.2}, "with heads": {"conv1": 0.1, "5b": 0.2}}

# A figure that takes a guess, a guess that it can draw, and what it says of it.
TAKES = {
    "accuracy_by_rate": (lambda g: plots.accuracy_by_rate(BY_RATE, guess=g), 4, "4"),
    "accuracy_by_width": (lambda g: plots.accuracy_by_width(NARROW, guess=g), 1, "1"),
    "activation_rates": (lambda g: plots.activation_rates(ACTIVATED, guess=g), 0.5, "0.5"),
    "activation_states": (lambda g: plots.activation_states(ACTIVATED, guess=g), "10 %", "0.1"),
    "against_paper": (
        lambda g: plots.against_paper({"params": {"conv1": (9.2, 2.7)}}, guess=g), 3, "3 rows agree"
    ),
    "additions": (
        lambda g: plots.additions(CONTESTED["additions"], guess=g),
        "with additions",
        "with additions",
    ),
    "aliasing": (
        lambda g: plots.aliasing(STRIPES, {s: STRIPES[::s, ::s] for s in (1, 4)}, 3, guess=g),
        "4 stripes",
        "4 times at stride 4",
    ),
    "bench": (lambda g: plots.bench(BENCH, guess=g), 2, "2"),
    "block_shares": (lambda g: plots.block_shares(*PLACE, guess=g), "5x5", "5x5"),
    "break_even": (lambda g: plots.break_even([TIMES], guess=g), "1/4", "0.25"),
    "channel_rows": (
        lambda g: plots.channel_rows({"row": (MAP[0], MAP[0] / 2)}, 0.6, guess=g), 0.4, "0.4"
    ),
    "channels_along": (
        lambda g: plots.channels_along({"paper": [192, 256]}, ["3a"], guess=g), 200, "200"
    ),
    "confusion": (lambda g: plots.confusion(CELLS, guess=g), "shirt", "Shirt"),
    "crops_and_networks": (
        lambda g: plots.crops_and_networks(paper_tables.TABLE_3, {"a": TABLE, "b": TABLE}, guess=g),
        "B",
        "b",
    ),
    "dilemma": (lambda g: plots.dilemma(studies.load("dilemma"), guess=g), 4, "4"),
    "epoch_curves": (
        lambda g: plots.epoch_curves({"made": RUN.epochs}, "curves so far", guess=g), 80, "0.8"
    ),
    "equal_cost": (
        lambda g: plots.equal_cost(EQUAL, guess=g), "reduced, deeper", "reduced, deeper"
    ),
    "error_over_work": (lambda g: plots.error_over_work(guess=g), "VGG-16", "VGG-16"),
    "errors_by_depth": (
        lambda g: plots.errors_by_depth({"A": (11, 10.4), "E": (19, 9.0)}, guess=g), 9.5, "9.5"
    ),
    "family_tree": (lambda g: plots.family_tree(guess=g), "12 million", "12,000,000 parameters"),
    "factors": (lambda g: plots.factors(CONTESTED["factorization"], guess=g), "7x7", "7x7"),
    "degradation": (lambda g: plots.degradation(DEEP, guess=g), "45 %", "45 %"),
    "gradients_by_depth": (
        lambda g: plots.gradients_by_depth(GRADIENTS, guess=g), "residual", "residual"
    ),
    "one_block_dropped": (lambda g: plots.one_block_dropped(DEEP, guess=g), 50, "50 %"),
    "over_work": (lambda g: plots.over_work(WORK, "accuracy", guess=g), "large", "large"),
    "several_blocks_dropped": (lambda g: plots.several_blocks_dropped(DEEP, guess=g), 50, "50 %"),
    "gradient_norms": (lambda g: plots.gradient_norms(NORMS, guess=g), 2, "2 times smaller"),
    "influence": (
        lambda g: plots.influence({"3a": torch.ones(50, 50)}, {"3a": 40}, guess=g), 30, "30 pixels"
    ),
    "layer_bars": (lambda g: plots.layer_bars(COSTS, guess=g), "FC 6", "fc6"),
    "learning_curves": (lambda g: plots.learning_curves(RUN, guess=g), "80 %", "0.8"),
    "map_correlations": (lambda g: plots.map_correlations(CORRELATED, guess=g), "20 %", "0.2"),
    "overfit": (
        lambda g: plots.overfit(contest({"neither": (0.8, 0.82), "crops": (0.79, 0.8)}), guess=g),
        "crops",
        "crops",
    ),
    "percentile_bands": (lambda g: plots.percentile_bands(RESULT, "unit3", guess=g), 0.6, "0.6"),
    "phase_transition": (
        lambda g: plots.phase_transition(
            {"1/3": {0.02: [1.0, 0.9], 0.4: [0.2, 0.0]}}, {"400": {0.02: [1.0]}}, 0.05, guess=g
        ),
        0.1,
        "0.1",
    ),
    "pixels": (lambda g: plots.pixels(SAMPLE, guess=g), "0,5", "0.5"),
    "pruning": (lambda g: plots.pruning({"one": {0: 0.9, 0.5: 0.8}}, guess=g), "30 %", "30 %"),
    "race": (lambda g: plots.race({"made": RUN}, {"a mark": 0.85}, guess=g), "made", "made"),
    "receptive_fields": (
        lambda g: plots.receptive_fields(COSTS["alexnet"], ["1x1"], 64, guess=g), 50, "50"
    ),
    "reliability": (
        lambda g: plots.reliability({"one": JUDGED, "other": JUDGED}, guess=g), "other", "other"
    ),
    "batch_sizes": (lambda g: plots.batch_sizes(contest(SIZES), guess=g), 2, "2"),
    "frontier": (
        lambda g: plots.frontier(contest(WAYS), contest(RUNGS), guess=g), "one", "one pass"
    ),
    "ladder": (lambda g: plots.ladder(contest(RUNGS), guess=g), "he", "He"),
    "resolutions": (
        lambda g: plots.resolutions(CONTESTED["resolution"], guess=g), "7 pixels", "7 pixels"
    ),
    "rule_lengths": (
        lambda g: plots.rule_lengths({"Hebb": torch.ones(9) * 5, "Oja": torch.ones(9)}, guess=g),
        2,
        "2",
    ),
    "schedules": (lambda g: plots.schedules([train.RECIPES["modern"]], 60, guess=g), 40, "40"),
    "seeds": (lambda g: plots.seeds({"made": [RUN, RUN]}, guess=g), 0.9, "0.9"),
    "shift": (lambda g: plots.shift(SHIFTED, guess=g), "max-pooling", "max-pooling"),
    "shift_curves": (
        lambda g: plots.shift_curves({"one": [1.0, 0.5], "other": [1.0, 0.25]}, guess=g),
        "0.8",
        "80 %",
    ),
    "sigmoid_input": (lambda g: plots.sigmoid_input(guess=g), 0.5, "0.5"),
    "smoothing": (lambda g: plots.smoothing(SMOOTHED, guess=g), 9.5, "9.5"),
    "spectra": (
        lambda g: plots.spectra({"made": torch.arange(12.0, 0, -1)}, {"5x5": 2}, guess=g),
        30,
        "30 %",
    ),
    "standardized": (
        lambda g: plots.standardized({"coin": torch.ones(9), "die": torch.ones(9)}, guess=g),
        "die",
        "die",
    ),
    "thinned": (lambda g: plots.thinned(THINNED, guess=g), 80, "80 %"),
    "wiring": (
        lambda g: plots.wiring(hebbian.recover(n=50, ones=2, samples=300), guess=g),
        40,
        "40 of 50 units",
    ),
    "with_and_without": (
        lambda g: plots.with_and_without({"3a": (128, 304)}, {"3a": BlockTimes(1, 2)}, guess=g),
        3,
        "3x the time without",
    ),
    "work_and_time": (
        lambda g: plots.work_and_time({"1x7, 7x1": (0.3, 0.6)}, guess=g), "30 %", "30 %"
    ),
    "zeros": (lambda g: plots.zeros({"3a": 0.5}, {"3a": 0.01}, guess=g), 0.4, "40 %"),
}  # fmt: skip


def draw(name, guess):
    torch.manual_seed(0)
    return TAKES[name][0](guess)


@cache
def left_open(name):
    """The figure without a guess: its description and its picture."""
    figure = draw(name, ...)
    assert not said(figure)
    return figure.description, figure.png()


def said(figure):
    """The texts of the mark, with the axes that hold them."""
    return [
        (axes, text)
        for axes in figure.findobj(Axes)
        for text in axes.texts
        if text.get_text().startswith("you said")
    ]


def test_every_figure_that_takes_a_guess_is_tested():
    takes = {
        name
        for name, function in vars(plots).items()
        if inspect.isfunction(function) and "guess" in inspect.signature(function).parameters
    }
    assert takes == TAKES.keys()


@pytest.mark.parametrize("name", TAKES)
def test_a_guess_that_is_left_open_changes_nothing(name):
    plain = draw(name, None)
    assert (plain.description, plain.png()) == left_open(name)


@pytest.mark.parametrize("name", TAKES)
def test_a_guess_is_drawn_inside_its_axes_and_told(name):
    _, guess, words = TAKES[name]
    (description, picture), figure = left_open(name), draw(name, guess)
    assert figure.description == f"{description.rstrip('.')}. You said {words}"
    assert figure.png() != picture
    ((axes, text),) = said(figure)
    assert text.get_text() == f"you said {words}"
    assert text.get_fontsize() >= 13
    whole, room = figure.bbox, axes.get_window_extent()
    box = text.get_window_extent()
    assert box.x0 >= min(room.x0, whole.x1 - box.width) - 1
    assert whole.x0 - 1 <= box.x0 <= box.x1 <= whole.x1 + 1
    assert room.y0 - 1 <= box.y0
    assert whole.y0 - 1 <= box.y0 <= box.y1 <= whole.y1 + 1


NONSENSE = [
    "no idea", "$x_1$ {} \n two", float("nan"), float("inf"), -1e300, 1e300, 0, -3, True,
    [], ["a", "b"], {}, {"a": 1}, object(), print, torch.randn(3), np.zeros((2, 2)), 1j, "9" * 400,
]  # fmt: skip


# One figure for each kind of mark: on the y and the x axis, a point, a choice, words.
KINDS = ("shift_curves", "pixels", "channels_along", "standardized", "family_tree")


def assert_answered(name, guess):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = draw(name, guess)
        figure.draw_without_rendering()
    assert "You said" in figure.description, guess
    assert len(said(figure)) == 1, guess


@pytest.mark.parametrize("name", KINDS)
def test_nonsense_never_stops_a_lesson(name):
    for guess in NONSENSE:
        assert_answered(name, guess)


@pytest.mark.parametrize("name", [name for name in TAKES if name not in KINDS])
def test_nonsense_stops_no_figure(name):
    for guess in ("no idea", 0, -1e300):
        assert_answered(name, guess)


def words(name, guess):
    ((_, text),) = said(draw(name, guess))
    return text.get_text()


def test_beyond_the_axis_the_mark_is_at_the_edge_with_an_arrow():
    assert words("shift_curves", 300) == "you said 300 % \u2191"
    assert words("shift_curves", -5) == "you said -5 % \u2193"
    assert words("pixels", 300) == "you said 300 \u2192"
    assert words("channels_along", "5,000") == "you said 5,000 \u2191"
    figure = draw("shift_curves", 300)
    (line,) = [each for each in figure.axes[0].lines if each.get_color() == marks.PURPLE]
    assert set(line.get_ydata()) == {figure.axes[0].get_ylim()[1]}


def test_what_cannot_be_drawn_is_answered_in_a_sentence():
    assert words("pixels", "many") == "you said many: a number is wanted here"
    assert words("shift_curves", "three") == "you said three: a number or a name is wanted here"
    assert words("standardized", "tree") == "you said tree: that is none of the names here"
    assert words("pixels", print) == "you said something else: a number is wanted here"


@pytest.mark.parametrize("guess", [0.8, "0.8", "80 %", 80, "80", "about 80 %", [0.8], "0,8"])
def test_parts_may_be_written_in_any_form(guess):
    assert marks.read(guess, 1) == pytest.approx(0.8)
    assert marks.read(guess, 100) == pytest.approx(80)


@pytest.mark.parametrize(
    ("guess", "value"),
    [
        ("1½", 1.5),
        ("about 2 ½", 2.5),
        ("¼", 0.25),
        ("1.5 million", 1.5e6),
        ("some 60 millions", 6e7),
    ],
)
def test_fractions_and_magnitudes_are_read_whole(guess, value):
    assert marks.read(guess) == pytest.approx(value)


def test_a_power_is_no_guess_of_three_digits():
    assert marks.read("10²") is None


def test_names_are_known_however_they_are_spelled():
    names = ["vgg16", "5a", "fully connected", "1", "16", "pooling, 2 by 2"]
    spelled = ["VGG-16", "5A", "Fully_connected", 1, 16.0, "pooling"]
    assert [marks.find(guess, names) for guess in spelled] == names
    assert marks.find("v", names) is None
    assert marks.find("vgg", ["vgg16", "vgg19"]) is None


def test_a_choice_of_two_marks_both():
    figure = draw("confusion", ["Shirt", "coat"])
    assert words("confusion", ["Shirt", "coat"]) == "you said Shirt and Coat"
    framed = {each.get_text() for each in figure.axes[0].get_yticklabels() if each.get_bbox_patch()}
    assert framed == {"Shirt", "Coat"}
