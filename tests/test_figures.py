"""Every figure has a caption, and nothing in it lies on something else, whatever the numbers."""

import re
from dataclasses import replace
from itertools import combinations
from math import nan

import numpy as np
import pytest
import test_plots as drawn
import torch
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.legend import Legend
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.transforms import Affine2D, Bbox

from inception_course import evaluate, hebbian, plots, train
from inception_course.plots.style import in_style
from inception_course.studies import experiment, reduction, saturation

pytestmark = pytest.mark.drawing
SLACK = 1.5  # pixels: letters keep this far from the edge of their box


@pytest.fixture(scope="module")
def figures():
    return drawn.draw_all()


def test_every_figure_has_a_caption_of_one_line(figures):
    for name, figure in figures.items():
        assert 20 < len(figure.caption) <= 110, (name, figure.caption)
        assert figure.caption.endswith((".", "?")), (name, figure.caption)
        assert figure.caption != figure.description, name
        assert not re.search(r"[*_`<\n]", figure.caption), (name, figure.caption)  # of Markdown
        assert "$" not in figure.caption + figure.description, name  # JupyterLab sets it as TeX
    captions = [figure.caption for name, figure in figures.items() if name != "learning_curves"]
    assert len(set(captions)) == len(captions)


class Scene:
    """What a figure draws and where, in pixels, when it is drawn."""

    def __init__(self, figure):
        self.figure = figure
        self.texts = {}
        original = Text.draw

        def draw(text, renderer, *args, **kwargs):
            place = np.asarray(text.get_transform().transform(text.get_unitless_position()))
            if text.get_visible() and text.get_text().strip() and np.isfinite(place).all():
                self.texts[text] = outline(text, renderer)
            return original(text, renderer, *args, **kwargs)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Text, "draw", draw)
            in_style(figure.draw_without_rendering)()
        self.legends = [each for each in figure.findobj(Legend) if each.get_visible()]
        inside = {text for each in self.legends for text in each.findobj(Text)}
        self.labels = {t: place for t, place in self.texts.items() if t not in inside}

    def faults(self):
        """Yield a sentence for each text or legend that lies on something or sticks out."""
        for (one, a), (other, b) in combinations(self.labels.items(), 2):
            if a.intersects_path(b, filled=True):
                yield f"{words(one)} lies on {words(other)}"
        sheet = self.figure.bbox.padded(SLACK)
        for text, place in self.texts.items():
            if not sheet.contains(*place.get_extents().min) or not sheet.contains(
                *place.get_extents().max
            ):
                yield f"{words(text)} sticks out of the figure"
        for legend in self.legends:
            frame = legend.get_window_extent()
            name = f"the legend {[text.get_text() for text in legend.get_texts()]}"
            for text, place in self.labels.items():
                if place.intersects_bbox(frame):
                    yield f"{name} lies on {words(text)}"
            for other in self.legends:
                if other is not legend and other.get_window_extent().overlaps(frame):
                    yield f"{name} lies on another legend"
            for axes in self.figure.findobj(Axes):
                covered = Bbox.intersection(frame, axes.get_window_extent().padded(1))
                for what, mark, filled in marks(axes) if covered else ():
                    if mark.intersects_bbox(covered, filled):
                        yield f"{name} lies on {what}"


def outline(text, renderer):
    """The frame of a text, turned as the text is."""
    middle = np.mean(text.get_window_extent(renderer).get_points(), axis=0)
    rotation = text.get_rotation()
    text.set_rotation(0)
    extent = text.get_window_extent(renderer)
    text.set_rotation(rotation)
    width, height = extent.width - 2 * SLACK, extent.height - 2 * SLACK
    place = Affine2D().scale(width, height).rotate_deg(rotation).translate(*middle)
    return Path.unit_rectangle().transformed(Affine2D().translate(-0.5, -0.5) + place)


def marks(axes):
    """Yield what the lines, points, bands and bars of `axes` are, where, and whether they fill."""
    for line in axes.lines:
        if line.get_visible() and len(line.get_xdata()):
            path = line.get_transform().transform_path(line.get_path())
            yield "a line", path.cleaned(remove_nans=True), False
    for collection in axes.collections:
        places = collection.get_offset_transform().transform(collection.get_offsets())
        for path in collection.get_paths():
            if isinstance(collection, PathCollection):
                for place in places:
                    yield "a point", Path([place, place]), False
            else:
                yield "a band", collection.get_transform().transform_path(path), True
    for patch in axes.patches:
        yield "a bar", patch.get_transform().transform_path(patch.get_path()), patch.get_fill()


def words(text):
    return repr(text.get_text())


def test_nothing_in_a_figure_lies_on_something_else(figures):
    found = {name: list(Scene(figure).faults()) for name, figure in figures.items()}
    assert {name: faults for name, faults in found.items() if faults} == {}


NINE = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
VALUES = {
    "the last is 100 times the others": (*[1.0] * 8, 100.0),
    "the first is 100 times the others": (100.0, *[1.0] * 8),
    "one in the middle is 100 times": (*[1.0] * 4, 100.0, *[1.0] * 4),
    "all are equal": (1.0,) * 9,
    "tiny": (1e-9,) * 8 + (2e-9,),
    "huge": (1e9,) * 8 + (3e9,),
}
ZEROS = {"all are zero": (0.0,) * 9}
BROKEN = {"one is no number": (*[1.0] * 8, nan), "none is a number": (nan,) * 9}
# What is counted or timed is a number, and nothing takes no time.
NEVER = {
    "bench": BROKEN | ZEROS,
    "break_even": ZEROS,
    "over_work": ZEROS,
    "signal_by_layer": ZEROS,
    "with_and_without": ZEROS,
    "with_and_without, slower with": ZEROS,
}
SHARES = {
    "all are 0": (0.0,) * 9,
    "all are 1": (1.0,) * 9,
    "falling": tuple(np.linspace(1, 0, 9)),
    "rising": tuple(np.linspace(0, 1, 9)),
    "equal": (0.5,) * 9,
    "one epoch": (0.9,),
    "200 epochs": tuple(1 - 0.9 ** np.arange(1, 201)),
}


def two(values):
    """A pair of networks, of which the second does the opposite."""
    return {"plain": list(values), "batch normalization": list(values)[::-1]}


def epochs(values, losses=None):
    return tuple(
        train.Epoch(number, 0.1, loss, 0.95 * value, loss, value, 60.0, 800.0)
        for number, (value, loss) in enumerate(
            zip(values, losses or [3 * (1 - value) for value in values], strict=True), 1
        )
    )


def runs(values, losses=None):
    return {
        name: replace(drawn.RUN, epochs=epochs(each, losses), test_accuracy=each[-1])
        for name, each in two(values).items()
    }


def of_values(values):
    """Every figure of sizes and times, which have no bound."""
    pairs = dict.fromkeys(NINE, (10, 25))
    times = {block: reduction.BlockTimes(1.0, v) for block, v in zip(NINE, values, strict=True)}
    shorter = {block: reduction.BlockTimes(v, 1.0) for block, v in zip(NINE, values, strict=True)}
    timings = [
        replace(timing, step=(value / 1e3, 1.1 * value / 1e3))
        for timing, value in zip(drawn.BENCH.timings, (values * 9)[3:], strict=False)
    ]
    races = [
        replace(race, fit=tuple(v * 100 for v in values[-len(race.d2l) :]))
        for race in drawn.BENCH.races
    ]
    return {
        "against_paper": lambda: plots.against_paper(
            {
                column: {block: (v, 1) for block, v in zip(NINE, values, strict=True)}
                for column in ("params", "ops")
            }
        ),
        "bench": lambda: plots.bench(
            replace(drawn.BENCH, timings=tuple(timings), races=tuple(races))
        ),
        "break_even": lambda: plots.break_even(
            [
                hebbian.ProductTimes(
                    size,
                    64,
                    tuple(np.geomspace(0.01, 1, 9).round(3)),
                    (1.0,) * 9,
                    tuple(values),
                )
                for size in (512, 1024, 2048)
            ]
        ),
        "channels_along": lambda: plots.channels_along(two((1, *values)), NINE),
        "gradient_norms": lambda: plots.gradient_norms(
            {name: dict(zip(NINE, each, strict=True)) for name, each in two(values).items()}
        ),
        "rule_lengths": lambda: plots.rule_lengths(
            {name: torch.tensor(each) for name, each in two(values).items()}
        ),
        "gradients_by_depth": lambda: plots.gradients_by_depth(
            {
                name: {depth: [tuple(each)] * 2 for depth in (8, 20, 44)}
                for name, each in two(values).items()
            }
        ),
        "over_work": lambda: plots.over_work(
            {name: (v, 70 + n) for n, (name, v) in enumerate(zip(NINE, values, strict=True))},
            "top-1 accuracy, %",
        ),
        "signal_by_layer": lambda: plots.signal_by_layer(
            {
                f"{name}, gain 8": saturation.Signal([0.5] * len(each), each)
                for name, each in two(values).items()
            }
        ),
        "with_and_without": lambda: plots.with_and_without(pairs, times),
        "with_and_without, slower with": lambda: plots.with_and_without(pairs, shorter),
    }


def counts(values):
    return torch.tensor(values).nan_to_num().clamp(max=1000).long()


def of_shares(values):
    """Every figure of accuracies, from the first epoch to the last."""
    x = list(range(1, len(values) + 1))
    pairs = two(values)
    marks = {"LeNet of d2l": 0.87, "the course's goal": 0.937}
    return {
        "accuracy_by_rate": lambda: plots.accuracy_by_rate(
            {
                name: {n: [v, 0.9 * v] for n, v in zip((0.1, 1, 10), each, strict=False)}
                for name, each in pairs.items()
            }
        ),
        "accuracy_by_width": lambda: plots.accuracy_by_width(
            [
                reduction.Trained(width, whole, seed, 10, value)
                for whole, each in zip((True, False), pairs.values(), strict=True)
                for width, value in zip((*x[:8], None), each, strict=False)
                for seed in (0, 1)
            ]
        ),
        "epoch_curves": lambda: plots.epoch_curves({"made": epochs(values)}, "loss, accuracy"),
        "learning_curves": lambda: plots.learning_curves(runs(values)),
        "percentile_bands": lambda: plots.percentile_bands(trainings(pairs), "unit3"),
        "race": lambda: plots.race(runs(values), marks),
        "seeds": lambda: plots.seeds({name: list(runs(values).values()) for name in pairs}),
        "shift_curves": lambda: plots.shift_curves(pairs),
        "calibration_errors": lambda: plots.calibration_errors(
            {f"network {n}": (v, [0.5 * v, v]) for n, v in zip(x[:4], values, strict=False)}
        ),
        "pruning": lambda: plots.pruning(
            {
                name: dict(zip(np.linspace(0, 0.8, 9), each, strict=False))
                for name, each in pairs.items()
            }
        ),
        "work_and_time": lambda: plots.work_and_time(
            {name: (0.3, each[0]) for name, each in pairs.items()}
        ),
        "zeros": lambda: plots.zeros(
            *(
                {f"layer {n}": v for n, v in zip(x[:9], each, strict=False)}
                for each in pairs.values()
            )
        ),
    }


def trainings(pairs):
    return experiment.Result(
        {},
        {},
        tuple(drawn.training(name, seed, *each) for name, each in pairs.items() for seed in (0, 1)),
    )


def of_losses(values):
    """A training that diverges: its losses are no numbers, its accuracy is chance."""
    broken = [value if np.isfinite(value) else nan for value in values]
    return {
        "epoch_curves": lambda: plots.epoch_curves(
            {"made": epochs([0.1] * 9, broken)}, "loss, accuracy"
        ),
        "learning_curves": lambda: plots.learning_curves(runs([0.1] * 9, broken)),
    }


def of_calibration(right):
    sure = torch.linspace(0.1, 1, 300)
    answers = torch.stack([sure, *[(1 - sure) / 9] * 9], dim=1)
    labels = torch.zeros(300, dtype=torch.long) if right else torch.ones(300, dtype=torch.long)
    one = torch.tensor([[1.0] + [0.0] * 9] * 300)
    return {
        "reliability": lambda: plots.reliability(
            {
                "spread": evaluate.calibration(answers, labels),
                "sure": evaluate.calibration(one, labels),
            }
        ),
        "confusion": lambda: plots.confusion(
            torch.eye(10, dtype=torch.long) * 1000
            if right
            else torch.full((10, 10), 1000, dtype=torch.long)
        ),
    }


def of_sliders(ends):
    return {"sigmoid_input": lambda: plots.sigmoid_input(*ends)}


def extremes():
    kinds = (
        (of_sliders, {"low": (-6, 0.2, 0, -6), "high": (6, 6, 6, 6), "wide": (-6, 6, 6, -6)}),
        (of_values, VALUES | ZEROS | BROKEN),
        (of_shares, SHARES),
        (of_losses, VALUES | ZEROS | BROKEN),
        (of_calibration, {"all right": True, "all wrong": False}),
    )
    for make, cases in kinds:
        for what, values in cases.items():
            for name, draw in make(values).items():
                if what in NEVER.get(name, {}):
                    continue
                yield pytest.param(draw, id=f"{name}: {what}")


@pytest.mark.parametrize("draw", list(extremes()))
def test_nothing_lies_on_something_else_whatever_the_numbers(draw):
    assert list(Scene(draw()).faults()) == []
