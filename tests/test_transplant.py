"""torchvision's weights in our networks give torchvision's answers."""

import pytest
import torch
import torchvision
from torch import nn

from inception_course import models

# torchvision's name and options; ours; the side of the images. What torchvision calls AlexNet,
# googlenet and ResNet-50 are not the papers' nets, so they have forms of their own.
PAIRS = [
    ("alexnet", {}, "alexnet_torchvision", 224),
    ("vgg16", {}, "vgg16", 224),
    ("vgg19", {}, "vgg19", 224),
    ("googlenet", {"aux_logits": False, "init_weights": False}, "googlenet_torchvision", 224),
    ("inception_v3", {"aux_logits": False, "init_weights": False}, "inception_v3", 299),
    ("resnet18", {}, "resnet18", 224),
    ("resnet34", {}, "resnet34", 224),
    ("resnet50", {}, "resnet50_torchvision", 224),
]


def disturb(model):
    """Statistics as after training: no mean of 0 and no variance of 1."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)


def answers(model, images):
    """Logits, and the gradient of the first image's largest logit by the pixels."""
    images = images.clone().requires_grad_()
    logits = model(images)
    logits[0].max().backward()
    return logits.detach(), images.grad


@pytest.mark.slow
@pytest.mark.parametrize(("theirs", "options", "name", "size"), PAIRS)
def test_the_same_weights_give_the_same_answers(theirs, options, name, size):
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, theirs)(**options).eval()
    disturb(theirs)
    model = models.create(name, in_channels=3, num_classes=1000).eval()
    models.transplant(theirs, model)
    images = torch.randn(2, 3, size, size)
    want, want_gradient = answers(theirs, images)
    got, got_gradient = answers(model, images)
    assert (got - want).abs().max() < 1e-4 * want.abs().max()
    assert (got_gradient - want_gradient).abs().max() < 1e-4 * want_gradient.abs().max()


@pytest.mark.needs("timm")
@pytest.mark.parametrize("name", ["inception_v4", "inception_resnet_v2", "xception"])
def test_the_weights_of_timm_give_the_same_answers(name):
    import timm

    torch.manual_seed(0)
    theirs = timm.create_model({"xception": "legacy_xception"}.get(name, name)).eval()
    disturb(theirs)
    for block in theirs.modules():
        if getattr(block, "skip", None) is not None:  # in our order: the way around comes last
            for part in ("skip", "skipbn"):
                block._modules[part] = block._modules.pop(part)
    model = models.create(name, in_channels=3, num_classes=1000).eval()
    models.transplant(theirs, model)
    images = torch.randn(1, 3, 299, 299)
    want, want_gradient = answers(theirs, images)
    got, got_gradient = answers(model, images)
    assert (got - want).abs().max() < 1e-4 * want.abs().max()
    assert (got_gradient - want_gradient).abs().max() < 1e-4 * want_gradient.abs().max()


def test_the_papers_form_gives_other_answers():
    """So that the equality above is not an accident of the comparison."""
    torch.manual_seed(0)
    theirs = torchvision.models.resnet50().eval()
    disturb(theirs)
    model = models.create("resnet50", in_channels=3, num_classes=1000).eval()
    models.transplant(theirs, model)
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        want, got = theirs(images), model(images)
    assert (got - want).abs().max() > 1e-2 * want.abs().max()


def test_weights_of_another_net_are_refused_and_nothing_is_copied():
    theirs = torchvision.models.googlenet(aux_logits=False, init_weights=False)
    model = models.create("googlenet_bn", in_channels=3, num_classes=1000)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match="layer 15 is"):
        models.transplant(theirs, model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with pytest.raises(ValueError, match="cannot go into"):
        models.transplant(theirs, models.create("resnet18"))
