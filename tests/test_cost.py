"""What a network costs, against torch's own counter, the papers, and the gradient of a pixel."""

from math import prod

import pytest
import torch
import torchvision
from helpers import multiply_adds, on_meta
from torch import nn
from torch.nn import functional as F
from typer.testing import CliRunner

from inception_course import cost, models
from inception_course.__main__ import app
from inception_course.models.googlenet import PRINTED


def googlenet():
    return on_meta("googlenet", in_channels=3, num_classes=1000)


@pytest.mark.slow
@pytest.mark.parametrize("name", models.names())
def test_totals_are_those_of_torch(name):
    net = on_meta(name, in_channels=3)
    shape = (3, net.image_size, net.image_size)
    costs = cost.table(net, shape)
    assert costs.multiply_adds == multiply_adds(net, 1, *shape)
    assert costs.parameters == sum(parameter.numel() for parameter in net.parameters())
    assert sum(row.multiply_adds for row in costs.layers) == costs.multiply_adds


@pytest.mark.parametrize("name", PRINTED)
def test_the_ops_column_of_table_1(name):
    costs = cost.table(googlenet(), (3, 224, 224))
    _, printed = PRINTED[name]
    done = costs[name].multiply_adds / 1e6
    if name == "conv2":
        done += costs["conv2_reduce"].multiply_adds / 1e6
    if name == "conv1":  # printed for a separable convolution with depth multiplier 8
        assert done == pytest.approx(118, abs=0.1)
        done = 112 * 112 * (7 * 7 * 3 * 8 + 24 * 64) / 1e6
    if name == "5a":  # printed for 928 channels in place of 832
        assert done == pytest.approx(51.1, abs=0.05)
        done *= (928 * 576 + 9 * 160 * 320 + 25 * 32 * 128) / costs["5a"].weights
    assert done == pytest.approx(printed, abs=1)


def test_the_params_column_of_table_1_reproduces_in_four_rows():
    costs = cost.table(googlenet(), (3, 224, 224))
    weights = {name: costs[name].weights for name in PRINTED}
    weights["conv2"] += costs["conv2_reduce"].weights
    weights["conv1"] = 7 * 7 * 3 * 8 + 24 * 64
    agree = [
        name for name, (printed, _) in PRINTED.items() if abs(weights[name] / 1024 - printed) < 0.51
    ]
    assert agree == ["conv1", "conv2", "3a", "linear"]
    assert weights["5b"] == 1_442_816


def test_receptive_fields_of_googlenet():
    costs = cost.table(googlenet(), (3, 224, 224))
    paths = {path: field.size for path, field in costs["5b"].receptive_fields.items()}
    assert paths == {"1x1": 75, "3x3": 395, "5x5": 715, "pool": 395}
    assert [field.size for field in costs["pool"].receptive_fields.values()] == [267, 587, 907, 587]
    assert (costs["4a"].receptive_field, costs["4d"].receptive_field) == (171, 363)
    fields = costs["4a"].receptive_fields
    assert max(fields, key=fields.get) == "5x5"
    assert [costs[name].stride for name in ("conv1", "3a", "4a", "5a")] == [2, 8, 16, 32]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "size"),
    [
        ("alexnet", {"lrn": False, "width": 0.125}, 227),
        ("googlenet", {"lrn": False, "width": 0.125}, 224),
        ("inception_bn", {"stem": "small", "width": 0.125}, 224),
        ("resnet18", {"width": 0.125}, 224),
        ("inception_v3", {"width": 0.125}, 299),
        ("xception", {"width": 0.125}, 299),
        ("resnet_small", {"layers": 8, "width": 0.25}, 96),
    ],
)
def test_the_receptive_field_is_what_a_position_answers_to(name, options, size):
    """Rows of the image whose change changes the middle of a map, by the gradient."""
    torch.manual_seed(0)
    net = models.create(name, **options).double().eval()
    for module in net.modules():  # every pixel of a window counts, also in a maximum
        if isinstance(module, nn.MaxPool2d):
            module.forward = nn.AvgPool2d(
                module.kernel_size, module.stride, module.padding, module.ceil_mode
            ).forward
        if isinstance(module, nn.ReLU):
            module.forward = lambda x: x
    costs = cost.table(net, (1, size, size))
    images = torch.randn(1, 1, size, size, dtype=torch.float64, requires_grad=True)
    x, checked = net.stem(images), 0
    for stage_name, stage in net.body.items():
        x = stage(x)
        field = costs[stage_name].receptive_field
        if field < size / 2:
            (gradient,) = torch.autograd.grad(
                x[..., x.shape[-2] // 2, x.shape[-1] // 2].sum(), images, retain_graph=True
            )
            rows = (gradient.abs().sum(dim=(0, 1, 3)) > 0).nonzero()
            assert rows.max() - rows.min() + 1 == field, stage_name
            checked += 1
    assert checked >= 2


def test_a_hidden_layer_sees_the_whole_map():
    costs = cost.table(on_meta("vgg16", in_channels=3), (3, 224, 224))
    assert costs["pool5"].receptive_field == 212
    assert costs["fc6"].receptive_field == 212 + 6 * 32


def test_memory_is_that_of_the_outputs_that_are_not_overwritten():
    costs = cost.table(googlenet(), (3, 224, 224))
    assert costs["conv1"].activation_bytes == 4 * 64 * 112 * 112  # its ReLU works in place
    with_norm = cost.table(on_meta("googlenet_bn", in_channels=3), (3, 224, 224))
    assert with_norm["conv1"].activation_bytes == 2 * 4 * 64 * 112 * 112


def test_the_model_and_its_weights_stay_as_they_are():
    model = models.create("googlenet_bn", stem="small", width=0.125).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    cost.table(model, (1, 28, 28))
    assert model.training
    assert all(module._forward_hooks == {} for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_auxiliary_heads_are_not_counted():
    with_heads = on_meta("googlenet", in_channels=3, num_classes=1000, aux=True)
    assert cost.table(with_heads, (3, 224, 224)).parameters == 6_998_552


def test_rows_have_names():
    costs = cost.table(googlenet(), (3, 224, 224))
    assert costs["3a"].multiply_adds == 128_049_152
    assert costs["3a"].output == (256, 28, 28)
    assert len(costs.layers) > len(list(costs))
    with pytest.raises(KeyError, match="no '3z'; blocks are conv1"):
        costs["3z"]


def test_a_shape_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="channels, height, width"):
        cost.table(googlenet(), (1, 3, 224, 224))
    with pytest.raises(ValueError, match="at least 31x31"):
        cost.table(googlenet(), (3, 16, 16))


# Any module


def from_torchvision(name):
    """A network of torchvision on the meta device, in eval mode."""
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.device("meta"):
        return torchvision.models.get_model(name, **options).eval()


@pytest.fixture
def _widths_from_numbers(monkeypatch):
    """RegNets compute their widths with tensors, which need numbers."""
    widths = torchvision.models.regnet.BlockParams.from_init_params

    def on_cpu(**options):
        with torch.device("cpu"):
            return widths(**options)

    monkeypatch.setattr(torchvision.models.regnet.BlockParams, "from_init_params", on_cpu)


CLASSIFIERS = torchvision.models.list_models(module=torchvision.models)


@pytest.mark.slow
@pytest.mark.usefixtures("_widths_from_numbers")
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_classifier_of_torchvision_is_counted(name):
    net = from_torchvision(name)
    costs = cost.table(net, (3, 224, 224))
    assert costs.multiply_adds == multiply_adds(net, 1, 3, 224, 224) > 0
    idle = [
        p
        for head in ("aux1", "aux2", "AuxLogits")
        for p in getattr(net, head, nn.Identity()).parameters()
    ]
    assert costs.parameters == sum(p.numel() for p in net.parameters()) - sum(
        p.numel() for p in idle
    )
    assert len({row.name for row in costs}) == len(costs.blocks)
    assert cost.report(costs).count("\n") == len(costs.blocks) + 1


def test_torchvisions_form_sees_what_ours_sees():
    for theirs, at, ours, stage in (
        ("vgg16", "features.30", "vgg16", "pool5"),
        ("resnet18", "layer4.1", "resnet18", "conv5_2"),
        ("googlenet", "inception5b.cat", "googlenet_torchvision", "5b"),
    ):
        seen = cost.table(from_torchvision(theirs), (3, 224, 224))[at]
        same = cost.table(on_meta(ours, in_channels=3), (3, 224, 224))[stage]
        assert (seen.receptive_field, seen.stride) == (same.receptive_field, same.stride)
        assert seen.output == same.output


class Functional(nn.Module):
    """A net as one writes it: functions between its layers, a weight and a tensor of its own."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.scale = nn.Parameter(torch.ones(4, 1, 1))
        self.mask = torch.ones(4, 14, 14)
        self.last = nn.Linear(8 * 14 * 14, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.first(x)), 2)
        x = torch.cat([x, F.relu(x + self.scale * self.second(x) * self.mask)], dim=1)
        return self.last(x.flatten(1))


def test_functions_between_layers_are_layers():
    net = Functional()
    costs = cost.table(net, (1, 28, 28))
    assert [row.name for row in costs] == [
        *("first", "relu", "max_pool2d", "second", "mul", "mul_2", "add", "relu_2", "cat", "last")
    ]
    assert costs.parameters == sum(parameter.numel() for parameter in net.parameters())
    assert costs["mul"].parameters == 4
    assert costs.multiply_adds == 4 * 9 * 28**2 + 4 * 4 * 9 * 14**2 + 8 * 14**2 * 10
    assert [costs[name].receptive_field for name in ("first", "max_pool2d", "second")] == [3, 4, 8]
    assert {path: field.size for path, field in costs["cat"].receptive_fields.items()} == {
        "max_pool2d": 4,
        "relu_2": 8,
    }
    assert costs["last"].receptive_field == 8 + 13 * 2
    assert costs["cat"].activation_bytes == 4 * prod((8, 14, 14))
    assert net.mask.device.type == "cpu"


class Then(nn.Module):
    """A convolution, and what is made of its maps."""

    def __init__(self, function):
        super().__init__()
        self.first, self.function = nn.Conv2d(3, 8, 3), function

    def forward(self, images):
        return self.function(self.first(images))


@pytest.mark.parametrize(
    "function",
    [
        lambda maps: maps.sum(),
        lambda maps: maps * maps.mean(),
        lambda maps: maps / maps.abs().max(),
        lambda maps: (maps - maps.mean()) / maps.std(),
    ],
)
def test_a_number_for_the_whole_batch_is_counted(function):
    assert cost.table(Then(function), (3, 8, 8)).multiply_adds == 8 * 6 * 6 * 27


def test_products_with_vectors_are_counted():
    weights = torch.randn(6)
    net = Then(lambda maps: maps @ weights.to(maps.device))
    assert cost.table(net, (3, 8, 8)).multiply_adds == 8 * 6 * 6 * 27 + 8 * 6 * 6

    class Pairs(nn.Module):
        def __init__(self):
            super().__init__()
            self.pairs = nn.Bilinear(4, 5, 6)

        def forward(self, values):
            return self.pairs(values[:, :4], values[:, 4:])

    assert cost.table(Pairs(), (9,)).multiply_adds == 4 * 5 * 6


def test_a_net_of_linear_layers_alone():
    net = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 10))
    costs = cost.table(net, (20,))
    assert costs.multiply_adds == 20 * 30 + 30 * 10
    assert costs.parameters == 21 * 30 + 31 * 10
    assert costs["0"].receptive_field is None
    assert cost.table(nn.Linear(20, 30), (20,))["Linear"].parameters == 21 * 30
    flattened = cost.table(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), (1, 28, 28))
    assert flattened["1"].receptive_field == 28


def test_a_dilated_pooling_sees_as_far_as_its_window():
    assert (
        cost.table(nn.MaxPool2d(3, padding=1, dilation=2), (1, 8, 8)).layers[0].receptive_field == 5
    )


def test_a_layer_that_works_twice_has_its_weights_once():
    layer = nn.Linear(8, 8)
    costs = cost.table(nn.Sequential(layer, nn.ReLU(), layer), (8,))
    assert costs["0"].parameters == 72
    assert costs["0"].multiply_adds == 2 * 64


def test_attention_is_counted_and_has_no_receptive_field():
    tokens, width = 5, 8
    net = nn.TransformerEncoderLayer(width, nhead=2, dim_feedforward=16, batch_first=True).eval()
    costs = cost.table(net, (tokens, width))
    projections = tokens * 4 * width**2
    assert costs["self_attn"].kind == "attention"
    assert costs["self_attn"].multiply_adds == projections + 2 * tokens**2 * width
    assert costs["self_attn"].parameters == 4 * (width**2 + width)
    assert costs["self_attn"].receptive_field is None
    assert costs.multiply_adds == multiply_adds(net.to("meta"), 1, tokens, width)
    assert cost.report(costs).splitlines()[1].endswith(" -")


def test_a_channel_that_is_weighed_by_the_whole_map_keeps_its_stride():
    """Squeeze and excitation: the map sees everything, its windows slide over it as before."""
    costs = cost.table(from_torchvision("efficientnet_b0"), (3, 224, 224))
    strides = [costs[f"features.{stage}"].stride for stage in (1, 2, 3, 4, 6)]
    assert strides == [2, 4, 8, 16, 32]
    assert costs["features.1"].receptive_field > 224


def test_an_error_names_the_layer_and_the_shape():
    with pytest.raises(ValueError, match=r"input_shape=\(3, 28, 28\).*first, Conv2d\(1, 4"):
        cost.table(Functional(), (3, 28, 28))
    with pytest.raises(ValueError, match=r"stopped in its forward: .*\[1, 4, 7, 7\]"):
        cost.table(Functional(), (1, 14, 14))
    with pytest.raises(ValueError, match="channels, height, width"):
        cost.table(Functional(), (28, 28))
    decides = Then(lambda maps: maps if maps.sum() > 0 else -maps)
    with pytest.raises(ValueError, match="followed without values"):
        cost.table(decides, (3, 8, 8))


# The command


def run(*arguments):
    return CliRunner().invoke(app, ["cost", *arguments])


def test_the_command_prints_the_papers_column():
    result = run("googlenet", "--size", "224")
    assert result.exit_code == 0
    (line,) = [line for line in result.output.splitlines() if line.startswith("3a")]
    assert "163,696" in line
    assert "159 K   128 M" in line
    assert "6,998,552" in result.output


@pytest.mark.slow
@pytest.mark.parametrize("name", models.names())
def test_the_command_knows_every_network(name):
    result = run(name)
    assert result.exit_code == 0, result.output
    assert "in all" in result.output


def test_the_command_takes_another_size():
    result = run("vgg11", "--size", "64", "--channels", "1", "--classes", "10")
    assert "vgg11, images of 1 x 64 x 64, 10 classes" in result.output
    assert "paper" not in result.output
