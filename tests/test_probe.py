"""What is recorded is what happened, and nothing of the recording remains."""

import copy
from contextlib import nullcontext

import pytest
import torch
from torch import nn

from inception_course import models, probe
from inception_course.evaluate import eval_mode


def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(inplace=True), nn.Linear(6, 3))


def hooks(model):
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks) + len(module._backward_hooks)
        for module in model.modules()
    )


EVERYTHING = {
    "percentiles": probe.percentiles(15, 50, 85),
    "outside": probe.outside(2),
    "flat": probe.flat(),
    "activation": probe.rms("output"),
    "gradient": probe.rms("gradient"),
}


def test_one_value_for_each_statistic_layer_and_call():
    model, images = small(), torch.randn(8, 4)
    with probe.record(model, ["0", "2"], **EVERYTHING) as seen:
        for _ in range(3):
            model(images).sum().backward()
    assert seen.keys() == {"0", "2"}
    for each in seen.values():
        assert each.keys() == EVERYTHING.keys()
        assert all(len(values) == 3 for values in each.values())
        assert None not in each["gradient"]


def test_values_are_those_computed_by_hand():
    model = nn.Sequential(nn.Linear(2, 2), nn.Sigmoid())
    x = torch.tensor([[1.0, -3.0], [5.0, 0.0], [2.5, 2.0]])
    statistics = {"beyond": probe.outside(2), "flat": probe.flat(), "rms": probe.rms("output")}
    with probe.record(model, ["1"], **statistics, middle=probe.percentiles(0, 50)) as seen:
        model[1](x)
    y = torch.sigmoid(x)
    assert seen["1"]["beyond"] == pytest.approx([3 / 6])  # 2.0 itself is not beyond 2
    assert ((y * (1 - y)) < 0.05).sum() == 2
    assert seen["1"]["flat"] == pytest.approx([2 / 6])
    assert seen["1"]["rms"] == pytest.approx([y.square().mean().sqrt().item()])
    assert seen["1"]["middle"] == [[-3.0, 1.5]]


def test_percentiles_of_one_unit():
    x = torch.arange(10.0).repeat(2, 1).T * torch.tensor([1.0, 100.0])
    with probe.record(nn.Sequential(nn.Sigmoid()), ["0"], p=probe.percentiles(50, unit=0)) as seen:
        pass
    assert seen["0"]["p"] == []
    assert probe.percentiles(85, 15, 50, unit=0).compute(x) == pytest.approx([1.35, 4.5, 7.65])
    maps = x[:, :, None, None].expand(10, 2, 3, 3)
    assert probe.percentiles(50, unit=1).compute(maps) == pytest.approx([450.0])


def test_inputs_are_seen_before_an_activation_overwrites_them():
    model, images = small(), torch.randn(8, 4)
    with probe.record(model, ["2"], lowest=probe.percentiles(0)) as seen:
        model(images)
    assert seen["2"]["lowest"][0][0] < 0


def test_the_gradient_is_that_of_the_loss_by_the_output():
    model, images = small(), torch.randn(8, 4)
    with probe.record(model, ["3"], gradient=probe.rms("gradient")) as seen:
        (3 * model(images)).sum().backward()
    assert seen["3"]["gradient"] == pytest.approx([3.0])


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_hooks_are_gone_afterwards(error):
    model, images = small(), torch.randn(8, 4)
    before = hooks(model)
    expected = pytest.raises(error) if error else nullcontext()
    with expected, probe.record(model, ["0", "2"], **EVERYTHING) as seen:
        output = model(images)
        assert hooks(model) > before
        if error:
            raise error
    assert hooks(model) == before == 0
    output.sum().backward()  # after the recording: not recorded any more
    assert seen["2"]["gradient"] == [None]


def test_hooks_are_gone_after_an_error_in_a_statistic():
    model = small()
    bad = probe.Statistic("input", lambda x: 1 / 0)
    with pytest.raises(ZeroDivisionError), probe.record(model, ["0"], bad=bad):
        model(torch.randn(8, 4))
    assert hooks(model) == 0


def test_names_of_layers_may_come_one_by_one():
    model = small()
    names = (name for name in ("0", "2"))
    with probe.record(model, names, rms=probe.rms("output")) as seen:
        model(torch.randn(8, 4))
    assert [len(each["rms"]) for each in seen.values()] == [1, 1]


def test_an_unknown_layer_is_named_and_leaves_no_hook():
    model = small()
    with (
        pytest.raises(ValueError, match="no layer '7'; it has"),
        probe.record(model, ["0", "7"], out=probe.outside(2)),
    ):
        pass
    assert hooks(model) == 0


def test_recording_changes_nothing():
    images = torch.randn(8, 4)
    results = []
    for recorded in (False, True):
        model = small()
        if recorded:
            with probe.record(model, probe.layers(model, nn.Module)[1:], **EVERYTHING):
                model(images).square().sum().backward()
        else:
            model(images).square().sum().backward()
        gradients = [p.grad for p in model.parameters()]
        results.append([*gradients, *copy.deepcopy(model.state_dict()).values()])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_in_eval_mode_and_without_gradients():
    model, images = small().train(), torch.randn(8, 4)
    before = copy.deepcopy(model.state_dict())
    with eval_mode(model), probe.record(model, ["2"], **EVERYTHING) as seen:
        model(images)
    assert seen["2"]["gradient"] == []
    assert len(seen["2"]["flat"]) == 1
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


class Twice(nn.Module):
    """One layer used twice, and known under two names."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.again = self.layer

    def forward(self, x):
        return self.again(10 * self.layer(x))


def test_a_shared_layer_has_a_value_for_each_use():
    model = Twice()
    with probe.record(
        model, ["layer"], rms=probe.rms("input"), gradient=probe.rms("gradient")
    ) as seen:
        (7 * model(torch.ones(2, 3))).sum().backward()
    first, second = seen["layer"]["rms"]
    assert first == 1.0
    assert second != first
    assert seen["layer"]["gradient"][1] == pytest.approx(7.0)  # in the order of the forward pass
    with probe.record(model, ["layer", "again"], rms=probe.rms("input")) as seen:
        model(torch.ones(2, 3))
    assert seen["layer"] == seen["again"]


def test_of_a_layer_that_gives_no_tensor_the_input_is_measured():
    attention, x = nn.Sequential(nn.MultiheadAttention(4, 1)), torch.ones(2, 3, 4)
    with probe.record(attention, ["0"], rms=probe.rms("input")) as seen:
        attention[0](x, x, x)
    assert seen["0"]["rms"] == [1.0]
    for of in ("output", "gradient"):
        with (
            pytest.raises(ValueError, match=f"no {of} of layer '0'.* gives a tuple"),
            probe.record(attention, ["0"], rms=probe.rms(of)),
        ):
            attention[0](x, x, x)
    assert hooks(attention) == 0


def test_layers_are_found_by_kind():
    model = models.create("googlenet_bn", stem="small", width=0.125, act=nn.Sigmoid)
    names = probe.layers(model, nn.Sigmoid)
    assert len(names) == 57
    assert names[0] == "stem.conv1.activation"
    assert probe.layers(model, nn.Linear) == ["head.linear"]
    with eval_mode(model), probe.record(model, names, outside=probe.outside(2)) as seen:
        model(torch.randn(2, 1, 28, 28))
    assert all(len(each["outside"]) == 1 for each in seen.values())
