"""Recorded runs, and the tables that the README shows.

A folder of records has `MODEL-RECIPE.json`, the run of a recipe with seed 0,
`seeds/MODEL-RECIPE-N.json`, its repetitions, and `evaluation/*.json`, tables of several networks
and views.
"""

from collections import defaultdict
from pathlib import Path
from statistics import mean

from .. import records
from ..train import Run
from ..train.checkpoint import RECORD
from .ensembles import Table

RECORDS = Path(__file__).with_name("records")  # those that come with the course


def runs(folder: str | Path = RECORDS) -> dict[str, Run]:
    """Read the runs in `folder`, by the name of their file, the shortest first.

    A run that `train` has left has the name of its own folder, which may be `folder` or lie in it.
    Runs without a finished epoch are left out.
    """
    folder = Path(folder).resolve()
    left = [path for each in (".", "*") for path in folder.glob(f"{each}/{RECORD}")]
    named = {path.parent.name: path for path in left} or {p.stem: p for p in folder.glob("*.json")}
    loaded = {name: records.load(Run, path) for name, path in sorted(named.items())}
    found = {name: run for name, run in loaded.items() if run.epochs}
    return dict(sorted(found.items(), key=lambda item: item[1].seconds))


def repetitions(folder: str | Path = RECORDS) -> dict[str, list[Run]]:
    """Read the runs in `folder`/seeds, by model and recipe."""
    groups = defaultdict(list)
    for name, run in runs(Path(folder) / "seeds").items():
        groups[name.rpartition("-")[0]].append(run)
    return dict(sorted(groups.items(), key=lambda item: item[1][0].seconds))


def command(name: str, run: Run) -> str:
    """Return the command that makes the run again; if `run` lacks the model, `name` tells it."""
    model = (run.network or {}).get("model") or name.removesuffix(f"-{run.recipe.name}")
    return f"python -m inception_course train --model {model} --recipe {run.recipe.name}"


def duration(seconds: float) -> str:
    """Write a time in seconds, minutes or hours, whichever is easiest to read."""
    for unit, size, below in (("s", 1, 100), ("min", 60, 100)):
        if seconds < below * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 3600:.1f} h"


def markdown(folder: str | Path = RECORDS) -> str:
    """Write the results as Markdown tables: recipes, classes, repetitions, ensembles.

    The first has the runs with seed 0, the second how often they are right about each class, the
    third their repetitions. The last has the accuracy on the test images, averaged over several
    networks or several views: each of its rows comes from an `ensembles.Table`.
    """
    found = runs(folder)
    rows = [
        [
            f"`{command(name, run)}`",
            run.environment["threads"],
            duration(run.seconds),
            f"{run.images_per_second:.0f}",
            f"{run.last.val_accuracy:.4f}",
            "" if run.test_accuracy is None else f"{run.test_accuracy:.4f}",
        ]
        for name, run in found.items()
    ]
    right = {name: run.right for name, run in found.items() if run.right}
    classes = dict.fromkeys(each for shares in right.values() for each in shares)
    by_class = [
        [each, *(f"{shares[each]:.3f}" if each in shares else "" for shares in right.values())]
        for each in classes
    ]
    spread = []
    for name, group in repetitions(folder).items():
        ends = [run.last.val_accuracy for run in group]
        stuck = sum(run.diagnosis is not None for run in group)
        numbers = (f"{value:.4f}" for value in (min(ends), mean(ends), max(ends)))
        spread.append([name, len(group), stuck, *numbers])
    paths = sorted(Path(folder, "evaluation").glob("*.json"))
    tables = {path.stem: records.load(Table, path) for path in paths}
    together = [
        [name.removeprefix("test-"), row.models, row.crops, row.cost, f"{1 - row.error:.4f}"]
        for name, table in tables.items()
        if table.settings["data"] == "test"
        for row in table.rows
        if row.models in (1, table.models)
    ]
    heads = {
        "command | cores | time | images/s | validation | test": rows,
        " | ".join(["right about", *right]): by_class,
        "repeated | seeds | at chance | lowest | mean | highest validation": spread,
        "on the test set | networks | views | passes per image | accuracy": together,
    }
    return "\n\n".join(_table(head, body) for head, body in heads.items() if body)


def _table(head: str, rows: list[list]) -> str:
    lines = (f"| {' | '.join(map(str, row))} |" for row in rows)
    return "\n".join([f"| {head} |", "|" + "---|" * (head.count("|") + 1), *lines])
