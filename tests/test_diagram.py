"""Drawings of networks and blocks: what is drawn is what the modules have and cost."""

from collections import Counter
from functools import cache
from itertools import combinations

import matplotlib.text
import pytest
import torch
import torchvision
from matplotlib.patches import Polygon, Rectangle
from torch import nn

from inception_course import cost, models, plots
from inception_course.models.blocks import PaddedShortcut
from inception_course.plots.ribbons import FONT, KINDS, NO_LAYER
from inception_course.plots.traced import kind_of


@cache
def network(name, **options):
    """A network of the course without memory, and the shape of its images."""
    with torch.device("meta"):
        model = models.create(name, **({"in_channels": 3, "num_classes": 1000} | options)).eval()
    return model, (model.in_channels, model.image_size, model.image_size)


SMALL = {"stem": "small", "width": 0.25, "in_channels": 1, "num_classes": 10}
NETWORKS = {name: (name, {}) for name in models.names()} | {
    "small googlenet_bn": ("googlenet_bn", SMALL),
    "small resnet18": ("resnet18", SMALL | {"width": 1.0}),
    "googlenet with heads": ("googlenet", {"aux": True}),
    "inception_v3 with a head": ("inception_v3", {"aux": True}),
}
BLOCKS = {
    f"{name} {stage}": (name, stage, shape)
    for name, stage, shape in (
        ("googlenet", "3a", (192, 28, 28)),
        ("googlenet", "5b", (832, 7, 7)),
        ("googlenet_naive", "3a", (192, 28, 28)),
        ("inception_bn", "3c", (320, 28, 28)),
        ("inception_v3", "5a", (192, 35, 35)),
        ("inception_v3", "6a", (288, 35, 35)),
        ("inception_v3", "6b", (768, 17, 17)),
        ("inception_v3", "7a", (768, 17, 17)),
        ("inception_v3", "7b", (1280, 8, 8)),
        ("resnet18", "conv2_1", (64, 56, 56)),
        ("resnet18", "conv3_1", (64, 56, 56)),
        ("resnet50", "conv3_1", (256, 56, 56)),
        ("resnet50", "conv3_2", (512, 28, 28)),
        ("resnet_small", "conv3_1", (16, 28, 28)),
        ("xception", "module4", (256, 74, 74)),
        ("inception_resnet_v2", "last", (2080, 8, 8)),
    )
}


@cache
def strip(case):
    name, options = NETWORKS[case]
    model, shape = network(name, **options)
    return plots.strip(model, (1, 28, 28) if options.get("stem") else shape)


@cache
def block(case):
    name, stage, shape = BLOCKS[case]
    return plots.block(network(name)[0].body[stage], shape)


def boxes(figure, *kinds):
    """The rectangles of these kinds, in the order in which they were drawn."""
    return [p for p in figure.axes[0].patches if isinstance(p, Rectangle) and p.get_gid() in kinds]


def area(box):
    return box.get_width() * box.get_height()


def words(figure):
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


def assert_legible(figure):
    """No text lies on another or leaves the figure, and none is small."""
    figure.draw_without_rendering()
    texts = [t for t in figure.findobj(matplotlib.text.Text) if t.get_text() and t.get_visible()]
    places = [(text.get_text(), text.get_window_extent()) for text in texts]
    page = figure.bbox
    for text, place in places:
        assert page.x0 <= place.x0 < place.x1 <= page.x1, text
        assert page.y0 <= place.y0 < place.y1 <= page.y1, text
    for (one, here), (other, there) in combinations(places, 2):
        inside = min(here.x1, there.x1) - max(here.x0, there.x0)
        high = min(here.y1, there.y1) - max(here.y0, there.y0)
        assert inside <= 1 or high <= 1, f"{one!r} lies on {other!r}"
    assert min(text.get_fontsize() for text in texts) >= FONT == 13
    for box in boxes(figure, *KINDS, *NO_LAYER):  # a label lies in a box or beside it
        around = box.get_window_extent()
        for text, place in places:
            inside = around.x0 <= place.x0 < place.x1 <= around.x1
            beside = place.x1 <= around.x0 + 1 or around.x1 - 1 <= place.x0
            above = place.y1 <= around.y0 + 2 or around.y1 - 2 <= place.y0
            assert inside or beside or above, f"{text!r} lies on the edge of a box"


@pytest.mark.drawing
@pytest.mark.parametrize("case", NETWORKS)
def test_the_texts_of_a_strip_can_be_read(case):
    assert_legible(strip(case))


@pytest.mark.parametrize("case", BLOCKS)
def test_the_texts_of_a_block_can_be_read(case):
    assert_legible(block(case))


@pytest.mark.parametrize("case", NETWORKS)
def test_a_strip_has_the_maps_and_the_work_of_its_network(case):
    name, options = NETWORKS[case]
    model, shape = network(name, **options)
    shape = (1, 28, 28) if options.get("stem") else shape
    table = cost.table(model, shape)
    stages = [row for row in table if row.multiply_adds]
    maps = boxes(strip(case), "map")
    outputs = [shape, *(row.output for row in stages)]
    if name == "nin":  # it ends with a pooling
        outputs.append(table.blocks[-1].output)
    assert len(maps) == len(outputs)
    sides = [(*output, 1)[1] for output in outputs]
    for box, side in zip(maps, sides, strict=True):
        assert box.get_height() / maps[0].get_height() == pytest.approx(side / sides[0])
    widest = max(output[0] for output, side in zip(outputs, sides, strict=True) if side > 1)
    for box, output in zip(maps, outputs, strict=True):
        drawn = min(output[0], 2 * widest)  # what is wider is cut
        assert box.get_width() / maps[1].get_width() == pytest.approx(drawn / outputs[1][0])
    bars = boxes(strip(case), *KINDS)
    assert len({round(bar.get_width(), 6) for bar in bars}) == 1
    expected, drawn = Counter(), Counter()
    for row in table.layers:
        if row.multiply_adds:
            expected[kind_of(model.get_submodule(row.name))] += row.multiply_adds
    for bar in bars:
        drawn[bar.get_gid()] += area(bar) * table.multiply_adds / sum(map(area, bars))
    assert drawn == pytest.approx(expected)
    columns = Counter()
    for bar in bars:
        columns[round(bar.get_x(), 6)] += area(bar) / sum(map(area, bars))
    works = [row.multiply_adds / table.multiply_adds for row in stages]
    assert [columns[x] for x in sorted(columns)] == pytest.approx(works)


def test_a_strip_writes_sizes_channels_and_shares():
    figure = strip("googlenet with heads")
    written = words(figure)
    for word in ("224x224", "112x112", "56x56", "28x28", "14x14", "7x7", "1x1", "832", "1,024"):
        assert word in written, word
    table = cost.table(*network("googlenet"))
    share = sum(r.multiply_adds for r in table if r.output[1:] == (14, 14)) / table.multiply_adds
    assert f"{100 * share:.0f} %" in written
    assert f"14x14 up to 832 channels, {100 * share:.0f} % of the work" in figure.description
    assert "1.58 billion multiply-adds" in written
    heads = [line for line in figure.axes[0].lines if line.get_marker() == "v"]
    fourth = [boxes(figure, "map")[n] for n in (6, 9)]  # 4a and 4d
    middles = [box.get_x() + box.get_width() / 2 for box in fourth]
    assert [line.get_xdata()[0] for line in heads] == pytest.approx(middles)


def ribbons(figure, kind):
    return [p for p in figure.axes[0].patches if isinstance(p, Polygon) and p.get_gid() == kind]


def test_a_strip_marks_where_poolings_halve_the_map():
    assert len(ribbons(strip("googlenet"), "pooling")) == 5
    assert len(ribbons(strip("resnet50"), "pooling")) == 2
    scale = boxes(strip("zfnet"), "map")[0].get_height() / 224
    ends = [p.get_xy()[[1, 2], 1] for p in ribbons(strip("zfnet"), "pooling")]
    assert [(top - bottom) / scale for top, bottom in ends] == pytest.approx([55, 13, 6])


def test_a_strip_takes_any_network():
    with torch.device("meta"):
        theirs = torchvision.models.mobilenet_v2(weights=None).eval()
    figure = plots.strip(theirs, (3, 224, 224))
    assert_legible(figure)
    assert "other" in words(figure) or boxes(figure, "3x3")


def test_alexnet_has_two_lanes_that_meet_twice():
    model, shape = network("alexnet")
    figure = plots.lanes(model, shape)
    assert_legible(figure)
    in_lanes = [model.body[f"conv{n}"].convolution.out_channels for n in (1, 2, 3, 4, 5)]
    maps = boxes(figure, "map")
    assert len(maps) == 1 + 2 * len(in_lanes) + 3
    for number, channels in enumerate(in_lanes):
        for box in maps[1 + 2 * number : 3 + 2 * number]:
            width = box.get_width() / maps[1].get_width()
            assert width == pytest.approx(channels / in_lanes[0])
    assert words(figure).count("lanes meet") == 2
    assert "2 lanes, which meet in conv3 and fc6" in figure.description
    assert "conv1 2 times 48 channels of 55x55" in figure.description
    # conv3 sees both lanes from both, fc6 joins them
    assert len(ribbons(figure, "crossing")) == 4 + 2


def test_without_groups_there_is_one_lane():
    figure = plots.lanes(*network("alexnet", grouped=False))
    assert "one lane:" in figure.description
    assert not ribbons(figure, "crossing")
    assert len(boxes(figure, "map")) == 1 + 8


@pytest.mark.parametrize("case", BLOCKS)
def test_the_boxes_of_a_block_have_the_width_and_the_work_of_its_layers(case):
    name, stage, shape = BLOCKS[case]
    module, figure = network(name)[0].body[stage], block(case)
    layers = [row for row in cost.table(module, shape).layers if row.multiply_adds]
    drawn = boxes(figure, *(kind for kind in KINDS if kind != "pooling"))
    (first, last), (key,) = boxes(figure, "map"), boxes(figure, "key")
    channels = first.get_width() / shape[0]  # inches for each
    work = area(key) / key_work(figure)  # square inches for each
    found = sorted((b.get_gid(), round(b.get_width() / channels), area(b) / work) for b in drawn)
    expected = sorted(
        (kind_of(module.get_submodule(row.name)), row.output[0], row.multiply_adds)
        for row in layers
    )
    for one, other in zip(found, expected, strict=True):
        assert one == (*other[:2], pytest.approx(other[2]))
    output = module(torch.empty(1, *shape, device="meta")).shape[1:]
    assert last.get_width() / channels == pytest.approx(output[0])
    assert last.get_height() / first.get_height() == pytest.approx(output[1] / shape[1])
    kinds = nn.MaxPool2d | nn.AvgPool2d | PaddedShortcut
    poolings = [m for m in module.modules() if isinstance(m, kinds)]
    assert len(boxes(figure, "pooling")) == len(poolings)


def key_work(figure):
    (told,) = [word for word in words(figure) if "channels wide, area" in word]
    return float(told.split("area ")[1].split(" million")[0]) * 1e6


def test_a_block_says_what_comes_out():
    assert "64 + 128 + 32 + 32 = 256 channels of 28x28" in words(block("googlenet 3a"))
    assert "320 + 768 + 768 + 192 = 2,048 channels of 8x8" in words(block("inception_v3 7b"))
    description = block("googlenet 3a").description
    assert "[1x1 to 64 | 1x1 to 96, 3x3 to 128 | 1x1 to 16, 5x5 to 32 | max 3x3" in description


def test_a_residual_block_sums_what_is_unchanged_or_projected():
    for case, unchanged in (("resnet18 conv2_1", 1), ("resnet18 conv3_1", 0)):
        written = words(block(case))
        assert written.count("+") == 1
        assert written.count("unchanged") == unchanged
    assert words(block("resnet50 conv3_1")).count("1x1, stride 2") == 2
    skipping = words(block("resnet_small conv3_1"))
    assert "1 of 2x2" in skipping
    assert "unchanged" not in skipping
    assert "+" not in words(block("googlenet 3a"))


def test_two_blocks_have_one_scale():
    pair = {
        "naive": network("googlenet_naive")[0].body["3a"],
        "reduced": network("googlenet")[0].body["3a"],
    }
    figure = plots.blocks(pair, (192, 28, 28))
    assert_legible(figure)
    drawn = boxes(figure, *(kind for kind in KINDS if kind != "pooling"))
    width = figure.get_size_inches()[0]
    halves = [
        sum(area(box) for box in drawn if (box.get_x() > width / 2) == right)
        for right in (False, True)
    ]
    works = [cost.table(each, (192, 28, 28)).multiply_adds for each in pair.values()]
    assert halves[0] / halves[1] == pytest.approx(works[0] / works[1])
    assert len({round(box.get_width(), 6) for box in boxes(figure, "map")}) == 2  # 192 and 256
    with pytest.raises(ValueError, match="two blocks fit"):
        plots.blocks(pair | {"third": pair["naive"]}, (192, 28, 28))


class Written(nn.Module):
    """Row 3a as a reader writes it."""

    def __init__(self):
        super().__init__()
        self.conv_1x1 = nn.Conv2d(192, 64, 1)
        self.reduce_3x3, self.conv_3x3 = nn.Conv2d(192, 96, 1), nn.Conv2d(96, 128, 3, padding=1)
        self.reduce_5x5, self.conv_5x5 = nn.Conv2d(192, 16, 1), nn.Conv2d(16, 32, 5, padding=2)
        self.projection = nn.Conv2d(192, 32, 1)

    def forward(self, x):
        fine = self.conv_3x3(self.reduce_3x3(x).relu())
        coarse = self.conv_5x5(self.reduce_5x5(x).relu())
        pooled = self.projection(nn.functional.max_pool2d(x, 3, stride=1, padding=1))
        return torch.cat([self.conv_1x1(x), fine, coarse, pooled], dim=1).relu()


def test_a_block_that_the_reader_wrote_is_drawn_as_ours():
    theirs, ours = plots.block(Written(), (192, 28, 28)), block("googlenet 3a")
    places = [
        [(box.get_gid(), box.get_bbox().bounds) for box in boxes(figure, *KINDS, *NO_LAYER)]
        for figure in (theirs, ours)
    ]
    assert places[0] == places[1]


def test_torchvisions_blocks_are_drawn_as_ours():
    theirs = torchvision.models.inception.InceptionA(192, 32)
    ours = block("inception_v3 5a")
    found = [
        [box.get_bbox().bounds for box in boxes(figure, *KINDS)]
        for figure in (plots.block(theirs, (192, 35, 35)), ours)
    ]
    assert found[0] == found[1]


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(4, 4, 1)

    def forward(self, x):
        return x * self.convolution(x)


def test_what_cannot_be_drawn_says_why():
    with pytest.raises(ValueError, match="this GoogLeNet, which depends on the values"):
        plots.block(*network("googlenet"))
    with pytest.raises(ValueError, match="in this Gated something meets in 'mul'"):
        plots.block(Gated(), (4, 8, 8))


def test_more_stages_than_fit_are_not_drawn():
    deep = nn.Sequential(*[nn.Conv2d(3, 3, 1) for _ in range(60)])
    with pytest.raises(ValueError, match="61 stages do not fit"):
        plots.strip(deep, (3, 8, 8))


class Stacked(nn.Module):
    def forward(self, x):
        return torch.cat([x, x.relu()], dim=2)


def test_what_is_not_stacked_as_channels_is_not_drawn():
    with pytest.raises(ValueError, match="something meets in 'cat'"):
        plots.block(Stacked(), (4, 8, 8))


def test_an_auxiliary_head_is_a_block_without_branches():
    head = network("googlenet", aux=True)[0].auxiliary["4a"]
    figure = plots.block(head, (512, 14, 14))
    assert_legible(figure)
    assert [box.get_gid() for box in boxes(figure, *KINDS)] == [
        "pooling",
        "1x1",
        "linear",
        "linear",
    ]
    assert "1,000 values" in words(figure)
