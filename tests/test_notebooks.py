"""The form of the notebooks, one rule a test. What the cells print is compared by nbval."""

import ast
import configparser
import importlib
import json
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import execute
import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
PACKAGE = "inception_course"

SECTIONS = range(3, 7 + 1)
STEPS = ("Claim", "Predict", "Measure", "Read it")
CLOSING = (
    "Exercises",
    "What to remember",
    "Where the story is usually told wrong",
    "References",
)
EXERCISES = range(3, 5 + 1)
CODE_LINES = 20
PRINTED_LINES = 100
CELL_BYTES, NOTEBOOK_BYTES = 200_000, 2_000_000
MACHINE_PATHS = ("/work/", "/root/", "/home/", "/tmp/", "/Users/", "C:\\Users", "C:/Users")


@dataclass
class Section:
    title: str
    cells: list

    @property
    def text(self):
        return "\n".join(cell.source for cell in markdown(self.cells))


class Notebook:
    """A notebook as its reader sees it: a header, then sections."""

    def __init__(self, name, content):
        self.name = name
        self.content = content
        self.cells = content.cells
        self.code = code(content.cells)
        self.text = "\n".join(cell.source for cell in markdown(content.cells))
        self.sections = []
        for cell in content.cells:
            if match := re.search(r"^## +(.*?) *$", prose(cell), re.MULTILINE):
                self.sections.append(Section(match[1], []))
            if self.sections:
                self.sections[-1].cells.append(cell)

    @property
    def lessons(self):
        return [section for section in self.sections if section.title not in CLOSING]

    def where(self, cell):
        """How to find a cell in JupyterLab."""
        count = f"[{cell.execution_count}]" if cell.cell_type == "code" else "text"
        first = cell.source.partition("\n")[0][:60]
        return f"{self.name}, cell {self.cells.index(cell) + 1}, {count} {first!r}"

    def tree(self, cell):
        """The syntax tree of a cell's Python, without IPython's own syntax."""
        return ast.parse(TransformerManager().transform_cell(cell.source))


def code(cells):
    return [cell for cell in cells if cell.cell_type == "code"]


def markdown(cells):
    return [cell for cell in cells if cell.cell_type == "markdown"]


def prose(cell):
    """A Markdown cell without its code blocks, in which # is no heading."""
    if cell.cell_type != "markdown":
        return ""
    return re.sub(r"^```.*?^```", "", cell.source, flags=re.MULTILINE | re.DOTALL)


def tags(cell):
    return cell.metadata.get("tags", [])


def is_check(cell):
    return "check" in tags(cell)


def paths():
    return sorted(NOTEBOOKS.glob("*.ipynb"))


@pytest.fixture(params=paths(), ids=lambda path: path.stem)
def notebook(request):
    return Notebook(request.param.name, nbformat.read(request.param, as_version=4))


def test_there_are_notebooks():
    assert paths()


# The file


def test_it_is_a_valid_notebook_with_cell_ids(notebook):
    content = notebook.content
    assert (content.nbformat, content.nbformat_minor) == (4, 5), "Write it as nbformat 4.5"
    ids = [cell.id for cell in notebook.cells]
    assert len(ids) == len(set(ids)), "Two cells have the same id"
    nbformat.validate(content)


def test_nothing_of_the_machine_is_stored(notebook):
    expected = execute.METADATA | {"course": notebook.content.metadata.get("course")}
    assert notebook.content.metadata == expected, "make notebooks writes it so"
    for cell in notebook.cells:
        assert set(cell.metadata) <= execute.CELL_METADATA, notebook.where(cell)


def test_no_path_of_a_machine_is_shown(notebook):
    for cell in notebook.cells:
        texts = [cell.source, *strings(cell.get("outputs", []))]
        for path in MACHINE_PATHS:
            assert not any(path in text for text in texts), f"{notebook.where(cell)}: {path}"


def strings(value):
    """All text inside lists and dictionaries, except encoded pictures."""
    if isinstance(value, str):
        return [re.sub(r"data:image/[a-z+]+;base64,[A-Za-z0-9+/=]+", "", value)]
    if isinstance(value, dict):
        value = [part for key, part in value.items() if not key.startswith("image/")]
    return [text for part in value for text in strings(part)] if isinstance(value, list) else []


def test_it_was_run_from_top_to_bottom(notebook):
    counts = [cell.execution_count for cell in notebook.code]
    assert counts == list(range(1, len(counts) + 1)), "Run it from the top: make notebooks"


def test_no_cell_is_empty(notebook):
    for cell in notebook.cells:
        assert cell.source.strip(), notebook.where(cell)


def test_no_stored_error_or_stderr(notebook):
    for cell in notebook.code:
        for output in cell.outputs:
            noise = output.get("name") == "stderr"
            error = output.output_type == "error" and "raises-exception" not in tags(cell)
            assert not noise, f"{notebook.where(cell)} has stored stderr: {output.text}"
            assert not error, f"{notebook.where(cell)} has stored an error: {output.evalue}"


def test_no_widget_is_stored(notebook):
    for cell in notebook.code:
        for output in cell.outputs:
            kinds = [kind for kind in output.get("data", {}) if "widget" in kind]
            assert not kinds, f"{notebook.where(cell)}: make notebooks removes {kinds}"


def test_stored_output_is_small(notebook):
    for cell in notebook.code:
        size = len(json.dumps(cell.outputs))
        assert size < CELL_BYTES, f"{notebook.where(cell)} stores {size} bytes: smaller figures"
        lines = sum(output.get("text", "").count("\n") for output in cell.outputs)
        assert lines <= PRINTED_LINES, f"{notebook.where(cell)} prints {lines} lines"
    size = len(nbformat.writes(notebook.content))
    assert size < NOTEBOOK_BYTES, f"{notebook.name} has {size} bytes"


# What the reader sees


def test_it_starts_with_a_title_a_question_and_a_table(notebook):
    titles = re.findall(r"^# .*", "\n".join(map(prose, notebook.cells)), re.MULTILINE)
    header = notebook.cells[0]
    assert prose(header).startswith("# "), "The first cell starts with the title: # ..."
    assert len(titles) == 1, f"One title, sections with ##: {titles}"
    assert "?" in header.source, "The first cell asks the notebook's question"
    assert re.search(r"^\|.*\|$", header.source, re.MULTILINE), "The first cell has a table"


def test_the_header_promises_what_is_measured(notebook):
    course = notebook.content.metadata.get("course", {})
    assert set(course) == {"minutes", "memory_gb"}, "metadata: course: minutes, memory_gb"
    header = notebook.cells[0].source
    for promise in (rf"\b{course['minutes']:g} minutes?\b", rf"\b{course['memory_gb']:g} GB\b"):
        assert re.search(promise, header), f"The first cell says {promise}"


def test_the_setup_cell_comes_first_and_once(notebook):
    setup = notebook.code[0]
    before = notebook.cells[: notebook.cells.index(setup)]
    assert not any(prose(cell).startswith("## ") for cell in before), "Set-up stands before ##"
    assert [cell.source for cell in notebook.code].count(setup.source) == 1


def test_the_setup_cell_says_whether_the_machine_is_ready(notebook):
    assert notebook.code[0].source.endswith("print(doctor.summary())")


def test_the_sections_have_the_form_of_the_course(notebook):
    titles = [section.title for section in notebook.sections]
    assert len(notebook.lessons) in SECTIONS, f"{len(notebook.lessons)} sections: {titles}"
    assert tuple(titles[-len(CLOSING) :]) == CLOSING, f"It ends with other sections: {titles}"


def test_a_section_claims_predicts_measures_and_reads(notebook):
    for section in notebook.lessons:
        steps = re.findall(rf"\*\*({'|'.join(STEPS)})\b", section.text)
        assert tuple(steps) == STEPS, f"{notebook.name}, {section.title!r} has {steps}"


def test_prediction_comes_before_measurement(notebook):
    for section in notebook.lessons:
        kinds = [cell.cell_type for cell in section.cells]
        assert "code" in kinds, f"{notebook.name}, {section.title!r} measures nothing"
        before = Section(section.title, section.cells[: kinds.index("code")])
        assert "**Predict" in before.text, f"{notebook.name}, {section.title!r}: predict first"


def test_text_comes_before_every_code_cell(notebook):
    for before, cell in pairwise(cell for cell in notebook.cells if not is_check(cell)):
        if cell.cell_type == "code":
            assert before.cell_type == "markdown", f"{notebook.where(cell)}: say what to look for"


def test_there_are_exercises_with_check_hint_and_solution(notebook):
    chapter = f"ch{notebook.name[:2]}"
    cells = [cell for each in notebook.sections if each.title == "Exercises" for cell in each.cells]
    source = "\n".join(cell.source for cell in cells)
    calls = set(re.findall(rf"\b{chapter}\.(q\d+)\.(check|hint|solution)\(", source))
    questions = sorted({question for question, _ in calls})
    assert len(questions) in EXERCISES, f"{notebook.name}: exercises {questions}"
    for question in questions:
        for call in ("check", "hint", "solution"):
            missing = f"{notebook.name}: {chapter}.{question}.{call}() is not mentioned"
            assert (question, call) in calls, missing


def test_every_picture_has_a_text_alternative(notebook):
    for cell in notebook.cells:
        for alt in described(cell):
            assert alt.strip(), f"{notebook.where(cell)}: a picture without alt text"


def described(cell):
    """The alt texts, empty where there is none, of all pictures of a cell."""
    found = [] if cell.cell_type == "code" else re.findall(r"!\[(.*?)\]\(", cell.source)
    html = "" if cell.cell_type == "code" else cell.source
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        html += data.get("text/html", "")
        for kind in data:
            if kind.startswith("image/"):
                found.append(output.metadata.get(kind, {}).get("alt", ""))
    for tag in re.findall(r"<img\b[^>]*>", html):
        alt = re.search(r"""\balt=(["'])(.*?)\1""", tag, re.DOTALL)
        found.append(alt[2] if alt else "")
    return found


# The code


def test_code_cells_are_short(notebook):
    for cell in notebook.code:
        lines = len(cell.source.splitlines())
        assert lines <= CODE_LINES, f"{notebook.where(cell)} has {lines} lines"


def test_one_statement_a_line(notebook):
    for cell in notebook.code:
        blocks = [getattr(node, "body", []) for node in ast.walk(notebook.tree(cell))]
        for block in filter(lambda block: isinstance(block, list), blocks):
            for first, second in pairwise(block):
                same = first.end_lineno == second.lineno
                assert not same, f"{notebook.where(cell)}, line {second.lineno}: split at the ;"


def test_nothing_is_installed_by_a_cell(notebook):
    for cell in notebook.code:
        assert not re.search(r"\b(pip3?|conda|mamba|uv)\s+(add|install)\b", cell.source), (
            f"{notebook.where(cell)}: requirements.txt installs what is needed"
        )


def test_no_stored_output_needs_the_projects_options(notebook):
    """A bare `pytest --nbval` compares as strictly: no option has anything to leave out."""
    settings = configparser.RawConfigParser()
    settings.read(Path(__file__).with_name("sanitize.cfg"), encoding="utf-8")
    for cell in notebook.code:
        recorded = re.search(r"plots\.(ladder|race)\(|studies\.load\(", cell.source)
        if "nbval-ignore-output" in tags(cell) or recorded:
            continue
        for output in cell.outputs:
            texts = [output.get("text", ""), output.get("data", {}).get("text/plain", "")]
            for kind in settings.sections():
                found = re.search(settings[kind]["regex"], "".join(texts))
                assert found is None, f"{notebook.where(cell)}: {found[0]} is {kind}"


def test_what_is_measured_is_checked(notebook):
    """What differs from machine to machine is asserted with a margin; but a time never is."""
    for section in notebook.lessons:
        unchecked = None
        for cell in code(section.cells):
            if is_check(cell):
                unchecked = None
            elif "nbval-ignore-output" in tags(cell) and "timing" not in tags(cell):
                unchecked = cell
        assert unchecked is None, f"{notebook.where(unchecked)}: no check follows"


def test_checks_are_out_of_sight(notebook):
    for cell in notebook.code:
        asserts = [n for n in ast.walk(notebook.tree(cell)) if isinstance(n, ast.Assert)]
        called = "assert_close(" in cell.source
        assert is_check(cell) == bool(asserts or called), f"{notebook.where(cell)}: tag it check"
        if is_check(cell):
            assert cell.metadata.get("jupyter") == {"source_hidden": True}, notebook.where(cell)
            assert not cell.outputs, f"{notebook.where(cell)}: a check shows nothing"


def test_no_conclusion_is_printed_as_it_was_typed(notebook):
    for cell in notebook.code:
        match notebook.tree(cell).body[-1]:
            case ast.Expr(ast.Call(ast.Name("print"), arguments)) if arguments:
                typed = all(isinstance(argument, ast.Constant) for argument in arguments)
                assert not typed, f"{notebook.where(cell)}: print what was computed"


def test_no_cell_is_skipped(notebook):
    for cell in notebook.code:
        skipped = "nbval-skip" in tags(cell) or "NBVAL_" in cell.source
        assert not skipped, f"{notebook.where(cell)}: only tags, and not nbval-skip"


def test_the_test_split_is_for_the_final_evaluation(notebook):
    for cell in notebook.code:
        if "final-eval" not in tags(cell):
            used = [n for n in ast.walk(notebook.tree(cell)) if isinstance(n, ast.Constant)]
            assert not any(node.value == "test" for node in used), (
                f'{notebook.where(cell)}: use "val", or tag the cell final-eval'
            )


def test_everything_used_from_the_package_exists(notebook):
    names = {}  # as the notebook's cells call them -> what they are
    for cell in notebook.code:
        tree = notebook.tree(cell)
        for node in ast.walk(tree):
            try:
                names.update(imported(node))
            except (ImportError, AttributeError) as error:
                pytest.fail(f"{notebook.where(cell)}, line {node.lineno}: {error}")
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                problem = unknown_attribute(node, names)
                assert not problem, f"{notebook.where(cell)}, line {node.lineno}: {problem}"


def imported(node):
    """The names that an import statement takes from the package, and what they stand for."""
    if isinstance(node, ast.Import):
        for name in node.names:
            if name.name.partition(".")[0] == PACKAGE:
                module = importlib.import_module(name.name)
                top = importlib.import_module(PACKAGE)
                yield (name.asname, module) if name.asname else (PACKAGE, top)
    if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == PACKAGE:
        module = importlib.import_module(node.module)
        for name in node.names:
            if not hasattr(module, name.name):
                importlib.import_module(f"{node.module}.{name.name}")
            yield name.asname or name.name, getattr(module, name.name)


def unknown_attribute(node, names):
    """What is wrong with `package_name.a.b`; nothing if it does not start in the package."""
    try:
        getattr(resolve(node.value, names), node.attr)
    except LookupError:
        return None
    except AttributeError as error:
        return str(error)


def resolve(node, names):
    if isinstance(node, ast.Name):
        return names[node.id]
    if isinstance(node, ast.Attribute):
        return getattr(resolve(node.value, names), node.attr)
    raise LookupError(node)
