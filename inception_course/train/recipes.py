"""Recipes: how a network is trained. What is trained, a network and its options, stands beside."""

import math
from dataclasses import dataclass, replace
from typing import Any

from ..data import Augment, Compose, Cutout, RandomFlip, RandomResizedCrop, Translate

SCHEDULES = ("constant", "one-cycle", "step")
OPTIMIZERS = ("sgd", "adamw")
PRECISIONS = ("float32", "bfloat16", "auto")
# The lowest and the highest value; where the lowest is written as a whole number, all are whole.
LIMITS: dict[str, tuple[float, float]] = {
    "epochs": (1, math.inf),
    "batch_size": (1, math.inf),
    "learning_rate": (0.0, math.inf),
    "image_size": (1, math.inf),
    "first_size": (1, math.inf),
    "train_images": (1, math.inf),
    "momentum": (0.0, 1.0),
    "weight_decay": (0.0, math.inf),
    "label_smoothing": (0.0, 1.0),
    "auxiliary_weight": (0.0, math.inf),
    "ema_decay": (0.0, 1.0),
    "translate": (0, math.inf),
    "cutout": (0, math.inf),
    "seed": (0, math.inf),
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """Holds everything that decides how a network is trained. It can be compared and hashed.

    Raises `ValueError` for a value that no training can have.
    """

    name: str
    epochs: int
    batch_size: int  # images
    learning_rate: float  # at its highest
    image_size: int = 28  # pixels a side; the images are resized to it
    first_size: int | None = None  # pixels a side in the first half of the epochs, if it is another
    train_images: int | None = None  # learn from the first N images, or from N pictures of your
    # own, drawn once and for all; None: from all

    optimizer: str = "sgd"  # or "adamw"
    momentum: float = 0.0  # for "sgd", in Nesterov's form
    weight_decay: float = 0.0  # on weights only, not on biases or norms
    schedule: str = "constant"  # or "one-cycle", or "step": 4 % less every 8 epochs
    warmup: float = 0.25  # the part of a one-cycle run in which the learning rate rises
    label_smoothing: float = 0.0
    auxiliary_weight: float = 0.3  # for the loss of each auxiliary head
    ema_decay: float = 0.0  # the memory of the averaged weights, such as 0.99 a step; 0 keeps no
    # average, and 1 forgets nothing: the plain mean after every step (Polyak averaging)
    init_from: str | None = None  # the recipe whose trained network this one begins with

    random_resized_crop: bool = False  # a patch of 8 to 100 % of the area, as in 2014
    flip: bool = False  # mirror each image with a chance of one half
    translate: int = 0  # move by up to N pixels
    cutout: int = 0  # blacken a square of N pixels

    precision: str = "float32"  # or "bfloat16", or "auto": the faster of the two on this machine
    seed: int = 0

    def __post_init__(self) -> None:
        choices = {"schedule": SCHEDULES, "optimizer": OPTIMIZERS, "precision": PRECISIONS}
        for name, valid in choices.items():
            if getattr(self, name) not in valid:
                raise ValueError(f"{name} is one of {valid}, not {getattr(self, name)!r}")
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup is a part of the run, from 0 to below 1, not {self.warmup}")
        if self.epochs < 1 or not self.learning_rate > 0:
            raise ValueError("a recipe needs at least one epoch and a learning rate above 0")
        if self.first_size is not None and self.first_size < 1:
            raise ValueError(f"first_size is 1 pixel or more, or None, not {self.first_size}")
        for name, (low, high) in LIMITS.items():
            value, whole = getattr(self, name), isinstance(low, int)
            optional = name in ("first_size", "train_images")
            if value is None and optional:
                continue
            fits = isinstance(value, int) if whole else math.isfinite(value)
            if not fits or not low <= value <= high:
                kind = "" if fits else f"a {'whole' if whole else 'finite'} number, "
                reach = f"{low:g} or more" if high == math.inf else f"from {low:g} to {high:g}"
                end = ", or None" if optional else ""
                raise ValueError(f"{name} is {kind}{reach}{end}, not {value!r}")

    def size_in(self, epoch: int) -> int:
        """Return the side of the images, in pixels, that an epoch learns from; the first is 1."""
        if self.first_size is not None and 2 * epoch <= self.epochs:
            return self.first_size
        return self.image_size

    def augmentation(self) -> Augment | None:
        """Return the random changes to the training images; None if there are none."""
        steps: list[Augment] = []
        if self.random_resized_crop:
            steps.append(RandomResizedCrop())
        if self.flip:
            steps.append(RandomFlip())
        if self.translate:
            steps.append(Translate(self.translate))
        if self.cutout:
            steps.append(Cutout(self.cutout))
        return Compose(steps) if steps else None


# The fastest: about a minute on two cores.
QUICK = Recipe(
    "quick",
    epochs=1,
    batch_size=128,
    learning_rate=0.2,
    momentum=0.9,
    weight_decay=5e-4,
    schedule="one-cycle",
    ema_decay=0.99,
    precision="auto",
)

# The accuracy of "d2l" from half of the images; smaller batches, so that they are enough.
SPRINT = replace(
    QUICK, name="sprint", batch_size=64, learning_rate=0.1, ema_decay=0.985, train_images=27_500
)

D2L = Recipe("d2l", epochs=10, batch_size=128, learning_rate=0.1, image_size=96)

MODERN = replace(
    QUICK,
    name="modern",
    epochs=6,
    label_smoothing=0.1,
    ema_decay=0.998,
    flip=True,
    translate=2,
    cutout=8,
)

OVERNIGHT = replace(MODERN, name="overnight", epochs=40, image_size=40, ema_decay=0.999)

# The learning rate rises once more, to a seventh of its height, and falls: another network as good
# as the first, by another seed, in a thirteenth of the time.
RESTART = replace(
    OVERNIGHT,
    name="restart",
    init_from="overnight",
    epochs=3,
    learning_rate=0.03,
    ema_decay=0.995,
)

# The training of the GoogLeNet paper (sections 5 and 6) as far as it is told, with its dropout of
# 0.4. Ours are the image size (smaller ones leave the auxiliary heads no map of 5x5), the learning
# rate, the batch size and Nesterov's form of momentum: the paper names none, nor a weight decay. It
# ran asynchronously, and also changed colors. Its schedule is for longer runs: at 4 % every 8
# epochs, a tenth is left after 456 of them.
PAPER_2014 = Recipe(
    "paper_2014",
    epochs=20,
    batch_size=32,
    learning_rate=0.01,
    image_size=96,
    momentum=0.9,
    schedule="step",
    ema_decay=1.0,
    random_resized_crop=True,
    flip=True,
    precision="auto",
)

# GoogLeNet with all its channels, in an hour of one core. A network without batch normalization
# learns at this learning rate too, so that the two can be compared.
FULL = replace(
    QUICK,
    name="full",
    epochs=3,
    batch_size=64,
    learning_rate=0.02,
    image_size=96,
    ema_decay=0.998,
    flip=True,
)

# For a reader's own pictures. Few of them make few steps, so the average is short.
PICTURES = Recipe(
    "pictures",
    epochs=30,
    batch_size=32,
    learning_rate=0.1,
    image_size=128,
    momentum=0.9,
    weight_decay=5e-4,
    schedule="one-cycle",
    label_smoothing=0.1,
    ema_decay=0.9,
    random_resized_crop=True,
    flip=True,
    precision="auto",
)

RECIPES = {
    recipe.name: recipe
    for recipe in (
        QUICK,
        SPRINT,
        D2L,
        FULL,
        MODERN,
        OVERNIGHT,
        RESTART,
        PAPER_2014,
        PICTURES,
    )
}

# The network that each recipe is meant for, as `models.create` takes it: its name and options.
_HALF: dict[str, Any] = {"stem": "small", "width": 0.5}
_PAPER: dict[str, Any] = {"stem": "imagenet", "aux": True, "image_size": 96}
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "quick": ("googlenet_bn", {"stem": "small", "width": 0.25}),
    "sprint": ("googlenet_bn", {"stem": "small", "width": 0.25}),
    "d2l": ("googlenet_d2l", {"xavier": True}),
    "full": ("googlenet", _PAPER),
    "modern": ("googlenet_bn", _HALF),
    "overnight": ("googlenet_bn", _HALF),
    "restart": ("googlenet_bn", _HALF),
    "paper_2014": ("googlenet", _PAPER),
    "pictures": ("googlenet_bn", {"stem": "imagenet", "width": 0.5}),
}
