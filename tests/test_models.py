"""GoogLeNet against its paper, in every form of it."""

import inspect

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from inception_course import models
from inception_course.layers import (
    AuxiliaryHead,
    ConvUnit,
    InceptionBlock,
    LocalResponseNorm,
    Logits,
    smallest_input,
)

NAMES = ("googlenet", "googlenet_bn", "googlenet_d2l")

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
# Column "ops" of Table 1, millions. 5a is left out: its 54 fits 928 input channels, not 832.
OPS = {"3a": 128, "3b": 304, "4a": 73, "4b": 88, "4c": 100, "4d": 119, "4e": 170, "5b": 71}


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def multiply_adds(model, *shape):
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(torch.empty(shape, device="meta"))
    return counter.get_total_flops() // 2


def on_meta(name, **options):
    with torch.device("meta"):
        return models.create(name, **options).eval()


def outputs_of_stages(model, images):
    shapes = {}
    x = model.stem(images)
    for name, stage in model.body.items():
        x = stage(x)
        shapes[name] = (x.shape[1], x.shape[2])
    return shapes


def test_parameters_are_those_counted_from_table_1():
    assert count(on_meta("googlenet", in_channels=3, num_classes=1000)) == 6_998_552


def test_auxiliary_heads_are_nearly_as_large_as_the_trunk():
    with_heads = on_meta("googlenet", in_channels=3, num_classes=1000, aux=True)
    assert count(with_heads) - 6_998_552 == 6_379_728


def test_d2l_has_its_own_number_of_parameters():
    assert count(on_meta("googlenet_d2l")) == 5_977_530


def test_multiply_adds_of_the_whole_net():
    net = on_meta("googlenet", in_channels=3, num_classes=1000)
    assert multiply_adds(net, 1, 3, 224, 224) == 1_582_671_872
    assert multiply_adds(on_meta("googlenet_d2l"), 1, 1, 96, 96) == pytest.approx(276.1e6, abs=5e4)


@pytest.mark.parametrize("name", OPS)
def test_a_block_does_the_work_that_the_paper_prints(name):
    net = on_meta("googlenet", in_channels=3)
    channels = list(TABLE_1.values())
    before = dict(zip(TABLE_1, [(192, 28), *channels], strict=False))[name]
    block = net.body[name]
    done = multiply_adds(block, 1, before[0], before[1], before[1]) / 1e6
    assert done == pytest.approx(OPS[name], abs=1)


@pytest.mark.parametrize("name", NAMES)
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


def test_the_paper_normalises_twice_and_drops_40_per_cent():
    net = on_meta("googlenet", aux=True)
    kinds = [type(module) for module in net.modules()]
    assert kinds.count(LocalResponseNorm) == 2
    assert net.head.dropout.p == 0.4
    assert [head.dropout.p for head in net.auxiliary.values()] == [0.7, 0.7]


def test_local_response_norm_is_alexnets_formula_and_knows_no_batch():
    images = torch.randn(2, 8, 3, 3, generator=torch.Generator().manual_seed(0))
    normalised = LocalResponseNorm()(images)
    squares = images[:, 1:6].square().sum(dim=1)  # around channel 3
    expected = images[:, 3] / (2 + 1e-4 * squares) ** 0.75
    torch.testing.assert_close(normalised[:, 3], expected)
    torch.testing.assert_close(LocalResponseNorm()(images[:1]), normalised[:1])


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
        AuxiliaryHead(8, 4, 10, unit=ConvUnit)


# Learning


@pytest.mark.parametrize("name", ["googlenet", "googlenet_bn"])
def test_images_come_out_differently_before_training(name):
    torch.manual_seed(0)
    net = models.create(name).eval()
    with torch.no_grad():
        spread = net(torch.randn(8, 1, 96, 96)).std(dim=0).mean()
    assert spread > 1e-2


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_gets_a_gradient(name):
    torch.manual_seed(0)
    net = models.create(name)
    F.cross_entropy(net(torch.randn(4, 1, 64, 64)), torch.arange(4)).backward()
    idle = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not idle


def test_32_images_are_learned_by_heart():
    torch.manual_seed(0)
    net = models.create("googlenet_bn", stem="small", width=0.25)
    images, labels = torch.randn(32, 1, 28, 28), torch.arange(32) % 10
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    for _ in range(30):
        loss = F.cross_entropy(net(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1


# Options and errors


def test_width_scales_every_number_of_channels():
    half = on_meta("googlenet_bn", width=0.5)
    assert outputs_of_stages(half, torch.empty(1, 1, 224, 224, device="meta"))["5b"][0] == 512
    assert count(half) == pytest.approx(count(on_meta("googlenet_bn")) / 4, rel=0.05)


def test_act_is_the_activation_of_every_unit():
    net = on_meta("googlenet_bn", act=nn.Sigmoid)
    kinds = [type(module) for module in net.modules()]
    assert (kinds.count(nn.Sigmoid), kinds.count(nn.ReLU)) == (57, 0)


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
        net(torch.zeros(1, 1, net.smallest, net.smallest))
        with pytest.raises(ValueError, match=f"at least {net.smallest}x{net.smallest}"):
            net(torch.zeros(1, 1, net.smallest - 1, net.smallest - 1))


def test_the_smallest_image_is_derived_from_the_table():
    table = models.googlenet.STEM + models.googlenet.BODY
    assert smallest_input(table) == models.create("googlenet", width=0.125).smallest == 31


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
    with pytest.raises(ValueError, match="imagenet"):
        models.create("googlenet", stem="large")


def test_names_are_what_create_knows():
    assert models.names() == list(NAMES)
    for name in models.names():
        assert "num_classes" in inspect.signature(models.NETWORKS[name]).parameters
