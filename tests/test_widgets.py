"""What moves in a notebook, seen from outside one."""

import builtins
import inspect
import sys

import pytest

from inception_course import data, plots, train
from inception_course.lessons import widgets
from inception_course.train import Epoch, Recipe

RECIPE = Recipe("made", epochs=3, batch_size=8, learning_rate=0.1)


def epoch(number):
    return Epoch(number, 0.1, 2.0, 0.4, 1.5, 0.6, 3.0, 800.0)


def test_the_slider_shows_the_image_it_stands_at():
    sample = data.fashion_mnist("val", sample=20)
    slider, picture = widgets.browse(sample).children
    first = picture.value
    slider.value = 3
    assert picture.value != first
    assert f'alt="an image of the class {data.CLASSES[sample.tensors[1][3]]}"' in picture.value
    assert slider.max == 19


GARMENTS = data.fashion_mnist("val", sample=20)
EXPLORERS = {
    "browse": (
        "one image of each class",
        lambda: widgets.browse(data.fashion_mnist("val", sample=20)),
    ),
    "sigmoid_input": ("mean 4 and standard deviation 1: 98%", widgets.sigmoid_input),
    "gain": ("BN, gain 16 0.2% saturated", widgets.gain),
    "block_widths": ("128 million multiply-adds", widgets.block_widths),
}


def test_every_explorer_is_listed():
    made = inspect.getsource(widgets).count("return panel(")
    assert made == len(EXPLORERS)


@pytest.mark.parametrize("name", EXPLORERS)
@pytest.mark.parametrize("installed", [True, False])
def test_an_explorer_shows_its_twin_first_whether_or_not_widgets_run(name, installed, monkeypatch):
    words, explorer = EXPLORERS[name]
    shown = []
    monkeypatch.setattr(widgets, "in_kernel", lambda: True)
    monkeypatch.setattr(plots.Picture, "show", lambda twin: shown.append(twin))
    if not installed:
        monkeypatch.setitem(sys.modules, "ipywidgets", None)
    panel = repr(explorer())
    (twin,) = shown
    assert words in twin.description
    assert twin.caption.endswith("?")
    assert panel == widgets.NO_WIDGETS if not installed else "run this cell to move" in panel


def test_without_widgets_a_sentence_stands_in(monkeypatch):
    real = builtins.__import__

    def without_ipywidgets(name, *arguments, **options):
        if name == "ipywidgets":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_ipywidgets)
    assert repr(widgets.browse(data.fashion_mnist("val", sample=5))) == widgets.NO_WIDGETS
    for name in ("sigmoid_input", "gain", "block_widths"):
        _, explorer = EXPLORERS[name]
        assert repr(explorer()) == widgets.NO_WIDGETS


def test_the_panel_of_widths_starts_at_3a_and_counts_what_its_sliders_say():
    *sliders, picture = widgets.block_widths().children
    assert [slider.value for slider in sliders] == [64, 96, 128, 16, 32, 32]
    assert "your block: 192 channels of 28x28 go through [1x1 to 64 |" in picture.value
    assert picture.value.count("256 channels, 128 million multiply-adds") == 2
    sliders[3].value = 160  # and here a direct 5x5 would be cheaper
    assert "256 channels, 240 million multiply-adds" in picture.value


@pytest.mark.slow
@pytest.mark.parametrize("end", [0, -1])
def test_the_panel_of_widths_can_be_moved_to_its_ends(end):
    *sliders, picture = widgets.block_widths().children
    for slider in sliders:
        slider.value = (slider.min, slider.max)[end]
    assert f"concatenation has {4 * sliders[0].value:,} channels" in picture.value


def test_outside_a_notebook_curves_are_lines(capsys):
    live = widgets.LiveCurves(RECIPE)
    assert list(live.progress(["a", "b"])) == ["a", "b"]
    live(epoch(1))
    assert capsys.readouterr().out == ("epoch 1 of 3: validation accuracy 0.600, 800 images/s\n")


@pytest.fixture
def notebook(monkeypatch):
    """Stands in for the front end: what is displayed, and how often it is redrawn."""
    import IPython.display

    shown = []

    class Handle:
        def __init__(self, content):
            self.contents = [content]
            shown.append(self)

        def update(self, content, **options):
            self.contents.append(content)

    monkeypatch.setattr(widgets, "in_kernel", lambda: True)
    monkeypatch.setattr(IPython.display, "display", lambda content, **options: Handle(content))
    return shown


def test_in_a_notebook_one_line_and_one_picture_are_redrawn(notebook, monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(widgets.time, "perf_counter", lambda: float(next(clock)))
    guesses = []
    drawn = widgets.plots.epoch_curves
    monkeypatch.setattr(
        widgets.plots,
        "epoch_curves",
        lambda *args: guesses.append(args[-1]) or drawn(*args),
    )
    live = widgets.LiveCurves(RECIPE, guess=0.7)
    for number in (1, 2):
        assert list(live.progress(["a", "b"])) == ["a", "b"]
        live(epoch(number))
    line, picture, caption = notebook
    said = [content["text/plain"] for content in line.contents]
    assert "epoch 1 of 3, " in said[1]
    assert said[1].endswith(" s left")
    assert said[-1].startswith("epoch 2 of 3: validation accuracy 0.600")
    assert "loss (left) and accuracy (right) per epoch" in caption.contents[0].data
    assert guesses == [0.7, 0.7]
    assert len(picture.contents) == 2
    assert all("image/png" in content for content in picture.contents)


def test_after_a_resume_it_counts_what_is_left(notebook, monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(widgets.time, "perf_counter", lambda: float(next(clock)))
    batches = data.Batches(GARMENTS, 5)  # four of them
    batches.epoch, batches.start = 1, 2
    list(widgets.LiveCurves(RECIPE).progress(batches))
    (line,) = notebook
    assert line.contents[1]["text/plain"] == "epoch 2 of 3, 5 s left"  # 1/4 took 1 s, 5/4 are left


def test_the_line_is_not_redrawn_at_every_batch(notebook):
    live = widgets.LiveCurves(RECIPE)
    assert len(list(live.progress([0] * 1000))) == 1000
    (line,) = notebook
    assert len(line.contents) < 20


def test_a_real_run_can_be_watched(capsys):
    from helpers import TINY, dots, small_net

    live = widgets.LiveCurves(TINY)
    run = train.fit(small_net(), dots(), dots(32), TINY, on_epoch_end=live, progress=live.progress)
    assert tuple(live.epochs) == run.epochs
    assert capsys.readouterr().out.count("\n") == len(run.epochs)
    assert plots.learning_curves(run)


def test_sliders_draw_what_they_stand_at():
    *sliders, picture = widgets.sigmoid_input().children
    assert [slider.description for slider in sliders] == ["mean", "spread", "gamma", "beta"]
    assert "mean 4 and standard deviation 3" in picture.value
    sliders[0].value = -2.0
    sliders[3].value = 1.0
    assert "mean -2 and standard deviation 3" in picture.value
    assert "beta 1," in picture.value


def test_the_gain_panel_sends_a_signal_through_the_depth_it_says():
    gain, layers, picture = widgets.gain().children
    gain.value, layers.value = 0.5, 20
    assert "plain, gain 0.5 0.0% saturated" in picture.value
    before = picture.value
    gain.value = 16
    assert picture.value != before
    assert "BN, gain 16 0.2% saturated" in picture.value
