"""What is made from the notebooks of the course reads them through these functions.

A lecture is a notebook as a dictionary, as `json.load` gives it.
"""

import copy
import json
import re
import sys
from pathlib import Path

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
CHECK = "check"  # the tag of cells that test the lecture and teach nothing
# What a figure's Markdown holds below its caption: see `Picture.words`.
FOLDED = re.compile(r"\s*<details><summary>Description</summary>.*?</details>", re.DOTALL)


def paths():
    return sorted(NOTEBOOKS.glob("*.ipynb"))


def numbered(number):
    """Return the path of the lecture whose name begins with `number`; without one, exit."""
    found = [path for path in paths() if number and path.name.startswith(number)]
    if not found:
        names = ", ".join(path.stem for path in paths())
        sys.exit(f"no lecture begins with {number!r}: there are {names}")
    return found[0]


def read(path):
    return json.loads(Path(path).read_text("utf-8"))


def source(cell):
    return "".join(cell["source"])


def tags(cell):
    return cell["metadata"].get("tags", [])


def caption(output):
    """Return the caption of a figure, as Markdown; None if this output is something else.

    Its description, folded away below it, is left out: on a page the picture has it as `alt`.
    """
    text = "".join(output.get("data", {}).get("text/markdown", ""))
    return FOLDED.sub("", text) if FOLDED.search(text) else None


def with_cells(lecture, cells):
    return lecture | {"cells": [copy.deepcopy(cell) for cell in cells]}


def without_checks(lecture):
    return with_cells(lecture, [cell for cell in lecture["cells"] if CHECK not in tags(cell)])


def for_the_reader(lecture):
    """Make a copy to work in: no checks, and no result between a prediction and its reading."""
    lecture = without_checks(lecture)
    predicting = False
    for cell in lecture["cells"]:
        if cell["cell_type"] == "markdown":
            if "**Predict" in source(cell):
                predicting = True
            if "**Read it" in source(cell):
                predicting = False
        elif predicting:
            cell["outputs"], cell["execution_count"] = [], None
    return lecture
