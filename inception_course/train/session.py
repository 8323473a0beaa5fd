"""What surrounds a training: precision, threads, signals, random states, saving and resuming.

Nothing here is needed to understand how a network learns; that is in `loop`.
"""

import copy
import math
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Generator, Tensor, nn
from torch.utils.data import TensorDataset

from ..data import Dataset, loader, subset, targets
from ..machine import best_time, keep_freed_memory, processor, using_threads
from . import processes
from .checkpoint import CheckpointError, CheckpointManager, claimed
from .optim import learning_rate, make_average, make_optimizer, make_schedule
from .recipes import Recipe
from .run import Diverged, Epoch, Interrupted, Run, RunningMean

PROBED_PIXELS = 2**18  # in all images of a probe, so that it takes as long at any image size
CHECK_EVERY = 20  # steps between two looks at the loss on a GPU, since a look makes the GPU wait
Objective = Callable[..., tuple[Tensor, Tensor]]


class Precision(NamedTuple):
    """Says how the arithmetic is done, which changes only the speed and the last digits."""

    dtype: str  # "float32" or "bfloat16"
    layout: str  # the torch memory format of images and weights

    @property
    def memory_format(self) -> torch.memory_format:
        return getattr(torch, self.layout)

    def autocast(self, device: torch.device) -> torch.autocast:
        return torch.autocast(device.type, torch.bfloat16, enabled=self.dtype == "bfloat16")


@dataclass(frozen=True, slots=True)
class Position:
    """Says how far a training is: `step` batches of `epoch` are learned, in `seconds`."""

    epoch: int = 1
    step: int = 0
    seen: tuple = ()  # the sums of `RunningMean`
    seconds: float = 0.0
    random: tuple = ()  # the state of each process's generators; empty before the first step


@contextmanager
def open_session(
    model: nn.Module,
    train_set: Dataset,
    val_set: Dataset,
    recipe: Recipe,
    objective: Objective,
    *,
    folder: str | Path | None,
    resume: bool,
    allow_changes: bool,
    save_every: float,
    **options: Any,
) -> Iterator["Session"]:
    """Open a `Session`; its end puts the caller's threads, signals and random state back."""
    if recipe.train_images:
        rows = torch.arange(len(train_set))
        if not isinstance(train_set, TensorDataset):  # pictures come class by class
            rows = torch.randperm(len(rows), generator=Generator().manual_seed(2014))
        train_set = subset(train_set, rows[: recipe.train_images])
    identity = asdict(recipe) | dict(options["network"] or {})
    folder = None if processes.rank() else folder
    manager = CheckpointManager(folder, identity, train_set, val_set, save_every=save_every)
    with (
        ExitStack() as stack,
        torch.random.fork_rng(),
        using_threads(processes.cores()),
        keep_freed_memory(),
        Signals() as signals,
    ):
        processes.on_rank_zero(lambda: stack.enter_context(claimed(folder)))
        saved = processes.on_rank_zero(lambda: manager.restore(resume, allow_changes))
        yield Session(
            model, train_set, val_set, recipe, objective, manager, saved, signals, **options
        )


class Session:
    """Holds a training in progress: what the loop needs, what is saved, and how far it is."""

    def __init__(
        self,
        model: nn.Module,
        train_set: Dataset,
        val_set: Dataset,
        recipe: Recipe,
        objective: Objective,
        manager: CheckpointManager,
        saved: dict[str, Any] | None,
        signals: "Signals",
        *,
        network: Mapping[str, Any] | None,
        on_epoch_end: Callable[[Epoch], object] | None,
        progress: Callable[[Iterable], Iterable],
    ):
        first = processes.rank() == 0
        self.on_epoch_end = on_epoch_end if first else None
        self.progress = progress if first else iter
        self.model, self.recipe, self.manager, self.signals = model, recipe, manager, signals
        self.device = next(model.parameters()).device
        self.loader = loader(
            train_set,
            recipe.batch_size,
            size=recipe.image_size,
            augment=recipe.augmentation(),
            shuffle=True,
            seed=recipe.seed,
            device=self.device,
            min_last=2 * processes.world_size(),
        )
        if saved and saved["precision"]:
            self.precision = Precision(*saved["precision"])
        else:
            self.precision = processes.on_rank_zero(
                lambda: choose_precision(model, self.loader, recipe, objective)
            )
        model.to(memory_format=self.precision.memory_format)
        self.optimizer = make_optimizer(model, recipe)
        self.average = make_average(model, recipe)
        environment = describe(self.device, self.precision, train_set, val_set)
        self.run = Run((), recipe, environment, network=dict(network) if network else None)
        self.position = Position()
        if saved:
            self._restore(saved)
        done = (self.position.epoch - 1) * len(self.loader) + self.position.step
        self.schedule = make_schedule(self.optimizer, recipe, len(self.loader), done)
        self.network = processes.wrap(model)
        self.averaged = self.average.module if self.average else model

    def _restore(self, saved: dict[str, Any]) -> None:
        try:
            before = Run.from_json(saved["run"])
            environment = merge_environments(before.environment, self.run.environment)
            self.run = replace(before, recipe=self.recipe, environment=environment)
            self.position = Position(**saved["position"])
            self.model.load_state_dict(saved["model"])
            if self.average and saved["average"]:
                self.average.load_state_dict(saved["average"])
            if before.recipe.optimizer == self.recipe.optimizer:
                load_optimizer_state(self.optimizer, saved["optimizer"])
        except (RuntimeError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise CheckpointError(
                f"{self.manager.folder} holds the run of another network ({reason}): take another "
                "folder"
            ) from error

    def autocast(self) -> torch.autocast:
        return self.precision.autocast(self.device)

    def epochs(self) -> Iterator[int]:
        """Yield the numbers of the epochs to come; at the end, take the averaged weights."""
        for number in range(self.position.epoch, self.recipe.epochs + 1):
            yield number
            (stop,) = processes.all_reduce_max(self.signals.received)
            if stop:
                raise Interrupted(stop, f"epoch {number}", self.run, self.manager.latest)
        if self.average:
            self.model.load_state_dict(self.average.module.state_dict())

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield this process's share of the batches of an epoch that are not learned yet."""
        first = processes.rank() == 0
        self.seen = RunningMean(*(self.position.seen if first else ()))
        self.step = self.position.step
        self.checked = torch.zeros((), device=self.device)  # nan as soon as a loss is no number
        self.start = time.perf_counter() - self.position.seconds
        self.loader.epoch, self.loader.start = epoch - 1, self.step
        self.loader.size = self.recipe.size_in(epoch)
        set_rng_state(self.recipe.seed, epoch, self.position.random)  # for dropout
        return self._shares()

    def _shares(self) -> Iterator[tuple[Tensor, Tensor]]:
        for images, labels in self.progress(self.loader):
            images = processes.shard(images).to(memory_format=self.precision.memory_format)
            yield images, processes.shard(labels)
        self.train_seconds = time.perf_counter() - self.start
        processes.broadcast_buffers(self.averaged)

    def after_step(self, loss: Tensor) -> None:
        """Average the weights, notice a loss that is no number, save if due, stop if asked."""
        self.step += 1
        if self.average:
            self.average.update_parameters(self.model)
        self.checked += 0 * loss.detach()
        due = self.manager.should_save
        alone = processes.world_size() == 1
        look = self.device.type == "cpu" or self.step % CHECK_EVERY == 0 or (alone and due)
        if not (look or alone):
            return  # to ask the other processes would make the GPU wait, too
        bad = look and not self.checked.isfinite()
        stop, save, stray = processes.all_reduce_max(self.signals.received, due, bad)
        where = f"step {self.step} of {len(self.loader)}"
        epoch = self.position.epoch
        if stray:
            self._diverged(loss.item(), f"epoch {epoch}, {where}")
        if stop or save:
            self._save(
                Position(
                    epoch,
                    self.step,
                    tuple(processes.all_reduce_sum(*self.seen.sums)),
                    time.perf_counter() - self.start,
                    tuple(processes.all_gather(rng_state(self.device))),
                )
            )
        if stop:
            raise Interrupted(stop, f"{where} in epoch {epoch}", self.run, self.manager.latest)

    def end_epoch(self, number: int, trained: RunningMean, validated: RunningMean) -> None:
        """Record an epoch, save, and tell the caller."""
        loss_sum, correct, count = processes.all_reduce_sum(*trained.sums)
        trained = RunningMean(loss_sum, int(correct), int(count))
        if not math.isfinite(validated.loss):
            self._diverged(validated.loss, f"the validation after epoch {number}")
        epoch = Epoch(
            number=number,
            learning_rate=self._rate(),
            train_loss=trained.loss,
            train_accuracy=trained.accuracy,
            val_loss=validated.loss,
            val_accuracy=validated.accuracy,
            seconds=time.perf_counter() - self.start,
            images_per_second=trained.count / self.train_seconds,
        )
        self.run = replace(self.run, epochs=(*self.run.epochs, epoch))
        self.position = Position(number + 1)
        self._save(self.position)
        if self.on_epoch_end:
            self.on_epoch_end(epoch)

    def _rate(self) -> float:
        """Return the learning rate of the step that was taken last."""
        done = self.position.epoch - 1 + (self.step - 0.5) / len(self.loader)
        return learning_rate(self.recipe, done)

    def _diverged(self, loss: float, where: str) -> NoReturn:
        loss = math.nan if math.isfinite(loss) else loss  # a step before or another process had it
        raise Diverged(loss, where, self._rate(), self.run, self.manager.latest)

    def _save(self, position: Position) -> None:
        self.manager.save(
            {
                "precision": tuple(self.precision),
                "run": self.run.to_json(),
                "position": asdict(position),
                "model": self.model.state_dict(),
                "average": self.average.state_dict() if self.average else None,
                "optimizer": self.optimizer.state_dict(),
            }
        )


def load_optimizer_state(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Put back an optimizer's momenta; its settings stay, since the recipe decides them."""
    settings = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict(saved | {"param_groups": settings})


def rng_state(device: torch.device) -> list[Tensor]:
    """Return the state of the generators that dropout draws from."""
    on_gpu = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return [torch.get_rng_state(), *on_gpu]


def set_rng_state(seed: int, epoch: int, states: Sequence[list[Tensor]]) -> None:
    """Set the generators for an epoch, or as they were when the run stopped within it."""
    rank = processes.rank()
    torch.manual_seed((1_000_003 * seed + epoch + 500_009 * rank) % 2**63)
    if rank < len(states):
        cpu, *gpu = states[rank]
        torch.set_rng_state(cpu)
        for state in gpu:
            torch.cuda.set_rng_state(state)


def choose_precision(
    model: nn.Module, batches: Iterable, recipe: Recipe, objective: Objective
) -> Precision:
    """Find the fastest of the candidates in a short probe on a copy of the model.

    The first candidate stays unless another is at least a tenth faster, so that noise does not
    decide. A precision that the recipe names is not probed.
    """
    if recipe.precision != "auto":
        return Precision(recipe.precision, "channels_last")
    images, labels = next(iter(batches))
    count = max(2, PROBED_PIXELS // images[0, 0].numel())
    candidates = [
        Precision("float32", "channels_last"),
        Precision("float32", "contiguous_format"),
    ]
    if images.device.type in ("cpu", "cuda"):
        candidates.insert(1, Precision("bfloat16", "channels_last"))
    best, best_seconds = candidates[0], math.inf
    for candidate in candidates:
        seconds = time_step(model, images[:count], labels[:count], recipe, objective, candidate)
        if seconds < 0.9 * best_seconds:
            best, best_seconds = candidate, seconds
    return best


def time_step(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    recipe: Recipe,
    objective: Objective,
    precision: Precision,
) -> float:
    """Time one training step, without the optimizer, in seconds."""
    model = copy.deepcopy(model).to(memory_format=precision.memory_format).train()
    images = images.to(memory_format=precision.memory_format)

    def step() -> None:
        with precision.autocast(images.device):
            outputs = model(images)
        loss, _ = objective(outputs, labels, recipe)
        loss.backward()
        if images.device.type == "cuda":
            torch.cuda.synchronize()

    return best_time(step)


def describe(
    device: torch.device, precision: Precision, train_set: Dataset, val_set: Dataset
) -> dict[str, Any]:
    """Return what a reader of a record needs to compare it with another one."""
    known = len(getattr(train_set, "classes", ()))  # of pictures, whose classes have names
    return {
        "course": course_version(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "device": device.type,
        "processes": processes.world_size(),
        "threads": torch.get_num_threads(),
        "precision": precision.dtype,
        "layout": precision.layout,
        "train_images": len(train_set),
        "val_images": len(val_set),
        "classes": known or int(targets(train_set).max()) + 1,
    }


def course_version() -> str:
    """Return the course's version; a copy that was never installed has none, but can train."""
    try:
        return metadata.version("inception-course")
    except metadata.PackageNotFoundError:
        return "not installed"


def merge_environments(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Return the environment of a resumed run; where it changed, it tells both: "1, then 2"."""

    def told(name: str) -> object:
        old, new = before.get(name, now[name]), now[name]
        same = str(old).rpartition(", then ")[2] == str(new)
        return old if same else f"{old}, then {new}"

    return {name: told(name) for name in now} | {"classes": now["classes"]}  # stays a number


class Signals:
    """Inside, Ctrl-C and SIGTERM are noted, so that the step can finish; a second one stops it.

    Only the main thread may ask for signals; elsewhere, and for a signal that is ignored, nothing
    changes.
    """

    def __init__(self) -> None:
        self.received = 0  # the number of the signal
        self.before: dict[int, Any] = {}

    def __enter__(self) -> "Signals":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self.before[number] = signal.signal(number, self.note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def note(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            raise KeyboardInterrupt
        self.received = int(number)
