"""Faster answers are the same answers."""

import pytest
import torch
from torch import nn

from inception_course import data, evaluate
from inception_course.studies import ensembles
from inception_course.train import checkpoint


@pytest.fixture(scope="module")
def model():
    return checkpoint.load_pretrained("googlenet_bn-quick")


@pytest.fixture(scope="module")
def images():
    images, _ = next(iter(data.Batches(data.fashion_mnist("val", sample=20), 20)))
    return images


def prefer(kind, monkeypatch):
    monkeypatch.setattr(
        ensembles, "seconds", lambda model, images: 1.0 if isinstance(model, kind) else 2.0
    )


def test_mixed_answers_agree(model, images, monkeypatch):
    prefer(ensembles.Mixed, monkeypatch)
    quick = ensembles.faster(model, images)
    assert isinstance(quick, ensembles.Mixed)
    sample = data.fashion_mnist("val", sample=1000)
    exact, mixed = (evaluate.predict(net, sample) for net in (model, quick))
    assert mixed.dtype == torch.float32
    # Of the 5,000 validation images four changed their class; which, is up to the machine.
    assert (exact.argmax(dim=1) == mixed.argmax(dim=1)).float().mean() >= 0.995
    assert 1e-4 < (exact - mixed).abs().max() < 0.04 * exact.std()


def test_where_bfloat16_is_slower_only_batch_norm_is_folded(model, images, monkeypatch):
    prefer(nn.Module, monkeypatch)  # no difference
    folded = ensembles.faster(model, images)
    assert not isinstance(folded, ensembles.Mixed)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    sample = data.fashion_mnist("val", sample=100)
    answers = [evaluate.predict(net, sample) for net in (model, folded)]
    torch.testing.assert_close(*answers, rtol=1e-3, atol=1e-3)


def test_the_model_itself_stays_as_it_was(model, images):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    try:
        quick = ensembles.faster(model, images)
        assert all(module.training for module in model.modules())
        assert not any(module.training for module in quick.modules())
    finally:
        model.eval()
    assert before.keys() == model.state_dict().keys()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_only_the_first_convolution_keeps_its_precision(model, images):
    mixed = ensembles.Mixed(model)
    seen = []
    for module in mixed.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda module, given, out: seen.append(out.dtype))
    with evaluate.eval_mode(mixed):
        mixed(images)
    assert seen == [torch.float32] + [torch.bfloat16] * 56
