"""An assignment is graded by nbgrader itself: an empty, a half right and a right submission."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import assignment
import lectures
import nbformat
import pytest

pytestmark = pytest.mark.slow
LECTURE = next(path for path in lectures.paths() if path.stem.startswith("04"))
CODE = {
    "q1": """def one_by_one(maps, weight, bias):
    rows = maps.permute(0, 2, 3, 1)
    return (rows @ weight.T + bias).permute(0, 3, 1, 2)


ch04.q1.check(one_by_one)""",
    "q2": "ch04_q2 = 193_536\nch04.q2.check(ch04_q2)",
    "q3": """def block_weights(c_in, one, reduce_3x3, conv_3x3, reduce_5x5, conv_5x5, project):
    three = c_in * reduce_3x3 + 9 * reduce_3x3 * conv_3x3
    five = c_in * reduce_5x5 + 25 * reduce_5x5 * conv_5x5
    return c_in * one + three + five + c_in * project


ch04.q3.check(block_weights)""",
    "q4": "ch04_q4 = '3x3'\nch04.q4.check(ch04_q4)",
    "q5": "ch04_q5 = (96, 32, 96, 16, 32, 32)\nch04.q5.check(ch04_q5)",
}
SUBMISSIONS = {"empty": (), "half": ("q1", "q2"), "right": CODE}


def nbgrader(folder, *arguments):
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "IPYTHONDIR": str(folder / "ipython"),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done


def answer(path, answered):
    lecture = nbformat.read(path, as_version=4)
    for cell in lecture.cells:
        for question in answered:
            if f"ch04.{question}.check(" in cell.source and "nbgrader" not in cell.metadata:
                cell.source = CODE[question]
    return lecture


@pytest.mark.needs("nbgrader")
def test_three_submissions_get_what_they_deserve(tmp_path):
    assignment.write(LECTURE, tmp_path)
    name = LECTURE.stem
    (tmp_path / "nbgrader_config.py").write_text(
        "c = get_config()\nc.CourseDirectory.course_id = 'inception'\n"
    )
    nbgrader(tmp_path, "generate_assignment", name)
    released = tmp_path / "release" / name / LECTURE.name
    for student, answered in SUBMISSIONS.items():
        submitted = tmp_path / "submitted" / student / name / LECTURE.name
        submitted.parent.mkdir(parents=True)
        nbformat.write(answer(released, answered), submitted)
    nbgrader(tmp_path, "autograde", name)
    nbgrader(tmp_path, "export")
    with (tmp_path / "grades.csv").open() as file:
        grades = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert grades == {"empty": 0, "half": 2, "right": 5}


@pytest.mark.parametrize("path", lectures.paths(), ids=lambda path: path.stem)
def test_every_exercise_of_a_lecture_has_a_point(path, tmp_path):
    made = json.loads(assignment.write(path, tmp_path).read_text("utf-8"))
    graded = [cell for cell in made["cells"] if "nbgrader" in cell["metadata"]]
    asked = [line for cell in lectures.read(path)["cells"] for line in cell["source"]]
    assert len(graded) == sum(".check(" in line and line.startswith("ch") for line in asked)
    assert len({cell["metadata"]["nbgrader"]["grade_id"] for cell in graded}) == len(graded)
    assert not any(cell.get("outputs") for cell in made["cells"])
