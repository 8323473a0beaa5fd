"""Every network against its paper."""

import pytest
import torch
from helpers import multiply_adds, on_meta
from torch import nn
from torch.nn import functional as F

from inception_course import data, models
from inception_course.models.blocks import (
    ActivationSpec,
    AuxiliaryHead,
    AvgPoolSpec,
    ConvSpec,
    ConvUnit,
    InceptionBlock,
    LocalResponseNorm,
    Logits,
    MaxPoolSpec,
    Network,
    ResidualSpec,
    SeparableSpec,
    StageSpec,
    build,
    min_input_size,
    output_size,
)
from inception_course.models.googlenet import BODY, STEM, InceptionSpec, NaiveChainedSpec
from inception_course.models.inception_bn import BODY as INCEPTION_BN
from inception_course.models.nin import IMAGENET, NiN

GOOGLENETS = ("googlenet", "googlenet_bn", "googlenet_naive", "googlenet_d2l")
NAMES = (
    *("alexnet", "zfnet", "vgg11", "vgg16", "vgg19", "nin", *GOOGLENETS),
    *("inception_bn", "inception_v3", "inception_v4", "inception_resnet_v2", "xception"),
    *("resnet18", "resnet34", "resnet50", "resnet_small"),
    *("alexnet_torchvision", "googlenet_torchvision", "resnet50_torchvision"),
)

# Parameters and multiply-adds for three channels and 1,000 classes, at the size of the paper:
# 227 for AlexNet, 299 for Inception-v3 and 224 otherwise, unless image_size says another.
COUNTS = [
    ("alexnet", {}, 60_965_224, 724_406_816),
    ("alexnet", {"grouped": False}, 62_378_344, 1_135_256_096),
    ("alexnet_torchvision", {}, 61_100_840, 714_188_480),
    ("zfnet", {}, 62_357_608, 1_168_032_896),
    ("zfnet", {"wide": True}, 107_627_624, 2_476_704_896),
    ("vgg11", {}, 132_863_336, 7_609_090_048),
    ("vgg16", {}, 138_357_544, 15_470_264_320),
    ("vgg19", {}, 143_667_240, 19_632_062_464),
    ("nin", {}, 7_595_176, 969_460_864),
    ("googlenet", {}, 6_998_552, 1_582_671_872),
    ("googlenet", {"aux": True}, 6_998_552 + 6_379_728, 1_582_671_872),
    ("googlenet_torchvision", {}, 6_624_904, 1_498_376_192),
    ("inception_bn", {}, 11_194_984, 2_018_851_840),
    ("inception_v3", {}, 23_834_568, 5_713_216_096),
    ("inception_v3", {"aux": True}, 27_161_264, 5_713_216_096),
    ("inception_v4", {}, 42_679_816, 12_253_974_624),
    ("inception_resnet_v2", {}, 55_843_464, 13_155_794_016),  # as released
    ("xception", {}, 22_855_952, 8_357_403_496),
    ("resnet18", {}, 11_689_512, 1_814_073_344),
    ("resnet34", {}, 21_797_672, 3_663_761_408),
    ("resnet50", {}, 25_557_032, 3_857_973_248),
    ("resnet50_torchvision", {}, 25_557_032, 4_089_184_256),
]

# The side of the map after some stages: at the paper's size, and for small images.
WALKS = [
    ("alexnet", {}, 227, {"conv1": 55, "pool1": 27, "pool2": 13, "pool5": 6}),
    ("zfnet", {}, 224, {"conv1": 110, "pool1": 55, "conv2": 26, "pool2": 13, "pool5": 6}),
    ("vgg16", {}, 224, {"pool1": 112, "pool2": 56, "pool3": 28, "pool4": 14, "pool5": 7}),
    ("vgg16", {"image_size": 32}, 32, {"pool1": 16, "pool5": 1}),
    ("nin", {}, 224, {"conv1": 54, "pool1": 26, "pool2": 12, "pool3": 5}),
    ("nin", {"stem": "small"}, 28, {"conv1": 28, "pool1": 14, "pool2": 7}),
    ("inception_bn", {}, 224, {"3a": 28, "3b": 28, "3c": 14, "4d": 14, "4e": 7, "5b": 7}),
    ("inception_bn", {"stem": "small"}, 28, {"3a": 14, "3c": 7, "4e": 4, "5b": 4}),
    ("inception_v3", {}, 299, {"5a": 35, "5c": 35, "6a": 17, "6e": 17, "7a": 8, "7c": 8}),
    ("resnet50", {}, 224, {"conv2_3": 56, "conv3_1": 28, "conv4_1": 14, "conv5_3": 7}),
    ("resnet18", {"stem": "small"}, 28, {"conv2_1": 28, "conv3_1": 14, "conv4_1": 7, "conv5_2": 4}),
]

# Options with which a net is small enough to be trained here, and the side of its images.
SMALL = {
    "alexnet": ({"width": 0.25, "image_size": 67}, 67),
    "zfnet": ({"width": 0.25, "image_size": 64}, 64),
    "vgg11": ({"width": 0.25, "image_size": 32}, 32),
    "vgg16": ({"width": 0.25, "image_size": 32}, 32),
    "vgg19": ({"width": 0.25, "image_size": 32}, 32),
    "googlenet_d2l": ({}, 64),
    "alexnet_torchvision": ({"image_size": 64}, 64),
    "googlenet_torchvision": ({}, 64),
    "resnet50_torchvision": ({}, 64),
    "inception_v3": ({"width": 0.25}, 75),
    "inception_v4": ({"width": 0.125}, 75),
    "inception_resnet_v2": ({"width": 0.25, "repeats": (1, 1, 1)}, 75),
    "xception": ({"width": 0.25}, 71),
    "resnet_small": ({"layers": 8}, 28),
} | {
    name: ({"stem": "small", "width": 0.25}, 28)
    for name in NAMES
    if name in ("nin", "googlenet", "googlenet_bn", "googlenet_naive", "inception_bn")
    or name in ("resnet18", "resnet34", "resnet50")
}

# Output of each stage of Table 1: channels and side, for an image of 224x224.
TABLE_1 = {
    "3a": (256, 28),
    "3b": (480, 28),
    "pool3": (480, 14),
    "4a": (512, 14),
    "4b": (512, 14),
    "4c": (512, 14),
    "4d": (528, 14),
    "4e": (832, 14),
    "pool4": (832, 7),
    "5a": (832, 7),
    "5b": (1024, 7),
}


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def small(name, **options):
    """The net of that name, small, without dropout, and the side of its images."""
    chosen, size = SMALL[name]
    if "dropout" in models.options_of(name):
        options = {"dropout": 0.0} | options
    return models.create(name, **chosen, **options), size


def outputs_of_stages(model, images):
    shapes = {}
    x = model.stem(images)
    for name, stage in model.body.items():
        x = stage(x)
        shapes[name] = (x.shape[1], x.shape[2])
    return shapes


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options", "parameters", "products"), COUNTS)
def test_parameters_and_multiply_adds(name, options, parameters, products):
    net = on_meta(name, in_channels=3, num_classes=1000, **options)
    assert count(net) == parameters
    assert multiply_adds(net, 1, 3, net.image_size, net.image_size) == products


def test_the_counts_are_of_every_network():
    counted = {name for name, *_ in COUNTS}
    assert counted | {*GOOGLENETS, "resnet_small"} == set(NAMES) == set(models.names())


# The paper's section 4.2: sizes in millions, and the test errors that it prints, are of these nets.
@pytest.mark.parametrize(
    ("layers", "parameters", "printed"),
    [
        (20, 269_722, 0.27),
        (32, 464_154, 0.46),
        (44, 658_586, 0.66),
        (56, 853_018, 0.85),
        (110, 1_727_962, 1.7),
        (1202, 19_421_274, 19.4),
    ],
)
def test_small_residual_nets_have_the_papers_sizes(layers, parameters, printed):
    net = on_meta("resnet_small", in_channels=3, layers=layers)
    assert count(net) == parameters == pytest.approx(printed * 1e6, rel=0.02)
    plain = on_meta("resnet_small", in_channels=3, layers=layers, kind="plain")
    assert count(plain) == parameters  # shortcuts cost nothing
    work = {20: 40_551_040, 32: 68_862_592, 44: 97_174_144, 56: 125_485_696}
    if layers in work:
        assert multiply_adds(net, 1, 3, 32, 32) == work[layers]


@pytest.mark.parametrize("layers", [2, 21, 0, -4])
def test_a_small_residual_net_has_6n_and_two_layers(layers):
    with pytest.raises(ValueError, match="layers is 6n"):
        models.create("resnet_small", layers=layers)


def test_a_preactivated_net_normalizes_before_every_convolution_but_the_first():
    net = models.create("resnet_small", layers=8, kind="preactivated")
    kinds = [
        type(m).__name__ for m in net.body.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)
    ]
    assert kinds == ["Conv2d", "BatchNorm2d", "Conv2d"] + 2 * [
        "BatchNorm2d", "Conv2d", "BatchNorm2d", "Conv2d"
    ] + ["BatchNorm2d"]  # fmt: skip
    with pytest.raises(ValueError, match="kind is one of"):
        models.create("resnet_small", kind="dense")


@pytest.mark.parametrize(
    ("options", "parameters", "products"),
    [({}, 32_433_928, 9.258e9), ({"repeats": (10, 20, 10)}, 55_284_488, 14.142e9)],
)
def test_inception_resnet_as_drawn(options, parameters, products):
    """With its misprints repaired; the paper's claim of equal cost needs twice the blocks."""
    net = on_meta("inception_resnet_v2", in_channels=3, num_classes=1000, as_drawn=True, **options)
    assert count(net) == parameters
    assert multiply_adds(net, 1, 3, 299, 299) == pytest.approx(products, abs=5e5)


def test_what_is_added_is_scaled_and_the_input_is_left_alone():
    torch.manual_seed(0)
    steps = (ActivationSpec("activation"), ConvSpec("conv", 3, 4))
    block, _ = build((ResidualSpec("block", steps, scale=0.1, activation=False),), 4)
    x = torch.randn(2, 4, 5, 5)
    before = x.clone()
    added = block(x) - x
    assert torch.equal(x, before)
    torch.testing.assert_close(added, 0.1 * block.block.branches["main"](x))


def test_a_padded_shortcut_takes_every_second_position_and_adds_zeros():
    block, channels = build(
        (ResidualSpec("block", (ConvSpec("conv", 3, 6, 2),), shortcut="padded"),), 4
    )
    x = torch.randn(1, 4, 7, 7)
    around = block.block.branches["shortcut"](x)
    assert torch.equal(around[:, :4], x[:, :, ::2, ::2])
    assert around[:, 4:].abs().sum() == 0
    assert channels == around.shape[1] == 6


def test_a_separable_convolution_is_a_window_for_each_channel_and_one_mix():
    net = on_meta("xception")
    unit = net.body["module14"].separable1
    assert unit.depthwise.groups == unit.depthwise.in_channels == 1024
    assert [type(layer) for layer in unit.children()] == [nn.Conv2d, ConvUnit]


@pytest.mark.parametrize("as_drawn", [False, True])
def test_the_constants_of_the_released_code_scale_what_is_added(as_drawn):
    net = on_meta("inception_resnet_v2", as_drawn=as_drawn)
    scales = {name: {block.scale for block in net.body[name].values()} for name in "abc"}
    assert scales == {"a": {0.17}, "b": {0.1}, "c": {0.2}}
    if not as_drawn:
        assert net.body["last"].scale == 1
        assert isinstance(net.body["last"].activation, nn.Identity)


def test_d2ls_networks_have_their_own_counts():
    net = on_meta("googlenet_d2l")
    assert count(net) == 5_977_530
    assert multiply_adds(net, 1, 1, 96, 96) == pytest.approx(276.1e6, abs=5e4)
    with torch.device("meta"):
        net = NiN(IMAGENET, (10, 10), num_classes=10, in_channels=1)
    assert count(net) == 1_992_166
    assert multiply_adds(net, 1, 1, 224, 224) == pytest.approx(762.3e6, abs=5e4)


def test_nin_for_small_images():
    net = on_meta("nin", in_channels=3, stem="small")
    assert count(net) == 966_986
    assert multiply_adds(net, 1, 3, 32, 32) == pytest.approx(222.5e6, abs=5e4)


def test_convolutions_alone():
    """VGG paper's totals leave the fully connected layers out."""
    for name, products in (("vgg16", 15.347e9), ("vgg19", 19.508e9)):
        net = on_meta(name, in_channels=3)
        done = multiply_adds(nn.Sequential(*net.body.values()), 1, 3, 224, 224)
        assert done == pytest.approx(products, abs=5e5)


def test_without_reductions_the_nine_blocks_cost_three_and_a_half_times_as_much():
    """Figure 2a in every row, on the paper's input widths: 3.88 G against 1.10 G."""
    reduced, naive = on_meta("googlenet"), on_meta("googlenet_naive", pool_projection=False)
    totals = {"reduced": 0, "naive": 0}
    channels, side = 192, 28
    for step in BODY:
        if isinstance(step, InceptionSpec):
            with torch.device("meta"):
                block, _ = build((NaiveChainedSpec(**vars(step)),), channels)
            totals["naive"] += multiply_adds(block, 1, channels, side, side)
            totals["reduced"] += multiply_adds(reduced.body[step.name], 1, channels, side, side)
        channels, side = TABLE_1[step.name]
    assert totals["naive"] / 1e9 == pytest.approx(3.88, abs=0.005)
    assert totals["naive"] / totals["reduced"] == pytest.approx(3.52, abs=0.005)
    piled = outputs_of_stages(naive, torch.empty(1, 1, 224, 224, device="meta"))
    assert [piled[name][0] for name in piled if not name.startswith("pool")] == [
        *(416, 832, 1280, 1728, 2176, 2640, 3344, 4048, 4944)
    ]
    assert count(naive.body) == pytest.approx(92.5e6, abs=1e5)
    assert multiply_adds(naive, 1, 1, 224, 224) == pytest.approx(12.1e9 + 0.4e9, abs=1e8)


def test_a_projection_of_128_in_4c_and_4d_would_not_give_the_printed_sizes():
    rows = {row.name: row for row in INCEPTION_BN}
    assert rows["4c"].projection == rows["4d"].projection == 96
    with torch.device("meta"):
        net = models.create("inception_bn", in_channels=3)
    shapes = outputs_of_stages(net, torch.empty(1, 3, 224, 224, device="meta"))
    assert [channels for channels, _ in shapes.values()] == [
        *(256, 320, 576, 576, 576, 576, 576, 1024, 1024, 1024)
    ]


@pytest.mark.parametrize(("name", "options", "size", "walk"), WALKS)
def test_maps_have_the_sizes_of_the_table(name, options, size, walk):
    net = on_meta(name, in_channels=3, **options)
    shapes = outputs_of_stages(net, torch.empty(1, 3, size, size, device="meta"))
    assert {stage: shapes[stage][1] for stage in walk} == walk


@pytest.mark.parametrize("name", GOOGLENETS)
def test_shapes_are_those_of_table_1(name):
    net = on_meta(name)
    assert outputs_of_stages(net, torch.empty(1, 1, 224, 224, device="meta")) == TABLE_1


def test_the_small_stem_gives_28_pixels_maps_of_14_7_and_3():
    net = on_meta("googlenet_bn", stem="small")
    shapes = outputs_of_stages(net, torch.empty(1, 1, 28, 28, device="meta"))
    assert {name: channels for name, (channels, _) in shapes.items()} == {
        name: channels for name, (channels, _) in TABLE_1.items()
    }
    assert [shapes[name][1] for name in ("3a", "4a", "5a")] == [14, 7, 3]


def test_there_are_57_convolutions_as_many_activations_and_norms():
    net = on_meta("googlenet_bn")
    kinds = [type(module) for module in net.modules()]
    assert kinds.count(nn.Conv2d) == kinds.count(nn.ReLU) == kinds.count(nn.BatchNorm2d) == 57
    assert kinds.count(nn.Linear) == 1
    assert all(module.bias is None for module in net.modules() if isinstance(module, nn.Conv2d))


def test_the_paper_normalizes_twice_and_drops_40_per_cent():
    net = on_meta("googlenet", aux=True)
    kinds = [type(module) for module in net.modules()]
    assert kinds.count(LocalResponseNorm) == 2
    assert net.head.dropout.p == 0.4
    assert [head.dropout.p for head in net.auxiliary.values()] == [0.7, 0.7]


def test_local_response_norm_is_alexnets_formula_and_knows_no_batch():
    images = torch.randn(2, 8, 3, 3, generator=torch.Generator().manual_seed(0))
    normalized = LocalResponseNorm()(images)
    squares = images[:, 1:6].square().sum(dim=1)  # around channel 3
    expected = images[:, 3] / (2 + 1e-4 * squares) ** 0.75
    torch.testing.assert_close(normalized[:, 3], expected)
    torch.testing.assert_close(LocalResponseNorm()(images[:1]), normalized[:1])


# Auxiliary heads


def test_heads_stand_at_4a_and_4d_and_answer_in_training_mode_only():
    net = models.create("googlenet", stem="small", aux=True, image_size=56, width=0.125)
    assert list(net.auxiliary) == ["4a", "4d"]
    images = torch.randn(2, 1, 56, 56)
    outputs = net(images)
    assert isinstance(outputs, Logits)
    assert [tuple(logits.shape) for logits in (outputs.main, *outputs.aux)] == [(2, 10)] * 3
    assert net.eval()(images).shape == (2, 10)


def test_heads_change_nothing_in_eval_mode():
    torch.manual_seed(0)
    net = models.create("googlenet", stem="small", aux=True, image_size=56, width=0.125).eval()
    bare = models.create("googlenet", stem="small", width=0.125).eval()
    missing = bare.load_state_dict(net.state_dict(), strict=False)
    assert all(name.startswith("auxiliary.") for name in missing.unexpected_keys)
    images = torch.randn(2, 1, 56, 56)
    assert torch.equal(net(images), bare(images))


@pytest.mark.parametrize(("at", "channels"), [("4a", 512), ("4d", 528)])
def test_a_head_sees_4x4_cells_as_the_paper_says(at, channels):
    net = on_meta("googlenet", aux=True)
    head = net.auxiliary[at]
    pooled = head.pool(torch.empty(1, channels, 14, 14, device="meta"))
    assert tuple(pooled.shape) == (1, channels, 4, 4)
    assert head.reduce.convolution.in_channels == channels
    assert (head.hidden.in_features, head.hidden.out_features) == (128 * 16, 1024)


def test_gradients_reach_both_heads():
    net = models.create("googlenet", stem="small", aux=True, image_size=56, width=0.125)
    outputs = net(torch.randn(2, 1, 56, 56))
    sum(logits.sum() for logits in outputs.aux).backward()
    for head in net.auxiliary.values():
        assert all(parameter.grad.abs().sum() > 0 for parameter in head.parameters())
    assert net.stem.conv1.convolution.weight.grad.abs().sum() > 0
    assert net.body["5b"].branches["1x1"].conv_1x1.convolution.weight.grad is None


def test_heads_of_another_image_size_are_refused_with_the_way_out():
    net = models.create("googlenet", stem="small", aux=True, image_size=56, width=0.125)
    with pytest.raises(ValueError, match="image_size=64"):
        net(torch.randn(2, 1, 64, 64))
    with pytest.raises(ValueError, match="at least 5x5"):
        AuxiliaryHead(8, 4, 10)


# Learning


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_images_come_out_differently_before_training(name):
    """At the default size: a signal that has faded on its way leaves nothing to learn from."""
    torch.manual_seed(0)
    net = models.create(name).eval()
    few = data.fashion_mnist("train", sample=4)
    images, _ = next(iter(data.Batches(few, 4, size=net.image_size)))
    with torch.no_grad():
        spread = net(images).std(dim=0).mean()
    assert spread > 1e-2


def test_d2ls_own_start_is_the_exception():
    torch.manual_seed(0)
    net = models.create("googlenet_d2l", xavier=True)
    few = data.fashion_mnist("train", sample=4)
    images, _ = next(iter(data.Batches(few, 4, size=96)))
    with torch.no_grad():
        assert net(images).std(dim=0).mean() < 2e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_gets_a_gradient(name):
    torch.manual_seed(0)
    net, size = small(name)
    F.cross_entropy(net(torch.randn(8, 1, size, size)), torch.arange(8)).backward()
    idle = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not idle


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [n for n in NAMES if n not in ("alexnet_torchvision", "resnet50_torchvision")]
)
def test_32_images_are_learned_by_heart(name):
    torch.manual_seed(0)
    net, size = small(name)
    few = data.fashion_mnist("train", sample=32)
    images, labels = next(iter(data.Batches(few, 32, size=size)))
    optimizer = torch.optim.AdamW(net.parameters(), lr=5e-4)
    for _ in range(150):
        loss = F.cross_entropy(net(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss < 0.2:
            break
    assert loss < 0.2


# Options and errors


def test_width_scales_every_number_of_channels():
    half = on_meta("googlenet_bn", width=0.5)
    assert outputs_of_stages(half, torch.empty(1, 1, 224, 224, device="meta"))["5b"][0] == 512
    assert count(half) == pytest.approx(count(on_meta("googlenet_bn")) / 4, rel=0.05)


@pytest.mark.parametrize(
    "step",
    [
        ConvSpec("same", 5, 4),
        ConvSpec("strided", 3, 4, stride=2),
        ConvSpec("shrinking", 3, 4, stride=2, padding=0),
        ConvSpec("flat", (1, 7), 4, padding=0),
        MaxPoolSpec("same", 3),
        MaxPoolSpec("partial", 3, 2),
        MaxPoolSpec("whole", 3, 2, padding=1),
        AvgPoolSpec("average", 3),
        INCEPTION_BN[2],
        SeparableSpec("separable", 3, 4),
        ActivationSpec("alone"),
        ResidualSpec("projected", (ConvSpec("conv", 3, 8, stride=2),)),
        ResidualSpec("padded", (ConvSpec("conv", 3, 8, stride=2),), shortcut="padded"),
        ResidualSpec("restored", (ConvSpec("conv", 3, 8),), restore=True),
        StageSpec("stage", (ConvSpec("conv1", 3, 8, padding=0), ConvSpec("conv2", 3, 4, 2))),
    ],
    ids=lambda step: step.name,
)
def test_a_step_knows_the_shorter_side_of_what_it_makes(step):
    with torch.device("meta"):
        made, channels = build((step,), 4)
    smallest = min_input_size((step,))
    for size in range(smallest, smallest + 9):
        _, *shape = made(torch.empty(1, 4, size, size, device="meta")).shape
        assert (channels, output_size((step,), size)) == (shape[0], min(shape[1:]))


def test_a_unit_without_norm_has_a_bias():
    assert ConvUnit(1, 2, 3).convolution.bias is not None
    assert ConvUnit(1, 2, 3, norm=nn.BatchNorm2d).convolution.bias is None


def test_a_block_is_its_branches_side_by_side():
    block = models.create("googlenet", width=0.25).body["3a"]
    assert isinstance(block, InceptionBlock)
    x = torch.randn(1, 48, 8, 8)
    assert torch.equal(block(x), torch.cat([branch(x) for branch in block.branches.values()], 1))
    assert list(block.branches) == ["1x1", "3x3", "5x5", "pool"]


@pytest.mark.parametrize("stem", ["imagenet", "small"])
def test_the_smallest_image_works_and_a_smaller_one_is_refused(stem):
    net = models.create("googlenet_bn", stem=stem, width=0.125).eval()
    with torch.no_grad():
        net(torch.zeros(1, 1, net.min_input_size, net.min_input_size))
        with pytest.raises(ValueError, match=f"at least {net.min_input_size}x{net.min_input_size}"):
            net(torch.zeros(1, 1, net.min_input_size - 1, net.min_input_size - 1))


def test_the_smallest_image_is_derived_from_the_table():
    assert (
        min_input_size(STEM + BODY) == models.create("googlenet", width=0.125).min_input_size == 31
    )


@pytest.mark.parametrize("images", [torch.zeros(1, 3, 32, 32), torch.zeros(32, 32)])
def test_images_of_another_shape_are_refused(images):
    net = models.create("googlenet", width=0.125)
    with pytest.raises(ValueError, match=r"\[B, 1, H, W\]"):
        net(images)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'googlenet'"):
        models.create("gogglenet")


def test_an_unknown_option_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'dropout'"):
        models.create("googlenet", dropuot=0.5)
    with pytest.raises(ValueError, match="valid are"):
        models.create("googlenet_d2l", width=0.5)


def test_names_are_what_create_knows():
    assert models.names() == list(NAMES)
    for name in models.names():
        assert {"num_classes", "in_channels"} <= set(models.options_of(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_network_is_a_function_of_its_name_with_the_defaults_of_create(name):
    function = getattr(models, name)
    assert function.__name__ == name
    assert function.__doc__
    with torch.device("meta"):
        called, created = function(), models.create(name)
    assert str(called) == str(created)
    assert (called.in_channels, called.image_size) == (created.in_channels, created.image_size)
    assert called.in_channels == 1
    assert called.eval()(torch.empty(1, 1, *[called.image_size] * 2, device="meta")).shape == (
        1,
        10,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_options_reach_their_layers(name):
    """All at once, each with a value of its own: two that were exchanged would show."""
    values = {"in_channels": 2, "num_classes": 7, "width": 0.5, "dropout": 0.125, "aux": True}
    values |= {"norm": nn.InstanceNorm2d, "act": nn.Tanh, "image_size": 331}
    options = {option: values[option] for option in models.options_of(name) if option in values}
    net = on_meta(name, **options)
    assert isinstance(net, Network)
    kinds = [type(module) for module in net.modules()]
    first, plain = (
        next(m for m in each.modules() if isinstance(m, nn.Conv2d)) for each in (net, on_meta(name))
    )
    assert first.in_channels == 2
    assert net(torch.empty(1, 2, *[net.image_size] * 2, device="meta")).shape == (1, 7)
    if "width" in options:
        assert first.out_channels == plain.out_channels // 2
    if "norm" in options:
        as_usual = on_meta(name, **{key: options[key] for key in options if key != "norm"})
        usual = sum(isinstance(module, nn.BatchNorm2d) for module in as_usual.modules())
        assert kinds.count(nn.InstanceNorm2d) == (usual or kinds.count(nn.Conv2d))
    if "act" in options:
        assert (nn.Tanh in kinds, nn.ReLU in kinds) == (True, False)
    if "dropout" in options:
        assert {m.p for m in net.head.modules() if isinstance(m, nn.Dropout)} == {0.125}
    if "aux" in options:
        assert len(net.auxiliary) > 0
    if "image_size" in options:
        assert net.image_size == 331


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_number_of_channels_names_the_right_one(name):
    net = on_meta(name, in_channels=3)
    with pytest.raises(ValueError, match=r"\[B, 3, H, W\].*in_channels=1"):
        net(torch.empty(1, 1, net.image_size, net.image_size, device="meta"))


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("resnet")])
def test_an_image_that_is_too_small_is_told_the_smallest(name):
    net = on_meta(name)
    below = net.min_input_size - 1
    with pytest.raises(
        ValueError, match=f"at least {net.min_input_size}x{net.min_input_size}|H, W"
    ):
        net(torch.empty(1, 1, below, below, device="meta"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_smallest_image_is_really_enough(name):
    smallest = on_meta(name).min_input_size
    options = {"image_size": smallest} if "image_size" in models.options_of(name) else {}
    net = on_meta(name, **options)
    assert net(torch.empty(1, 1, smallest, smallest, device="meta")).shape == (1, 10)


def test_a_net_with_hidden_layers_is_for_one_size():
    net = on_meta("vgg11", width=0.25, image_size=64)
    with pytest.raises(ValueError, match=r"create it with image_size=96$"):
        net(torch.empty(1, 1, 96, 96, device="meta"))
    with pytest.raises(ValueError, match="needs at least 32"):
        on_meta("vgg11", image_size=28)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("option", "value"), [("width", 0), ("width", -1), ("image_size", 0)])
def test_a_network_of_nothing_is_refused(name, option, value):
    if option in models.options_of(name):
        with pytest.raises(ValueError, match=rf"{option}={value} "):
            on_meta(name, **{option: value})


@pytest.mark.parametrize("name", ["googlenet", "nin", "inception_bn", "resnet18"])
def test_an_unknown_stem_is_told_the_known_ones(name):
    with pytest.raises(ValueError, match=r"imagenet.*small"):
        on_meta(name, stem="large")


def test_the_auxiliary_head_of_inception_v3_sees_5x5_cells():
    net = on_meta("inception_v3", aux=True)
    assert list(net.auxiliary) == ["6e"]
    pooled = net.auxiliary["6e"].pool(torch.empty(1, 768, 17, 17, device="meta"))
    assert tuple(pooled.shape) == (1, 768, 5, 5)
    with pytest.raises(ValueError, match="at least 17x17"):
        on_meta("inception_v3", aux=True, image_size=224)
