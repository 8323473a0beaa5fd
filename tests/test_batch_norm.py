"""The transform written out is torch's, and folding it away changes nothing but the work."""

import copy
import time

import pytest
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from inception_course import data, models
from inception_course.batch_norm import (
    BatchNorm,
    Normalize,
    estimate_population,
    fixed_map,
    fold_batch_norm,
    fully_connected,
)
from inception_course.machine import using_threads

SHAPES = [(6, 5), (2, 5), (4, 5, 3, 2), (1, 5, 2, 3)]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def pair(shape, dtype, generator, eps=1e-5):
    """Ours and torch's, with the same gamma and beta that are not 1 and 0."""
    torchs = nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d
    ours, theirs = BatchNorm(5, eps=eps).to(dtype), torchs(5, eps=eps).to(dtype)
    with torch.no_grad():
        for mine, other in ((ours.gamma, theirs.weight), (ours.beta, theirs.bias)):
            mine.copy_(torch.randn(5, generator=generator))
            other.copy_(mine)
    return ours, theirs


def draw(shape, dtype, generator):
    return (3 + 2 * torch.randn(shape, generator=generator, dtype=torch.float64)).to(dtype)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("eps", [1e-5, 0.1])
def test_training_equals_torch(shape, dtype, eps, generator):
    ours, theirs = pair(shape, dtype, generator, eps)
    close = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    for _ in range(3):
        x = draw(shape, dtype, generator)
        weights = draw(shape, dtype, generator)
        mine, other = x.clone().requires_grad_(), x.clone().requires_grad_()
        y, expected = ours(mine), theirs(other)
        torch.testing.assert_close(y, expected, **close)
        (y * weights).sum().backward()
        (expected * weights).sum().backward()
        torch.testing.assert_close(mine.grad, other.grad, **close)
    torch.testing.assert_close(ours.gamma.grad, theirs.weight.grad, **close)
    torch.testing.assert_close(ours.beta.grad, theirs.bias.grad, **close)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean, **close)
    torch.testing.assert_close(ours.running_var, theirs.running_var, **close)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_eval_equals_torch_and_leaves_the_statistics_alone(shape, dtype, generator):
    ours, theirs = pair(shape, dtype, generator)
    for _ in range(2):
        x = draw(shape, dtype, generator)
        ours(x), theirs(x)
    ours.eval(), theirs.eval()
    before = copy.deepcopy(ours.state_dict())
    x = draw(shape, dtype, generator)
    mine, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    y, expected = ours(mine), theirs(other)
    close = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    torch.testing.assert_close(y, expected, **close)
    y.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(mine.grad, other.grad, **close)
    assert all(torch.equal(before[name], value) for name, value in ours.state_dict().items())


def test_the_six_gradients_are_those_of_the_forward_pass(generator):
    x = torch.randn(7, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    gamma = torch.randn(3, generator=generator, dtype=torch.float64, requires_grad=True)
    beta = torch.randn(3, generator=generator, dtype=torch.float64, requires_grad=True)
    transform = lambda *inputs: Normalize.apply(*inputs, 1e-3)[0]  # noqa: E731
    assert torch.autograd.gradcheck(transform, (x, gamma, beta))


def test_gradients_of_the_whole_layer_over_positions(generator):
    layer = BatchNorm(2).double()
    x = torch.randn(2, 2, 2, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,))


@pytest.mark.parametrize("shape", [(4, 3), (4, 5, 2), (5,), (4, 3, 2, 2)])
def test_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"takes \[N, 5\]"):
        BatchNorm(5)(torch.zeros(shape))


def test_one_value_per_channel_trains_nothing():
    layer = BatchNorm(5)
    with pytest.raises(ValueError, match="at least 2"):
        layer(torch.zeros(1, 5))
    assert torch.equal(layer.running_mean, torch.zeros(5))
    assert layer.eval()(torch.zeros(1, 5)).shape == (1, 5)


def test_the_identity_is_among_its_maps(generator):
    x = draw((50, 5), torch.float64, generator)
    layer = BatchNorm(5, eps=0.0).double()
    with torch.no_grad():
        layer.gamma.copy_(x.std(dim=0, correction=0))
        layer.beta.copy_(x.mean(dim=0))
    torch.testing.assert_close(layer(x), x)


def test_scaled_weights_give_the_same_output_and_smaller_gradients(generator):
    """Section 3.3: BN(Wu) = BN((aW)u), and the gradient by aW is 1/a of that by W."""
    u = torch.randn(20, 4, generator=generator, dtype=torch.float64)
    weight = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    target = torch.randn(20, 5, generator=generator, dtype=torch.float64)
    results = []
    for scale in (1, 10):
        scaled = (scale * weight).requires_grad_()
        y = BatchNorm(5, eps=0.0).double()(u @ scaled.T)
        (y * target).sum().backward()
        results.append((y, scaled.grad))
    torch.testing.assert_close(results[1][0], results[0][0])
    torch.testing.assert_close(results[1][1], results[0][1] / 10)


def test_the_population_is_the_mean_over_batches_of_unbiased_variances(generator):
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5))
    batches = [(torch.randn(6, 3, generator=generator), None) for _ in range(4)]
    model.train()
    estimate_population(model, batches)
    means = torch.stack([x.mean(dim=0) for x, _ in batches])
    variances = torch.stack([x.var(dim=0) for x, _ in batches])
    torch.testing.assert_close(model[0].running_mean, means.mean(dim=0))
    torch.testing.assert_close(model[0].running_var, variances.mean(dim=0))
    assert model[0].momentum == 0.1
    assert all(module.training for module in model.modules())


def test_modes_and_momenta_come_back_after_an_error():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5)).eval()
    with pytest.raises(ValueError, match="expected 2D or 3D"):
        estimate_population(model, [(torch.zeros(2), None)])
    assert model[0].momentum == 0.1
    assert not any(module.training for module in model.modules())


def trained(model, images):
    """Statistics, gamma and beta that are not those of a new layer."""
    generator = torch.Generator().manual_seed(1)
    model.train()
    with torch.no_grad():
        for _ in range(10):
            model(images)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.weight.add_(0.3 * torch.randn(module.weight.shape, generator=generator))
                module.bias.add_(0.3 * torch.randn(module.bias.shape, generator=generator))
    return model.eval()


@pytest.fixture(scope="module")
def net():
    images, _ = next(iter(data.Batches(data.fashion_mnist("val", sample=64), 64)))
    torch.manual_seed(0)
    return trained(models.create("googlenet_bn", stem="small", width=0.25), images), images


def test_a_folded_net_gives_the_same_logits(net):
    model, images = net
    folded = fold_batch_norm(model)
    with torch.no_grad():
        torch.testing.assert_close(folded(images), model(images), rtol=1e-4, atol=1e-4)
    kinds = [type(module) for module in folded.modules()]
    assert nn.BatchNorm2d not in kinds
    assert kinds.count(nn.Conv2d) == 57


def test_folding_leaves_the_model_itself_alone(net):
    model, _ = net
    before = copy.deepcopy(model.state_dict())
    fold_batch_norm(model)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert sum(isinstance(module, nn.BatchNorm2d) for module in model.modules()) == 57


def test_folding_a_pair_is_what_torch_calls_fusing(generator):
    pair = trained(nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)), torch.randn(4, 2, 6, 6))
    (ours,), theirs = fold_batch_norm(pair), fuse_conv_bn_eval(*pair)
    torch.testing.assert_close(ours.weight, theirs.weight)
    torch.testing.assert_close(ours.bias, theirs.bias)


def test_a_fully_connected_net_folds_as_well():
    images = torch.randn(30, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    model = trained(fully_connected(2, norm=nn.BatchNorm1d), images)
    folded = fold_batch_norm(model)
    torch.testing.assert_close(folded(images), model(images), rtol=1e-4, atol=1e-5)
    assert not any(isinstance(module, nn.BatchNorm1d) for module in folded.modules())


def test_a_folded_net_does_fewer_operations_and_is_faster(net):
    model, images = net
    folded = fold_batch_norm(model)
    assert len(list(folded.modules())) == len(list(model.modules())) - 57
    assert operations(folded, images) <= operations(model, images) - 57
    images = images.to(memory_format=torch.channels_last)
    seconds = {"whole": [], "folded": []}
    with torch.no_grad(), using_threads(1):
        for _ in range(15):  # by turns, so that other work on the machine meets both
            for name, candidate in (("whole", model), ("folded", folded)):
                start = time.perf_counter()
                candidate(images)
                seconds[name].append(time.perf_counter() - start)
    assert min(seconds["folded"]) < min(seconds["whole"])


class Counter(TorchDispatchMode):
    """Counts the operations that torch is asked for."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += 1
        return function(*args, **(kwargs or {}))


def operations(model, images):
    with Counter() as counter, torch.no_grad():
        model(images)
    return counter.count


def test_a_model_in_training_mode_is_not_folded(net):
    model, _ = net
    learning = copy.deepcopy(model).train()
    with pytest.raises(ValueError, match=r"call model\.eval"):
        fold_batch_norm(learning)
    learning.training = False  # the net's own flag alone does not tell
    with pytest.raises(ValueError, match=r"call model\.eval"):
        fold_batch_norm(learning)


def test_what_cannot_be_folded_stays():
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 2, 3), nn.ReLU(), nn.BatchNorm2d(2))
    trained(model, torch.randn(4, 1, 5, 5, generator=torch.Generator().manual_seed(0)))
    folded = fold_batch_norm(model)
    assert [type(module) for module in folded] == [type(module) for module in model]


def test_a_shared_convolution_is_not_folded_twice():
    shared = nn.Conv2d(2, 2, 1)
    model = nn.Sequential(shared, nn.BatchNorm2d(2), shared, nn.BatchNorm2d(2)).eval()
    with pytest.raises(ValueError, match="several places"):
        fold_batch_norm(model)


def test_the_fixed_map_has_epsilon_in_it():
    one = torch.ones(1)
    scale, shift = fixed_map(one, one, 2 * one, 3 * one, eps=1.0)
    assert (scale.item(), shift.item()) == (0.5, 0.0)


def test_the_first_experiments_net_has_the_papers_parameters():
    """28x28 inputs, three layers of 100 units, ten classes (section 4.1)."""
    count = lambda model: sum(p.numel() for p in model.parameters())  # noqa: E731
    assert count(fully_connected(3)) == 99_710
    assert count(fully_connected(3, norm=nn.BatchNorm1d)) == 99_710 + 600 - 300


def test_weights_are_as_spread_out_as_asked():
    torch.manual_seed(0)
    wide, default = fully_connected(2, spread=0.5), fully_connected(2)
    assert wide.linear1.weight.std().item() == pytest.approx(0.5, rel=0.02)
    assert default.linear1.weight.std().item() == pytest.approx(1 / 28, rel=0.02)
    assert default.linear2.weight.std().item() == pytest.approx(0.1, rel=0.03)


def multiply_adds(model, shape):
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(shape, device="meta"))
    return counter.get_total_flops() // 2


def test_the_popular_code_without_strides_costs_three_times_as_much():
    """The claim of notebook 05: GoogLeNet's table without the poolings between the stages."""
    with torch.device("meta"):
        net = models.create("googlenet_bn", num_classes=1000, in_channels=3).eval()
        assert multiply_adds(net, (1, 3, 224, 224)) == 1_582_671_872
        del net.body["pool3"], net.body["pool4"]
        assert multiply_adds(net, (1, 3, 224, 224)) == 5_058_965_504
