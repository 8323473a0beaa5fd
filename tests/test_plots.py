"""Figures: legible, described, and without an effect on anything else."""

import base64
from dataclasses import replace
from itertools import pairwise

import matplotlib
import pytest
import torch
from matplotlib.colors import to_rgb

from inception_course import data, experiment, plots, train

EPOCH = train.Epoch(1, 0.1, 2.0, 0.4, 1.5, 0.6, 3.0, 800.0)
RUN = train.Run(
    (EPOCH, replace(EPOCH, number=2, val_accuracy=0.875)),
    train.Recipe("made", epochs=2, batch_size=8, learning_rate=0.1),
    {"classes": 10},
)


def training(variant, seed, *accuracies):
    """A training with a look at one layer at each step."""
    rows = tuple({"step": 50 * n, "accuracy": a} for n, a in enumerate(accuracies))
    layers = tuple({**row, "layer": "unit3", "percentiles": [-1.0, 0.0, 1.5]} for row in rows)
    return experiment.Training(variant, seed, 0.1, 1, "", None, 0.0, rows, layers)


RESULT = experiment.Result(
    {},
    {},
    (
        training("plain", 0, 0.1, 0.5, 0.7),
        training("plain", 1, 0.1, 0.4),  # diverged
        training("BN", 0, 0.1, 0.8, 0.9),
    ),
)


@pytest.fixture(scope="module")
def figures():
    sample = data.fashion_mnist("val", sample=200)
    images, labels = sample.tensors
    logits = torch.nn.functional.one_hot((labels + (torch.arange(200) < 15)) % 10, 10) * 5.0
    return {
        "image": plots.image(images[0, 0], "Bag"),
        "classes": plots.classes(sample),
        "class_balance": plots.class_balance({"val": sample, "again": sample}),
        "pixels": plots.pixels(sample),
        "family_tree": plots.family_tree(),
        "learning_curves": plots.learning_curves(RUN),
        "confusion": plots.confusion(torch.eye(10, dtype=torch.long) * 8 + 1),
        "mistakes": plots.mistakes(sample, logits),
        "sigmoid_input": plots.sigmoid_input(mean=4, spread=3),
        "standardised": plots.standardised({"coin": torch.tensor([-1.0, 1.0]).repeat(9)}),
        "percentile_bands": plots.percentile_bands(RESULT, "unit3"),
        "by_layer": plots.by_layer({"plain": [1e-6, 1e-3], "BN": [0.1, 0.2]}, "gradient size"),
        "accuracy_by_depth": plots.accuracy_by_depth(
            {"plain": {1: [0.8, 0.7], 6: [0.1, 0.1]}, "BN": {1: [0.8, 0.8], 6: [0.7, 0.8]}}
        ),
        "accuracy_by_step": plots.accuracy_by_step(RESULT),
        "correlations": plots.correlations({"before": torch.ones(3, 3), "after": torch.eye(3)}),
        "along_the_step": plots.along_the_step(
            {"plain": [[1.0, 3.0], [1.0, 2.0]], "BN": [[1.0, 1.1], [1.0, 1.2]]},
            {"plain": [[2.0, 4.0], [3.0, 5.0]], "BN": [[1.0, 1.1], [1.0, 1.2]]},
        ),
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


def test_lines_of_variants_differ_without_colour(figures):
    for name in ("accuracy_by_step", "by_layer", "accuracy_by_depth", "along_the_step"):
        lines = [line for line in figures[name].axes[0].lines if line.get_linestyle() != "None"]
        assert len({line.get_linestyle() for line in lines}) == len(lines) >= 2, name


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


def test_batch_norm_figures_say_what_they_show(figures):
    assert "77% of them outside" in plots.describe(figures["sigmoid_input"])
    assert "coin 100.00%" in plots.describe(figures["standardised"])
    assert "plain reaches 0.70, BN reaches 0.90" in plots.describe(figures["percentile_bands"])
    assert "unit3 get: plain 2.5, BN 2.5" in plots.describe(figures["percentile_bands"])
    assert "plain 0.550; BN 0.900" in plots.describe(figures["accuracy_by_step"])
    assert "plain 0.75 at 1, 0.10 at 6" in plots.describe(figures["accuracy_by_depth"])
    assert "plain 1e-06 to 0.001" in plots.describe(figures["by_layer"])
    assert "before 1.00; after 0.00" in plots.describe(figures["correlations"])
    assert "plain loss 1.5, gradient 4.5" in plots.describe(figures["along_the_step"])


def test_the_sliders_ends_can_be_drawn():
    for arguments in ((0, 0.2, 0, 0), (6, 6, 6, -6)):
        assert plots.sigmoid_input(*arguments).png()
