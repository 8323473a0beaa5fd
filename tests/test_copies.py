"""Working copies: the reader's changes are never lost, and answers are not given away."""

import json

import copies
import lectures
import pytest


@pytest.fixture
def course(tmp_path):
    """A course of one lecture; `write` changes it."""
    folder = tmp_path / "notebooks"
    folder.mkdir()

    class Course:
        notebooks, mine = folder, tmp_path / "mine"

        def write(self, *cells):
            lecture = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
            (folder / "00.ipynb").write_text(json.dumps(lecture))

        def make(self):
            return copies.make(self.mine, folder)

        def here(self):
            return sorted(path.name for path in self.mine.glob("*.ipynb"))

    made = Course()
    made.write(code("1 + 1", output="2"))
    return made


def text(source):
    return {"cell_type": "markdown", "metadata": {}, "source": [source]}


def code(source, output=None, tags=()):
    return {
        "cell_type": "code",
        "execution_count": 1,
        "metadata": {"tags": list(tags)},
        "outputs": [output] if output else [],
        "source": [source],
    }


def test_an_untouched_copy_follows_the_course(course):
    assert course.make() == []
    before = (course.mine / "00.ipynb").read_text()
    assert course.make() == []
    assert (course.mine / "00.ipynb").read_text() == before
    course.write(code("2 + 2"))
    assert course.make() == []
    assert course.here() == ["00.ipynb"]
    assert "2 + 2" in (course.mine / "00.ipynb").read_text()


def test_a_changed_copy_is_never_overwritten(course):
    course.make()
    mine = course.mine / "00.ipynb"
    mine.write_text(mine.read_text() + " ")
    kept = mine.read_text()
    assert course.make() == []  # the course has nothing newer
    assert course.here() == ["00.ipynb"]

    course.write(code("2 + 2"))
    (told,) = course.make()
    assert told == (
        "00.ipynb has your changes and stays as it is; the course's new version is mine/00-2.ipynb"
    )
    assert mine.read_text() == kept
    assert course.make() == []  # said once
    course.write(code("3 + 3"))
    (told,) = course.make()  # the second copy is untouched, and follows
    assert course.here() == ["00-2.ipynb", "00.ipynb"]
    assert "3 + 3" in (course.mine / "00-2.ipynb").read_text()
    assert mine.read_text() == kept


def test_a_file_of_the_reader_under_the_name_of_a_lecture_stays(course):
    course.mine.mkdir()
    mine = course.mine / "00.ipynb"
    mine.write_text("mine")
    course.make()
    assert mine.read_text() == "mine"
    assert course.here() == ["00-2.ipynb", "00.ipynb"]


def test_a_deleted_copy_comes_back(course):
    course.make()
    (course.mine / "00.ipynb").unlink()
    course.make()
    assert course.here() == ["00.ipynb"]


def test_what_is_to_be_predicted_is_not_shown(course):
    course.write(
        code("before", output="1"),
        text("**Predict.** How many?"),
        code("measured", output="2"),
        code("assert True", tags=["check"]),
        text("**Read it.** Two."),
        code("after", output="3"),
    )
    lecture = lectures.for_the_reader(lectures.read(course.notebooks / "00.ipynb"))
    shown = [cell["outputs"] for cell in lecture["cells"] if cell["cell_type"] == "code"]
    assert shown == [["1"], [], ["3"]]


@pytest.mark.parametrize("path", lectures.paths(), ids=lambda path: path.stem)
def test_every_lecture_hides_what_it_asks_to_predict(path):
    lecture = lectures.for_the_reader(lectures.read(path))
    hidden = [c for c in lecture["cells"] if c["cell_type"] == "code" and not c["outputs"]]
    assert len(hidden) > 5
