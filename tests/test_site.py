"""The web edition in a browser: it loads nothing from elsewhere and describes every picture."""

import html
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import lectures
import pytest

ROOT = Path(__file__).parent.parent
PAGES = (
    *("README", "CONTRIBUTING", "CHANGELOG"),
    *(f"notebooks/{path.stem}" for path in lectures.paths()),
    *(f"docs/{path.stem}" for path in sorted((ROOT / "docs").glob("*.md"))),
)
THEME = {"label-content-name-mismatch", "region"}  # rules that the theme itself breaks
WIDE = "() => document.documentElement.scrollWidth - window.innerWidth"
UNSEEN = "() => [...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"

pytestmark = [pytest.mark.slow, pytest.mark.needs("sphinx")]


def build(builder, folder):
    arguments = [
        "-b",
        builder,
        "-c",
        "docs",
        "-d",
        folder / "pages",
        "-W",
        "-q",
        ".",
        folder / "site",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    build("html", folder)
    return folder / "site"


def descriptions(path):
    """What the pictures of a lecture show, in order, as its notebook stores it."""
    for cell in lectures.without_checks(lectures.read(path))["cells"]:
        for output in cell.get("outputs", []):
            for options in output.get("metadata", {}).values():
                yield options["alt"]


@pytest.mark.parametrize("path", lectures.paths(), ids=lambda path: path.stem)
def test_every_picture_has_its_description(site, path):
    page = (site / "notebooks" / f"{path.stem}.html").read_text("utf-8")
    found = [html.unescape(alt) for alt in re.findall(r'<img alt="([^"]*)"', page)]
    assert [alt for alt in found if alt] == list(descriptions(path))


@pytest.mark.parametrize("path", lectures.paths(), ids=lambda path: path.stem)
def test_a_lecture_can_be_downloaded_to_work_in(site, path):
    lecture = json.loads((site / "_sources" / "notebooks" / path.name).read_text("utf-8"))
    assert lecture == lectures.for_the_reader(lectures.read(path))


def test_no_check_is_shown(site):
    for path in lectures.paths():
        page = (site / "notebooks" / f"{path.stem}.html").read_text("utf-8")
        checks = [
            cell
            for cell in lectures.read(path)["cells"]
            if lectures.CHECK in cell["metadata"].get("tags", [])
        ]
        shown = html.unescape(re.sub(r"<[^>]+>", "", page))
        for cell in checks:
            assert lectures.source(cell) not in shown


def test_the_book_for_a_reader_of_books_is_made(tmp_path):
    build("epub", tmp_path)
    (book,) = (tmp_path / "site").glob("*.epub")
    with zipfile.ZipFile(book) as pages:
        names = [name for name in pages.namelist() if name.endswith("html")]
        text = html.unescape("".join(pages.read(name).decode() for name in names))
    for path in lectures.paths():
        for description in descriptions(path):
            assert description in text, path.stem


@pytest.mark.needs("chromium")
@pytest.mark.parametrize(
    ("width", "scheme"), [(1300, "light"), (1300, "dark"), (390, "light"), (390, "dark")]
)
def test_pages_can_be_read_by_everyone_without_a_network(site, browser, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = browser.new_page(viewport={"width": width, "height": 1000}, color_scheme=scheme)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    for name in PAGES:
        page.goto(f"{site.as_uri()}/{name}.html")
        page.wait_for_load_state("networkidle")
        assert page.evaluate(UNSEEN) == [], f"{name}: pictures that cannot be shown"
        assert page.evaluate(WIDE) <= 0, f"{name} is wider than the screen"
        broken = Axe().run(page).response["violations"]
        ours = [(rule["id"], node["html"]) for rule in broken for node in rule["nodes"]]
        assert [rule for rule in ours if rule[0] not in THEME] == [], name
    page.close()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


@pytest.mark.needs("chromium")
def test_the_search_finds_a_lecture(site, browser):
    page = browser.new_page()
    page.goto(f"{site.as_uri()}/search.html?q=Hebb")
    page.wait_for_selector("#search-results li")
    assert "Hebb" in page.inner_text("#search-results")
    page.close()
