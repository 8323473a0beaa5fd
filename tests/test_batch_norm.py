"""The transform written out is torch's, and folding it away changes nothing but the work."""

import copy
import math
from collections import Counter as Count

import pytest
import torch
from helpers import multiply_adds, on_meta
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.nn.utils.parametrizations import weight_norm
from torch.utils._python_dispatch import TorchDispatchMode

from inception_course import data, models
from inception_course.batch_norm import (
    BatchNorm,
    Normalize,
    estimate_population,
    fixed_map,
    fold_batch_norm,
    fully_connected,
)

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


def statistics(model):
    return [buffer.clone() for buffer in model.buffers()]


def test_modes_momenta_and_statistics_come_back_after_an_error(generator):
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5)).eval()
    model[0].running_mean += 7
    before = statistics(model)
    batches = [(torch.randn(6, 3, generator=generator), None), (torch.zeros(2), None)]
    with pytest.raises(ValueError, match="expected 2D or 3D"):
        estimate_population(model, batches)
    assert model[0].momentum == 0.1
    assert not any(module.training for module in model.modules())
    assert all(map(torch.equal, before, statistics(model)))


@pytest.mark.parametrize("norm", [BatchNorm, nn.BatchNorm1d], ids=["ours", "torch"])
def test_an_iterator_that_is_used_up_changes_nothing(norm, generator):
    model = norm(3)
    model.running_var *= 5
    before = statistics(model)
    batches = iter([(torch.randn(6, 3, generator=generator), None)])
    next(batches)
    with pytest.raises(ValueError, match="no batch to estimate from: an iterator that was read"):
        estimate_population(model, batches)
    assert all(map(torch.equal, before, statistics(model)))


def test_a_batch_is_a_tensor_or_begins_with_one(generator):
    batches = [torch.randn(6, 3, generator=generator) for _ in range(3)]
    results = []
    for form in (batches, [(x,) for x in batches], [[x, 0, "name"] for x in batches]):
        norm = nn.BatchNorm1d(3)
        estimate_population(norm, form)
        results.append(norm.running_mean)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])
    for wrong, said in (({"image": batches[0]}, "dict"), (batches[0][:0], "one without images")):
        with pytest.raises(ValueError, match=rf"a batch is a tensor of images, .*; not {said}"):
            estimate_population(norm, [wrong])
    assert torch.equal(norm.running_mean, results[0])


FORMS = {
    "ours, images": (BatchNorm(3), (6, 3, 2, 2)),
    "ours": (BatchNorm(3, momentum=0.3), (6, 3)),
    "1d": (nn.BatchNorm1d(3), (6, 3, 4)),
    "2d": (nn.BatchNorm2d(3, affine=False), (6, 3, 2, 2)),
    "3d": (nn.BatchNorm3d(3, momentum=None), (6, 3, 2, 2, 2)),
    "sync": (nn.SyncBatchNorm(3), (6, 3, 2)),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_population_of_every_form_of_norm(form, generator):
    norm, shape = copy.deepcopy(FORMS[form])
    momentum = norm.momentum
    batches = [(2 + torch.randn(shape, generator=generator), None) for _ in range(3)]
    norm.running_mean[0] = math.nan  # what was there does not count, whatever it is
    estimate_population(norm, batches)
    channels = [x.transpose(0, 1).flatten(1) for x, _ in batches]
    torch.testing.assert_close(
        norm.running_mean, torch.stack([x.mean(1) for x in channels]).mean(0)
    )
    torch.testing.assert_close(norm.running_var, torch.stack([x.var(1) for x in channels]).mean(0))
    assert norm.momentum == momentum
    assert norm.training


@pytest.mark.parametrize("change", [fold_batch_norm, lambda m: estimate_population(m, [])])
def test_a_norm_that_has_seen_no_batch_yet_is_refused(change):
    with pytest.raises(ValueError, match=r"uninitialized.* Call `forward` with a dummy batch"):
        change(nn.Sequential(nn.LazyBatchNorm1d()).eval())


def test_a_norm_without_statistics_has_none_to_set(generator):
    model = nn.Sequential(nn.BatchNorm1d(3, track_running_stats=False), nn.BatchNorm1d(3)).eval()
    estimate_population(model, [(5 + torch.randn(6, 3, generator=generator), None)])
    assert model[0].running_mean is None
    torch.testing.assert_close(model[1].running_mean, torch.zeros(3), atol=1e-5, rtol=0)


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


@pytest.mark.slow
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
    (ours, _), theirs = fold_batch_norm(pair), fuse_conv_bn_eval(*pair)
    torch.testing.assert_close(ours.weight, theirs.weight)
    torch.testing.assert_close(ours.bias, theirs.bias)


def test_a_folded_net_does_fewer_operations(net):
    model, images = net
    folded = fold_batch_norm(model)
    kinds = Count(type(module) for module in folded.modules())
    assert kinds[nn.Identity] == 57
    assert not kinds[nn.BatchNorm2d]
    assert operations(folded, images) <= operations(model, images) - 57


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


PAIRS = {
    "ours after a convolution": (nn.Conv2d(2, 3, 3), BatchNorm(3), (4, 2, 6, 6)),
    "ours after a linear layer": (nn.Linear(2, 3), BatchNorm(3), (4, 2)),
    "without gamma and beta": (nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3, affine=False), (4, 2, 6, 6)),
    "1d": (nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3), (4, 2, 6)),
    "3d": (nn.Conv3d(2, 3, 3, bias=False), nn.BatchNorm3d(3), (4, 2, 5, 5, 5)),
    "sync, groups": (nn.Conv2d(4, 6, 3, groups=2), nn.SyncBatchNorm(6), (4, 4, 6, 6)),
    "in double precision": (nn.Linear(2, 3).double(), nn.BatchNorm1d(3).double(), (4, 2)),
}


def with_statistics(norm, generator):
    """The norm in eval mode, after a training that is only pretended."""
    with torch.no_grad():
        norm.running_mean.normal_(generator=generator)
        norm.running_var.uniform_(0.5, 2, generator=generator)
        for parameter in norm.parameters():
            parameter.normal_(generator=generator)
    return norm.eval()


@pytest.mark.parametrize("name", PAIRS)
def test_every_form_of_norm_folds(name, generator):
    layer, norm, shape = copy.deepcopy(PAIRS[name])
    model = nn.Sequential(layer, with_statistics(norm, generator)).eval()
    images = torch.randn(shape, generator=generator, dtype=layer.weight.dtype)
    folded = fold_batch_norm(model)
    torch.testing.assert_close(folded(images), model(images))
    assert [type(module) for module in folded] == [type(layer), nn.Identity]
    assert not any(module.training for module in folded.modules())


class Backwards(nn.Sequential):
    def forward(self, x):
        return self[0](self[1](x))


def hooked(layer):
    layer.register_forward_hook(lambda module, inputs, output: output + 1)
    return layer


NOT_BEFORE = {
    "a linear layer over positions": (nn.Linear(5, 3), nn.BatchNorm1d(4), (2, 4, 5)),
    "a linear layer over images": (nn.Linear(5, 3), nn.BatchNorm2d(3), (2, 3, 4, 5)),
    "a transposed convolution": (nn.ConvTranspose2d(3, 3, 2), nn.BatchNorm2d(3), (2, 3, 4, 4)),
    "a hook": (hooked(nn.Linear(3, 3)), nn.BatchNorm1d(3), (2, 3)),
    "a parametrization": (weight_norm(nn.Linear(3, 3)), nn.BatchNorm1d(3), (2, 3)),
}


@pytest.mark.parametrize("name", NOT_BEFORE)
def test_a_norm_that_another_layer_does_not_absorb_stays(name, generator):
    layer, norm, shape = NOT_BEFORE[name]
    model = nn.Sequential(layer, with_statistics(norm, generator)).eval()
    images = torch.randn(shape, generator=generator)
    folded = fold_batch_norm(model)
    assert [type(module) for module in folded] == [type(layer), type(norm)]
    torch.testing.assert_close(folded(images), model(images))


def test_a_sequence_with_an_order_of_its_own_stays(generator):
    model = Backwards(nn.Linear(3, 3), with_statistics(nn.BatchNorm1d(3), generator)).eval()
    images = torch.randn(2, 3, generator=generator)
    torch.testing.assert_close(fold_batch_norm(model)(images), model(images))


def test_weights_that_two_layers_share_are_folded_apart(generator):
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    norm = with_statistics(nn.BatchNorm1d(3), generator)
    model = nn.Sequential(first, norm, second).eval()
    images = torch.randn(2, 3, generator=generator)
    torch.testing.assert_close(fold_batch_norm(model)(images), model(images))


def test_a_linear_layer_that_is_folded_refuses_sequences(generator):
    norm = with_statistics(nn.BatchNorm1d(3), generator)
    folded = fold_batch_norm(nn.Sequential(nn.Linear(5, 3), norm).eval())
    with pytest.raises(ValueError, match=r"inputs \[N, C\].* given \[2, 3, 5\]"):
        folded(torch.randn(2, 3, 5))


def test_a_norm_without_running_statistics_is_not_folded():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2, track_running_stats=False)).eval()
    with pytest.raises(ValueError, match="depends on the batch in eval mode, too"):
        fold_batch_norm(model)


def test_the_courses_own_norm_is_not_folded_in_training_mode():
    model = nn.Sequential(nn.Linear(2, 2), BatchNorm(2)).eval()
    model[1].train()
    with pytest.raises(ValueError, match=r"call model\.eval"):
        fold_batch_norm(model)


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


def test_the_norm_stands_before_the_activation_or_after_it():
    before = fully_connected(1, norm=nn.BatchNorm1d)
    after = fully_connected(1, norm=nn.BatchNorm1d, norm_after=True)
    assert list(before._modules) == ["flatten", "linear1", "norm1", "unit1", "output"]
    assert list(after._modules) == ["flatten", "linear1", "unit1", "norm1", "output"]
    assert before.linear1.bias is None
    assert after.linear1.bias is not None  # the activation comes first and needs it


def test_weights_are_as_spread_out_as_asked():
    torch.manual_seed(0)
    wide, default = fully_connected(2, spread=0.5), fully_connected(2)
    assert wide.linear1.weight.std().item() == pytest.approx(0.5, rel=0.02)
    assert default.linear1.weight.std().item() == pytest.approx(1 / 28, rel=0.02)
    assert default.linear2.weight.std().item() == pytest.approx(0.1, rel=0.03)


def test_the_popular_code_without_strides_costs_three_times_as_much():
    """The claim of notebook 07: GoogLeNet's table without the poolings between the stages."""
    net = on_meta("googlenet_bn", num_classes=1000, in_channels=3)
    assert multiply_adds(net, 1, 3, 224, 224) == 1_582_671_872
    del net.body["pool3"], net.body["pool4"]
    assert multiply_adds(net, 1, 3, 224, 224) == 5_058_965_504


class Headed(nn.Module):
    """The head beside the way is asked in training mode only, and one norm is called twice."""

    def __init__(self):
        super().__init__()
        self.twice, self.head = nn.BatchNorm1d(1), nn.BatchNorm1d(1)

    def forward(self, x):
        y = self.twice(x) + self.twice(x + 10)
        return y + self.head(x) if self.training else y


def test_a_norm_that_no_batch_reaches_keeps_its_statistics():
    model = Headed()
    model.head.running_mean.fill_(7)
    estimate_population(model, [torch.tensor([[1.0], [3.0]])])
    assert (model.head.running_mean.item(), model.head.running_var.item()) == (7, 1)


def test_each_call_of_a_norm_counts():
    model = Headed()
    estimate_population(model, [torch.tensor([[1.0], [3.0]]), torch.tensor([[5.0], [9.0]])])
    assert model.twice.running_mean.item() == pytest.approx((2 + 12 + 7 + 17) / 4)
    assert model.twice.running_var.item() == pytest.approx((2 + 2 + 8 + 8) / 4)
    assert model.twice.num_batches_tracked.item() == 4


def test_the_mean_of_many_batches_is_exact_in_half_precision():
    norm = nn.BatchNorm1d(1).bfloat16()
    batches = [torch.full((4, 1), float(value)).bfloat16() for value in (0, 2)] * 200
    estimate_population(norm, batches)
    assert norm.running_mean.item() == 1


def test_a_folded_net_keeps_the_places_of_its_layers():
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU()).eval()
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    folded = fold_batch_norm(net)
    torch.testing.assert_close(folded[2](folded[1](folded[0](x))), net(x))
