"""Training: a recipe is everything that decides a run, `fit` runs it, a `Run` is what remains."""

import copy
import json
import math
import platform
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, get_swa_avg_fn
from torch.utils.data import Dataset

from ..data import Compose, Crop, Erase, Flip, Shift, loader, subset, targets
from ..evaluate import predict
from ..machine import best_time, keep_freed_memory, processor, using_threads
from ..models.blocks import Logits
from . import checkpoint as checkpoints
from . import processes

SCHEDULES = ("constant", "one-cycle", "2014")
PROBED_PIXELS = 2**18  # in all images of a probe, so that it takes as long at any image size
PRECISIONS = ("float32", "bfloat16", "auto")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides a run besides the network and the data."""

    name: str
    epochs: int
    batch_size: int  # images
    learning_rate: float  # at its highest
    image_size: int = 28  # pixels a side; the images are resized to it
    model: str = "googlenet_bn"  # for `models.create`, with the options in `network`;
    network: dict = field(default_factory=dict)  # `fit` takes any network and ignores all three
    after: str | None = None  # the recipe whose trained network is gone on with; None: a new one

    optimizer: str = "sgd"  # or "adamw"
    momentum: float = 0.0  # of "sgd", in Nesterov's form
    weight_decay: float = 0.0  # of weights only, not of biases or normalizations
    schedule: str = "constant"  # or "one-cycle", or "2014": 4 % less every 8 epochs
    warmup: float = 0.25  # the part of a one-cycle run in which the rate rises
    label_smoothing: float = 0.0
    auxiliary_weight: float = 0.3  # of each auxiliary head's loss
    ema_decay: float = 0.0  # the average's memory, such as 0.99 per step; 0 keeps none,
    # and 1 forgets nothing: the plain mean of the weights after every step (Polyak averaging)

    train_images: int | None = None  # learn from the first so many only; None: from all
    crop: bool = False  # cut a patch of 8 to 100 % of the area, as in 2014
    flip: bool = False  # mirror every other image
    shift: int = 0  # move by up to so many pixels
    erase: int = 0  # blacken a square of so many pixels

    precision: str = "float32"  # or "bfloat16", or "auto": the faster of the two on this machine
    seed: int = 0

    def __post_init__(self):
        for name, valid in {"schedule": SCHEDULES, "precision": PRECISIONS}.items():
            if getattr(self, name) not in valid:
                raise ValueError(f"{name} is one of {valid}, not {getattr(self, name)!r}")
        if self.optimizer not in ("sgd", "adamw"):
            raise ValueError(f"optimizer is 'sgd' or 'adamw', not {self.optimizer!r}")
        if not 0 <= self.ema_decay <= 1:
            raise ValueError(f"ema_decay is from 0 to 1, not {self.ema_decay}")
        if self.epochs < 1 or self.learning_rate <= 0:
            raise ValueError("a recipe needs at least one epoch and a learning rate above 0")
        if self.train_images is not None and self.train_images < 1:
            raise ValueError(f"train_images is 1 or more, or None, not {self.train_images}")

    def learned(self, dataset: Dataset) -> int:
        """How many of its images, the first ones, are learned from."""
        return min(len(dataset), self.train_images or len(dataset))

    def augmentation(self) -> Compose | None:
        """What `data.Batches` does to the training images."""
        steps = (
            self.crop and Crop(),
            self.flip and Flip(),
            self.shift and Shift(self.shift),
            self.erase and Erase(self.erase),
        )
        return Compose(step for step in steps if step) or None


QUICK = Recipe(
    "quick",
    epochs=1,
    batch_size=128,
    learning_rate=0.2,
    network={"stem": "small", "width": 0.25},
    momentum=0.9,
    weight_decay=5e-4,
    schedule="one-cycle",
    ema_decay=0.99,
    precision="auto",
)

MODERN = replace(
    QUICK,
    name="modern",
    epochs=6,
    network={"stem": "small", "width": 0.5},
    label_smoothing=0.1,
    ema_decay=0.998,
    flip=True,
    shift=2,
    erase=8,
)

OVERNIGHT = replace(MODERN, name="overnight", epochs=40, image_size=40, ema_decay=0.999)

RECIPES = {
    recipe.name: recipe
    for recipe in (
        QUICK,
        # The accuracy of "d2l" from half of the images; smaller batches, so that they are enough.
        replace(
            QUICK,
            name="sprint",
            batch_size=64,
            learning_rate=0.1,
            ema_decay=0.985,
            train_images=27_500,
        ),
        Recipe(
            "d2l",
            epochs=10,
            batch_size=128,
            learning_rate=0.1,
            image_size=96,
            model="googlenet_d2l",
            network={"xavier": True},
        ),
        MODERN,
        OVERNIGHT,
        # The rate rises once more, to a seventh of its height, and falls: another network as good
        # as the first, by another seed, in a thirteenth of the time.
        replace(
            OVERNIGHT,
            name="restart",
            after="overnight",
            epochs=3,
            learning_rate=0.03,
            ema_decay=0.995,
        ),
        # The training of the GoogLeNet paper (sections 5 and 6) as far as it is told, with its
        # dropout of 0.4. Ours are the image size (smaller ones leave the auxiliary heads no map of
        # 5x5), the learning rate, the batch size and Nesterov's form of momentum: the paper names
        # none, nor a weight decay. It ran asynchronously, and also changed colours. Its schedule is
        # for longer runs: at 4 % every 8 epochs, a tenth is left after 456 of them.
        Recipe(
            "paper_2014",
            epochs=20,
            batch_size=32,
            learning_rate=0.01,
            image_size=96,
            model="googlenet",
            network={"stem": "imagenet", "aux": True, "image_size": 96},
            momentum=0.9,
            schedule="2014",
            ema_decay=1.0,
            crop=True,
            flip=True,
            precision="auto",
        ),
        # For a reader's own pictures. Few of them make few steps, so the average is short.
        Recipe(
            "pictures",
            epochs=30,
            batch_size=32,
            learning_rate=0.1,
            image_size=128,
            network={"stem": "imagenet", "width": 0.5},
            momentum=0.9,
            weight_decay=5e-4,
            schedule="one-cycle",
            label_smoothing=0.1,
            ema_decay=0.9,
            crop=True,
            flip=True,
            precision="auto",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass through the training data, and what the validation data said after it.

    Losses are mean cross-entropies in nats of the main head, without label smoothing; accuracies
    are fractions of 1. Training means are taken while the network learns, validation means of the
    network at the end of the pass (its averaged weights, if the recipe averages).
    """

    number: int
    learning_rate: float  # at the end
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    seconds: float  # training and validation
    images_per_second: float  # while training


@dataclass(frozen=True, slots=True)
class Run:
    """What a training left behind: one `Epoch` per pass, the recipe, and where it ran.

    `test_accuracy` is a fraction of 1, of the whole test set, and None until it was measured.
    """

    epochs: tuple[Epoch, ...]
    recipe: Recipe
    environment: dict
    test_accuracy: float | None = None

    @property
    def best(self) -> Epoch:
        """The epoch with the highest validation accuracy."""
        return max(self.epochs, key=lambda epoch: epoch.val_accuracy)

    @property
    def last(self) -> Epoch:
        return self.epochs[-1]

    @property
    def seconds(self) -> float:
        return sum(epoch.seconds for epoch in self.epochs)

    @property
    def images_per_second(self) -> float:
        """While training, over the whole run."""
        return len(self.epochs) / sum(1 / epoch.images_per_second for epoch in self.epochs)

    @property
    def diagnosis(self) -> str | None:
        """What is wrong with the run, in words; None if nothing is."""
        classes = self.environment["classes"]
        chance = math.log(classes)
        if not self.epochs or abs(self.last.train_loss - chance) > 0.01 * chance:
            return None
        return (
            f"stuck at chance: the loss of epoch {self.last.number} is {self.last.train_loss:.3f}, "
            f"and a network that knows nothing has ln({classes}) = {chance:.3f}. Use a network "
            "with batch normalization, or another learning rate, or another seed."
        )

    def __str__(self) -> str:
        if not self.epochs:
            return f"{self.recipe.name}: no epoch finished"
        best = self.best
        text = (
            f"{self.recipe.name}: {len(self.epochs)} of {self.recipe.epochs} epochs in "
            f"{self.seconds:.0f} s ({self.images_per_second:.0f} images/s), "
            f"best validation accuracy {best.val_accuracy:.4f} after epoch {best.number}"
        )
        return f"{text}\n{self.diagnosis}" if self.diagnosis else text

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Run":
        """Raises `ValueError` if `text` is not the record of a run."""
        try:
            record = json.loads(text)
            record["epochs"] = tuple(Epoch(**epoch) for epoch in record["epochs"])
            record["recipe"] = Recipe(**record["recipe"])
            return cls(**record)
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(f"this is not the record of a run: {error}") from error


def trained(folder: str | Path) -> tuple[nn.Module, Run]:
    """The network that a training left in `folder`, on the CPU, in eval mode, and its record.

    Raises `CheckpointError` if one of them is missing, `ValueError` if the record is damaged.
    """
    network = checkpoints.load_weights(Path(folder, "weights.pt"))
    record = Path(folder, checkpoints.RECORD)
    if not record.exists():
        raise checkpoints.CheckpointError(
            f"there is no {record}, which says by what recipe the network was trained"
        )
    return network, Run.from_json(record.read_text("utf-8"))


class Diverged(ArithmeticError):
    """The loss is no longer a number; `run` has the epochs finished before."""

    def __init__(self, loss: float, where: str, rate: float, run: Run, kept: Path | None = None):
        super().__init__(
            f"the loss is {loss} in {where}, at learning rate {rate:.3g}: try a smaller one, or a "
            "network with batch normalization"
            + (f". The last good checkpoint is {kept}" if kept else "")
        )
        self.run = run


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM stopped a training after a step; `run` has the epochs finished before."""

    def __init__(self, number: int, where: str, run: Run, kept: Path | None):
        super().__init__(
            f"stopped after {where}"
            + (f"; resume=True goes on from {kept}" if kept else "")
            + "; .run of this exception has the finished epochs"
        )
        self.signal, self.where, self.run = number, where, run


def fit(
    model: nn.Module,
    train_set: Dataset,
    val_set: Dataset,
    recipe: Recipe,
    *,
    watch: Callable[[Epoch], object] | None = None,
    progress: Callable[[Iterable], Iterable] = iter,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    allow_changes: bool = False,
    every: float = 60.0,
    compiled: bool = False,
    sync_norm: bool = True,
) -> Run:
    """Train `model` in place on `train_set` by `recipe`, and validate it on `val_set` every epoch.

    `watch` is called with each finished epoch; `progress` wraps each pass over the batches, as
    `tqdm` does. At the end the model holds the averaged weights, if the recipe averages. The
    caller's random state is left alone.

    With `checkpoint`, a folder, the record of the run and all that is needed to go on are saved
    there after every epoch, and within one after `every` seconds. `resume=True` goes on from there
    to the very numbers of a run that was never stopped, or begins one if there is none.
    `allow_changes=True` goes on with another recipe or other data, too, and then begins the epoch
    again in which the run stopped.

    Ctrl-C and SIGTERM finish the step, save, and raise `Interrupted`, which has the run so far; a
    second one stops at once. Processes that torchrun started share the work, see `distributed`;
    with `sync_norm` they normalize each batch together, as one process would.

    `compiled` has torch translate the network into code for this machine, which takes minutes and
    a C++ compiler; whether the steps are then faster, only a trial can tell.

    Raises `Diverged` when the loss is no longer a number, `CheckpointError` when the folder holds
    another run or none that can be read, or may not be written.
    """
    team = processes.Team()
    if team.rank:
        watch, progress, checkpoint = None, iter, None
    device = next(model.parameters()).device
    if recipe.train_images:
        train_set = subset(train_set, torch.arange(recipe.learned(train_set)))
    batches = loader(
        train_set,
        recipe.batch_size,
        size=recipe.image_size,
        augment=recipe.augmentation(),
        shuffle=True,
        seed=recipe.seed,
        device=device,
    )
    keeper = checkpoints.CheckpointManager(
        checkpoint, asdict(recipe), train_set, val_set, every=every
    )
    saved = team.first(lambda: keeper.begin(resume, allow_changes))
    with (
        torch.random.fork_rng(),
        using_threads(team.cores),
        keep_freed_memory(),
        Signals() as signals,
    ):
        if saved:
            speed = Precision(*saved["speed"])
        else:
            speed = team.first(lambda: choose_precision(model, batches, recipe))
        model.to(memory_format=speed.memory_format)
        optimizer = make_optimizer(model, recipe)
        average = make_average(model, recipe)
        run = Run((), recipe, describe(device, speed, train_set, val_set, team.size))
        place = Place(number=1)
        if saved:
            try:
                before = Run.from_json(saved["run"])
                environment = merge_environments(before.environment, run.environment)
                run = replace(before, recipe=recipe, environment=environment)
                place = Place(**saved["place"])
                load(saved, model, average)
                if before.recipe.optimizer == recipe.optimizer:
                    load_optimizer_state(saved["optimizer"], optimizer)
            except (RuntimeError, ValueError) as error:
                reason = str(error).partition("\n")[0]
                raise checkpoints.CheckpointError(
                    f"{checkpoint} holds the run of another network ({reason}): take another folder"
                ) from error
        network = team.wrap(model, sync_norm)
        if compiled:
            network = torch.compile(network, backend=inductor_or_eager)

        def save(place: Place) -> None:
            state = {"speed": tuple(speed), "run": run.to_json(), "place": asdict(place)}
            state |= {"model": model.state_dict(), "average": average.state_dict()}
            keeper.save(state | {"optimizer": optimizer.state_dict()})

        for number in range(place.number, recipe.epochs + 1):
            set_rng_state(recipe.seed, number, team.rank, place.random)  # dropout
            batches.epoch, batches.start = number - 1, place.step
            start = time.perf_counter() - place.seconds
            seen = RunningMean(*(place.seen if team.rank == 0 else ()))
            model.train()
            for step, (images, labels) in enumerate(progress(batches), start=place.step + 1):
                rate = learning_rate(recipe, number - 1 + (step - 1) / len(batches))
                images, labels, weight = team.share(images, labels)
                set_learning_rate(optimizer, rate)

                with speed.autocast(device):
                    outputs = network(images.to(memory_format=speed.memory_format))
                loss = weight * objective(outputs, labels, recipe)
                mean_loss = team.mean(loss.item())
                if not math.isfinite(mean_loss):
                    where = f"epoch {number}, step {step} of {len(batches)}"
                    raise Diverged(mean_loss, where, rate, run, keeper.good)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

                average.update_parameters(model)
                if weight:
                    seen.add(outputs, labels)
                stop, due = team.most(signals.received, keeper.due)
                if stop or due:
                    random = team.collect(rng_state(device))
                    seconds = time.perf_counter() - start
                    save(Place(number, step, team.sum(*seen.sums), seconds, random))
                if stop:
                    where = f"step {step} of {len(batches)} in epoch {number}"
                    raise Interrupted(stop, where, run, keeper.good)
            trained = time.perf_counter() - start
            seen, place = RunningMean(*team.sum(*seen.sums)), Place(number + 1)
            checked = validate(average.module, val_set, recipe, team)
            if not math.isfinite(checked.loss):
                where = f"the validation after epoch {number}"
                raise Diverged(checked.loss, where, rate, run, keeper.good)
            epoch = Epoch(
                number=number,
                learning_rate=learning_rate(recipe, number - 1 / len(batches)),
                train_loss=seen.loss,
                train_accuracy=seen.accuracy,
                val_loss=checked.loss,
                val_accuracy=checked.accuracy,
                seconds=time.perf_counter() - start,
                images_per_second=seen.count / trained,
            )
            run = replace(run, epochs=(*run.epochs, epoch))
            save(place)
            if watch:
                watch(epoch)
            if stop := team.most(signals.received)[0]:
                raise Interrupted(stop, f"epoch {number}", run, keeper.good)
        model.load_state_dict(average.module.state_dict())
    return run


@dataclass(frozen=True, slots=True)
class Place:
    """How far a training is: `step` batches of epoch `number` are learned, in `seconds`."""

    number: int
    step: int = 0
    seen: tuple = ()  # what `RunningMean` has added up
    seconds: float = 0.0
    random: list = ()  # the state of each process's generators; empty before the first step


def load(saved: dict, model: nn.Module, average: AveragedModel) -> None:
    """Put back what was learned."""
    model.load_state_dict(saved["model"])
    average.load_state_dict(saved["average"])


def load_optimizer_state(saved: dict, optimizer: torch.optim.Optimizer) -> None:
    """Put back its momenta; the optimizer's settings stay, since the recipe decides them."""
    settings = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict(saved | {"param_groups": settings})


def rng_state(device: torch.device) -> list[Tensor]:
    """Of the generators that dropout draws from."""
    on_gpu = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return [torch.get_rng_state(), *on_gpu]


def set_rng_state(seed: int, number: int, rank: int, states: Sequence[list[Tensor]]) -> None:
    """Set the generators for epoch `number`, or as they were when the run stopped within it."""
    torch.manual_seed(1_000_003 * seed + number + 500_009 * rank)
    if rank < len(states):
        cpu, *gpu = states[rank]
        torch.set_rng_state(cpu)
        for state in gpu:
            torch.cuda.set_rng_state(state)


def validate(
    model: nn.Module, dataset: Dataset, recipe: Recipe, team: processes.Team
) -> "RunningMean":
    """How good the network is, each process eval_mode it about its share."""
    team.agree(model)
    rows, _, weight = team.share(*2 * [torch.arange(len(dataset))])
    means, part = RunningMean(), subset(dataset, rows)
    answers = predict(model, part, size=recipe.image_size)
    if weight:
        means.add(answers, targets(part))
    return RunningMean(*team.sum(*means.sums))


class RunningMean:
    """Mean loss and accuracy over images, however they were divided into batches."""

    def __init__(self, loss_sum: float = 0, correct: int = 0, count: int = 0):
        self.loss_sum, self.correct, self.count = loss_sum, correct, count

    def add(self, outputs: Tensor | Logits, labels: Tensor) -> None:
        logits = heads(outputs).main.detach().float()
        self.loss_sum += F.cross_entropy(logits, labels, reduction="sum").item()
        self.correct += (logits.argmax(dim=1) == labels).sum().item()
        self.count += len(labels)

    @property
    def sums(self) -> tuple[float, int, int]:
        return self.loss_sum, self.correct, self.count

    @property
    def loss(self) -> float:
        return self.loss_sum / self.count

    @property
    def accuracy(self) -> float:
        return self.correct / self.count


def heads(outputs: Tensor | Logits) -> Logits:
    return outputs if isinstance(outputs, Logits) else Logits(outputs, ())


def objective(outputs: Tensor | Logits, labels: Tensor, recipe: Recipe) -> Tensor:
    """Cross-entropy of the main head, plus `auxiliary_weight` times that of each auxiliary head."""
    main, *auxiliary = (
        F.cross_entropy(logits.float(), labels, label_smoothing=recipe.label_smoothing)
        for logits in (heads(outputs).main, *heads(outputs).aux)
    )
    return main + recipe.auxiliary_weight * sum(auxiliary)


def learning_rate(recipe: Recipe, epoch: float) -> float:
    """The learning rate after `epoch` passes, fractions included.

    "one-cycle" rises linearly from 0 in the first part of the run and falls to 0 along a cosine;
    "2014" is the GoogLeNet paper's (section 6): 4 % less every 8 epochs.
    """
    if recipe.schedule == "constant":
        return recipe.learning_rate
    if recipe.schedule == "2014":
        return recipe.learning_rate * 0.96 ** (epoch // 8)
    done = epoch / recipe.epochs
    if done < recipe.warmup:
        return recipe.learning_rate * done / recipe.warmup
    falling = (done - recipe.warmup) / (1 - recipe.warmup)
    return recipe.learning_rate * (1 + math.cos(math.pi * falling)) / 2


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Weight decay pulls on weights only: a bias or a normalization's scale has one dimension."""
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1]},
        {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    decay = recipe.weight_decay
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=decay)
    return torch.optim.SGD(
        groups,
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.momentum > 0,
        weight_decay=decay,
    )


def make_average(model: nn.Module, recipe: Recipe) -> AveragedModel:
    """A running mean of weights and statistics; with `ema_decay=0` a copy of the last."""
    if recipe.ema_decay == 1:  # one by one: counters cannot be averaged together
        return AveragedModel(model, avg_fn=get_swa_avg_fn(), use_buffers=True)
    mean = get_ema_multi_avg_fn(recipe.ema_decay)
    return AveragedModel(model, multi_avg_fn=mean, use_buffers=True)


class Precision(NamedTuple):
    """How the arithmetic is done; only the pace depends on it, and the last digits."""

    precision: str  # "float32" or "bfloat16"
    layout: str  # the torch memory format of images and weights

    @property
    def memory_format(self) -> torch.memory_format:
        return getattr(torch, self.layout)

    def autocast(self, device: torch.device) -> torch.autocast:
        return torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bfloat16")


def choose_precision(model: nn.Module, batches: Iterable, recipe: Recipe) -> Precision:
    """The fastest of the candidates in a short probe on a copy of the model.

    The first candidate stays unless another is at least a tenth faster, so that noise does not
    decide. A precision that the recipe names is not probed.
    """
    if recipe.precision != "auto":
        return Precision(recipe.precision, "channels_last")
    images, labels = next(iter(batches))
    count = max(2, PROBED_PIXELS // images[0, 0].numel())
    candidates = [Precision("float32", "channels_last"), Precision("float32", "contiguous_format")]
    if images.device.type in ("cpu", "cuda"):
        candidates.insert(1, Precision("bfloat16", "channels_last"))
    best, best_seconds = None, math.inf
    for candidate in candidates:
        seconds = probe(model, images[:count], labels[:count], recipe, candidate)
        if seconds < 0.9 * best_seconds:
            best, best_seconds = candidate, seconds
    return best


def probe(model, images: Tensor, labels: Tensor, recipe: Recipe, speed: Precision) -> float:
    """Seconds of one training step, without the optimizer."""
    model = copy.deepcopy(model).to(memory_format=speed.memory_format).train()
    images = images.to(memory_format=speed.memory_format)

    def step() -> None:
        with speed.autocast(images.device):
            outputs = model(images)
        objective(outputs, labels, recipe).backward()
        if images.device.type == "cuda":
            torch.cuda.synchronize()

    return best_time(step)


def inductor_or_eager(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable:
    """What `torch.compile` does by default; where that fails, the network goes on as it is."""
    try:
        return torch._dynamo.lookup_backend("inductor")(graph, inputs)
    except Exception as error:  # of torch, of the C++ compiler or of the lack of one
        reason = str(error).strip().partition("\n")[0]
        warnings.warn(
            f"torch.compile does not work here, going on without it: {reason}", stacklevel=2
        )
        return graph.forward


def describe(
    device: torch.device, speed: Precision, train_set, val_set, processes: int = 1
) -> dict:
    """What a reader of the record needs to compare it with another."""
    return {
        "course": version("inception-course"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "device": device.type,
        "processes": processes,
        "threads": torch.get_num_threads(),
        "precision": speed.precision,
        "layout": speed.layout,
        "train_images": len(train_set),
        "val_images": len(val_set),
        "classes": int(targets(train_set).max()) + 1,
    }


def merge_environments(before: dict, now: dict) -> dict:
    """The environment of a run that was resumed; where it changed, it tells both: "1, then 2"."""

    def told(name: str) -> object:
        old, new = before.get(name, now[name]), now[name]
        same = str(old).rpartition(", then ")[2] == str(new)
        return old if same else f"{old}, then {new}"

    return {name: told(name) for name in now} | {"classes": now["classes"]}  # a number to count on


class Signals:
    """Inside, Ctrl-C and SIGTERM are noted, so that no step is cut in two; the second one stops.

    Only the main thread may ask for signals; elsewhere, and for a signal that is ignored, nothing
    changes.
    """

    def __init__(self):
        self.received = 0  # the number of the signal
        self.before = {}

    def __enter__(self) -> "Signals":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self.before[number] = signal.signal(number, self.note)
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def note(self, number: int, frame) -> None:
        if self.received:
            raise KeyboardInterrupt
        self.received = int(number)
