"""The study of depth: nets that differ in their shortcuts alone, and nets without some blocks."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from inception_course import cost, data, evaluate, studies
from inception_course.studies import degradation

VAL = data.fashion_mnist("val", sample=60)


def test_shortcuts_cost_nothing():
    for layers in (8, 44):
        plain, residual = (
            cost.table(degradation.small_net(kind, layers), (1, 28, 28))
            for kind in ("plain", "residual")
        )
        assert plain.parameters == residual.parameters
        assert plain.multiply_adds == residual.multiply_adds
    assert (plain.parameters, plain.multiply_adds) == (165_570, 5_109_728)


def test_gradients_explode_toward_the_input_without_shortcuts_and_stay_level_with_them():
    first, *_, last = degradation.block_gradients("plain", 44, norm=True, seed=0)
    assert first > 20 * last
    first, *_, last = degradation.block_gradients("residual", 44, norm=True, seed=0)
    assert 0.2 < first / last < 8
    assert len(degradation.block_gradients("plain", 20, norm=False, seed=0)) == 9


def test_the_gradient_of_a_block_is_that_of_its_weights():
    (norm,) = {degradation.block_gradients("plain", 8, norm=True, seed=1)[1]}
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = degradation.small_net("plain", 8)
    images, labels = next(iter(data.Batches(data.fashion_mnist("train", sample=128), 128)))
    nn.functional.cross_entropy(net(images), labels).backward()
    block = net.body["conv3_1"]
    squares = [m.weight.grad.square().sum() for m in block.modules() if isinstance(m, nn.Conv2d)]
    assert norm == pytest.approx(sum(squares).sqrt().item(), rel=1e-4)


def test_blocks_that_change_the_shape_cannot_be_removed():
    net = degradation.small_net("residual", 20)
    names = degradation.removable(net)
    assert len(names) == 7
    assert {"conv3_1", "conv4_1"}.isdisjoint(names)
    assert names[0] == "conv2_1"


def test_a_removed_block_passes_its_input_on_and_comes_back():
    torch.manual_seed(0)
    net = degradation.small_net("residual", 20)
    whole = evaluate.predict(net, VAL)
    order = list(net.body)
    with degradation.without(net, ["conv2_1", "conv4_3"]):
        assert not torch.allclose(whole, evaluate.predict(net, VAL))
        x = torch.rand(2, 8, 14, 14)
        assert net.body["conv2_1"](x) is x
        assert list(net.body) == order
    torch.testing.assert_close(whole, evaluate.predict(net, VAL))


def test_dropping_leaves_the_net_as_it_was_and_tells_of_every_block():
    torch.manual_seed(0)
    net = degradation.small_net("residual", 20)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    rows = degradation.dropped(net, VAL)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    singles = [row for row in rows if row["blocks"] == 1]
    assert [row["block"] for row in singles[::2]] == degradation.removable(net)
    assert {row["statistics"] for row in singles} == {"old", "new"}
    assert [row["blocks"] for row in rows].count(6) == 2 * degradation.DRAWS  # old and new
    (whole,) = (row for row in rows if row["blocks"] == 0)
    assert whole["accuracy"] == pytest.approx(evaluate.accuracy(net, VAL))


def test_the_training_accuracy_is_that_of_the_images_learned_from(monkeypatch):
    train_set = data.fashion_mnist("train", sample=60)
    monkeypatch.setattr(degradation, "TRAIN_IMAGES", 40)
    monkeypatch.setattr(data, "fashion_mnist", lambda *_, **__: train_set)
    monkeypatch.setattr(degradation, "dropped", lambda *_: [])
    first = degradation.DEGRADATION.contenders[0]
    short = first._replace(recipe=replace(first.recipe, epochs=1, batch_size=10))
    study = replace(degradation.DEGRADATION, contenders=(short,), seeds=(0,), ask=lambda *_: [])
    assert len(study.images()[0]) == 40
    (trained,) = studies.run(study).trainings
    assert 40 * trained.train_accuracies[0] == pytest.approx(
        round(40 * trained.train_accuracies[0]), abs=1e-3
    )
    assert isinstance(study.images()[0], TensorDataset)
