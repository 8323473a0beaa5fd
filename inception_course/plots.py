"""Every figure of the course: a function takes results and returns a matplotlib `Figure`.

A figure shows itself in a notebook, with its description as text for those who do not see it;
`describe` gives the same sentence. Colours are Okabe and Ito's, which colour-blind readers can tell
apart, and lines differ in more than colour. Nothing here changes matplotlib's settings.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import TensorDataset

from .data import CLASSES
from .train import Run

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"

# For a projector: read from the last row.
PROJECTOR = {
    "font.size": 14,
    "axes.titlesize": 15,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 2.5,
    "lines.markersize": 8,
    "figure.titlesize": 16,
    "legend.frameon": False,
}
DOTS_PER_INCH = 100


class Picture(Figure):
    """A figure with the sentence that says what it shows."""

    def __init__(self, width: float, height: float, description: str = ""):
        super().__init__(figsize=(width, height), layout="constrained")
        self.description = description

    def png(self) -> bytes:
        buffer = io.BytesIO()
        with matplotlib.rc_context(PROJECTOR):
            self.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
        return buffer.getvalue()

    def bundle(self) -> tuple[dict, dict]:
        """What a notebook stores: the picture, and its description as text and as `alt`."""
        picture = {"image/png": base64.b64encode(self.png()).decode()}
        return picture | {"text/plain": self.description}, {"image/png": {"alt": self.description}}

    def _ipython_display_(self) -> None:
        # JupyterLab leaves `alt` out of the page, so the sentence also stands below the picture.
        from IPython.display import Markdown, display

        data, metadata = self.bundle()
        display(data, metadata=metadata, raw=True)
        display(Markdown(f"*Figure: {self.description}*"))


def describe(figure: Figure) -> str:
    """What a screen reader says in place of the figure."""
    if description := getattr(figure, "description", ""):
        return description
    titles = (axes.get_title() for axes in figure.axes)
    return "Figure: " + "; ".join(title for title in titles if title)


# The data


def classes(dataset: TensorDataset, per_class: int = 8) -> Figure:
    """A grid with `per_class` images of each class, a row a class."""
    images, labels = dataset.tensors
    figure = Picture(
        0.95 * per_class + 2,
        8.6,
        f"the first {per_class} images of each of the ten classes of Fashion-MNIST, a row a class: "
        + ", ".join(CLASSES),
    )
    with matplotlib.rc_context(PROJECTOR):
        grid = figure.subplots(len(CLASSES), per_class)
        for label, row in enumerate(grid):
            chosen = images[labels == label][:per_class, 0]
            for axes, image in zip(row, chosen, strict=False):
                axes.imshow(255 - image, cmap="gray", vmin=0, vmax=255)
            for axes in row:
                axes.set_axis_off()
            row[0].text(-4, 14, CLASSES[label], ha="right", va="center")
    return figure


def class_balance(datasets: Mapping[str, TensorDataset]) -> Figure:
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
    with matplotlib.rc_context(PROJECTOR):
        axes = figure.subplots()
        for number, (name, count) in enumerate(counts.items()):
            style = {"color": (BLUE, ORANGE, GREEN)[number], "hatch": ("", "//", "..")[number]}
            places = [x + (number - (len(counts) - 1) / 2) * 0.8 / len(counts) for x in range(10)]
            axes.bar(places, count, 0.8 / len(counts), label=name, edgecolor="white", **style)
        axes.set_xticks(range(10), CLASSES, rotation=30, ha="right")
        axes.set(ylabel="images")
        axes.legend(ncols=len(counts), loc="lower center", bbox_to_anchor=(0.5, 1))
    return figure


def pixels(dataset: TensorDataset) -> Figure:
    """How often each grey value occurs, and the mean image."""
    images = dataset.tensors[0].float() / 255
    mean, spread, black = images.mean(), images.std(), (images == 0).float().mean()
    figure = Picture(
        11,
        4.4,
        f"{black:.0%} of all pixels are black; the mean is {mean:.3f} and the standard deviation "
        f"{spread:.3f} of full white. The mean image is a blurred garment in the middle",
    )
    with matplotlib.rc_context(PROJECTOR):
        left, right = figure.subplots(1, 2, width_ratios=(2, 1))
        counts = torch.histc(images, 32, 0, 1) / images.numel()
        left.stairs(counts, torch.linspace(0, 1, 33), fill=True, color=BLUE)
        left.axvline(mean, color=VERMILION, linestyle="--", label=f"mean {mean:.3f}")
        left.set(xlabel="pixel value, 0 black to 1 white", ylabel="fraction of pixels", yscale="log")
        left.legend()
        shown = right.imshow(images.mean(dim=(0, 1)), cmap="gray", vmin=0)
        right.set(title="mean image", xticks=[], yticks=[])
        figure.colorbar(shown, ax=right, label="pixel value")
    return figure


# The family


class Member(NamedTuple):
    """A network of the family: millions of parameters and of multiply-adds, ImageNet error."""

    name: str
    year: int
    parameters: float
    multiply_adds: float
    top5_error: float  # per cent, one network
    protocol: str  # of the error: crops, and where it is printed
    column: float  # where it stands in the picture
    parents: tuple[str, ...] = ()


# Parameters and multiply-adds are counted on networks built from the papers' tables, 1000 classes.
# fmt: off
FAMILY = (
    #       name            year  par. M  mult-adds M  top-5   measured, printed in                 column
    Member("AlexNet",       2012,  60.97,    724,      18.2,  "10 crops, AlexNet Table 2",          0.0),
    Member("ZFNet",         2013,  62.36,   1168,      16.5,  "10 crops, ZFNet Table 2",            0.0, ("AlexNet",)),
    Member("VGG-16",        2014, 138.36,  15470,       8.1,  "1 crop, VGG Table 3",                -1.1, ("ZFNet",)),
    Member("GoogLeNet",     2014,   7.00,   1583,      10.07, "1 crop, GoogLeNet Table 3",          0.6, ("ZFNet", "NiN")),
    Member("BN-Inception",  2015,  11.19,   2019,       7.82, "1 crop, BN paper Figure 4",          0.6, ("GoogLeNet",)),
    Member("Inception-v3",  2015,  23.83,   5713,       5.6,  "1 crop, Rethinking Table 3",         1.2, ("BN-Inception",)),
    Member("ResNet-50",     2015,  25.56,   4089,       6.71, "10 crops, ResNet Table 3",          -0.6, ("VGG-16", "BN-Inception")),
)
# fmt: on
