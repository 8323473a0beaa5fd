"""Figures: legible, described, and without an effect on anything else."""

import base64
import inspect
import re
from dataclasses import replace
from itertools import pairwise

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from inception_course import cost, data, evaluate, hebbian, models, plots, studies, train
from inception_course.plots import family
from inception_course.plots.anatomy import agrees
from inception_course.plots.evaluation import scenery
from inception_course.plots.style import BLUE, FILLS, LINES, ORANGE, VERMILION, styled
from inception_course.studies import (
    bench,
    comparison,
    degradation,
    ensembles,
    equal_cost,
    experiment,
    maps,
    paper_tables,
    parts,
    reduction,
    rethinking,
    same_start,
    saturation,
)

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
SHARES = dict.fromkeys((*bench.KINDS, bench.REST), 1 / 18) | {"convolution backward": 5 / 9}
BENCH = bench.Benchmark(
    environment={},
    races=(
        bench.Race(96, 128, 1280, "bfloat16", d2l=(80.0, 100.0, 90.0), fit=(240.0, 250.0, 270.0)),
        bench.Race(224, 32, 320, "bfloat16", d2l=(19.0, 20.0), fit=(57.0, 50.0)),
    ),
    peaks={"bfloat16": (4e11, 4e11)},
    timings=tuple(
        bench.Timing(
            case.recipe,
            case.network,
            "bfloat16",
            10**8,
            (0.001 * number, 0.002 * number),
            (1e-6, 1e-6),
        )
        for number, case in enumerate(bench.FULL.cases, 1)
    ),
    goals=(
        bench.Goal("quick", 0.886, 60.0, 1000.0, True),
        bench.Goal("sprint", 0.886, None, 1000.0, True),
        bench.Goal("modern", 0.886, 600.0, 400.0, True),
        bench.Goal("modern", 0.937, 800.0, 400.0, True),
    ),
    profiles=tuple(
        bench.Profile(case.recipe, case.network, SHARES) for case in bench.FULL.profiles
    ),
    left_out=(),
)
STRIPES = (torch.arange(24) % 6 == 0).float()[:, None].expand(24, 24)
HEAT = torch.zeros(200, 2, 7, 7)
HEAT[:, 0, 2, 3] = HEAT[:, 1, 6, 0] = torch.linspace(0, 1, 200)


def spot(width, around=(50, 50), size=101):
    """What changes one position: most in the middle, less around it."""
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    distance = (rows - around[0]).square() + (columns - around[1]).square()
    return torch.exp(-distance / width**2)


def of_anatomy():
    with torch.device("meta"):
        googlenet = models.create("googlenet", in_channels=3, num_classes=1000, aux=True)
        alexnet = models.create("alexnet", in_channels=3, num_classes=1000)
    norms = {"conv1": 0.1, "5b": 0.2}
    return {
        "against_paper": plots.against_paper(
            {"params": {"conv1": (9.2, 2.7), "3a": (159.5, 159)}, "ops": {"conv1": (1, 2)}}
        ),
        "gradient_norms": plots.gradient_norms({"no heads": norms, "with heads": norms}),
        "influence": plots.influence(
            {"3a": spot(20, around=(40, 60)), "5b": spot(90)}, {"3a": 60, "5b": 400}
        ),
        "receptive_fields": plots.receptive_fields(
            cost.table(googlenet, (3, 224, 224)), ("1x1", "3x3", "5x5"), 224
        ),
        "block": plots.block(googlenet.body["3a"], (192, 28, 28)),
        "blocks": plots.blocks(
            {"3a": googlenet.body["3a"], "again": googlenet.body["3a"]}, (192, 28, 28)
        ),
        "lanes": plots.lanes(alexnet, (3, 227, 227)),
        "strip": plots.strip(googlenet, (3, 224, 224)),
    }


def stacked_kernel():
    """The kernels of 3a, each around the center of a window of 5x5."""
    kernel = torch.zeros(224, 2, 5, 5)
    kernel[:64, :, 2, 2] = 1
    kernel[64:192, :, 1:4, 1:4] = 1
    kernel[192:] = 1
    return kernel


def of_hebbian():
    matrix = hebbian.scattered_blocks(32, 4)
    blocks, _ = hebbian.cut_blocks(matrix, *hebbian.find_blocks(matrix, 4))
    return {
        "rule_lengths": plots.rule_lengths({"Hebb": torch.ones(9) * 5, "Oja": torch.ones(9)}),
        "turning": plots.turning(
            torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]]),
            {"Oja": torch.tensor([[0.0, 1.0], [0.5, 0.5], [0.5**0.5, 0.5**0.5]])},
        ),
        "co_firing": plots.co_firing(
            {"made": hebbian.CoFiring(np.array([0.9, 1.1]), np.array([0.1, 0.9]))}
        ),
        "pruning": plots.pruning({"the smallest": {0.0: 0.9, 0.5: 0.8}}),
        "one_convolution": plots.one_convolution(stacked_kernel()),
        "wiring": plots.wiring(hebbian.recover(n=200, ones=4, samples=2000)),
        "phase_transition": plots.phase_transition(
            {"threshold 1/3": {0.02: [1.0, 0.9], 0.4: [0.2, 0.0]}},
            {"200 units": {0.02: [0.0, 0.1], 0.4: [0.7, 0.9]}},
            0.05,
        ),
        "zeros": plots.zeros({"3a": 0.5, "3b": 0.6}, {"3a": 0.01, "3b": 0.02}),
        "break_even": plots.break_even([TIMES]),
        "dense_blocks": plots.dense_blocks(matrix, blocks),
    }


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


def of_batch_norm():
    return {
        "sigmoid_input": plots.sigmoid_input(mean=4, spread=3),
        "sigmoid_inputs": plots.sigmoid_inputs([(0, 1), (4, 3)]),
        "standardized": plots.standardized({"coin": torch.tensor([-1.0, 1.0]).repeat(9)}),
        "percentile_bands": plots.percentile_bands(RESULT, "unit3"),
        "accuracy_by_rate": plots.accuracy_by_rate(
            {"plain": {1: [0.8, 0.7], 6: [0.1, 0.1]}, "BN": {1: [0.8, 0.8], 6: [0.7, 0.8]}}
        ),
        "correlations": plots.correlations({"before": torch.ones(3, 3), "after": torch.eye(3)}),
    }


def gained(gain, depth, normalized, rate, seed):
    """A network that saturates with the gain unless it is normalized."""
    share = 0.01 if normalized else gain / 20
    return saturation.Gained(
        gain,
        depth,
        normalized,
        rate,
        seed,
        steps=(0, 500),
        accuracy=(0.1, 0.8 - 0.01 * seed),
        saturated=((share,) * depth, (2 * share,) * depth),
        gradient=(1.0 if normalized else 1e-6 * gain,) + (1.0,) * (depth - 1),
        seconds=1.0,
    )


GAINS = saturation.Gains(
    {},
    {},
    tuple(
        gained(gain, depth, normalized, rate, seed)
        for gain in saturation.GAINS
        for depth in saturation.DEPTHS
        for normalized in (False, True)
        for rate in saturation.RATES
        for seed in (0, 1)
    ),
)
DEPTH = studies.load("depth")
SIGNAL = saturation.Signal([0.5, 0.25], [1e-6, 1e-3])


def of_saturation():
    return {
        "accuracy_by_gain": plots.accuracy_by_gain(GAINS),
        "dilemma": plots.dilemma(GAINS, guess=2),
        "saturation_heat_map": plots.saturation_heat_map(DEPTH, depths=(3, 5)),
        "signal_by_layer": plots.signal_by_layer({"plain": SIGNAL, "BN": SIGNAL}),
    }


def contest(accuracies):
    """A record in which each contender ends at these accuracies, a seed each."""
    return comparison.Contest(
        {},
        {},
        tuple(
            comparison.Trained(name, seed, 1, (accuracy,), (0.5,), False, 90.0)
            for name, each in accuracies.items()
            for seed, accuracy in enumerate(each)
        ),
    )


def with_gradient(variant, seed, accuracy, gradient):
    layers = ({"step": 0, "layer": "stem.conv1", "gradient": gradient},)
    return replace(training(variant, seed, accuracy), layers=layers)


def of_tricks():
    rungs = dict.fromkeys((each.name for each in comparison.LADDER.contenders), (0.88, 0.9))
    ways = {"one pass": (0.87, 0.89), "two passes": (0.9, 0.92)}
    sizes = dict.fromkeys((each.name for each in comparison.BATCHES.contenders), (0.7, 0.8))
    starts = [
        with_gradient(f"BN, He, {heads}", seed, 0.8 + 0.01 * seed, gradient)
        for heads, gradient in (("no heads", 0.001), ("heads", 0.002))
        for seed in (0, 1)
    ]
    return {
        "batch_sizes": plots.batch_sizes(contest(sizes)),
        "best_and_late": plots.best_and_late(RESULT, last=2, lowest=0.5),
        "frontier": plots.frontier(contest(ways), contest(rungs | {"He": (0.4, 0.5)})),
        "heads": plots.heads(experiment.Result({}, {}, tuple(starts))),
        "ladder": plots.ladder(contest(rungs | {"Xavier, SGD": (0.1, 0.85)})),
    }


CYCLE = {
    "same": 0.9, "accuracy": 0.8, "mean": 0.2, "saturated": 0.1,
    "r": 0.3, "chance": 0.05, "inside": 0.5,
}  # fmt: skip


def answers(rows):
    """A record of two seeds, in which each contender answers with its rows."""
    return comparison.Answers(
        {},
        {},
        tuple(
            comparison.Asked(
                name, seed, 1, (0.7,), (0.5 + 0.1 * seed,), False, 9.0, tuple(CYCLE | e for e in es)
            )
            for name, es in rows.items()
            for seed in (0, 1)
        ),
    )


ACTIVATED = answers(
    {
        each.name: [
            {"trained": trained, "layer": layer} for trained in (False, True) for layer in (1, 2, 3)
        ]
        for each in parts.ACTIVATIONS.contenders
    }
)
SHIFTED = answers({name: [{"shift": n} for n in parts.SHIFTS] for name in parts.HALVINGS})
THINNED = answers(
    {
        each.name: [
            {"masks": masks, "of": of, "agreement": 0.9}
            for of in ("whole", "logits", "probabilities")
            for masks in parts.MASKS
        ]
        for each in parts.THINNED.contenders
    }
)
CORRELATED = answers(
    {
        "net": [
            {"block": block, "trained": trained, "ring": ring}
            for trained in (False, True)
            for block in maps.LAYERS
            for ring in (0, 1)
        ]
    }
)
EQUAL = contest(
    {f"{name}, rate {rate:g}": (0.8, 0.85) for name in equal_cost.NETS for rate in equal_cost.RATES}
)


def of_parts():
    return {
        "activation_rates": plots.activation_rates(ACTIVATED),
        "activation_states": plots.activation_states(ACTIVATED),
        "equal_cost": plots.equal_cost(EQUAL),
        "map_correlations": plots.map_correlations(CORRELATED),
        "overfit": plots.overfit(contest({"neither": (0.8, 0.82), "crops": (0.79, 0.8)})),
        "shift": plots.shift(SHIFTED),
        "thinned": plots.thinned(THINNED),
    }


CONTESTED = {
    study.name: contest({each.name: (0.8, 0.85) for each in study.contenders})
    for study in (rethinking.FACTORIZATION, rethinking.RESOLUTION, rethinking.ADDITIONS)
}
SMOOTHED = answers(
    {each.name: [{"gap": 4.0, "confidence": 0.7}] for each in rethinking.SMOOTHING.contenders}
)


def of_rethinking():
    return {
        "additions": plots.additions(CONTESTED["additions"]),
        "factors": plots.factors(CONTESTED["factorization"]),
        "resolutions": plots.resolutions(CONTESTED["resolution"]),
        "smoothing": plots.smoothing(SMOOTHED),
        "work_and_time": plots.work_and_time({"1x7, 7x1": (0.3, 0.6), "3x3, 3x3": (0.7, 1.0)}),
    }


GRADIENTS = {
    kind: {8: [[size, 1.0, 1.0]] * 2, 44: [[size**2, size, 1.0], [size**2, size, 2.0]]}
    for kind, size in (("plain", 0.1), ("residual", 1.5))
}
DEEP = answers(
    {
        each.name: [
            {"blocks": 0, "statistics": "old", "accuracy": 0.9},
            *(
                {"blocks": 1, "block": block, "statistics": statistics, "accuracy": 0.8}
                for block in ("conv2_1", "conv2_2", "conv3_2")
                for statistics in ("old", "new")
            ),
            {"blocks": 2, "block": None, "statistics": "old", "accuracy": 0.6},
            {"blocks": 2, "block": None, "statistics": "new", "accuracy": 0.7},
        ]
        for each in degradation.DEGRADATION.contenders
    }
)
WORK = {"small": (0.3, 70.0), "large": (4.0, 76.0), "newer": (4.1, 80.0)}


def of_residual():
    return {
        "degradation": plots.degradation(DEEP),
        "gradients_by_depth": plots.gradients_by_depth(GRADIENTS),
        "one_block_dropped": plots.one_block_dropped(DEEP),
        "over_work": plots.over_work(WORK, "accuracy, %", hollow=["newer"]),
        "several_blocks_dropped": plots.several_blocks_dropped(DEEP),
    }


def of_one_by_one(images):
    generator = torch.Generator().manual_seed(0)
    places = reduction.block_inputs()
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
        "mixed_colors": plots.mixed_colors(
            torch.rand(3, 4, 5), {"as it is": torch.eye(3), "gray": torch.full((3, 3), 0.25)}
        ),
        "two_orders": plots.two_orders(
            images[0, 0].float(), {"one": images[0, 0].float(), "other": images[1, 0].float()}
        ),
        "with_and_without": plots.with_and_without(
            {"3a": (128, 304), "3b": (304, 850)},
            {"3a": reduction.BlockTimes(1.0, 2.0), "3b": reduction.BlockTimes(2.0, 6.0)},
        ),
    }


def of_lineage(images):
    return {
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
        "errors_by_depth": plots.errors_by_depth({"A": (11, 10.4), "E": (19, 9.0)}),
        "shift_curves": plots.shift_curves({"one": [1.0, 0.5], "other": [1.0, 0.25]}),
        "strongest": plots.strongest(images, HEAT, [0, 1], stride=4, first=1.5, side=8),
    }


def row(models, crops, error):
    return ensembles.Row(
        models, crops, error, error - 0.01, error + 0.01, 0.0, 0.0, 0.1, 0.0, 0.001
    )


TABLE = ensembles.Table(
    {},
    tuple(ensembles.Single(name, 1, 0.1, 0.1, 0.0, 0.001) for name in ("a", "b")),
    (row(1, 1, 0.1), row(2, 1, 0.09), row(1, 10, 0.08), row(2, 10, 0.05)),
)


GROUPS = same_start.Groups(
    {},
    {},
    tuple(
        same_start.Group(start, seed, (0.7, 0.72), 0.75, 0.1 + 0.1 * (start == "different"), 0.5)
        for start in same_start.STARTS
        for seed in (0, 1)
    ),
)


def of_evaluation(image):
    picture = scenery(120, 180)
    small = evaluate.IMAGENET[144].at(80)
    sure = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.3, 0.7]])
    judged = evaluate.calibration(sure, torch.tensor([0, 0, 1, 1]))
    return {
        "calibration_errors": plots.calibration_errors({"made": (0.05, [0.01, 0.02, 0.03])}),
        "crop_boxes": plots.crop_boxes(picture, small),
        "crops_and_networks": plots.crops_and_networks(paper_tables.TABLE_3, {"made": TABLE}),
        "mosaic": plots.mosaic(image, evaluate.FASHION[10], [True] * 7 + [False] * 3),
        "reliability": plots.reliability({"one": judged, "again": judged}),
        "same_start": plots.same_start(GROUPS),
        "squares": plots.squares(picture, small),
    }


def draw_all():
    """Every figure, the same each time."""
    torch.manual_seed(0)
    sample = data.fashion_mnist("val", sample=200)
    images, labels = sample.tensors
    logits = torch.nn.functional.one_hot((labels + (torch.arange(200) < 15)) % 10, 10) * 5.0
    return (
        of_anatomy()
        | of_hebbian()
        | of_batch_norm()
        | of_saturation()
        | of_tricks()
        | of_parts()
        | of_rethinking()
        | of_residual()
        | of_one_by_one(images)
        | of_lineage(images)
        | of_evaluation(images[0])
        | {
            "image": plots.image(images[0, 0], "Bag"),
            "classes": plots.classes(sample),
            "pixels": plots.pixels(sample),
            "descents": plots.descents({"below": [2, 1, 0.5], "above": [2, 30, 4e5]}),
            "error_over_work": plots.error_over_work(),
            "family_tree": plots.family_tree(),
            "bench": plots.bench(BENCH),
            "learning_curves": plots.learning_curves(RUN),
            "epoch_curves": plots.epoch_curves({"made": RUN.epochs}, "loss and accuracy so far"),
            "race": plots.race(
                {"made": replace(RUN, test_accuracy=0.872), "again": RUN},
                {"the higher mark": 0.87, "the lower mark": 0.8, "too high": 0.95},
            ),
            "seeds": plots.seeds({"made": [RUN, RUN], "again": [RUN]}),
            "schedules": plots.schedules(
                [train.RECIPES["modern"], replace(RUN.recipe, schedule="step")], 451
            ),
            "confusion": plots.confusion(torch.eye(10, dtype=torch.long) * 8 + 1),
            "mistakes": plots.mistakes(sample, logits),
        }
    )


@pytest.fixture(scope="module")
def figures():
    return draw_all()


@pytest.fixture(scope="module")
def pngs(figures):
    return {name: figure.png() for name, figure in figures.items()}


PUBLIC = {
    name: value
    for name, value in vars(plots).items()
    if getattr(value, "__annotations__", {}).get("return") is plots.Picture
}


def test_every_figure_is_tested(figures):
    assert PUBLIC.keys() == figures.keys()
    assert PUBLIC.keys() < set(plots.__all__)


@pytest.mark.drawing
def test_every_figure_is_a_picture_with_a_sentence(figures, pngs):
    for name, figure in figures.items():
        assert pngs[name].startswith(b"\x89PNG"), name
        assert len(figure.description) > 20, name
    content, metadata = figures["seeds"].bundle()
    assert base64.b64decode(content["image/png"]) == pngs["seeds"]
    sentence = figures["seeds"].description
    assert content["text/plain"] == sentence == metadata["image/png"]["alt"]


# What a reader's own matplotlibrc may say.
HOSTILE = {
    "font.family": ["no such font"],
    "font.size": 30,
    "text.usetex": True,
    "text.color": "white",
    "figure.facecolor": "black",
    "figure.dpi": 30,
    "figure.autolayout": True,
    "figure.constrained_layout.h_pad": 1.0,
    "axes.facecolor": "black",
    "axes.edgecolor": "white",
    "axes.labelsize": 30,
    "axes.grid": True,
    "axes.spines.left": False,
    "axes.spines.top": True,
    "axes.xmargin": 0.4,
    "axes.unicode_minus": False,
    "axes.prop_cycle": matplotlib.cycler(color=["yellow"]),
    "xtick.labelsize": 4,
    "xtick.bottom": False,
    "ytick.color": "white",
    "lines.linewidth": 9,
    "lines.marker": "*",
    "hatch.color": "red",
    "hatch.linewidth": 5,
    "image.cmap": "jet",
    "image.origin": "lower",
    "legend.frameon": True,
    "legend.fontsize": 40,
    "path.sketch": (3, 100, 2),
    "savefig.dpi": 20,
    "savefig.bbox": "tight",
    "savefig.facecolor": "black",
    "savefig.transparent": True,
}


@pytest.mark.drawing
@pytest.mark.slow
def test_figures_are_the_same_whatever_the_readers_settings_are(pngs, caplog):
    with matplotlib.rc_context(HOSTILE):
        before = dict(matplotlib.rcParams)
        for name, figure in draw_all().items():
            assert figure.png() == pngs[name], name
        assert dict(matplotlib.rcParams) == before
    assert not caplog.records  # of fonts that were not found


def test_a_figure_that_cannot_be_drawn_leaves_the_settings_alone():
    before = dict(matplotlib.rcParams)
    with pytest.raises(ValueError, match="name of its own"):
        plots.schedules([RUN.recipe, RUN.recipe], 5)
    assert dict(matplotlib.rcParams) == before


def test_letters_are_large_enough_for_the_last_row(figures):
    for name, figure in figures.items():
        width, _ = figure.get_size_inches()
        for text in figure.findobj(matplotlib.text.Text):
            if text.get_text().strip() and text.get_visible():
                assert text.get_fontsize() >= 12, f"{name}: {text.get_text()!r}"
        assert width <= 14, f"{name} is shrunk in a notebook"


def test_axes_with_numbers_have_labels(figures):
    """Their own, or that of a panel in the same row or column."""
    for name, figure in figures.items():
        shown = [axes for axes in figure.findobj(Axes) if axes.axison]
        for axis, edge in (("xaxis", "x0"), ("yaxis", "y0")):
            places = [getattr(axes.get_position(), edge) for axes in shown]
            labels = [getattr(axes, axis).get_label_text() for axes in shown]
            named = [place for place, label in zip(places, labels, strict=True) if label]
            for axes, place in zip(shown, places, strict=True):
                ticks = [text.get_text() for text in getattr(axes, axis).get_ticklabels()]
                if any(re.fullmatch(r"[\u2212\d.,]+", tick) for tick in ticks):
                    assert any(abs(place - other) < 0.02 for other in named), (name, axis)
    assert figures["learning_curves"].axes[0].get_ylabel() == "cross-entropy, nats"


def look(artist):
    """What tells an artist of a legend from others without color."""
    if isinstance(artist, Line2D):
        hollow = gray(artist.get_markerfacecolor()) > 0.9
        return artist.get_linestyle(), artist.get_marker(), artist.get_linewidth(), hollow
    if isinstance(artist, Rectangle):  # an outline is told from others by its place as well
        outline = None if artist.fill else artist.get_edgecolor()
        return artist.get_hatch(), gray(artist.get_facecolor()) > 0.9, outline
    hollow = all(gray(color[:3]) > 0.9 for color in artist.get_facecolor())
    return type(artist), hollow, *(len(path.vertices) for path in artist.get_paths())


def gray(color):
    red, green, blue = to_rgb(color)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def legend_looks(figure):
    """For each legend, what it names and the look of that."""
    return [
        {
            text.get_text(): look(artist)
            for artist, text in zip(legend.legend_handles, legend.get_texts(), strict=True)
        }
        for legend in figure.findobj(Legend)
    ]


def test_what_a_legend_names_differs_without_color(figures):
    with_legend = [name for name, figure in figures.items() if legend_looks(figure)]
    assert len(with_legend) > 25
    for name in with_legend:
        for looks in legend_looks(figures[name]):
            assert len(set(looks.values())) == len(looks), name


NINE = [f"number {number}" for number in range(1, 10)]


def nine(value):
    return dict.fromkeys(NINE, value)


def nine_trainings():
    return experiment.Result({}, {}, tuple(training(name, 0, 0.1, 0.5) for name in NINE))


def nine_profiles():
    profile = BENCH.profiles[0]
    recipes = [replace(profile.recipe, image_size=size) for size in range(31, 40)]
    return replace(BENCH, profiles=tuple(replace(profile, recipe=recipe) for recipe in recipes))


def nine_rows():
    return ensembles.Table(
        {}, TABLE.singles, tuple(row(n, crops, 0.1) for n in (1, 2) for crops in range(1, 10))
    )


def nine_of_deep():
    (first, *_) = DEEP.trainings
    return replace(DEEP, trainings=tuple(replace(first, contender=name) for name in NINE))


# Each figure that takes several, with nine; the figure names them as given or by the expression.
SAMPLE = data.fashion_mnist("val", sample=10)
PICTURE = scenery(40, 120)
MAP = torch.linspace(0, 1, 36).view(6, 6)
TIMES = hebbian.ProductTimes(8, 8, (0.1, 1.0), (1.0, 1.0), (0.5, 2.0))
WITH_NINE = {
    "accuracy_by_rate": lambda: plots.accuracy_by_rate(nine({1: [0.8], 6: [0.1]})),
    "against_paper": lambda: plots.against_paper(nine({"3a": (2, 1)})),
    "aliasing": lambda: plots.aliasing(MAP, {step: MAP[::step] for step in range(1, 11)}, 3),
    "bench": lambda: plots.bench(nine_profiles()),
    "best_and_late": lambda: plots.best_and_late(nine_trainings(), lowest=0.0),
    "break_even": lambda: plots.break_even([replace(TIMES, size=size) for size in range(1, 10)]),
    "calibration_errors": lambda: plots.calibration_errors(nine((0.05, [0.01, 0.03]))),
    "channel_rows": lambda: plots.channel_rows(nine((MAP[0] + 1, MAP[0])), 1.0),
    "channels_along": lambda: plots.channels_along(nine([192, 256]), ["3a"]),
    "degradation": lambda: plots.degradation(nine_of_deep()),
    "descents": lambda: plots.descents(nine([2, 1])),
    "correlations": lambda: plots.correlations(nine(torch.eye(3))),
    "crops_and_networks": lambda: plots.crops_and_networks(
        [paper_tables.Crops(n, 1, n, 10.0, None) for n in range(1, 10)], {"made": TABLE}
    ),
    "epoch_curves": lambda: plots.epoch_curves(nine(RUN.epochs), "loss and accuracy so far"),
    "errors_by_depth": lambda: plots.errors_by_depth(nine((11, 10.4))),
    "gallery": lambda: plots.gallery(nine(MAP), "nine maps"),
    "gradient_norms": lambda: plots.gradient_norms(nine({"conv1": 0.1, "5b": 0.2})),
    "gradients_by_depth": lambda: plots.gradients_by_depth(nine(GRADIENTS["plain"])),
    "heads": lambda: plots.heads(
        experiment.Result(
            {}, {}, tuple(with_gradient(f"{name}, heads", 0, 0.8, 0.001) for name in NINE)
        )
    ),
    "ladder": lambda: plots.ladder(contest(nine((0.8, 0.9)) | {"batch normalization": (0.9,)})),
    "layer_bars": lambda: plots.layer_bars(nine(COSTS["alexnet"])),
    "learning_curves": lambda: plots.learning_curves(nine(RUN)),
    "one_block_dropped": lambda: plots.one_block_dropped(nine_of_deep(), nets=NINE),
    "overfit": lambda: plots.overfit(contest(nine((0.8, 0.9)))),
    "over_work": lambda: plots.over_work(
        {name: (2.0**n, 60.0 + n) for n, name in enumerate(NINE)}, "accuracy, %"
    ),
    "percentile_bands": lambda: plots.percentile_bands(nine_trainings(), "unit3"),
    "pruning": lambda: plots.pruning(nine({0.0: 0.9, 0.5: 0.8})),
    "race": lambda: plots.race(nine(RUN), {"a mark": 0.8}),
    "receptive_fields": lambda: plots.receptive_fields(COSTS["alexnet"], NINE, 64),
    "reliability": lambda: plots.reliability(
        nine(evaluate.calibration(torch.tensor([[0.9, 0.1]]), torch.tensor([0])))
    ),
    "rule_lengths": lambda: plots.rule_lengths(nine(MAP[1])),
    "schedules": lambda: plots.schedules([replace(RUN.recipe, name=name) for name in NINE], 5),
    "seeds": lambda: plots.seeds(nine([RUN])),
    "several_blocks_dropped": lambda: plots.several_blocks_dropped(nine_of_deep(), nets=NINE),
    "shift": lambda: plots.shift(answers(nine([{"shift": n} for n in parts.SHIFTS])), NINE),
    "shift_curves": lambda: plots.shift_curves(nine([1.0, 0.5])),
    "signal_by_layer": lambda: plots.signal_by_layer(nine(SIGNAL)),
    "spectra": lambda: plots.spectra(nine(MAP[1]), {"a mark": 2}),
    "standardized": lambda: plots.standardized(nine(torch.tensor([-1.0, 1.0]))),
    "strongest": lambda: plots.strongest(
        SAMPLE.tensors[0], MAP.expand(10, 10, 6, 6), range(1, 10), stride=4, first=1.5, side=8
    ),
    "sigmoid_inputs": lambda: plots.sigmoid_inputs([(n, 1) for n in range(1, 10)]),
}
NAMES = {
    "ladder": [f"number\n{n}" for n in range(1, 10)],
    "aliasing": [f"stride {step}" for step in range(2, 11)],
    "bench": [f"{size} pixels, width" for size in range(31, 40)],
    "break_even": [f"CSR, {size}x{size}" for size in range(1, 10)],
    "crops_and_networks": [f"{count} network" for count in range(1, 10)],
    "sigmoid_inputs": [f"mean {mean}" for mean in range(1, 10)],
    "strongest": [f"map {channel}" for channel in range(1, 10)],
}
# These take several of something else than series: parts, views, two, or the names of one study.
NOT_SERIES = {
    "accuracy_by_gain", "accuracy_by_width", "activation_rates", "activation_states",
    "additions", "batch_sizes", "blocks", "co_firing", "confusion", "crop_boxes",
    "dense_blocks", "dilemma", "equal_cost", "factors", "frontier", "influence",
    "map_correlations",
    "mixed_colors", "mosaic", "phase_transition", "resolutions", "same_start",
    "saturation_heat_map", "smoothing", "squares", "thinned", "turning", "two_orders",
    "with_and_without", "work_and_time", "zeros",
}  # fmt: skip


SEVERAL = "Mapping|Sequence|Iterable|Table|Result|Contest|Answers|Gains|Groups|Benchmark|Protocol"


def test_every_figure_of_several_is_tried_with_nine():
    several = {
        name
        for name, function in PUBLIC.items()
        if re.search(SEVERAL, str(inspect.signature(function)))
    }
    assert several == {*WITH_NINE, *NOT_SERIES}


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_NINE)
def test_nine_series_are_drawn_and_told_apart(name):
    """Each has a look of its own in a legend, or a panel or a row with its name."""
    figure = WITH_NINE[name]()
    figure.draw_without_rendering()
    looks = [pair for legend in legend_looks(figure) for pair in legend.items()]
    for axes in figure.findobj(Axes):
        if axes.has_data():
            places = [axes.get_title(), axes.get_ylabel(), *(t.get_text() for t in axes.texts)]
            ticks = (*axes.get_xticklabels(), *axes.get_yticklabels())
            places += [text.get_text() for text in ticks]
            looks += [(place, place) for place in places]
    expected = NAMES.get(name, NINE)
    found = [
        {each for text, each in looks if re.search(rf"\b{re.escape(label)}", text)}
        for label in expected
    ]
    assert all(found), f"{name} leaves out {expected[found.index(set())]}"
    assert len(set.union(*found)) >= 9, name


def test_no_threshold_is_left_out_silently():
    made = {"made": hebbian.co_firing(n=50, ones=1)}
    with pytest.raises(ValueError, match="there are 4 series to draw"):
        plots.co_firing(made, [0.2, 0.4, 0.6, 0.8])


def test_nine_squares_are_outlined():
    """They lie in places of their own, so that color and dashes together tell them apart."""
    protocol = replace(evaluate.IMAGENET[144].at(20), squares=tuple(n / 20 for n in range(1, 10)))
    figure = plots.squares(PICTURE, protocol)
    outlines = figure.axes[0].patches
    assert len({(each.get_edgecolor(), each.get_linestyle()) for each in outlines}) == 9
    assert len({each.get_bbox().bounds for each in outlines}) == 9
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == [f"{5 * n}% along" for n in range(1, 10)]


def test_styles_are_apart_without_color_and_never_run_out_silently():
    assert len({(line["marker"], line["linestyle"]) for line in LINES}) == len(LINES) >= 9
    assert len({fill["hatch"] for fill in FILLS}) == len(FILLS) >= 9
    assert [style for _, style in styled(range(9))] == list(LINES[:9])
    with pytest.raises(ValueError, match="12 series to draw, and this figure can tell at most 11"):
        styled(range(12), FILLS)


def test_the_figures_of_hebb_say_what_was_measured(figures):
    descriptions = {name: figure.description for name, figure in figures.items()}
    assert "Hebb ends at 5; Oja ends at 1" in descriptions["rule_lengths"]
    assert "threshold 1/3 0.95 at 0.02, 0.10 at 0.4" in descriptions["phase_transition"]
    assert "200 units 0.05 at 0.02" in descriptions["phase_transition"]
    assert "Oja ends at length 1, 45 degrees" in descriptions["turning"]
    assert "siblings 1.00, strangers 0.50" in descriptions["co_firing"]
    assert "50.0% of the strangers as often" in descriptions["co_firing"]
    assert "the smallest 0.900 at 0%, 0.800 at 50%" in descriptions["pruning"]
    assert "36% of its weights not zero" in descriptions["one_convolution"]
    assert "50% to 60%" in descriptions["zeros"]
    assert "breaks even at density 0.32" in descriptions["break_even"]
    assert "into 4 blocks, which are 25.0%" in descriptions["dense_blocks"]


def test_a_wiring_tells_found_from_missed_from_wrong():
    truth = np.eye(3, 8, dtype=bool) | np.eye(3, 8, 3, dtype=bool) | np.eye(3, 8, 5, dtype=bool)
    found = truth.copy()
    found[1, 6] = False  # missed
    found[2, 0] = True  # wrong
    match = np.array([0, -1, -1])
    recovery = hebbian.Recovery(truth, found, match, 1.0, 1.0, 0.0)
    assert "8 found, 1 missed, 1 wrong" in plots.wiring(recovery, units=3).description


def test_colors_differ_in_gray():
    used = sorted(map(gray, (BLUE, VERMILION, ORANGE)))
    assert min(b - a for a, b in pairwise(used)) > 0.05


def test_no_figure_is_left_to_pyplot(figures):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    assert pyplot.get_fignums() == []


def test_sentences_tell_what_is_drawn(figures):
    assert "0.875" in figures["learning_curves"].description
    assert "above ends at 4e+05" in figures["descents"].description
    assert "VGG-16 9.33 % at 15.5 G" in figures["error_over_work"].description
    assert "15 mistakes" not in figures["mistakes"].description  # twelve are shown
    assert "12 mistakes" in figures["mistakes"].description
    assert "strip of 14 maps, 1.58 billion multiply-adds" in figures["strip"].description
    assert "1x1 75, 3x3 395, 5x5 715" in figures["receptive_fields"].description
    assert "params: 1 of 2 rows agree" in figures["against_paper"].description
    assert "GoogLeNet 2014 from NiN" in figures["family_tree"].description
    assert "6.67 % with 7 and 144; made: 10.00% with 1" in figures["crops_and_networks"].description
    assert "wrong in 3 of them" in figures["mosaic"].description
    assert "3 of 91, 3 of 103" in figures["squares"].description
    assert "expected calibration error 0.400" in figures["reliability"].description


def squares_of(axes):
    return {
        (each.get_label(), each.get_linestyle(), round(each.get_width()))
        for each in axes.patches
        if isinstance(each, Rectangle)
    }


def test_squares_show_the_field_and_where_the_gradient_is():
    sharp, corner = torch.zeros(101, 101), torch.zeros(101, 101)
    sharp[35:46, 50:61] = 1  # 11 pixels a side; 90 % of it needs them all
    corner[0, 0] = 1
    figure = plots.influence({"3a": sharp, "5b": corner}, {"3a": 43, "5b": 715})
    left, right = figure.axes
    assert squares_of(left) == {("receptive field", "--", 43), ("90% of the gradient", "solid", 11)}
    assert squares_of(right) == {("90% of the gradient", "solid", 1)}  # the field would not fit
    assert "3a: field 43 pixels, 90% of the gradient within 11; 5b" in figure.description
    assert figure.description.endswith("wider than the image, 90% of the gradient within 1")
    inner = next(each for each in left.patches if each.get_linestyle() == "solid")
    assert inner.get_center().tolist() == [55, 40]


def test_a_bar_that_is_cut_is_broken():
    def breaks(count):
        return len(plots.against_paper({"params": {"3a": (count, 100)}}).axes[0].lines) - 1

    assert breaks(109) == breaks(91) == 0
    assert breaks(340) == breaks(20) == 3  # a white gap and its two edges


def test_a_field_that_does_not_grow_is_no_stage():
    figure = plots.receptive_fields(COSTS["alexnet"], ("1x1",), 64)
    names = [each.get_text() for each in figure.axes[0].get_xticklabels()]
    assert names[:4] == ["conv1", "pool1", "conv2", "pool2"]


def test_the_drawn_landscape_is_unlike_its_mirror_image():
    picture = scenery(40, 60)
    assert picture.shape == (3, 40, 60)
    assert (picture != picture.flip(2)).float().mean() > 0.05


def test_the_figures_of_runs_say_what_was_recorded(figures):
    descriptions = {name: figure.description for name, figure in figures.items()}
    ends = "ends at 0.875 after 0.1 minutes"
    assert (
        f"made {ends} with test accuracy 0.872, which passes the higher mark"
        in descriptions["race"]
    )
    assert descriptions["race"].endswith(f"again {ends}")
    assert "made 0.875 to 0.875 over 2 seeds" in descriptions["seeds"]
    falls = "modern falls from epoch 1.5 on, and is at 0.00 of its highest rate after epoch 6"
    assert falls in descriptions["schedules"]
    assert "and is at 0.10 of its highest rate after epoch 451" in descriptions["schedules"]


@pytest.mark.parametrize("accuracy", [0.3, 0.995])
def test_a_race_shows_every_run(accuracy):
    run = replace(RUN, epochs=(replace(EPOCH, val_accuracy=accuracy),))
    low, high = plots.race({"made": run}, {}).axes[0].get_ylim()
    assert low < accuracy < high


def test_every_repeated_recipe_has_its_marks():
    axes = plots.seeds({f"recipe {number}": [RUN] * number for number in range(1, 6)}).axes[0]
    assert [len(line.get_xdata()) for line in axes.lines] == [1, 2, 3, 4, 5]


def test_the_figures_of_reductions_say_what_was_counted_and_measured(figures):
    descriptions = {name: figure.description for name, figure in figures.items()}
    assert "163,696 parameters, 128.0 M multiply-adds, 256 channels" in descriptions["block_shares"]
    assert (
        "3x3 79.0% of the multiply-adds and 50.0% of the channels" in descriptions["block_shares"]
    )
    assert "2.67 times the multiply-adds" in descriptions["with_and_without"]
    assert "2.67 times the time" in descriptions["with_and_without"]
    assert "naive 192 to 416; paper 192 to 256" in descriptions["channels_along"]
    assert (
        "3 seeds: whole block 0.810 at 1 to 0.810 at no reduction"
        in descriptions["accuracy_by_width"]
    )
    assert "1 of 12 channels (5x5 reduction) hold" in descriptions["spectra"]
    assert "differ at" in descriptions["two_orders"]


def test_the_figure_of_a_benchmark_says_what_was_measured(figures):
    description = figures["bench"].description
    assert "images/s at 96 pixels 3.0 times" in description
    assert "images/s at 224 pixels 2.8 times" in description
    # 600,000 images at 90 a second, in 600 s
    assert "modern, recorded time to 0.886 11 times" in description
    assert "sprint, recorded time" not in description  # never reached
    assert "0.937" not in description  # nor by d2l: there is nothing to compare
    assert "at 28 pixels, width 0.25 most of a step, 56%, is convolution backward" in description
    assert "28 pixels takes 1.5 ms, one of 96 pixels 9 ms" in description
    left_out = replace(BENCH, races=(), goals=())
    texts = [text.get_text() for text in plots.bench(left_out).findobj(matplotlib.text.Text)]
    assert "d2l is not installed" in texts
    for axes in figures["bench"].findobj(matplotlib.axes.Axes):
        assert axes.get_xlabel()


def test_confusion_names_the_most_frequent_mistake():
    cells = torch.eye(10, dtype=torch.long) * 10
    cells[6, 0] = 5
    assert "Shirt called T-shirt/top, 33%" in plots.confusion(cells).description


def test_a_class_without_images_confuses_nothing():
    cells = torch.tensor([[5, 0, 1], [0, 0, 0], [1, 0, 4]])
    told = plots.confusion(cells, ["a", "b", "c"]).description
    assert told.startswith("82% of the images")
    assert "c called a, 20% of its images" in told


def test_a_study_that_is_not_finished_is_drawn_or_refused_in_a_sentence():
    begun = contest({"Xavier, SGD": (0.8,), comparison.CONTROL: (0.9,)})
    assert "Xavier, SGD 0.800" in plots.ladder(begun).description
    empty = comparison.Answers({}, {}, ())
    for figure in (plots.ladder, plots.shift, plots.one_block_dropped):
        with pytest.raises(ValueError, match="in this record yet: finish the study"):
            figure(empty)


def test_no_mistakes_is_a_figure_as_well():
    sample = data.fashion_mnist("val", sample=10)
    logits = torch.nn.functional.one_hot(sample.tensors[1], 10).float()
    assert "no mistake" in plots.mistakes(sample, logits).description


COUNTED = [member for member in family.FAMILY if member.parameters is not None]


@pytest.mark.parametrize("member", COUNTED, ids=lambda member: member.name)
def test_the_family_tree_has_the_counts_of_our_networks(member):
    name = member.name.lower().replace("-", "_")
    name = {"bn_inception": "inception_bn", "vgg_16": "vgg16", "resnet_50": "resnet50"}.get(
        name, name
    )
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


def test_batch_norm_figures_say_what_they_show(figures):
    assert "77% of them outside" in figures["sigmoid_input"].description
    assert "deviation 3: 77%" in figures["sigmoid_inputs"].description
    assert "coin 100.00%" in figures["standardized"].description
    assert "plain reaches 0.70, BN reaches 0.90" in figures["percentile_bands"].description
    assert "unit3 get: plain 2.5, BN 2.5" in figures["percentile_bands"].description
    assert "plain 0.75 at 1, 0.10 at 6" in figures["accuracy_by_rate"].description
    assert "before 1.00; after 0.00" in figures["correlations"].description


def test_the_figures_of_saturation_say_what_was_measured(figures):
    description = figures["dilemma"].description
    assert "plain, 3 layers 2.5 to 80.0" in description
    assert "BN, 20 layers 1.0 to 1.0" in description
    assert "plain, 20 layers 5e-07 to 1.6e-05" in description
    assert "2 seeds" in description
    assert description.endswith("You said 2")
    assert "You said" not in plots.dilemma(GAINS).description
    assert (
        "at learning rate 0.05 (2 seeds) plain, 3 layers 0.80"
        in figures["accuracy_by_gain"].description
    )
    heat = figures["saturation_heat_map"]
    assert "plain, 5 layers: first 73.2%, last 47.3%; BN" in heat.description
    assert [len(axes.images[0].get_array()) for axes in heat.axes[:4]] == [3, 5] * 2
    with pytest.raises(ValueError, match="no net of 7 layers without BN"):
        plots.saturation_heat_map(DEPTH, depths=(7,))
    assert "plain 37.5% saturated, gradient first over last 0.001" in (
        figures["signal_by_layer"].description
    )


def test_the_figures_of_tricks_say_what_was_measured(figures):
    assert "Xavier, SGD 0.475 ± 0.375, 1.5 min" in figures["ladder"].description
    assert "Control, Xavier, batch normalization: 0.890 ± 0.010" in figures["ladder"].description
    texts = [text.get_text() for text in figures["ladder"].axes[0].texts]
    assert "↓ 0.10" in texts  # below the edge
    assert "two passes 0.910 ± 0.010, 2.48;" in figures["frontier"].description
    assert "He 0.450 ± 0.050, 0.19;" in figures["frontier"].description
    assert figures["frontier"].axes[0].get_title() == "below 0.84 at the end: He"
    drawn = [y for line in figures["frontier"].axes[0].lines for y in line.get_ydata()]
    assert {0.87, 0.89} < set(drawn)
    assert min(drawn) > 0.5
    assert "BN, one rate 0.750 ± 0.050 at 2" in figures["batch_sizes"].description
    assert "BN 0.900, 0.850" in figures["best_and_late"].description
    assert figures["best_and_late"].axes[0].get_title() == "below 0.5 at the end: plain"
    assert "heads 0.805 ± 0.005 and 0.002" in figures["heads"].description
    assert "same 4.00 points, disagreeing about 10.0 %" in figures["same_start"].description
    assert "made 0.050, by chance 0.011 to 0.029" in figures["calibration_errors"].description


def test_the_sliders_ends_can_be_drawn():
    for arguments in ((0, 0.2, 0, 0), (6, 6, 6, -6)):
        assert plots.sigmoid_input(*arguments).png()


def test_layer_bars_say_where_the_parameters_are(figures):
    table = COSTS["alexnet"]
    linear = sum(row.parameters for row in table if row.kind == "linear") / table.parameters
    description = figures["layer_bars"].description
    assert f"alexnet has {table.parameters / 1e6:,.1f} million, {linear:.0%} of them" in description
    heights = [bar.get_height() * 1e6 for bar in figures["layer_bars"].axes[0].patches]
    assert sum(heights) == pytest.approx(table.parameters)
    assert len(heights) == 8
    work = plots.layer_bars(COSTS, "multiply_adds")
    heights = [bar.get_height() * 1e6 for bar in work.axes[1].patches]
    assert sum(heights) == pytest.approx(COSTS["vgg11"].multiply_adds)


def test_stripes_of_six_pixels_are_miscounted_at_stride_four(figures):
    description = figures["aliasing"].description
    assert "answers 3 times at stride 1; at stride 2 3 times, at stride 4 1 times" in description


def test_the_frame_surrounds_the_brightest_spot(figures):
    first, second = figures["strongest"].axes[0], figures["strongest"].axes[6]
    frames = [axes.patches[0].get_bbox().bounds for axes in (first, second)]
    assert frames == [(9.5, 5.5, 8, 8), (-2.5, 21.5, 8, 8)]  # x, y, width, height


def test_channel_rows_tell_what_is_left_of_active_channels(figures):
    assert "row, 0.250 of each" in figures["channel_rows"].description
    assert "one 50%; other 25%" in figures["shift_curves"].description
