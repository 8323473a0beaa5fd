"""Figures: legible, described, and without an effect on anything else."""

import base64
from dataclasses import replace
from itertools import pairwise

import matplotlib
import pytest
import torch
from matplotlib.colors import to_rgb

from inception_course import data, plots, reduction, train

EPOCH = train.Epoch(1, 0.1, 2.0, 0.4, 1.5, 0.6, 3.0, 800.0)
RUN = train.Run(
    (EPOCH, replace(EPOCH, number=2, val_accuracy=0.875)),
    train.Recipe("made", epochs=2, batch_size=8, learning_rate=0.1),
    {"classes": 10},
)


@pytest.fixture(scope="module")
def figures():
    sample = data.fashion_mnist("val", sample=200)
    images, labels = sample.tensors
    logits = torch.nn.functional.one_hot((labels + (torch.arange(200) < 15)) % 10, 10) * 5.0
    generator = torch.Generator().manual_seed(0)
    places = reduction.places()
    independent = torch.randn(500, 12, generator=generator)
    related = independent @ torch.rand(12, 12, generator=generator)
    narrow = [
        reduction.Trained(width, around, seed, 10, 0.7 + 0.1 * around + 0.01 * seed)
        for width in (1, None)
        for around in (True, False)
        for seed in (0, 1, 2)
    ]
    return {
        "accuracy_by_width": plots.accuracy_by_width(narrow),
        "block_shares": plots.block_shares(*places[0]),
        "channels_along": plots.channels_along(
            {"naive": [192, 416], "paper": [192, 256]}, [places[0].row.name]
        ),
        "spectra": plots.spectra(
            {
                "real": reduction.spectrum(related),
                "independent": reduction.spectrum(independent),
            },
            {"5x5 reduction": 1},
        ),
        "two_orders": plots.two_orders(
            images[0, 0].float(), {"one": images[0, 0].float(), "other": images[1, 0].float()}
        ),
        "with_and_without": plots.with_and_without(
            {"3a": (128, 304), "3b": (304, 850)},
            {"3a": reduction.Race(1.0, 2.0), "3b": reduction.Race(2.0, 6.0)},
        ),
        "image": plots.image(images[0, 0], "Bag"),
        "classes": plots.classes(sample),
        "class_balance": plots.class_balance({"val": sample, "again": sample}),
        "pixels": plots.pixels(sample),
        "family_tree": plots.family_tree(),
        "learning_curves": plots.learning_curves(RUN),
        "confusion": plots.confusion(torch.eye(10, dtype=torch.long) * 8 + 1),
        "mistakes": plots.mistakes(sample, logits),
    }


def test_every_figure_is_tested(figures):
    public = {
        name
        for name, value in vars(plots).items()
        if getattr(value, "__annotations__", {}).get("return") is matplotlib.figure.Figure
    }
    assert public == figures.keys()


def test_every_figure_is_a_picture_with_a_sentence(figures):
    for name, figure in figures.items():
        content, metadata = figure.bundle()
        png = base64.b64decode(content["image/png"])
        assert png.startswith(b"\x89PNG"), name
        assert len(plots.describe(figure)) > 20, name
        assert content["text/plain"] == plots.describe(figure) == metadata["image/png"]["alt"]


def test_letters_are_large_enough_for_the_last_row(figures):
    for name, figure in figures.items():
        width, _ = figure.get_size_inches()
        for text in figure.findobj(matplotlib.text.Text):
            if text.get_text().strip() and text.get_visible():
                assert text.get_fontsize() >= 12, f"{name}: {text.get_text()!r}"
        assert width <= 14, f"{name} is shrunk in a notebook"


def test_axes_have_labels_with_units(figures):
    for name in ("learning_curves", "pixels", "class_balance"):
        axes = figures[name].axes[0]
        assert axes.get_ylabel(), name
    assert figures["learning_curves"].axes[0].get_ylabel() == "cross-entropy, nats"


def test_lines_differ_without_colour(figures):
    lines = figures["learning_curves"].axes[0].lines
    assert len({(line.get_linestyle(), line.get_marker()) for line in lines}) == len(lines)
    bars = figures["class_balance"].axes[0].containers
    assert len({container[0].get_hatch() for container in bars}) == len(bars)


def test_colours_differ_in_grey():
    def grey(color):
        red, green, blue = to_rgb(color)
        return 0.299 * red + 0.587 * green + 0.114 * blue

    used = sorted(map(grey, (plots.BLUE, plots.VERMILION, plots.ORANGE)))
    assert min(b - a for a, b in pairwise(used)) > 0.05


def test_nothing_global_changes(figures):
    before = dict(matplotlib.rcParams)
    plots.learning_curves(RUN).png()
    assert dict(matplotlib.rcParams) == before
    pyplot = pytest.importorskip("matplotlib.pyplot")
    assert pyplot.get_fignums() == []


def test_sentences_tell_what_is_drawn(figures):
    assert "0.875" in plots.describe(figures["learning_curves"])
    assert "20 each" in plots.describe(figures["class_balance"])
    assert "15 mistakes" not in plots.describe(figures["mistakes"])  # twelve are shown
    assert "12 mistakes" in plots.describe(figures["mistakes"])
    assert "GoogLeNet 2014 from NiN" in plots.describe(figures["family_tree"])


def test_the_figures_of_reductions_say_what_was_counted_and_measured(figures):
    said = {name: plots.describe(figure) for name, figure in figures.items()}
    assert "163,696 parameters, 128.0 M multiply-adds, 256 channels" in said["block_shares"]
    assert "3x3 79.0% of the multiply-adds and 50.0% of the channels" in said["block_shares"]
    assert "2.67 times the multiply-adds" in said["with_and_without"]
    assert "2.67 times the time" in said["with_and_without"]
    assert "naive 192 to 416; paper 192 to 256" in said["channels_along"]
    assert "3 seeds: whole block 0.810 at 1 to 0.810 at no reduction" in said["accuracy_by_width"]
    assert "1 of 12 channels (5x5 reduction) hold" in said["spectra"]
    assert "differ at" in said["two_orders"]


def test_the_figures_of_reductions_have_units_and_a_second_channel(figures):
    for name in ("accuracy_by_width", "channels_along", "spectra", "with_and_without"):
        for axes in figures[name].axes:
            assert axes.get_xlabel(), name
            assert axes.get_ylabel(), name
    for name in ("channels_along", "spectra"):
        lines = [line for line in figures[name].axes[0].lines if line.get_marker() != "None"]
        assert len({(line.get_linestyle(), line.get_marker()) for line in lines}) == len(lines)
    for name in ("block_shares", "with_and_without"):
        bars = figures[name].axes[0].containers
        assert len({container[0].get_hatch() for container in bars}) == len(bars), name


def test_confusion_names_the_most_frequent_mistake():
    cells = torch.eye(10, dtype=torch.long) * 10
    cells[6, 0] = 5
    assert "Shirt called T-shirt/top, 33%" in plots.describe(plots.confusion(cells))


def test_no_mistakes_is_a_figure_as_well():
    sample = data.fashion_mnist("val", sample=10)
    logits = torch.nn.functional.one_hot(sample.tensors[1], 10).float()
    assert "no mistake" in plots.describe(plots.mistakes(sample, logits))


def test_a_foreign_figure_is_described_by_its_titles():
    figure = matplotlib.figure.Figure()
    figure.subplots().set_title("loss against step")
    assert plots.describe(figure) == "Figure: loss against step"
