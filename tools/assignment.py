"""An nbgrader assignment from the exercises of a lecture, a point for each.

    python tools/assignment.py 04 class            # writes class/source/04_.../04_....ipynb
    cd class && nbgrader generate_assignment 04_...

The student sees the question as in the lecture, and `.check` grades the answer. The solutions come
with the package, so an assignment grades practice and is no exam.
"""

import re
import sys
from pathlib import Path

import lectures
import nbformat
from nbformat.v4 import new_code_cell, new_notebook

ASKED = re.compile(r"^(ch\d\d\.q\d)\.check\((.+)\)$", re.MULTILINE)


def grader(name, question, answer):
    """Make the cell that gives a point for an exercise; nbgrader restores it before it grades."""
    test = f"verdict = {question}.check({answer})\nassert verdict.passed, verdict.message"
    kind = {"grade": True, "locked": True, "solution": False, "task": False}
    nbgrader = {"schema_version": 3, "grade_id": name, "points": 1} | kind
    return new_code_cell(test, metadata={"nbgrader": nbgrader})


def exercises(lecture):
    """Return the set-up of a lecture and its section of exercises, as cells of an assignment."""
    sections = [n for n, cell in enumerate(lecture.cells) if cell.source.startswith("## ")]
    start = next(n for n in sections if lecture.cells[n].source.startswith("## Exercises"))
    end = next(n for n in sections if n > start)
    setup = next(cell for cell in lecture.cells if cell.cell_type == "code")
    for cell in [setup, *lecture.cells[start:end]]:
        cell.metadata = nbformat.from_dict({})
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        asked = ASKED.search(cell.source) if cell.cell_type == "code" else None
        if asked:
            question, answer = asked.groups()
            name = question.replace(".", "_")
            if answer == "...":  # the grader's cell needs a name for it
                cell.source, answer = f"{name} = ...\n{question}.check({name})", name
            yield cell
            yield grader(name, question, answer)
        else:
            yield cell


def write(path, folder):
    """Write the assignment of a lecture where nbgrader looks for it in `folder`."""
    lecture = nbformat.read(path, as_version=4)
    cells = list(exercises(lecture))
    target = Path(folder, "source", path.stem, path.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"kernelspec": lecture.metadata.kernelspec}
    nbformat.write(new_notebook(cells=cells, metadata=metadata), target)
    return target


def main(number, folder):
    print(f"written: {write(lectures.numbered(number), folder)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
