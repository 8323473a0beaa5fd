"""What the README promises is what the repository holds."""

import json
import re
from pathlib import Path

import pytest

from inception_course.studies import results

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def rows(text):
    """The cells of the tables in a page."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]


def test_every_notebook_is_listed_with_its_minutes():
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        minutes = json.loads(path.read_text("utf-8"))["metadata"]["course"]["minutes"]
        (row,) = [row for row in rows(README) if f"(notebooks/{path.name})" in row[0]]
        assert row[2] == f"{minutes:g} minutes", path.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page):
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_the_readme_is_short():
    assert len(README.splitlines()) < 100


def test_results_are_those_of_the_records():
    """Written by `python -m inception_course results`."""
    page = (ROOT / "docs" / "results.md").read_text("utf-8")
    assert results.markdown(results.RECORDS) in page


def test_errors_are_explained_by_the_text_that_the_course_gives_them():
    sources = [path.read_text("utf-8") for path in (ROOT / "inception_course").rglob("*.py")]
    sources = "".join([*sources, (ROOT / "setup.py").read_text("utf-8")])
    sources = re.sub(r'"\n *f?"', "", sources)  # sentences that stand on two lines of code
    foreign = {
        "ModuleNotFoundError",
        "operator torchvision::nms does not exist",
        "No matching distribution found for torch",
        "A module that was compiled using NumPy 1.x cannot be run in NumPy 2",
        "OMP: Error #15",
        "The kernel appears to have died",
        "<Figure size …>",
        "Error loading widgets",
    }
    ours = 0
    for row in rows((ROOT / "docs" / "troubleshooting.md").read_text("utf-8"))[2:]:
        if any(text in row[0] for text in foreign):
            continue
        for quoted in re.findall(r"`([^`]+)`", row[0]):
            for text in re.split(r"…|nan|3\.10 to 3\.14", quoted):
                assert text.strip() in sources, text
                ours += 1
    assert ours > 12


def test_the_commands_are_those_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for page in (*PAGES, ROOT / "CONTRIBUTING.md"):
        for target in re.findall(r"`make ([a-z]+)[ `]", page.read_text("utf-8")):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    install = (ROOT / "docs" / "install.md").read_text("utf-8")
    checks = install.partition("The checks are")[2].partition("With conda")[0]
    lint = makefile.partition("\nlint:")[2].partition("\n\n")[0]
    called = [re.findall(r"(?:python|\)) -m (.*)", text) for text in (checks, lint)]
    assert called[0] == [*called[1], "pytest"]
