"""What the README promises is what the repository holds."""

import json
import re
from pathlib import Path

from inception_course.studies import results

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
TABLES = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in README.splitlines()
    if line.startswith("|")
]


def test_every_notebook_is_listed_with_its_minutes():
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        minutes = json.loads(path.read_text("utf-8"))["metadata"]["course"]["minutes"]
        (row,) = [row for row in TABLES if f"(notebooks/{path.name})" in row[0]]
        assert row[2] == f"{minutes:g} minutes", path.name


def test_every_link_leads_to_a_file():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_results_are_those_of_the_records():
    """Written by `python -m inception_course results notebooks/records`."""
    assert results.markdown(ROOT / "notebooks" / "records") in README


def test_our_own_errors_are_explained_by_their_text():
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "inception_course").rglob("*.py"))
    said = [
        "could not be downloaded",
        "is MNIST, the handwritten digits",
        "stuck at chance: ",
        "already holds a run",
        "no checkpoint can be used",
        "is of another recipe or other data",
        "the training could not be saved",
    ]
    for text in said:
        assert text in sources, text
        assert any(text in row[0] for row in TABLES), text


def test_the_commands_are_those_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"`make ([a-z]+)`", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
