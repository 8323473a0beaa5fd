"""Every figure of the course: a function takes results and returns a matplotlib `Figure`.

A figure shows itself in a notebook, with its description as text for those who do not see it;
`describe` gives the same sentence. Colours are Okabe and Ito's, which colour-blind readers can tell
apart, and lines differ in more than colour. Nothing here changes matplotlib's settings.
"""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import TensorDataset

from .data import CLASSES
from .train import Epoch, Run

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
GREY = {"cmap": "gray", "vmin": 0, "vmax": 255, "interpolation": "nearest"}


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

    def html(self) -> str:
        source = base64.b64encode(self.png()).decode()
        alt = html.escape(self.description)
        return f'<img alt="{alt}" src="data:image/png;base64,{source}">'

    def bundle(self) -> tuple[dict, dict]:
        """What a notebook stores: the picture, and its description as text and as `alt`."""
        picture = {"image/png": base64.b64encode(self.png()).decode()}
        return picture | {"text/plain": self.description}, {"image/png": {"alt": self.description}}

    def show(self):
        """Display the picture and its sentence; gives the picture's handle, for redrawing.

        JupyterLab leaves `alt` out of the page, so the sentence also stands below the picture. An
        <img> of HTML would keep it, but not everywhere that shows stored notebooks.
        """
        from IPython.display import Markdown, display

        data, metadata = self.bundle()
        handle = display(data, metadata=metadata, raw=True, display_id=True)
        display(Markdown(f"*Figure: {self.description}.*"))
        return handle

    def _ipython_display_(self) -> None:
        self.show()


class Note:
    """A sentence in place of something that cannot be shown."""

    def __init__(self, text: str):
        self.text = text

    def __repr__(self) -> str:
        return self.text


def describe(figure: Figure) -> str:
    """What a screen reader says in place of the figure."""
    if description := getattr(figure, "description", ""):
        return description
    titles = (axes.get_title() for axes in figure.axes)
    return "Figure: " + "; ".join(title for title in titles if title)


# The data


def image(pixels: Tensor, name: str) -> Figure:
    """One image, `uint8 [H, W]`, large."""
    figure = Picture(3.4, 3.4, f"an image of the class {name}")
    with matplotlib.rc_context(PROJECTOR):
        axes = figure.subplots()
        axes.imshow(255 - pixels.numpy(), **GREY)
        axes.set(title=name)
        axes.set_axis_off()
    return figure


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
                axes.imshow(255 - image.numpy(), **GREY)
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
            axes.bar(
                places, count.tolist(), 0.8 / len(counts), label=name, edgecolor="white", **style
            )
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
        left.stairs(counts.numpy(), torch.linspace(0, 1, 33).numpy(), fill=True, color=BLUE)
        left.axvline(mean.item(), color=VERMILION, linestyle="--", label=f"mean {mean:.3f}")
        left.set(
            xlabel="pixel value, 0 black to 1 white", ylabel="fraction of pixels", yscale="log"
        )
        left.legend()
        shown = right.imshow(images.mean(dim=(0, 1)).numpy(), cmap="gray", vmin=0)
        right.set(title="mean image", xticks=[], yticks=[])
        figure.colorbar(shown, ax=right, label="pixel value")
    return figure


# The family


class Member(NamedTuple):
    """A network of the family, in its form for ImageNet, if it has one."""

    name: str
    year: int
    place: tuple[int, int]  # column and row in the picture
    parents: tuple[str, ...]
    top5_error: float | None = None  # per cent, one network, as its own paper prints it
    parameters: float | None = None  # millions
    multiply_adds: float | None = None  # billions

    def facts(self) -> tuple[str, ...]:
        if self.top5_error is None:
            return ("no ImageNet result",)
        return (
            f"top-5 error {self.top5_error} %",
            f"{self.parameters:.1f} M parameters",
            f"{self.multiply_adds:.1f} G multiply-adds",
        )


# Parameters and multiply-adds, for images of 224x224 (AlexNet 227, Inception-v3 299): counted on
# networks built from the papers' tables (ZFNet's padding is assumed), and on torchvision's
# Inception-v3 and ResNet-50, whose forms differ a little from the papers'. Top-5 errors are as
# printed: AlexNet paper, one CNN, validation; ZFNet paper, one net; VGG paper, configuration D,
# one scale; GoogLeNet paper, Table 3; BN paper, Figure 4; Rethinking paper, Table 3; ResNet paper,
# ten crops. They differ in crops and scales.
# fmt: off
FAMILY = (
    #       name           year   place   from                        top-5   params  mult-adds
    Member("AlexNet",      2012, (0, 1), (),                          18.2,    60.97,   0.72),
    Member("ZFNet",        2013, (1, 2), ("AlexNet",),                16.5,    62.36,   1.17),
    Member("NiN",          2013, (1, 0), ("AlexNet",)),
    Member("VGG-16",       2014, (2, 2), ("ZFNet",),                   8.1,   138.36,  15.47),
    Member("GoogLeNet",    2014, (2, 0), ("NiN",),                    10.07,    7.00,   1.58),
    Member("BN-Inception", 2015, (3, 0), ("GoogLeNet",),               7.82,   11.19,   2.02),
    Member("Inception-v3", 2015, (4, 0), ("BN-Inception",),            5.6,    23.83,   5.71),
    Member("ResNet-50",    2015, (4, 2), ("VGG-16", "BN-Inception"),   6.71,   25.56,   4.09),
)
# fmt: on


def family_tree() -> Figure:
    """The networks of the course, what came from what, what each costs and how often it errs."""
    said = "; ".join(
        f"{member.name} {member.year}"
        + (f" from {' and '.join(member.parents)}" if member.parents else "")
        + f" ({', '.join(member.facts())})"
        for member in FAMILY
    )
    figure = Picture(13.5, 6.4, f"the family tree: {said}")
    with matplotlib.rc_context(PROJECTOR):
        axes = figure.subplots()
        axes.set(xlim=(-0.5, 4.5), ylim=(-0.55, 2.55))
        axes.set_axis_off()
        boxes = {}
        for member in FAMILY:
            inception = member.name in ("GoogLeNet", "BN-Inception", "Inception-v3")
            boxes[member.name] = axes.text(
                *member.place,
                "\n".join((f"{member.name} ({member.year})", *member.facts())),
                ha="center",
                va="center",
                linespacing=1.5,
                bbox={
                    "boxstyle": "round,pad=0.5",
                    "facecolor": "#FFF3D6" if inception else "#EEF4F8",
                    "edgecolor": ORANGE if inception else BLUE,
                    "linewidth": 3 if inception else 1.5,
                },
            )
        for member in FAMILY:
            for parent in member.parents:
                start, end = boxes[parent], boxes[member.name]
                arrow = {"arrowstyle": "-|>", "color": "#777777", "lw": 2.5}
                arrow |= {"patchA": start.get_bbox_patch(), "patchB": end.get_bbox_patch()}
                axes.annotate("", member.place, start.get_position(), arrowprops=arrow, zorder=5)
    return figure


# Runs


def learning_curves(runs: Run | Mapping[str, Run]) -> Figure:
    """Loss and accuracy per epoch, while training and on the validation data."""
    runs = {runs.recipe.name: runs} if isinstance(runs, Run) else runs
    said = "; ".join(
        f"{name} reaches validation accuracy {run.best.val_accuracy:.3f} in {run.seconds:.0f} s"
        for name, run in runs.items()
    )
    description = f"loss (left) and accuracy (right) per epoch: {said}"
    return epoch_curves({name: run.epochs for name, run in runs.items()}, description)


def epoch_curves(runs: Mapping[str, Sequence[Epoch]], description: str) -> Picture:
    """The figure of `learning_curves`, also for runs that are not finished."""
    figure = Picture(13, 4.8, description)
    with matplotlib.rc_context(PROJECTOR):
        _draw_curves(figure, runs)
    return figure


def _draw_curves(figure: Figure, runs: Mapping[str, Sequence[Epoch]]) -> None:
    for axes, quantity in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for (name, epochs), color in zip(runs.items(), (BLUE, VERMILION, GREEN), strict=False):
            numbers = [epoch.number for epoch in epochs]
            for part, line in (("train", "o--"), ("val", "s-")):
                values = [getattr(epoch, f"{part}_{quantity}") for epoch in epochs]
                label = f"{name}: {'training' if part == 'train' else 'validation'}"
                axes.plot(numbers, values, line, color=color, label=label)
        axes.set(xlabel="epoch", ylabel="cross-entropy, nats" if quantity == "loss" else "accuracy")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
    axes.legend(loc="lower right")


def confusion(cells: Tensor, names: Sequence[str] = CLASSES) -> Figure:
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
    with matplotlib.rc_context(PROJECTOR):
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


def mistakes(dataset: TensorDataset, logits: Tensor, count: int = 12) -> Figure:
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
    with matplotlib.rc_context(PROJECTOR):
        for axes in figure.subplots(-(-count // 6), 6).flat:
            axes.set_axis_off()
        for axes, index in zip(figure.axes, order, strict=False):
            axes.imshow(255 - images[index, 0].numpy(), **GREY)
            text = f"is {CLASSES[labels[index]]}\ncalled {CLASSES[called[index]]}\n"
            axes.set_title(f"{text}{confidence[index]:.0%} sure", fontsize=12)
    return figure
