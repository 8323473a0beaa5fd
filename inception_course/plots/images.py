"""Figures of Fashion-MNIST and of what a network answers about its images."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from ..data import CLASSES
from .guess import mark_choice, mark_x
from .style import (
    BLUE,
    GRAYSCALE,
    VERMILION,
    Picture,
    grid,
    in_style,
    legend,
    lines,
    logarithmic,
)


@in_style
def image(pixels: Tensor, name: str) -> Picture:
    """Draw one image, `uint8 [H, W]`, large."""
    height, width = pixels.shape
    figure = Picture(
        3.4,
        3.4,
        f"an image of the class {name}",
        caption=f"All a network gets: {height} by {width} gray values.",
    )
    grid(figure, [(name, 255 - pixels)], 1, **GRAYSCALE)
    return figure


@in_style
def classes(dataset: TensorDataset, per_class: int = 8) -> Picture:
    """Draw `per_class` images of each class, a row for each class."""
    images, labels = dataset.tensors
    figure = Picture(
        0.95 * per_class + 2,
        8.6,
        f"the first {per_class} images of each of the ten classes of Fashion-MNIST, a row a class: "
        + ", ".join(CLASSES),
        caption="Which two classes would you mix up?",
    )
    for label, row in enumerate(figure.subplots(len(CLASSES), per_class, squeeze=False)):
        chosen = images[labels == label][:per_class, 0]
        for axes, pixels in zip(row[: len(chosen)], chosen, strict=True):
            axes.imshow(255 - pixels.numpy(), **GRAYSCALE)
        for axes in row:
            axes.set_axis_off()
        row[0].text(-4, 14, CLASSES[label], ha="right", va="center")
    return figure


@in_style
def pixels(dataset: TensorDataset, guess: Any = None) -> Picture:
    """Draw how often each gray value occurs, and the mean image.

    `guess` is the expected mean, as a part of full white.
    """
    images = dataset.tensors[0].float() / 255
    mean, spread, black = images.mean(), images.std(), (images == 0).float().mean()
    figure = Picture(
        11,
        4.4,
        f"{black:.0%} of all pixels are black; the mean is {mean:.3f} and the standard deviation "
        f"{spread:.3f} of full white (left); the mean of all images (right)",
        caption="How many pixels are black, and where do the garments lie in the mean image?",
    )
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    counts = torch.histc(images, 32, 0, 1) / images.numel()
    left.stairs(counts.numpy(), torch.linspace(0, 1, 33).numpy(), fill=True, color=BLUE)
    left.axvline(mean.item(), color=VERMILION, linestyle="--", label=f"mean {mean:.3f}")
    left.set(xlabel="pixel value, 0 black to 1 white", ylabel="fraction of pixels")
    left.legend()
    shown = right.imshow(images.mean(dim=(0, 1)).numpy(), cmap="gray", vmin=0)
    right.set(title="mean image", xticks=[], yticks=[])
    figure.colorbar(shown, ax=right, label="pixel value")
    mark_x(figure, left, guess, whole=1)
    return figure


@in_style
def descents(losses: Mapping[str, Sequence[float]]) -> Picture:
    """Draw the loss before each step of several gradient descents, on a logarithmic axis."""
    ends = "; ".join(f"{name} ends at {values[-1]:.2g}" for name, values in losses.items())
    figure = Picture(
        11,
        4.6,
        f"loss over the steps of gradient descent: {ends}",
        caption="Which loss falls, and which one grows?",
    )
    axes = figure.subplots()
    curves = {name: (range(len(values)), values) for name, values in losses.items()}
    lines(axes, curves, xlabel="step", ylabel="loss")
    logarithmic(axes)
    axes.grid(alpha=0.3)
    legend(axes)
    return figure


@in_style
def confusion(cells: Tensor, names: Sequence[str] = CLASSES, guess: Any = None) -> Picture:
    """Draw the confusion matrix, row by row in per cent of the images of that class.

    `guess` names the class that is expected to be recognized worst.
    """
    images = cells.sum(dim=1, keepdim=True)
    share = cells / images.clamp(min=1)  # a class without images stays empty
    right = share.diag()[images[:, 0] > 0].mean()
    wrong = share - torch.diag(share.diag())
    true, called = divmod(int(wrong.argmax()), len(names))
    figure = Picture(
        9.6,
        7,
        f"{right:.0%} of the images stand on the diagonal; the most frequent mistake is "
        f"{names[true]} called {names[called]}, {share[true, called]:.0%} of its images",
        caption="Mistakes lie off the diagonal. Which two classes are confused most often?",
    )
    axes = figure.subplots()
    axes.imshow(share.numpy(), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in (share > 0.005).nonzero().tolist():
        color = "white" if share[row, column] > 0.5 else "black"
        text = f"{100 * share[row, column]:.0f}"
        axes.text(column, row, text, ha="center", va="center", color=color)
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="answer", ylabel="true class", title="per cent of each class")
    axes.spines[:].set_visible(False)
    mark_choice(figure, axes, guess, dict(zip(names, axes.get_yticklabels(), strict=True)))
    return figure


@in_style
def mistakes(dataset: TensorDataset, logits: Tensor, count: int = 12) -> Picture:
    """Draw the wrong answers that were given with the most confidence."""
    images, labels = dataset.tensors
    confidence, called = logits.softmax(dim=1).max(dim=1)
    wrong = (called != labels).nonzero()[:, 0]
    chosen = wrong[confidence[wrong].argsort(descending=True, stable=True)][:count].tolist()
    shown = [
        (
            f"is {CLASSES[labels[index]]}\ncalled {CLASSES[called[index]]}\n"
            f"{confidence[index]:.0%} sure",
            255 - images[index, 0],
        )
        for index in chosen
    ]
    figure = Picture(
        13,
        2.9 * max(1, -(-len(chosen) // 6)),
        "there is no mistake to show",
        caption="Every answer is right.",
    )
    if chosen:
        worst = chosen[0]
        label, answer = CLASSES[labels[worst]], CLASSES[called[worst]]
        figure.description = (
            f"the {len(chosen)} mistakes made with the most confidence; the first, of the class "
            f"{label}, is called {answer} with {confidence[worst]:.0%}"
        )
        figure.caption = "The surest mistakes come first. Would you have answered better?"
    grid(figure, shown, 6, **GRAYSCALE)
    figure.set_layout_engine("constrained", h_pad=0.1)  # inches; the titles have three lines
    return figure
