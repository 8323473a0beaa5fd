"""Every recorded measurement: `run` makes one of `STUDIES` again, `load` reads its record.

depth = studies.load("depth")
recorded = studies.runs()
"""

from typing import Any

from .. import records
from ..train import Run
from .bench import Benchmark
from .comparison import COMPARISONS, difference
from .degradation import DEGRADATION
from .ensembles import Table
from .equal_cost import EQUAL_COST
from .experiment import EXPERIMENTS
from .maps import MAPS
from .parts import PARTS
from .reduction import NarrowNets
from .results import RECORDS, repetitions, runs
from .rethinking import RETHINKING
from .same_start import SameStart
from .saturation import Dilemma
from .study import Study, run

__all__ = ["RECORDS", "STUDIES", "Study", "difference", "load", "repetitions", "run", "runs"]

STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        *EXPERIMENTS.values(),
        *COMPARISONS.values(),
        *PARTS.values(),
        *RETHINKING.values(),
        EQUAL_COST,
        MAPS,
        DEGRADATION,
        NarrowNets(),
        Dilemma(),
        SameStart(),
    )
}


def load(name: str) -> Any:
    """Read a record of the course by its name: a study, a benchmark, a table, or a run.

    Raises `ValueError` for another name, and for a study that nobody has recorded.
    """
    paths = {path.stem: path for path in sorted(RECORDS.rglob("*.json"))}
    if name in STUDIES and name not in paths:
        raise ValueError(f"{name} is not recorded yet: python -m inception_course study {name}")
    if name not in paths:
        raise ValueError(f"there is no record {name!r}: valid are {', '.join(paths)}")
    kinds = {"evaluation": Table, "bench": Benchmark}
    kind = STUDIES[name].record if name in STUDIES else kinds.get(paths[name].parent.name, Run)
    return records.load(kind, paths[name])
