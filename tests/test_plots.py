"""Figures: legible, described, and without an effect on anything else."""

import base64
from dataclasses import replace
from itertools import pairwise

import matplotlib
import pytest
import torch
from matplotlib.colors import to_rgb

from inception_course import cost, data, models, plots, train

EPOCH = train.Epoch(1, 0.1, 2.0, 0.4, 1.5, 0.6, 3.0, 800.0)
RUN = train.Run(
    (EPOCH, replace(EPOCH, number=2, val_accuracy=0.875)),
    train.Recipe("made", epochs=2, batch_size=8, learning_rate=0.1),
    {"classes": 10},
)
COSTS = {
    name: cost.table(models.create(name, width=0.1, image_size=64), (1, 64, 64))
    for name in ("alexnet", "vgg11")
}
STRIPES = (torch.arange(24) % 6 == 0).float()[:, None].expand(24, 24)
HEAT = torch.zeros(200, 2, 7, 7)
HEAT[:, 0, 2, 3] = HEAT[:, 1, 6, 0] = torch.linspace(0, 1, 200)


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
        "layer_bars": plots.layer_bars(COSTS),
        "channel_rows": plots.channel_rows(
            {"row": (torch.arange(5.0), torch.arange(5.0) / 4)}, 0.5
        ),
        "gallery": plots.gallery(
            {"first": images[0, 0], "second": images[1, 0]}, "two images " * 2
        ),
        "aliasing": plots.aliasing(
            STRIPES, {step: STRIPES[::step, ::step] for step in (1, 2, 4)}, 3
        ),
        "shift_curves": plots.shift_curves({"one": [1.0, 0.5], "other": [1.0, 0.25]}),
        "strongest": plots.strongest(images, HEAT, [0, 1], stride=4, first=1.5, side=8),
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
    for name in ("learning_curves", "pixels", "class_balance", "layer_bars", "shift_curves"):
        axes = figures[name].axes[0]
        assert axes.get_ylabel(), name
    assert figures["learning_curves"].axes[0].get_ylabel() == "cross-entropy, nats"


def test_lines_differ_without_colour(figures):
    for name in ("learning_curves", "shift_curves"):
        lines = figures[name].axes[0].lines
        styles = {(line.get_linestyle(), line.get_marker()) for line in lines}
        assert len(styles) == len(lines), name
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


def test_layer_bars_say_where_the_parameters_are(figures):
    table = COSTS["alexnet"]
    linear = sum(row.parameters for row in table if row.kind == "linear") / table.parameters
    said = plots.describe(figures["layer_bars"])
    assert f"alexnet has {table.parameters / 1e6:,.1f} million, {linear:.0%} of them" in said
    heights = [bar.get_height() * 1e6 for bar in figures["layer_bars"].axes[0].patches]
    assert sum(heights) == pytest.approx(table.parameters)
    assert len(heights) == 8
    work = plots.layer_bars(COSTS, "multiply_adds")
    heights = [bar.get_height() * 1e6 for bar in work.axes[1].patches]
    assert sum(heights) == pytest.approx(COSTS["vgg11"].multiply_adds)


def test_stripes_of_six_pixels_are_miscounted_at_stride_four(figures):
    said = plots.describe(figures["aliasing"])
    assert "answers 3 times at stride 1; at stride 2 3 times, at stride 4 1 times" in said


def test_the_frame_surrounds_the_brightest_spot(figures):
    first, second = figures["strongest"].axes[0], figures["strongest"].axes[6]
    frames = [axes.patches[0].get_bbox().bounds for axes in (first, second)]
    assert frames == [(9.5, 5.5, 8, 8), (-2.5, 21.5, 8, 8)]  # x, y, width, height


def test_channel_rows_tell_what_is_left_of_active_channels(figures):
    assert "row, 0.250 of each" in plots.describe(figures["channel_rows"])
    assert "one 50%; other 25%" in plots.describe(figures["shift_curves"])
