"""What moves in a notebook: the explorers with sliders, and curves that grow while training.

Every explorer first shows its static twin, a figure of some positions of the sliders: it stays
where widgets do not run. Without ipywidgets, or outside a notebook, a sentence says so and the
lesson continues.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import length_hint
from typing import Any

import torch
from torch import nn
from torch.utils.data import TensorDataset

from .. import plots
from ..data import CLASSES
from ..models.googlenet import InceptionSpec
from ..studies import saturation
from ..train import Epoch, Recipe
from .doctor import in_kernel

NO_WIDGETS = (
    "ipywidgets is not installed, so there is no slider here; the figure above shows some of its "
    "positions."
)
SECONDS_BETWEEN_UPDATES = 0.5


def browse(dataset: TensorDataset):
    """Make a slider over the images of `dataset`, one image at a time with its class."""
    images, labels = dataset.tensors

    def show(index: int) -> plots.Picture:
        return plots.image(images[index, 0], CLASSES[labels[index]])

    firsts = {CLASSES[label]: images[labels == label][0, 0] for label in labels.unique().tolist()}
    twin = plots.gallery(
        {name: 255 - pixels for name, pixels in firsts.items()},
        f"one image of each class: {', '.join(firsts)}",
        caption="Which two classes would you mix up?",
    )
    return panel({"image": range(len(labels))}, show, twin)


def sigmoid_input():
    """Make sliders for mean and spread of a sigmoid's inputs, and for gamma and beta of its BN."""

    def show(mean: float, spread: float, gamma: float, beta: float) -> plots.Picture:
        return plots.sigmoid_input(mean=mean, spread=spread, gamma=gamma, beta=beta)

    both_ways = [n / 5 for n in range(-30, 31)]
    sliders = {
        "mean": both_ways,
        "spread": both_ways[31:],
        "gamma": both_ways[30:],
        "beta": both_ways,
    }
    twin = plots.sigmoid_inputs([(0, 1), (4, 1), (0, 4)])
    start = {"mean": 4.0, "spread": 3.0, "gamma": 1.0, "beta": 0.0}
    return panel(sliders, show, twin, start)


def gain():
    """Make sliders for the initial weights' gain and the depth; draw what saturates and fades."""

    def signals(gain: float, depth: int) -> dict[str, saturation.Signal]:
        norms = {"plain": None, "BN": nn.BatchNorm1d}
        return {
            f"{name}, gain {gain:g}": saturation.signal(gain, depth=depth, norm=norm)
            for name, norm in norms.items()
        }

    def show(gain: float, depth: int) -> plots.Picture:
        return plots.signal_by_layer(signals(gain, depth))

    twin = plots.signal_by_layer(signals(4, 10) | signals(16, 10))
    twin.caption = "Ten layers. Which gain lets the gradient through, and what does it cost?"
    sliders = {"gain": [n / 2 for n in range(1, 33)], "layers": range(3, 21)}
    return panel(sliders, show, twin, start={"gain": 4.0, "layers": 10})


def block_widths():
    """Make sliders for the six widths of a block in the place of 3a; draw it beside 3a."""
    start = {
        "1x1": 64,
        "3x3 reduce": 96,
        "3x3": 128,
        "5x5 reduce": 16,
        "5x5": 32,
        "pool projection": 32,
    }

    def block(*widths: int) -> nn.Module:
        with torch.device("meta"):  # shapes only
            return InceptionSpec("block", *widths).make(192, None, nn.ReLU)[0]

    def show(*widths: int, name: str = "your block") -> plots.Picture:
        return plots.blocks({"3a": block(*start.values()), name: block(*widths)}, (192, 28, 28))

    wider = start | {"5x5 reduce": 96}
    twin = show(*wider.values(), name="5x5 reduced to 96, not 16")
    twin.caption = "Which box becomes larger, and does the block give more channels for that?"
    return panel(dict.fromkeys(start, range(8, 385, 8)), show, twin, start)


def panel(
    sliders: Mapping[str, Sequence[float]],
    show: Callable[..., plots.Picture],
    twin: plots.Picture,
    start: Mapping[str, float] | None = None,
):
    """Make a panel with a slider for each name; `show(*values)` returns the picture for them.

    A slider goes through evenly spaced values, whole numbers if it is given a range. It starts at
    the lowest, or where `start` says. Only the picture changes, so that nothing is printed and
    nothing flickers. In a notebook `twin` is shown above it.
    """
    if in_kernel():
        twin.show()
    try:
        import ipywidgets as widgets
    except ImportError:
        return plots.Note(NO_WIDGETS)

    class Panel(widgets.VBox):
        def __repr__(self) -> str:
            if len(sliders) == 1:
                return "A panel with a slider: run this cell to move it."
            return "A panel with sliders: run this cell to move them."

    knobs = [
        (widgets.IntSlider if isinstance(values, range) else widgets.FloatSlider)(
            (start or {}).get(name, values[0]),
            min=values[0],
            max=values[-1],
            step=values[1] - values[0] if len(values) > 1 else 1,
            description=name,
            continuous_update=False,
            style={"description_width": f"{max(map(len, sliders)) + 1}ch"},
            layout={"width": "28em"},
        )
        for name, values in sliders.items()
    ]
    picture = widgets.HTML()

    def update(_=None) -> None:
        picture.value = show(*(round(knob.value, 6) for knob in knobs)).html()

    for knob in knobs:
        knob.observe(update, "value")
    update()
    return Panel([*knobs, picture])


class LiveCurves:
    """Curves that grow while `fit` trains, in one place of the notebook.

        live = widgets.LiveCurves(recipe, guess=0.8)
        run = train.fit(
            model, train_set, val_set, recipe, on_epoch_end=live, progress=live.progress
        )

    They are drawn anew after each epoch; in between, a line says how far the run is, at most twice
    a second. Outside a notebook a line is printed after each epoch. `guess` is an expected
    accuracy, which is drawn beside the curves.
    """

    def __init__(self, recipe: Recipe, guess: Any = None):
        self.recipe = recipe
        self.guess = guess
        self.epochs: list[Epoch] = []
        self.started = time.perf_counter()
        self._first: float | None = None  # the epochs that were done before
        self._picture = self._line = None
        if in_kernel():
            from IPython.display import display

            text = {"text/plain": "Learning curves appear after the first epoch."}
            self._line = display(text, raw=True, display_id=True)

    def progress(self, batches: Iterable) -> Iterator:
        """Wrap one pass over the batches, and say how far the whole run is."""
        told, steps = 0.0, length_hint(batches)
        begun, start = getattr(batches, "epoch", len(self.epochs)), getattr(batches, "start", 0)
        if self._first is None:  # a resumed run begins later
            self._first = begun + start / max(1, steps)
        for number, batch in enumerate(batches, start + 1):
            yield batch
            now = time.perf_counter()
            if now - told > SECONDS_BETWEEN_UPDATES:
                done = begun + number / max(number, steps)
                left = (now - self.started) * (self.recipe.epochs - done) / (done - self._first)
                self._say(f"epoch {begun + 1} of {self.recipe.epochs}, {left:.0f} s left")
                told = now

    def __call__(self, epoch: Epoch) -> None:
        self.epochs.append(epoch)
        line = (
            f"epoch {epoch.number} of {self.recipe.epochs}: validation accuracy "
            f"{epoch.val_accuracy:.3f}, {epoch.images_per_second:.0f} images/s"
        )
        self._say(line)
        if self._line is None:
            print(line)
            return
        words = "loss (left) and accuracy (right) per epoch so far; the line above tells the newest"
        figure = plots.epoch_curves({self.recipe.name: self.epochs}, words, self.guess)
        if self._picture is None:
            self._picture = figure.show()
        else:
            data, metadata = figure.bundle()
            self._picture.update(data, metadata=metadata, raw=True)

    def _say(self, line: str) -> None:
        if self._line is not None:
            self._line.update({"text/plain": line}, raw=True)
