"""Studies of the parts of a network, and of nets of equal work: what differs, and what is asked."""

from dataclasses import asdict, replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from inception_course import cost, data, evaluate, records, studies
from inception_course.studies import comparison, equal_cost, maps, parts

VAL = data.fashion_mnist("val", sample=40)


def counted(name):
    return cost.table(equal_cost.net(equal_cost.NETS[name]), (1, 28, 28))


def test_nets_of_equal_cost_differ_from_the_naive_one_by_less_than_one_per_cent():
    work = equal_cost.multiply_adds()
    assert work == {name: counted(name).multiply_adds for name in equal_cost.NETS}
    control = work.pop(equal_cost.CONTROL)
    assert 1 < control / work["naive"] < 1.12
    assert all(abs(each / work["naive"] - 1) < 0.01 for each in work.values())
    assert work["1x1 without the pool"] == work["reduced, wider"]
    parameters = [counted(name).parameters for name in work]
    assert max(parameters) < 1.02 * min(parameters)


def test_reduced_nets_are_wider_or_deeper_than_the_naive_one():
    naive, wider, deeper = (
        equal_cost.net(equal_cost.NETS[name])
        for name in ("naive", "reduced, wider", "reduced, deeper")
    )

    def windows(net):
        return [m.out_channels for m in net.body.modules() if getattr(m, "kernel_size", 0) == (3, 3)
                and isinstance(m, nn.Conv2d)]  # fmt: skip

    assert all(many > few for many, few in zip(windows(wider), windows(naive), strict=True))
    assert len(windows(deeper)) == 2 * len(windows(naive))
    assert windows(deeper)[:2] > windows(naive)


def test_only_the_maximum_is_missing_where_the_projection_is_alone():
    whole, alone = (
        equal_cost.net(equal_cost.NETS[name]) for name in ("reduced, wider", "1x1 without the pool")
    )
    alone.load_state_dict(whole.state_dict())
    pools = [sum(isinstance(m, nn.MaxPool2d) for m in net.modules()) for net in (whole, alone)]
    assert pools == [3, 1]
    without = equal_cost.net(equal_cost.NETS["no pooling branch"])
    assert all("pool" not in block.branches for block in list(without.body.values())[:-1])


def test_each_cure_changes_one_thing_and_all_take_the_same_steps():
    neither, crops, dropout, both = parts.OVERFIT.contenders
    pair = asdict(neither.recipe), asdict(crops.recipe)
    assert {name for name in pair[0] if pair[0][name] != pair[1][name]} == {"translate", "flip"}
    assert neither.recipe == dropout.recipe
    assert crops.recipe == both.recipe
    rates = [
        {m.p for m in each.build().modules() if isinstance(m, nn.Dropout)}
        for each in (neither, crops, dropout, both)
    ]
    assert rates == [{0.0}, {0.0}, {0.5}, {0.5}]


@pytest.fixture
def few_images(monkeypatch):
    train_set = data.fashion_mnist("train", sample=60)
    monkeypatch.setattr(comparison.Comparison, "images", lambda self: (train_set, VAL))
    return train_set


def test_clean_accuracy_is_that_of_the_net_in_eval_mode(few_images):
    first = parts.OVERFIT.contenders[2]
    short = replace(first.recipe, epochs=2, batch_size=10)
    study = replace(parts.OVERFIT, contenders=(first._replace(recipe=short),))
    unit = study.units()[0]
    model = study.build(unit)
    trained = study.train(model, unit)
    assert trained.train_accuracies[-1] == round(evaluate.accuracy(model, few_images), 5)
    blurred = replace(study, clean=False).measure(unit)
    assert blurred.accuracies == trained.accuracies
    assert blurred.train_accuracies != trained.train_accuracies


def test_an_inquiry_asks_before_and_after_and_is_read_back(few_images):
    chosen = parts.ACTIVATIONS.contenders[0]
    short = replace(chosen.recipe, epochs=1, batch_size=10)
    study = replace(parts.ACTIVATIONS, contenders=(chosen._replace(recipe=short),), seeds=(0, 1))
    record = studies.run(study)
    name = chosen.name
    assert record.values("trained", seed=1) == [False] * 3 + [True] * 3
    assert record.values("mean", contender=name, trained=True, layer=2, seed=0)
    assert record.values("mean", trained=False) != record.values("mean", trained=True)
    assert records.from_json(comparison.Answers, records.to_json(record)) == record
    after = replace(study, untrained=False).measure(study.units()[0])
    assert after.rows == record.trainings[0].rows[3:]


@pytest.mark.parametrize("act", parts.ACTS)
def test_saturated_is_where_the_slope_is_below_a_twentieth_of_the_steepest(act):
    net = parts.activated_net(act, parts.STARTS[1])
    rows = parts.saturation(net, VAL)
    assert [row["layer"] for row in rows] == [1, 2, 3]
    for parameter in net.parameters():
        parameter.data *= 1000
    saturated = [row["saturated"] for row in parts.saturation(net, VAL)]
    if act == "ReLU":  # the half below zero, however large
        assert [row["saturated"] for row in rows] == pytest.approx(saturated, abs=0.05)
    else:
        assert rows[0]["saturated"] < 0.2
        assert min(saturated) > 0.9


def test_with_one_hidden_layer_the_mean_of_the_logits_is_the_whole():
    """After the dropout all is linear, so that the means agree but for chance."""
    torch.manual_seed(0)
    for layers in (1, 2):
        net = parts.DenseNet(0.5, layers)
        rows = parts.mean_of_thinned(net, VAL)
        distance = {row["masks"]: row["distance"] for row in rows if row["of"] == "logits"}
        assert distance[1] > 2 * distance[10]
        chance = distance[1] / 1000**0.5
        if layers == 1:
            assert distance[10] > 2 * distance[100]
            assert distance[1000] == pytest.approx(chance, rel=0.5)
        else:
            assert distance[1000] > 1.5 * chance
        (whole,) = (row for row in rows if row["of"] == "whole")
        assert whole["accuracy"] == pytest.approx(evaluate.accuracy(net, VAL))


def test_one_mask_hides_the_same_units_in_every_image():
    net = parts.DenseNet(0.5, 1)
    same = TensorDataset(VAL.tensors[0][:1].expand(5, -1, -1, -1), VAL.tensors[1][:5])
    answers = parts.masked_answers(net, same)
    torch.testing.assert_close(answers, answers[:, :1].expand_as(answers))
    assert answers[:, 0].std(dim=0).min() > 0


def test_a_net_of_stride_four_does_not_see_a_shift_by_four_and_a_blur_hides_others():
    square = F.pad(torch.full((1, 1, 6, 6), 255, dtype=torch.uint8), (20, 18, 19, 19))

    def changes(halving):
        torch.manual_seed(0)
        net = parts.halving_net(halving)
        first, two, four = (
            evaluate.predict(net, TensorDataset(square.roll(by, 3), torch.zeros(1).long()))
            for by in (0, 2, 4)
        )
        return ((two - first).abs().max() / first.abs().max()).item(), (four - first).abs().max()

    assert changes("stride 2")[1] < 1e-4
    assert changes("stride 2")[0] > 0.01
    assert changes("stride 1, then blur")[0] < changes("stride 2")[0] / 2


def test_ways_of_halving_give_the_same_maps_and_the_work_that_their_names_say():
    work = {
        name: cost.table(parts.halving_net(name), (1, 44, 44)).multiply_adds
        for name in parts.HALVINGS
    }
    pooling = work["max-pooling"]
    assert work["average pooling"] == pooling
    assert work["stride 2, as much work"] == pytest.approx(pooling, rel=0.05)
    assert work["stride 2"] < 0.7 * pooling
    for name in parts.HALVINGS:
        maps_of = parts.halving_net(name)[:-3](torch.zeros(1, 1, 44, 44))
        assert maps_of.shape[2:] == (11, 11)


def test_the_blur_keeps_a_constant_and_halves():
    x = torch.full((2, 3, 8, 8), 1.5)
    torch.testing.assert_close(parts.Blur()(x), x[:, :, ::2, ::2])


def test_a_border_leaves_room_for_every_shift(few_images):
    train_set, val_set = parts.SHIFT.images()
    assert max(parts.SHIFTS) <= parts.BORDER
    size = parts.BORDERED.image_size
    assert train_set.tensors[0].shape == (60, 1, size, size)
    inside = val_set.tensors[0][:, :, parts.BORDER : -parts.BORDER, parts.BORDER : -parts.BORDER]
    assert torch.equal(inside, VAL.tensors[0])
    assert val_set.tensors[0].long().sum() == VAL.tensors[0].long().sum()


def test_maps_are_asked_with_normalization_that_has_seen_images():
    net = maps.network()
    assert net.stem.conv1.norm.num_batches_tracked == 20
    rows = maps.correlations(net, VAL)
    by_ring = {block: [] for block in maps.LAYERS}
    for row in rows:
        assert row["ring"] == len(by_ring[row["block"]])
        by_ring[row["block"]].append(row["r"])
    assert by_ring["3a"][0] > by_ring["3a"][-1]
