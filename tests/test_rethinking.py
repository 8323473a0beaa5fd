"""Studies of what the later Inception papers changed: what differs, and what does not."""

import math

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from inception_course import cost, data, evaluate
from inception_course.studies import rethinking

VAL = data.fashion_mnist("val", sample=40)


def windows(net):
    """The windows of the convolutions after the first, as the pixels a side that they see."""
    convolutions = [m for m in net.modules() if isinstance(m, nn.Conv2d)][1:]
    return tuple(1 + sum(m.kernel_size[side] - 1 for m in convolutions) for side in (0, 1))


@pytest.mark.parametrize(
    ("whole", "factors"), [("5x5", "3x3, 3x3"), ("7x7", "1x7, 7x1")], ids=["5x5", "7x7"]
)
def test_factors_see_what_the_whole_window_sees(whole, factors):
    assert windows(rethinking.factored_net(whole)) == windows(rethinking.factored_net(factors))


def test_factors_save_what_the_paper_says():
    work = {
        name: cost.table(rethinking.factored_net(name), (1, 28, 28)).multiply_adds
        - 16 * 9 * 28 * 28  # the stem
        - 160  # the last layer
        for name in rethinking.FACTORS
    }
    assert work["3x3, 3x3"] / work["5x5"] == 18 / 25
    assert work["1x7, 7x1"] / work["7x7"] == 14 / 49
    assert work["3x3, 3x3"] == work["3x3, 3x3, no ReLU between"]


def test_a_linear_pair_has_one_relu_less_a_unit():
    def relus(name):
        return sum(isinstance(m, nn.ReLU) for m in rethinking.factored_net(name).modules())

    assert relus("3x3, 3x3") - relus("3x3, 3x3, no ReLU between") == 3


def test_images_of_28_and_14_pixels_cost_the_same_to_the_last_digit():
    assert rethinking.multiply_adds("28 pixels") == rethinking.multiply_adds("14 pixels")
    assert 0.98 < rethinking.multiply_adds("7 pixels") / rethinking.multiply_adds("28 pixels") < 1
    enlarged = rethinking.multiply_adds("56 pixels, enlarged")
    assert enlarged == rethinking.multiply_adds("28 pixels, map 14")
    parameters = {
        sum(p.numel() for p in rethinking.net_for(size).parameters()) for size in rethinking.SIZES
    }
    assert len(parameters) == 1


def test_each_contender_gets_images_of_the_size_of_its_name():
    for contender in rethinking.RESOLUTION.contenders:
        assert contender.name.startswith(f"{contender.recipe.image_size} pixels")


def test_smoothing_alone_differs():
    plain, smoothed = rethinking.SMOOTHING.contenders
    assert plain.recipe.label_smoothing == 0
    assert smoothed.recipe.label_smoothing == 0.1
    assert plain.build is smoothed.build


class Sure(nn.Module):
    """Gives the class of the first pixel a logit of ln 91, and the others none."""

    def forward(self, images):
        return torch.eye(10)[images[:, 0, 0, 0].long()] * math.log(91)


def test_the_gap_is_that_of_the_largest_logit_from_the_mean_of_the_others(monkeypatch):
    labels = torch.arange(40) % 10
    images = labels.to(torch.uint8)[:, None, None, None].expand(40, 1, 28, 28)
    monkeypatch.setattr(rethinking, "predict", lambda net, found: net(found.tensors[0]))
    (row,) = rethinking.confidence(Sure(), TensorDataset(images, labels))
    assert row["gap"] == pytest.approx(math.log(91))
    assert row["confidence"] == pytest.approx(0.91, abs=1e-5)
    assert row["accuracy"] == 1
    assert row["error"] == pytest.approx(0.09, abs=1e-5)
    assert row["temperature"] < 0.5
    assert row["error there"] < 0.01


def test_additions_cost_nothing_and_change_the_answer():
    for depth in rethinking.DEPTHS:
        replaced, added = (
            cost.table(rethinking.inception_net(depth, kind), (1, 28, 28)) for kind in (False, True)
        )
        assert replaced.multiply_adds == added.multiply_adds
        assert replaced.parameters == added.parameters
    torch.manual_seed(0)
    net = rethinking.inception_net(2, True)
    before = evaluate.predict(net, VAL)
    net["block1"].added = False
    assert not torch.allclose(before, evaluate.predict(net, VAL))


def test_an_addition_of_nothing_passes_the_input_on():
    block = rethinking.Around(32, rethinking.NARROW, added=True).eval()
    nn.init.zeros_(block.back.convolution.weight)
    x = torch.rand(2, 32, 7, 7)
    torch.testing.assert_close(block(x), x)
