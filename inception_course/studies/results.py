"""Recorded runs: a folder of them, and the tables that the README shows.

`MODEL-RECIPE.json` is the run of a recipe with seed 0, `seeds/MODEL-RECIPE-N.json` one of its
repetitions, and `evaluation/*.json` are tables of several networks and views.
"""

from collections import defaultdict
from pathlib import Path
from statistics import mean

from ..train import Run
from .ensembles import Table


def read(folder: str | Path) -> dict[str, Run]:
    """The runs in `folder`, by the name of their file, the shortest first."""
    paths = sorted(Path(folder).glob("*.json"))
    runs = {path.stem: Run.from_json(path.read_text("utf-8")) for path in paths}
    return dict(sorted(runs.items(), key=lambda item: item[1].seconds))


def repetitions(folder: str | Path) -> dict[str, list[Run]]:
    """The runs in `folder`/seeds, by model and recipe."""
    groups = defaultdict(list)
    for name, run in read(Path(folder) / "seeds").items():
        groups[name.rpartition("-")[0]].append(run)
    return dict(sorted(groups.items(), key=lambda item: item[1][0].seconds))


def command(name: str, run: Run) -> str:
    """What makes the run again; `name` is MODEL-RECIPE."""
    model = name.removesuffix(f"-{run.recipe.name}")
    return f"python -m inception_course train --model {model} --recipe {run.recipe.name}"


def duration(seconds: float) -> str:
    """In the unit that a reader would choose."""
    for unit, size, below in (("s", 1, 100), ("min", 60, 100)):
        if seconds < below * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 3600:.1f} h"


def markdown(folder: str | Path) -> str:
    """Tables in Markdown of what is there: the recipes, their repetitions, networks together.

    The first has the runs with seed 0. The last has what was asked about test images, each row one
    of a `ensembles.Table`: with several networks or several views, averaged.
    """
    rows = [
        ("command", "cores", "time", "images/s", "validation", "test"),
        *(
            (
                f"`{command(name, run)}`",
                f"{run.environment['threads']}",
                duration(run.seconds),
                f"{run.images_per_second:.0f}",
                f"{run.last.val_accuracy:.4f}",
                "" if run.test_accuracy is None else f"{run.test_accuracy:.4f}",
            )
            for name, run in read(folder).items()
        ),
    ]
    spread = [("repeated", "seeds", "at chance", "lowest", "mean", "highest validation")]
    for name, runs in repetitions(folder).items():
        ends = [run.last.val_accuracy for run in runs]
        stuck = sum(run.diagnosis is not None for run in runs)
        numbers = (f"{value:.4f}" for value in (min(ends), mean(ends), max(ends)))
        spread.append((name, str(len(runs)), str(stuck), *numbers))
    together = [("on the test set", "networks", "views", "passes per image", "accuracy")]
    for path in sorted(Path(folder, "evaluation").glob("*.json")):
        table = Table.from_json(path.read_text("utf-8"))
        if table.settings["data"] == "test":
            together += [
                (
                    path.stem.removeprefix("test-"),
                    str(row.models),
                    str(row.crops),
                    str(row.cost),
                    f"{1 - row.error:.4f}",
                )
                for row in table.rows
                if row.models in (1, table.models)
            ]
    return "\n\n".join(_table(lines) for lines in (rows, spread, together) if len(lines) > 1)


def _table(rows: list[tuple[str, ...]]) -> str:
    head, *body = ("| " + " | ".join(row) + " |" for row in rows)
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])
