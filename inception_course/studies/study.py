"""A study: measurements of one kind, in one record that is written after each of them.

    result = studies.run(studies.STUDIES["batch-norm"], "batch-norm.json", workers=2)

A second call resumes the record: what is in it already is not measured again.
"""

import math
import multiprocessing
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import torch
from torch.utils.data import TensorDataset

from .. import records
from ..machine import sharing_cores, usable_cores, using_threads
from ..train import Precision, describe

Unit: TypeAlias = tuple  # names one measurement, such as by a variant's name and a seed


class Study(ABC):
    """Says what is measured, and how; `about` says it in a line, with the time that it takes.

    `record` is the dataclass that holds the results: `settings`, `environment` and `trainings`,
    each with its `unit`.
    """

    name: str
    about: str
    record: ClassVar[type]
    threads: ClassVar[int | None] = None  # of a measurement; None: all the cores it may use

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return the settings that a record must have so that this study can resume it."""

    @abstractmethod
    def units(self) -> list[Unit]:
        """List everything to measure, in the order of the record; a unit ends with its seed."""

    @abstractmethod
    def measure(self, unit: Unit) -> Any:
        """Measure one unit, for the record; this may run in a process of its own."""

    def sentence(self, measured: Any) -> str:
        """Describe a finished measurement in one line, for a reader who waits."""
        return str(measured)

    @abstractmethod
    def images(self) -> tuple[TensorDataset, TensorDataset]:
        """Load the images to learn from, and those to validate on."""

    def environment(self) -> dict[str, Any]:
        """Describe the machine and the images, for the record."""
        precision = Precision("float32", "channels_last")
        with using_threads(self.threads or usable_cores()):
            return describe(torch.device("cpu"), precision, *self.images())

    def differences(self, record: Any) -> Iterator[tuple[str, Any, Any]]:
        """Yield each setting that differs in the record: its name, its value there, and now."""
        for name, now in self.settings().items():
            if (before := record.settings.get(name, now)) != now:
                yield name, before, now


def run(
    study: Study,
    path: str | Path | None = None,
    *,
    workers: int = 1,
    seconds: float = math.inf,
    on_done: Callable[[Any], object] | None = None,
) -> Any:
    """Measure every unit of a study, seed by seed, and return the record of all.

    With `path`, the record is saved there after every measurement, and what is there already is
    not measured again. `workers` measurements run side by side and share the cores; after `seconds`
    no further one is started. `on_done` is called with each that is finished.

    Raises `ValueError` if `path` holds the record of another study, or another process uses it.
    """
    path = Path(path) if path else None
    with records.claimed(path) if path else nullcontext(), sharing_cores(workers):
        result = _begin(study, path)
        done = {each.unit for each in result.trainings}
        order = {unit: number for number, unit in enumerate(study.units())}
        todo = sorted((unit for unit in order if unit not in done), key=lambda unit: unit[-1])
        for measured in _measure_all(study, todo, workers, seconds):
            trainings = sorted(
                (*result.trainings, measured), key=lambda each: order.get(each.unit, len(order))
            )
            result = replace(result, trainings=tuple(trainings))
            if path:
                records.save(result, path)
            if on_done:
                on_done(measured)
        return result


def _begin(study: Study, path: Path | None) -> Any:
    if path is None or not path.exists():
        return study.record(study.settings(), study.environment(), ())
    record: Any = records.load(study.record, path)
    for name, before, now in study.differences(record):
        raise ValueError(
            f"{path} is the record of another experiment ({name} was {before!r}, now {now!r}): "
            "take another file"
        )
    return replace(record, settings=record.settings | study.settings())


def _end_with_parent() -> None:
    """End this process when the one that started it ends: nobody would take its result."""
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _measure_beside(study: Study, unit: Unit, workers: int) -> Any:
    """Measure in a worker process, with its share of the cores: more threads would queue up."""
    with sharing_cores(workers):
        return study.measure(unit)


def _measure_all(study: Study, todo: Iterable[Unit], workers: int, seconds: float) -> Iterator[Any]:
    """Yield each measurement as soon as it is finished."""
    end = time.monotonic() + seconds
    todo = iter(todo)
    if workers == 1:
        yield from (study.measure(unit) for unit in todo if time.monotonic() < end)
        return
    # Workers are fresh processes: a fork of one that has used torch's threads can hang.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, spawn, initializer=_end_with_parent) as pool:
        running: set[Future] = set()
        while True:
            while len(running) < workers and time.monotonic() < end:
                if (unit := next(todo, None)) is None:
                    break
                running.add(pool.submit(_measure_beside, study, unit, workers))
            if not running:
                return
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()
