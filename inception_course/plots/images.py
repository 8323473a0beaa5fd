"""Figures of Fashion-MNIST and of what a network says to its images."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from ..data import CLASSES
from .style import BLUE, GRAY, GREEN, ORANGE, VERMILION, Picture, in_style


@in_style
def image(pixels: Tensor, name: str) -> Picture:
    """One image, `uint8 [H, W]`, large."""
    figure = Picture(3.4, 3.4, f"an image of the class {name}")
    axes = figure.subplots()
    axes.imshow(255 - pixels.numpy(), **GRAY)
    axes.set(title=name)
    axes.set_axis_off()
    return figure


@in_style
def classes(dataset: TensorDataset, per_class: int = 8) -> Picture:
    """A grid with `per_class` images of each class, a row a class."""
    images, labels = dataset.tensors
    figure = Picture(
        0.95 * per_class + 2,
        8.6,
        f"the first {per_class} images of each of the ten classes of Fashion-MNIST, a row a class: "
        + ", ".join(CLASSES),
    )
    grid = figure.subplots(len(CLASSES), per_class)
    for label, row in enumerate(grid):
        chosen = images[labels == label][:per_class, 0]
        for axes, image in zip(row[: len(chosen)], chosen, strict=True):
            axes.imshow(255 - image.numpy(), **GRAY)
        for axes in row:
            axes.set_axis_off()
        row[0].text(-4, 14, CLASSES[label], ha="right", va="center")
    return figure


@in_style
def class_balance(datasets: Mapping[str, TensorDataset]) -> Picture:
    """Images per class in each data set, as bars."""
    counts = {
        name: torch.bincount(dataset.tensors[1], minlength=len(CLASSES))
        for name, dataset in datasets.items()
    }
    said = "; ".join(
        f"{name} {c.min()} to {c.max()}" if c.min() < c.max() else f"{name} {c.min()} each"
        for name, c in counts.items()
    )
    figure = Picture(11, 4.8, f"images per class are balanced: {said}")
    axes = figure.subplots()
    for number, (name, count) in enumerate(counts.items()):
        style = {"color": (BLUE, ORANGE, GREEN)[number], "hatch": ("", "//", "..")[number]}
        places = [x + (number - (len(counts) - 1) / 2) * 0.8 / len(counts) for x in range(10)]
        axes.bar(places, count.tolist(), 0.8 / len(counts), label=name, edgecolor="white", **style)
    axes.set_xticks(range(10), CLASSES, rotation=30, ha="right")
    axes.set(ylabel="images")
    axes.legend(ncols=len(counts), loc="lower center", bbox_to_anchor=(0.5, 1))
    return figure


@in_style
def pixels(dataset: TensorDataset) -> Picture:
    """How often each gray value occurs, and the mean image."""
    images = dataset.tensors[0].float() / 255
    mean, spread, black = images.mean(), images.std(), (images == 0).float().mean()
    figure = Picture(
        11,
        4.4,
        f"{black:.0%} of all pixels are black; the mean is {mean:.3f} and the standard deviation "
        f"{spread:.3f} of full white. The mean image is a blurred garment in the middle",
    )
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    counts = torch.histc(images, 32, 0, 1) / images.numel()
    left.stairs(counts.numpy(), torch.linspace(0, 1, 33).numpy(), fill=True, color=BLUE)
    left.axvline(mean.item(), color=VERMILION, linestyle="--", label=f"mean {mean:.3f}")
    left.set(xlabel="pixel value, 0 black to 1 white", ylabel="fraction of pixels", yscale="log")
    left.legend()
    shown = right.imshow(images.mean(dim=(0, 1)).numpy(), cmap="gray", vmin=0)
    right.set(title="mean image", xticks=[], yticks=[])
    figure.colorbar(shown, ax=right, label="pixel value")
    return figure


@in_style
def confusion(cells: Tensor, names: Sequence[str] = CLASSES) -> Picture:
    """The confusion matrix, row by row in per cent of the images of that class."""
    share = cells / cells.sum(dim=1, keepdim=True)
    wrong = share - torch.diag(share.diag())
    true, called = divmod(wrong.argmax().item(), len(names))
    figure = Picture(
        9.6,
        7,
        f"{share.diag().mean():.0%} of the images stand on the diagonal; the most frequent mistake "
        f"is {names[true]} called {names[called]}, {share[true, called]:.0%} of its images",
    )
    axes = figure.subplots()
    axes.imshow(share.numpy(), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in (share > 0.005).nonzero().tolist():
        dark = share[row, column] > 0.5
        text = f"{100 * share[row, column]:.0f}"
        axes.text(column, row, text, ha="center", va="center", color="w" if dark else "k")
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="answer", ylabel="true class", title="per cent of each class")
    axes.spines[:].set_visible(False)
    return figure


@in_style
def mistakes(dataset: TensorDataset, logits: Tensor, count: int = 12) -> Picture:
    """The wrong answers that were given with the most confidence."""
    images, labels = dataset.tensors
    confidence, called = logits.softmax(dim=1).max(dim=1)
    order = (confidence * (called != labels)).argsort(descending=True)[:count].tolist()
    order = [index for index in order if called[index] != labels[index]]
    worst = order[0] if order else None
    figure = Picture(
        13,
        2.9 * -(-count // 6),
        f"the {len(order)} mistakes made with the most confidence; the first is a "
        f"{CLASSES[labels[worst]]} called {CLASSES[called[worst]]} with {confidence[worst]:.0%}"
        if order
        else "there is no mistake to show",
    )
    for axes in figure.subplots(-(-count // 6), 6).flat:
        axes.set_axis_off()
    for axes, index in zip(figure.axes[: len(order)], order, strict=True):
        axes.imshow(255 - images[index, 0].numpy(), **GRAY)
        text = f"is {CLASSES[labels[index]]}\ncalled {CLASSES[called[index]]}\n"
        axes.set_title(f"{text}{confidence[index]:.0%} sure", fontsize=12)
    return figure
