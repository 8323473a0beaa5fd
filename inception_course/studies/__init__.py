"""Every recorded measurement: `STUDIES` can be made again by `run`, `load` finds their records.

depth = studies.load("depth")
recorded = studies.runs()
"""

from typing import Any

from .. import records
from ..train import Run
from .bench import Benchmark
from .ensembles import Table
from .experiment import EXPERIMENTS
from .reduction import NarrowNets
from .results import RECORDS, repetitions, runs
from .study import Study, run

__all__ = ["RECORDS", "STUDIES", "Study", "load", "repetitions", "run", "runs"]

STUDIES: dict[str, Study] = {study.name: study for study in (*EXPERIMENTS.values(), NarrowNets())}


def load(name: str) -> Any:
    """Read a record of the course by its name: a study, a benchmark, a table, or a run.

    Raises `ValueError` for another name.
    """
    paths = {path.stem: path for path in sorted(RECORDS.rglob("*.json"))}
    if name not in paths:
        raise ValueError(f"there is no record {name!r}: valid are {', '.join(paths)}")
    kinds = {"evaluation": Table, "bench": Benchmark}
    kind = STUDIES[name].record if name in STUDIES else kinds.get(paths[name].parent.name, Run)
    return records.load(kind, paths[name])
