"""The checks that notebooks go through, tried on toy notebooks: right, or wrong in one way."""

import copy
import inspect
import os
import re
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from queue import Empty
from types import SimpleNamespace
from xml.etree import ElementTree

import execute
import gate
import nbformat
import nbval_repair
import pytest
import test_notebooks as rules
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).parent.parent
PNG = (  # one pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def cell(source, *outputs, tags=(), count=...):
    made = new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags)})
    made.execution_count = count
    return made


def notebook(*cells, minutes=1, memory_gb=1):
    """A notebook that says it was run from the top."""
    course = {"minutes": minutes, "memory_gb": memory_gb}
    for number, each in enumerate(cells, start=1):
        if each.execution_count is ...:
            each.execution_count = number
    return new_notebook(cells=list(cells), metadata={"course": course})


def printed(text):
    return new_output("stream", name="stdout", text=text)


def value(text, count=1):
    return new_output("execute_result", {"text/plain": text}, execution_count=count)


def shown(**data):
    return new_output("display_data", {key.replace("_", "/"): data[key] for key in data})


SHOW = "from IPython.display import HTML, display, clear_output, update_display\n"
OUTPUT_WIDGET = shown(text_plain="Output()")

RIGHT = {
    "same_text": notebook(cell("print(6 * 7)", printed("42\n"))),
    "times_dates_and_addresses_differ": notebook(
        cell(
            "import time\nprint(f'{time.perf_counter():.3f} s')\nprint(time.strftime('%Y-%m-%d'))",
            printed("0.125 s\n2014-09-17\n"),
        ),
        cell("object()", value("<object at 0x7f0123456789>", 2)),
    ),
    "semicolon_hides_the_value": notebook(cell("6 * 7;")),
    "cleared_output_is_gone": notebook(
        cell(SHOW + "print('old')\nclear_output(wait=True)\nprint('new')", printed("new\n"))
    ),
    "redrawn_display_shows_the_last_state": notebook(
        cell(
            SHOW + "h = display('first', display_id='x')\nupdate_display('last', display_id='x')",
            shown(text_plain="'last'"),
        )
    ),
    "widget_catches_what_it_prints": notebook(
        cell(
            SHOW + "import ipywidgets\nout = ipywidgets.Output()\ndisplay(out)\n"
            "with out:\n    print('inside')\nprint('outside')",
            shown(text_plain="Output()"),
            printed("outside\n"),
        )
    ),
    "pixels_differ": notebook(
        cell(
            SHOW + f"display(HTML('<img alt=dot src=data:image/png;base64,{PNG}>'))",
            shown(
                text_html="<img alt=dot src=data:image/png;base64,AAAA>",
                text_plain="<IPython.core.display.HTML object>",
            ),
        )
    ),
    "takes_too_long": notebook(cell("import time\ntime.sleep(1)"), minutes=0.01),
    "expected_error": notebook(
        cell(
            "1 / 0",
            new_output("error", ename="ZeroDivisionError", evalue="division by zero", traceback=[]),
            tags=["raises-exception"],
        )
    ),
    "network_is_refused": notebook(
        cell(
            "import socket\n"
            "try:\n    socket.create_connection(('192.0.2.1', 80), timeout=5)\n"
            "except RuntimeError as error:\n    print(error)",
            printed(
                "socket.getaddrinfo to '192.0.2.1' refused: the tests run without the network\n"
            ),
        )
    ),
}

# The number of the cell that is at fault, and what the report has to say of it.
WRONG = {
    "wrong_text": (notebook(cell("print(6 * 7)", printed("41\n"))), 0, "Cell outputs differ"),
    "wrong_html": (
        notebook(
            cell(
                SHOW + "display(HTML('<b>42</b>'))",
                shown(text_html="<b>41</b>", text_plain="<IPython.core.display.HTML object>"),
            )
        ),
        0,
        "Cell outputs differ",
    ),
    "raises": (notebook(cell("1 / 0"), cell("1")), 0, "ZeroDivisionError"),
    "does_not_raise": (
        notebook(cell("1;", tags=["raises-exception"])),
        0,
        "tagged raises-exception and raised nothing",
    ),
    "dies_by_exit": (
        notebook(cell("1;"), cell("import os\nos._exit(3)"), cell("2;")),
        1,
        "The kernel died (exit code 3, after using",
    ),
    "dies_by_signal": (
        notebook(cell("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")),
        0,
        "The kernel died (signal SIGKILL",
    ),
    "hangs": (
        notebook(cell("import time\ntime.sleep(60)"), cell("2;")),
        0,
        "Timeout of 10 seconds exceeded",
    ),
    "writes_to_stderr": (
        notebook(cell("import sys\nprint('careful', file=sys.stderr)")),
        0,
        "careful",
    ),
    "writes_to_stderr_in_an_ignored_cell": (
        notebook(cell("import warnings\nwarnings.warn('odd')", tags=["nbval-ignore-output"])),
        0,
        "odd",
    ),
    "fails_inside_a_widget": (
        notebook(
            cell(
                SHOW + "import ipywidgets\nipywidgets.interact(lambda x: 1 / 0, x=3);",
                tags=["nbval-ignore-output"],
            )
        ),
        0,
        "ZeroDivisionError",
    ),
    "loses_a_picture": (
        notebook(
            cell("6 * 7", new_output("execute_result", {"text/plain": "42", "image/png": PNG}))
        ),
        0,
        "Pictures stored: 1; pictures produced: 0",
    ),
    "was_not_run": (
        notebook(cell("1;"), cell("2;", count=None)),
        1,
        "stored with execution count None; run from the top it has 2",
    ),
    "was_run_out_of_order": (
        notebook(cell("1;", count=7)),
        0,
        "stored with execution count 7; run from the top it has 1",
    ),
    "takes_too_much_memory": (
        notebook(cell("big = bytearray(300_000_000)"), cell("2;"), memory_gb=0.25),
        0,
        "promised are 0.25 GB",
    ),
}


def run_pytest(folder, *arguments, **environment):
    """The course's own pytest command, on other files."""
    command = [sys.executable, "-m", "pytest", "--rootdir", folder]
    command += ["-c", ROOT / "pyproject.toml"]
    environment = os.environ | {"CI": "", "PYTEST_PLUGINS": "conftest"} | environment
    environment.pop("PYTEST_XDIST_WORKER", None)
    return subprocess.run(
        [*command, "--color=no", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    """All toy notebooks, run once: {toy: {cell number: (failure or "", seconds)}}, and stdout."""
    folder = tmp_path_factory.mktemp("toys")
    for name, toy in (RIGHT | {name: toy for name, (toy, *_) in WRONG.items()}).items():
        nbformat.write(toy, folder / f"{name}.ipynb")
    report = folder / "report.xml"
    done = run_pytest(folder, "--nbval-cell-timeout=10", f"--junitxml={report}", folder)
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = case.get("classname").removesuffix(".ipynb")
        number = int(case.get("name").removeprefix("Cell "))
        failure = case.findtext("failure") or case.findtext("error") or ""
        found.setdefault(name, {})[number] = failure, float(case.get("time"))
    return found, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", RIGHT)
def test_a_right_notebook_passes(toys, name):
    found, _ = toys
    assert [failure for failure, _ in found[name].values()] == [""] * len(RIGHT[name].cells)


@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_notebook_fails_at_the_cell_and_for_the_reason(toys, name):
    found, _ = toys
    _, number, reason = WRONG[name]
    assert reason in found[name][number][0]
    assert all(failure == "" for cell, (failure, _) in found[name].items() if cell < number)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["raises", "dies_by_exit", "hangs"])
def test_cells_after_a_failure_are_reported_as_not_run(toys, name):
    found, _ = toys
    number = WRONG[name][1]
    assert f"Not run: Cell {number} failed first" in found[name][number + 1][0]


@pytest.mark.slow
def test_a_broken_promise_is_told_once(toys):
    found, _ = toys
    assert found["takes_too_much_memory"][1][0] == ""


def test_a_dead_kernel_is_noticed_at_once():
    """After the first short wait, although the cell has an hour."""

    class Dead:
        def raise_dead(self):
            raise ChildProcessError

        def inner_get_message(self, stream, timeout):
            waits.append(timeout)
            raise Empty

        kernel = SimpleNamespace(is_alive=lambda: False)

    waits = []
    with pytest.raises(ChildProcessError):
        nbval_repair.Watch.get_message(Dead(), "iopub", timeout=3600)
    assert waits == [nbval_repair.POLL_SECONDS]


@pytest.mark.slow
def test_the_summary_compares_each_notebook_with_its_promise(toys):
    _, stdout = toys
    pattern = r"{}\.ipynb: [\d.]+ s, \d+ MB \(promised: {:g} minutes, 1 GB\){}\n"
    assert re.search(pattern.format("hangs", 1, ""), stdout)
    assert re.search(pattern.format("takes_too_long", 0.01, ", LONGER than promised"), stdout)


# What is left out, and the network

LEAVES_OUT = """
import pytest

@pytest.mark.needs("chromium")
def test_browser():
    pass

def test_skips():
    pytest.skip("no time")

def test_holds():
    pass
"""
COMPARES_WITH_D2L = notebook(cell("1;", printed("from d2l\n"), tags=["needs-d2l"]))
NOTHING_IS_HERE = """
import gate

gate.CAPABILITIES = {
    name: (lambda: False, how) for name, (_, how) in gate.CAPABILITIES.items()
}
"""


@pytest.fixture
def bare_machine(tmp_path):
    """Runs tests and a notebook on a machine that lacks everything optional."""
    (tmp_path / "test_it.py").write_text(LEAVES_OUT)
    (tmp_path / "test_module.py").write_text("import pytest\npytest.importorskip('no_such')")
    (tmp_path / "nothing_is_here.py").write_text(NOTHING_IS_HERE)
    nbformat.write(COMPARES_WITH_D2L, tmp_path / "compares.ipynb")
    path = os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]])
    plugins = "conftest,nothing_is_here"
    return partial(run_pytest, tmp_path, tmp_path, PYTHONPATH=path, PYTEST_PLUGINS=plugins)


@pytest.mark.slow
@pytest.mark.parametrize("processes", ["0", "2"])
def test_what_a_machine_lacks_is_left_out_and_listed(bare_machine, processes):
    done = bare_machine(f"--numprocesses={processes}", "--dist=loadfile")
    assert done.returncode == 0, done.stdout
    listed = done.stdout[done.stdout.index("Left out here") :]
    assert re.search(r"test_browser: needs Chromium .* apt-get install chromium", listed)
    assert "test_it.py::test_skips: no time" in listed
    assert "compares.ipynb::Cell 0: not compared: needs d2l" in listed
    assert "test_module.py: could not import" in listed
    assert len(re.findall(r"compares.ipynb: .* MB \(promised: 1 minutes, 1 GB\)", done.stdout)) == 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no process")
@pytest.mark.parametrize(
    ("worker", "cores", "share"),
    [("gw0", {0, 1}, [0]), ("gw1", {2, 5, 7}, [5]), ("gw1", {3}, [3]), (None, {0, 1}, None)],
)
def test_each_process_has_its_own_cores(monkeypatch, worker, cores, share):
    given = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: cores)
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, share: given.append(share))
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "2")
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    if worker:
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
    gate.share_cores()
    assert given == ([share] if worker else [])


@pytest.mark.slow
def test_in_ci_nothing_may_be_left_out(bare_machine):
    outcome = bare_machine("--continue-on-collection-errors", CI="true")
    assert outcome.returncode == 1
    assert "2 failed, 1 passed, 2 errors" in outcome.stdout
    assert outcome.stdout.count("In CI nothing may be left out: needs") >= 2


def test_an_unknown_need_is_refused():
    with pytest.raises(pytest.UsageError, match="known are data, chromium, d2l"):
        gate.missing("chrome")


CONNECT = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
socket.create_connection(("localhost", listener.getsockname()[1])).close()
print("loopback works")
{action}
"""


@pytest.mark.parametrize(
    "action",
    [
        "socket.create_connection(('192.0.2.1', 80), timeout=5)",
        "socket.socket().connect(('192.0.2.1', 80))",
        "socket.socket(socket.AF_INET6).connect(('2001:db8::1', 80))",
        "socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('192.0.2.1', 53))",
        "socket.getaddrinfo('example.org', 443)",
        "socket.gethostbyname('example.org')",
    ],
)
def test_a_subprocess_reaches_this_machine_only(action):
    done = subprocess.run(
        [sys.executable, "-c", CONNECT.format(action=action)], capture_output=True, text=True
    )
    assert done.stdout == "loopback works\n"
    assert "the tests run without the network" in done.stderr


def test_the_tests_themselves_reach_this_machine_only():
    with pytest.raises(RuntimeError, match="refused"):
        socket.create_connection(("192.0.2.1", 80), timeout=5)


# Running and storing

NOISY = notebook(cell("import sys\nprint('careful', file=sys.stderr)"))
CATCHES = cell(
    SHOW + "import ipywidgets\n@ipywidgets.interact(x=3)\ndef square(x):\n    print(x * x)"
)


@pytest.mark.slow
def test_a_notebook_is_stored_clean_and_the_same_each_time(tmp_path):
    path = tmp_path / "toy.ipynb"
    toy = notebook(CATCHES, cell("6 * 7", tags=["kept"], count=5), minutes=3)
    toy.metadata["widgets"] = {}
    toy.cells[1].metadata["execution"] = {"iopub.execute_input": "2014-09-17T00:00:00Z"}
    nbformat.write(toy, path)
    execute.execute(path)
    first = path.read_text()
    execute.execute(path)
    assert path.read_text() == first
    stored = nbformat.reads(first, as_version=4)
    assert stored.metadata == execute.METADATA | {"course": {"minutes": 3, "memory_gb": 1}}
    assert [cell.id for cell in stored.cells] == [cell.id for cell in toy.cells]
    assert [cell.execution_count for cell in stored.cells] == [1, 2]
    assert list(stored.cells[0].outputs[0].data) == ["text/plain"]
    assert stored.cells[1].metadata == {"tags": ["kept"]}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("toy", "reason"),
    [
        (NOISY, "wrote to stderr:\ncareful"),
        (WRONG["writes_to_stderr_in_an_ignored_cell"][0], "wrote to stderr"),
        (WRONG["raises"][0], "ZeroDivisionError"),
        (WRONG["fails_inside_a_widget"][0], "ZeroDivisionError"),
    ],
)
def test_a_notebook_that_fails_is_left_as_it_was(tmp_path, capsys, toy, reason):
    path = tmp_path / "toy.ipynb"
    nbformat.write(toy, path)
    before = path.read_bytes()
    assert execute.main([path]) == 1
    assert reason in capsys.readouterr().err
    assert path.read_bytes() == before


# The rules of form: a notebook that keeps them all, and copies that break one each

IMPORT = "from inception_course import data\n"
LESSON = """## Count something

**Claim.** The paper says four.

**Predict.** How many are there?

**Measure.** We count."""


def text(source):
    return new_markdown_cell(source)


def check(source):
    made = cell(source, tags=["check"])
    made.metadata["jupyter"] = {"source_hidden": True}
    return made


def well_formed():
    lesson = [
        text(LESSON),
        cell(f"{IMPORT}len(data.CLASSES)", value("10")),
        text("**Read it.** There are ten."),
    ]
    learned = [
        text("It differs from run to run."),
        cell("accuracy = 0.9\nprint(accuracy)", printed("0.9"), tags=["nbval-ignore-output"]),
        check("assert accuracy > 0.8"),
    ]
    exercises = [text("## Exercises\n\nAsk for `ch00.q1.hint()` and so on.")]
    for number in (1, 2, 3):
        question = f"ch00.q{number}"
        exercises.append(text(f"Stuck? `{question}.hint()`, `{question}.solution()`"))
        exercises.append(cell(f"{question}.check(...)"))
    closing = [text(f"## {title}") for title in rules.CLOSING[1:]]
    header = "# Toy\n\nDoes it hold?\n\n| takes |\n|---|\n| 3 minutes, 1.5 GB |"
    figure = shown(text_html='<img alt="a dot" src="data:image/png;base64,AAAA">')
    made = [
        *(text(header), cell("print(doctor.summary())")),
        *(lesson * 3 + learned),
        *(text("![a tree](tree.svg)"), cell("figure", figure)),
        *(exercises + closing),
    ]
    made = [copy.deepcopy(each) for each in made]
    for number, each in enumerate(made):
        each.id = f"cell-{number}"
    for number, each in enumerate(rules.code(made), start=1):
        each.execution_count = number
    course = {"minutes": 3, "memory_gb": 1.5}
    return new_notebook(cells=made, metadata=copy.deepcopy(execute.METADATA) | {"course": course})


def spoil(rule, number, **changes):
    """A way to break a rule: in the cell of that number, set source, outputs, ..."""
    return pytest.param(rule, number, changes, id=rule.__name__)


SPOILED = [
    spoil(rules.test_it_is_a_valid_notebook_with_cell_ids, 1, id="cell-0"),
    spoil(rules.test_nothing_of_the_machine_is_stored, 1, metadata={"scrolled": True}),
    spoil(rules.test_no_path_of_a_machine_is_shown, 1, source="open('/home/me/data')"),
    spoil(rules.test_no_path_of_a_machine_is_shown, 1, outputs=[printed("C:\\Users\\me")]),
    spoil(rules.test_it_was_run_from_top_to_bottom, 1, execution_count=2),
    spoil(rules.test_it_was_run_from_top_to_bottom, 1, execution_count=None),
    spoil(rules.test_no_cell_is_empty, 1, source=" "),
    spoil(
        rules.test_no_stored_error_or_stderr,
        1,
        outputs=[new_output("stream", name="stderr", text="careful")],
    ),
    spoil(
        rules.test_no_stored_error_or_stderr,
        1,
        outputs=[new_output("error", ename="E", evalue="no", traceback=[])],
    ),
    spoil(
        rules.test_no_widget_is_stored,
        1,
        outputs=[new_output("display_data", {execute.WIDGET_VIEW: {"model_id": "a"}})],
    ),
    spoil(rules.test_stored_output_is_small, 1, outputs=[printed("x" * 200_000)]),
    spoil(rules.test_stored_output_is_small, 1, outputs=[printed("x\n" * 101)]),
    spoil(rules.test_it_starts_with_a_title_a_question_and_a_table, 0, source="# Title\n\nWhy?"),
    spoil(rules.test_it_starts_with_a_title_a_question_and_a_table, 2, source="# Second"),
    spoil(rules.test_the_header_promises_what_is_measured, 0, source="# T\n\n30 minutes, 1.5 GB"),
    spoil(rules.test_the_header_promises_what_is_measured, 0, source="# T\n\n3 minutes, 1 GB"),
    spoil(rules.test_the_setup_cell_comes_first_and_once, 3, source="print(doctor.summary())"),
    spoil(rules.test_the_setup_cell_says_whether_the_machine_is_ready, 1, source="import torch"),
    spoil(rules.test_the_setup_cell_comes_first_and_once, 0, source="## Early"),
    spoil(rules.test_the_sections_have_the_form_of_the_course, 2, source="No heading"),
    spoil(rules.test_the_sections_have_the_form_of_the_course, -1, source="## Sources"),
    spoil(rules.test_a_section_claims_predicts_measures_and_reads, 4, source="Ten."),
    spoil(rules.test_prediction_comes_before_measurement, 2, source="## Look\n\n**Claim.**"),
    spoil(rules.test_text_comes_before_every_code_cell, 2, **cell("1", count=1)),
    spoil(rules.test_there_are_exercises_with_check_hint_and_solution, -4, source="ch00.q3"),
    spoil(rules.test_there_are_exercises_with_check_hint_and_solution, -5, source="Help yourself"),
    spoil(rules.test_every_picture_has_a_text_alternative, 0, source="![](tree.svg)"),
    spoil(rules.test_every_picture_has_a_text_alternative, 0, source='<img src="tree.svg">'),
    spoil(rules.test_every_picture_has_a_text_alternative, 1, outputs=[shown(image_png=PNG)]),
    spoil(rules.test_every_picture_has_a_text_alternative, 1, outputs=[shown(text_html="<img>")]),
    spoil(rules.test_code_cells_are_short, 1, source="1\n" * 21),
    spoil(rules.test_one_statement_a_line, 1, source="a = 1; b = 2"),
    spoil(rules.test_nothing_is_installed_by_a_cell, 1, source="%pip install d2l"),
    spoil(rules.test_no_stored_output_needs_the_projects_options, 3, outputs=[printed("in 1.2 s")]),
    spoil(rules.test_what_is_measured_is_checked, 13, source="1", metadata={}),
    spoil(rules.test_what_is_measured_is_checked, 13, metadata={"tags": ["nbval-ignore-output"]}),
    spoil(rules.test_checks_are_out_of_sight, 13, metadata={"tags": ["check"]}),
    spoil(rules.test_checks_are_out_of_sight, 13, outputs=[printed("0.9")]),
    spoil(rules.test_checks_are_out_of_sight, 3, source="assert True"),
    spoil(rules.test_no_conclusion_is_printed_as_it_was_typed, 3, source="print('ten')"),
    spoil(rules.test_no_cell_is_skipped, 1, metadata={"tags": ["nbval-skip"]}),
    spoil(rules.test_no_cell_is_skipped, 1, source="# NBVAL_SKIP\n1"),
    spoil(rules.test_the_test_split_is_for_the_final_evaluation, 3, source="split = 'test'"),
    spoil(
        rules.test_everything_used_from_the_package_exists, 3, source=f"{IMPORT}data.no_such_name"
    ),
    spoil(
        rules.test_everything_used_from_the_package_exists,
        3,
        source="from inception_course import no_such_module",
    ),
]


@pytest.mark.parametrize(("rule", "number", "changes"), SPOILED)
def test_a_rule_refuses_a_notebook_that_breaks_it(rule, number, changes):
    toy = well_formed()
    rule(rules.Notebook("00_toy.ipynb", toy))
    toy.cells[number].update(copy.deepcopy(changes))
    toy.cells = [nbformat.from_dict(each) for each in toy.cells]
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        rule(rules.Notebook("00_toy.ipynb", toy))


def test_every_rule_is_tried():
    tried = {parameters.values[0] for parameters in SPOILED}
    every = {
        rule
        for name, rule in vars(rules).items()
        if name.startswith("test_") and "notebook" in inspect.signature(rule).parameters
    }
    assert every == tried
