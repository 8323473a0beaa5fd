"""Make the slides of lectures: one file each, which needs no network.

    python tools/slides.py slides                # every lecture, into the folder slides
    python tools/slides.py slides 05 06          # these two

What is on a slide is marked in the notebook (JupyterLab: Property Inspector, Slide Type). "slide"
begins one, an unmarked cell continues it, "fragment" comes at the next key, "notes" is for the
speaker (key S), and "skip" is left out. A slide shows the results of its cells, and their code
where there is room for it.
"""

import html
import sys
from importlib import resources
from pathlib import Path
from string import Template

import lectures
from markdown_it import MarkdownIt
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

REVEAL = resources.files("sphinx_revealjs") / "_static" / "revealjs"
TEMPLATE = Path(__file__).with_name("slides.html")
CODE_LINES = 8  # longer code stays in the notebook,
TEXT_LINES = 24  # unless the slide has no picture: then this is for the code and what it prints
KINDS = ("slide", "fragment", "notes", "skip", "")
markdown = MarkdownIt("commonmark").enable("table")
code = HtmlFormatter(nowrap=True)


def kind(cell):
    return cell["metadata"].get("slideshow", {}).get("slide_type", "")


def slides(lecture):
    """Give the cells of each slide, in order; what comes before the first one is left out."""
    found = []
    for cell in lectures.without_checks(lecture)["cells"]:
        if kind(cell) == "slide":
            found.append([])
        if found and kind(cell) != "skip":
            found[-1].append(cell)
    return found


def deck(lecture):
    """Write the whole page."""
    title = lectures.source(lecture["cells"][0]).partition("\n")[0].lstrip("# ")
    return Template(TEMPLATE.read_text("utf-8")).substitute(
        title=html.escape(title),
        reset=(REVEAL / "dist" / "reset.css").read_text("utf-8"),
        style=(REVEAL / "dist" / "reveal.css").read_text("utf-8"),
        colors=code.get_style_defs("code"),
        reveal=(REVEAL / "dist" / "reveal.js").read_text("utf-8"),
        notes=(REVEAL / "plugin" / "notes" / "notes.js").read_text("utf-8"),
        slides="\n".join(map(section, slides(lecture))),
    )


def section(cells):
    """Write one slide."""
    results = {cell["id"]: "".join(map(result, cell.get("outputs", []))) for cell in cells}
    text = "".join(results.values())
    room = CODE_LINES if "<img" in text else max(CODE_LINES, TEXT_LINES - text.count("\n"))
    return f"<section>{''.join(shown(cell, results[cell['id']], room) for cell in cells)}</section>"


def shown(cell, content, room):
    """Show a cell and its results as a piece of a slide, and code of at most `room` lines."""
    source = lectures.source(cell)
    if cell["cell_type"] == "markdown":
        content = markdown.render(source)
    elif source.count("\n") < room:
        content = f"<pre><code>{highlight(source, PythonLexer(), code)}</code></pre>{content}"
    match kind(cell):
        case "notes":
            return f'<aside class="notes">{content}</aside>'
        case "fragment":
            return f'<div class="fragment">{content}</div>'
        case _:
            return content


def result(output):
    """Return what a cell showed: pictures with their description and caption, and text."""
    data = output.get("data", {})
    if "image/png" in data:
        description = html.escape(output["metadata"]["image/png"]["alt"])
        picture = "".join(data["image/png"]).replace("\n", "")
        return f'<img alt="{description}" src="data:image/png;base64,{picture}">'
    if caption := lectures.caption(output):
        return f'<div class="caption">{markdown.render(caption)}</div>'
    text = "".join(output.get("text", data.get("text/plain", "")))
    if "text/markdown" in data or not text or "application/vnd" in str(list(data)):
        return ""
    return f"<pre>{html.escape(text)}</pre>"


def main(folder, *numbers):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for path in map(lectures.numbered, numbers) if numbers else lectures.paths():
        lecture = lectures.read(path)
        target = folder / f"{path.stem}.html"
        target.write_text(deck(lecture), "utf-8")
        print(f"{target}: {len(slides(lecture))} slides")


if __name__ == "__main__":
    main(*sys.argv[1:])
