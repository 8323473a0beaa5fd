"""What a figure shows reaches those who do not see it, wherever a notebook is read."""

import subprocess
import sys
from pathlib import Path

import execute
import lectures
import nbformat
import pytest
from bs4 import BeautifulSoup
from nbconvert import HTMLExporter
from test_notebook_checks import cell, notebook
from test_notebooks import described

ROOT = Path(__file__).parent.parent
CAPTION = "Which of the two lines is flat?"
DESCRIPTION = 'accuracy < 0.5 & "flat"; the *other* line "rises"'
SOURCE = f"""from inception_course.plots import Picture
figure = Picture(3, 2, {DESCRIPTION!r}, {CAPTION!r})
figure.subplots().plot([1, 1])
figure"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A notebook with one figure, as it is stored when it has been run."""
    path = tmp_path_factory.mktemp("course") / "notebooks" / "00_toy.ipynb"
    path.parent.mkdir()
    title = nbformat.v4.new_markdown_cell("# A figure")
    title.metadata["slideshow"] = {"slide_type": "slide"}
    toy = notebook(cell(SOURCE))
    toy.cells.insert(0, title)
    nbformat.write(toy, path)
    execute.execute(path)
    return path


def folded(page):
    """The descriptions that lie folded away on a page."""
    return [each.get_text().removeprefix("Description") for each in page("details")]


def test_a_notebook_stores_it(path):
    (shown,) = [each for each in nbformat.read(path, 4).cells if each.cell_type == "code"]
    assert described(shown) == [DESCRIPTION]
    picture, words = shown.outputs
    assert picture.data["text/plain"] == DESCRIPTION
    assert lectures.caption(picture) is None
    assert lectures.caption(words) == f"*{CAPTION}*"


def test_a_working_copy_keeps_it(path):
    lecture = lectures.read(path)
    assert lectures.for_the_reader(lecture)["cells"] == lecture["cells"]


def test_an_exported_page_has_it(path):
    """nbconvert leaves `alt` out; the description stands below the caption."""
    page, _ = HTMLExporter().from_notebook_node(nbformat.read(path, 4))
    page = BeautifulSoup(page, "html.parser")
    assert folded(page) == [DESCRIPTION]
    assert [each.get_text() for each in page("em")] == [CAPTION]


@pytest.mark.slow
@pytest.mark.needs("sphinx")
def test_the_web_edition_has_it(path, tmp_path):
    (path.parents[1] / "README.md").write_text("# The course\n", "utf-8")
    arguments = ["-b", "html", "-c", ROOT / "docs", "-q", path.parents[1], tmp_path]
    subprocess.run([sys.executable, "-m", "sphinx", *map(str, arguments)], check=True)
    page = BeautifulSoup((tmp_path / "notebooks" / "00_toy.html").read_text("utf-8"), "html.parser")
    body = page.find("article")
    assert [image["alt"] for image in body("img")] == [DESCRIPTION]
    assert [each.get_text() for each in body("em")] == [CAPTION]
    assert folded(body) == []


@pytest.mark.slow
@pytest.mark.needs("sphinx")
def test_the_slides_have_it(path):
    import slides

    page = BeautifulSoup(slides.deck(lectures.read(path)), "html.parser")
    assert [image["alt"] for image in page("img")] == [DESCRIPTION]
    assert [each.get_text(strip=True) for each in page(class_="caption")] == [CAPTION]
    assert folded(page) == []


@pytest.mark.slow
@pytest.mark.needs("chromium")
def test_jupyterlab_has_it(path):
    """JupyterLab leaves `alt` out as well; the description can be opened with the keyboard."""
    from test_browser import browser_page, jupyterlab, open_notebook

    with jupyterlab(path.parent) as address, browser_page(address) as page:
        open_notebook(page, address, path.name)
        assert page.locator(".jp-OutputArea-output em").all_inner_texts() == [CAPTION]
        description = page.locator(".jp-OutputArea-output details")
        assert DESCRIPTION not in description.inner_text()
        description.locator("summary").focus()
        page.keyboard.press("Enter")
        assert description.inner_text().endswith(DESCRIPTION)
        assert "the *other* line" in description.aria_snapshot()  # what a screen reader is given
