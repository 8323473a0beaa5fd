"""Figures: legible, described, and without an effect on anything else."""

import base64
from dataclasses import replace
from itertools import pairwise

import matplotlib
import pytest
import torch
from matplotlib.colors import to_rgb

from inception_course import cost, data, models, plots, train
from inception_course.plots import family
from inception_course.plots.anatomy import agrees

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
    with torch.device("meta"):
        googlenet = models.create("googlenet", in_channels=3, num_classes=1000, aux=True)
    norms = {"conv1": 0.1, "5b": 0.2}
    return {
        "against_paper": plots.against_paper(
            {"params": {"conv1": (9.2, 2.7), "3a": (159.5, 159)}, "ops": {"conv1": (1, 2)}}
        ),
        "gradient_norms": plots.gradient_norms({"no heads": norms, "with heads": norms}),
        "receptive_fields": plots.receptive_fields(
            cost.table(googlenet, (3, 224, 224)), ("1x1", "3x3", "5x5"), 224
        ),
        "shift_curves": plots.shift_curves(
            {"average": {0: 0.8, 4: 0.7}, "flatten": {0: 0.8, 4: 0.5}}
        ),
        "wiring": plots.wiring(googlenet),
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
    assert "37 of 1x1, 10 of 3x3, 9 of 5x5" in plots.describe(figures["wiring"])
    assert "1x1 267, 3x3 587, 5x5 907" in plots.describe(figures["receptive_fields"])
    assert "params: 1 of 2 rows agree" in plots.describe(figures["against_paper"])
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


COUNTED = [member for member in family.FAMILY if member.parameters is not None]


@pytest.mark.parametrize("member", COUNTED, ids=lambda member: member.name)
def test_the_family_tree_has_the_counts_of_our_networks(member):
    name = {"BN-Inception": "inception_bn"}.get(
        member.name, member.name.lower().replace("-", "")
    ).replace("inceptionv3", "inception_v3")
    with torch.device("meta"):
        network = models.create(name, in_channels=3, num_classes=1000)
    costs = cost.table(network, (3, network.image_size, network.image_size))
    assert costs.parameters / 1e6 == pytest.approx(member.parameters, abs=0.005)
    assert costs.multiply_adds / 1e9 == pytest.approx(member.multiply_adds, abs=0.005)


@pytest.mark.parametrize(
    ("counted", "printed", "agreed"),
    [
        (159.5, 159, True),
        (366.75, 364, False),
        (73.61, 73, True),
        (2.712, 2.7, True),
        (1.02, 1, True),
    ],
)
def test_a_count_agrees_with_print_when_rounded_or_cut(counted, printed, agreed):
    assert agrees(counted, printed) == agreed
