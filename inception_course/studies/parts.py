"""What the parts of a network do: activations, crops and dropout, pooling and strides.

All networks are small, for gray images of 28x28 pixels or more, and learn from the packaged sample.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from .. import data, probe
from ..evaluate import eval_mode, predict, top_1
from ..models.blocks import (
    ConvSpec,
    MaxPoolSpec,
    Steps,
    build,
    he_initialize,
    output_size,
    xavier_initialize,
)
from ..train import Recipe
from .comparison import Comparison, Contender, Inquiry

SEEDS = (0, 1, 2, 3, 4)
PLAIN = Recipe("parts", epochs=10, batch_size=50, learning_rate=0.1)
CYCLED = replace(PLAIN, epochs=5, learning_rate=0.05, momentum=0.9, schedule="one-cycle")


def pooled(channels: int) -> Steps:
    """List two convolutions, with `channels` and twice as many maps, each before a max-pooling."""
    return (
        ConvSpec("conv1", 5, channels),
        MaxPoolSpec("pool1", 2, 2),
        ConvSpec("conv2", 3, 2 * channels),
        MaxPoolSpec("pool2", 2, 2),
    )


# Activations: how fast they learn, each at its best rate

ACTS: dict[str, type[nn.Module]] = {"ReLU": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
STARTS = ("torch's default", "Xavier or He")
RATES = (0.03, 0.1, 0.3, 1.0, 3.0)
SLOPES = {"ReLU": 1.0, "tanh": 1.0, "sigmoid": 0.25}  # the steepest slope of each


def activated_net(act: str, start: str) -> nn.Module:
    """Make a net of four layers; unless `start` is torch's, ReLU starts after He, others Xavier."""
    body, maps = build(pooled(8), 1, act=ACTS[act])
    hidden = nn.Linear(maps * 49, 64)
    layers = OrderedDict(body=body, flatten=nn.Flatten(), hidden=hidden, act=ACTS[act]())
    net = nn.Sequential(layers | OrderedDict(linear=nn.Linear(64, 10)))
    if start == STARTS[0]:
        return net
    return he_initialize(net) if act == "ReLU" else xavier_initialize(net)


def saturation(net: nn.Module, val_set: TensorDataset) -> list[dict]:
    """Return for each activation layer its mean output, and the saturated fraction of its inputs.

    A unit is saturated where its slope is below a twentieth of the steepest.
    """
    names = probe.layers(net, *ACTS.values())
    act = next(name for name, kind in ACTS.items() if kind is type(net.get_submodule(names[0])))
    images, _ = next(iter(data.Batches(val_set, 500)))
    flat = probe.flat(SLOPES[act] / 20, ACTS[act]())
    mean = probe.Statistic("output", lambda output: output.mean().item())
    with eval_mode(net), probe.record(net, names, mean=mean, saturated=flat) as seen:
        net(images)
    return [
        {"layer": number, "mean": seen[name]["mean"][0], "saturated": seen[name]["saturated"][0]}
        for number, name in enumerate(names, 1)
    ]


ACTIVATIONS = Inquiry(
    "activations",
    "How fast sigmoid, tanh and ReLU learn, each at five rates and from two initializations "
    "(150 trainings, 40 minutes).",
    tuple(
        Contender(
            f"{act}, {start}, rate {rate:g}",
            replace(PLAIN, learning_rate=rate),
            partial(activated_net, act, start),
        )
        for act, start, rate in product(ACTS, STARTS, RATES)
    ),
    SEEDS,
    sample=5000,
    val_images=2000,
    ask=saturation,
    untrained=True,
)

# Overfitting, on purpose, and two cures

BY_HEART = replace(PLAIN, epochs=100, learning_rate=0.01, momentum=0.9)
CROPPED = replace(BY_HEART, translate=3, flip=True)


class DenseNet(nn.Module):
    """Has two convolutions, then hidden layers of 128 units with dropout, as in AlexNet's head."""

    def __init__(self, dropout: float, hidden_layers: int = 2):
        super().__init__()
        steps = pooled(16)
        self.body, maps = build(steps, 1)
        size = maps * output_size(steps, 28) ** 2
        layers: list[nn.Module] = [nn.Flatten()]
        for _ in range(hidden_layers):
            layers += [nn.Linear(size, 128), nn.ReLU(), nn.Dropout(dropout)]
            size = 128
        self.head = nn.Sequential(*layers, nn.Linear(size, 10))
        he_initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(images))


OVERFIT = Comparison(
    "overfit",
    "How a net learns 500 images by heart, and what crops and dropout do about it "
    "(20 trainings, 20 minutes).",
    (
        Contender("neither", BY_HEART, partial(DenseNet, 0.0)),
        Contender("crops", CROPPED, partial(DenseNet, 0.0)),
        Contender("dropout", BY_HEART, partial(DenseNet, 0.5)),
        Contender("both", CROPPED, partial(DenseNet, 0.5)),
    ),
    SEEDS,
    sample=500,
    clean=True,
    val_images=1000,
)

# Thinned networks: what dropout trains, against the whole network

MASKS = (1, 10, 100, 1000)
MEANS: dict[str, Callable[[Tensor], Tensor]] = {  # what is averaged, and how logits become it
    "logits": torch.clone,
    "probabilities": partial(F.softmax, dim=-1),
}


def mean_of_thinned(net: DenseNet, val_set: TensorDataset) -> list[dict]:
    """Compare the mean of thinned networks with the whole network, for each number of `MASKS`.

    A row tells for which fraction of the images both agree, how accurate the mean is, and how far
    it is from the whole: the root mean square of the difference, over that of the whole around its
    mean. One mask silences the same units in every image. With few masks, a row is the mean over
    many groups of masks.
    """
    whole, labels = predict(net, val_set), val_set.tensors[1]
    thinned = masked_answers(net, val_set)  # [masks, N, classes]
    rows = [{"masks": 0, "of": "whole", "accuracy": top_1(whole, labels), "agreement": 1.0}]
    for of, change in MEANS.items():
        target = change(whole)
        size = (target - target.mean(dim=1, keepdim=True)).square().mean().sqrt()
        for masks in MASKS:
            groups = change(thinned).unflatten(0, (-1, masks)).mean(dim=1)
            found = groups.argmax(dim=2)
            off = (groups - target).square().mean(dim=(1, 2)).sqrt().mean() / size
            agreement = (found == whole.argmax(dim=1)).float().mean().item()
            right = (found == labels).float().mean().item()
            rows.append({"masks": masks, "of": of, "accuracy": right, "agreement": agreement})
            rows[-1]["distance"] = off.item()
    return rows


def masked_answers(net: DenseNet, val_set: TensorDataset) -> Tensor:
    """Return the logits of `max(MASKS)` thinned networks, [masks, N, classes]."""
    with eval_mode(net), torch.random.fork_rng():
        torch.manual_seed(0)
        maps = torch.cat([net.body(images) for images, _ in data.Batches(val_set, 250)])
        answers = []
        for _ in range(max(MASKS)):
            x = maps
            for layer in net.head:
                if isinstance(layer, nn.Dropout):
                    x = x * F.dropout(torch.ones_like(x[:1]), layer.p)
                else:
                    x = layer(x)
            answers.append(x)
    return torch.stack(answers)


THINNED = Inquiry(
    "thinned",
    "Whether the mean of thinned networks is the whole network (10 trainings, 5 minutes).",
    (
        Contender("one hidden layer", CYCLED, partial(DenseNet, 0.5, 1)),
        Contender("two hidden layers", CYCLED, partial(DenseNet, 0.5)),
    ),
    SEEDS,
    sample=5000,
    val_images=1000,
    ask=mean_of_thinned,
)

# Shifts of the test images

SHIFTS = range(9)
BORDER = 8  # black pixels around each image, so that no shift cuts anything off
BORDERED = replace(CYCLED, epochs=8, learning_rate=0.1, image_size=28 + 2 * BORDER)


class Blur(nn.Module):
    """Average over 3x3 with weights 1, 2, 1, then take every other position (Zhang 2019)."""

    def forward(self, x: Tensor) -> Tensor:
        row = torch.tensor([0.25, 0.5, 0.25], device=x.device)
        weights = torch.outer(row, row).expand(x.shape[1], 1, 3, 3)
        padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
        return F.conv2d(padded, weights, stride=2, groups=x.shape[1])


HALVINGS: dict[str, tuple[int, Callable[[], list[nn.Module]]]] = {  # stride of the convolution
    "stride 2": (2, list),
    "stride 2, as much work": (2, list),
    "stride 1, then blur": (1, lambda: [Blur()]),
    "max-pooling": (1, lambda: [nn.MaxPool2d(2)]),
    "max-pooling, then blur": (1, lambda: [nn.MaxPool2d(2, stride=1), Blur()]),
    "average pooling": (1, lambda: [nn.AvgPool2d(2)]),
}


def halving_net(halving: str) -> nn.Module:
    """Make a net that halves its maps twice, in a way of `HALVINGS`, then averages each map."""
    stride, after = HALVINGS[halving]
    widths = (16, 32, 64) if halving != "stride 2, as much work" else (21, 42, 84)
    layers: list[nn.Module] = []
    c_in = 1
    for number, width in enumerate(widths):
        step = stride if number < 2 else 1
        layers += [nn.Conv2d(c_in, width, 3, step, padding=1), nn.ReLU()]
        layers += after() if number < 2 else []
        c_in = width
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c_in, 10)]
    return he_initialize(nn.Sequential(*layers, *head))


def with_border(dataset: TensorDataset) -> TensorDataset:
    images, labels = dataset.tensors
    return TensorDataset(F.pad(images, [BORDER] * 4), labels)


def shifted(net: nn.Module, val_set: TensorDataset) -> list[dict]:
    """Move the images to the right by each of `SHIFTS`; compare the answers with those before."""
    images, labels = val_set.tensors
    before = predict(net, val_set).argmax(dim=1)
    rows = []
    for shift in SHIFTS:
        answers = predict(net, TensorDataset(images.roll(shift, dims=3), labels))
        same = (answers.argmax(dim=1) == before).float().mean().item()
        rows.append({"shift": shift, "accuracy": top_1(answers, labels), "same": same})
    return rows


class Shifts(Inquiry):
    """An inquiry whose images have a black border, so that no shift cuts anything off."""

    def images(self) -> tuple[TensorDataset, TensorDataset]:
        train_set, val_set = super().images()
        return with_border(train_set), with_border(val_set)


SHIFT = Shifts(
    "shift",
    "How a shift of the image changes the answers of nets that halve their maps in six ways "
    "(30 trainings, 15 minutes).",
    tuple(Contender(name, BORDERED, partial(halving_net, name)) for name in HALVINGS),
    SEEDS,
    sample=5000,
    val_images=1000,
    ask=shifted,
)

PARTS = {each.name: each for each in (OVERFIT, ACTIVATIONS, SHIFT, THINNED)}
