"""The web edition: pages from what the notebooks have stored. Nothing is run again."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
import lectures

project = "The Inception Course"
author = copyright = "The Inception Course authors"
version = "2"
extensions = ["myst_nb"]
root_doc = "README"
include_patterns = ["README.md", "C*.md", "docs/*.md", "notebooks/*.ipynb"]
nb_execution_mode = "off"
nb_merge_streams = True
nb_ipywidgets_js = {}
nb_mime_priority_overrides = [("epub", "image/png", 10)]
myst_heading_anchors = 3
html_theme = "sphinx_book_theme"
html_title = project
html_theme_options = {"show_toc_level": 2, "home_page_in_toc": True}
html_sourcelink_suffix = ""
html_static_path = ["static"]
html_css_files = ["course.css"]
html_js_files = ["course.js"]
epub_show_urls = "no"


def read_as_a_page(app, name, source):
    """A lecture without its checks, and with the descriptions of its pictures.

    myst-nb leaves out the text alternative that a notebook stores, and reads this one. The
    description below the caption would be the same once more.
    """
    if not name.startswith("notebooks/"):
        return
    notebook = lectures.without_checks(json.loads(source[0]))
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            for options in output.get("metadata", {}).values():
                cell["metadata"]["mystnb"] = {"image": {"alt": options["alt"]}}
            if caption := lectures.caption(output):
                output["data"]["text/markdown"] = caption
    source[0] = json.dumps(notebook)


def add_contents(app, name, source):
    """The README is the first page; the lectures and the pages of help lie behind it."""
    if name == "README":
        source[0] += (
            "\n```{toctree}\n:hidden:\n:glob:\n:caption: Lectures\nnotebooks/*\n```\n"
            "\n```{toctree}\n:hidden:\n:glob:\n:caption: Help\ndocs/*\nC*\n```\n"
        )


def finish(app, error):
    """A first page under the usual name, and each lecture to download as a copy to work in."""
    if error or app.builder.name != "html":
        return
    home = Path(app.outdir)
    redirect = '<!doctype html><meta http-equiv="refresh" content="0; url=README.html">\n'
    (home / "index.html").write_text(redirect, "utf-8")
    for path in lectures.paths():
        copy = json.dumps(lectures.for_the_reader(lectures.read(path)), indent=1)
        (home / "_sources" / "notebooks" / path.name).write_text(copy + "\n", "utf-8")


def setup(app):
    app.connect("source-read", read_as_a_page)
    app.connect("source-read", add_contents)
    app.connect("build-finished", finish)
