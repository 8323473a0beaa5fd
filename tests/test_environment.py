"""The files that make the environment agree with each other and with the code."""

import ast
import functools
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path

import lowest
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from setuptools import find_packages

from inception_course.lessons import python_version

if sys.version_info >= (3, 11):
    import tomllib
else:  # Python 3.10 has no tomllib; pytest brings tomli there
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = [line for extra in PROJECT["optional-dependencies"].values() for line in extra]
DECLARED = {
    canonicalize_name(one.name): one.specifier
    for one in map(Requirement, PROJECT["dependencies"] + EXTRAS)
}
REQUIREMENTS = [
    line
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
MODULES = sorted((ROOT / "inception_course").rglob("*.py"))


def test_the_package_has_lower_bounds_only():
    operators = {spec.operator for specifier in DECLARED.values() for spec in specifier}
    assert operators <= {">=", "!="}


def test_the_pythons_are_the_same_everywhere():
    declared = SpecifierSet(PROJECT["requires-python"])
    for minor in range(8, 18):
        for micro in range(3):
            version = (3, minor, micro)
            text = ".".join(map(str, version))
            assert python_version.supported(version) == (text in declared), text
    for file in ("README.md", "requirements.txt", "Makefile"):
        text = (ROOT / file).read_text(encoding="utf-8")
        assert f"Python {python_version.RANGE}" in text, file


def test_a_default_python_is_named_alike_everywhere():
    named = {
        "docs/install.md": ("python3.13 -m venv", "py -3.13 -m venv"),
        "environment.yml": ("python=3.13",),
        "Makefile": ("PYTHON=python3.13",),
        "inception_course/lessons/python_version.py": ("PYTHON=python3.13", "py -3.13"),
    }
    for file, texts in named.items():
        content = (ROOT / file).read_text(encoding="utf-8")
        for text in texts:
            assert text in content, (file, text)


@pytest.mark.parametrize("supported", [True, False])
def test_pip_is_stopped_by_a_python_that_will_not_do(tmp_path, supported):
    """Before it downloads torch: the course's own build is the first thing that pip runs."""
    file = tmp_path / "inception_course/lessons/python_version.py"
    file.parent.mkdir(parents=True)
    file.write_text(
        (ROOT / "inception_course/lessons/python_version.py").read_text(encoding="utf-8")
        + ("" if supported else "\nOLDEST = (4, 0)\n")
    )
    shutil.copy(ROOT / "setup.py", tmp_path)
    done = subprocess.run(
        [sys.executable, "setup.py", "--name"], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode == 0) == supported
    assert ("py -3.13 -m venv --clear .venv" in done.stderr) != supported


def test_requirements_say_what_each_line_is_for_and_end_in_the_package():
    assert REQUIREMENTS[-1] == "-e ."
    for line in REQUIREMENTS[:-1]:
        assert re.search(r"  # \w+", line), f"what uses it? {line}"


def test_the_tested_versions_are_within_the_packages_bounds():
    for line in REQUIREMENTS[:-1]:
        tested = Requirement(line.split("#")[0])
        for spec in tested.specifier:
            if spec.operator == "==" and tested.name in DECLARED:
                assert DECLARED[tested.name].contains(spec.version), line


def test_torch_and_torchvision_are_pinned_together():
    pinned = {line.split("==")[0] for line in REQUIREMENTS if "==" in line}
    assert {"torch", "torchvision"} <= pinned


def test_conda_repeats_nothing():
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    entries = re.findall(r"^ *- (.*)$", text, flags=re.MULTILINE)
    assert entries == ["python=3.13", "pip", "pip:", "-r requirements.txt"]


def imports(module):
    """Top-level names of everything that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.split(".")[0]


@functools.cache
def owners():
    """Which distributions each top-level name comes from, by the files that they installed.

    Not metadata.packages_distributions(), which on Python 3.10 misses those without a
    top_level.txt, such as torch; nor distribution.files, which takes half a minute for torch.
    """
    found = defaultdict(set)
    for distribution in metadata.distributions():
        name = canonicalize_name(distribution.name)
        for line in (distribution.read_text("RECORD") or "").splitlines():
            found[re.split("[/,]", line, maxsplit=1)[0].removesuffix(".py")].add(name)
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(ROOT)))
def test_what_the_package_imports_is_declared(module):
    foreign = set(imports(module)) - set(sys.stdlib_module_names) - {"inception_course"}
    assert not foreign & {"d2l", "triton", "nvidia"}, "the course must work without"
    for name in foreign:
        # A name may come from several distributions; one of them must be declared.
        assert owners()[name] & set(DECLARED), name


def test_the_packages_data_and_folders_are_packaged():
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    setup = setup["tool"]["setuptools"]
    folders = {str(m.parent.relative_to(ROOT)).replace(os.sep, ".") for m in MODULES}
    assert set(find_packages(ROOT, include=setup["packages"]["find"]["include"])) == folders
    patterns = setup["package-data"]["inception_course"]
    package = ROOT / "inception_course"
    for file in package.rglob("*"):
        if file.is_file() and file.suffix not in (".py", ".pyc", ".png"):  # pictures: README's
            name = file.relative_to(package).as_posix()
            assert any(fnmatch(name, pattern.replace("**/", "*")) for pattern in patterns), name
    assert (package / "py.typed").exists()


def test_citation_and_license_fit_the_package():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {PROJECT['version']}\n" in citation
    license = (ROOT / "LICENSE").read_text(encoding="utf-8")
    for part in ("MIT License", "creativecommons.org/licenses/by/4.0/", "2017 Zalando SE"):
        assert part in license


# The Makefile, with a stand-in for Python that writes down how it was called

PYTHON = """#!/bin/sh
echo "$@" >> calls
case "$*" in
*python_version.py) exit ${WRONG:-0} ;;
*ensurepip*) exit ${NO_VENV:-0} ;;
*"-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
*--no-deps*) exit ${NO_D2L:-0} ;;
*"-m pip install"*) exit ${NO_PIP:-0} ;;
esac
"""
SCRIPTS = ("tools/pythons.sh", "inception_course/lessons/python_version.py")
needs_make = pytest.mark.skipif(
    not shutil.which("make") or os.name == "nt", reason="needs make: apt-get install make"
)


class Course:
    """A copy of the files that the Makefile reads, set up by a stand-in for Python."""

    def __init__(self, folder):
        self.folder = folder
        self.ready = folder / ".venv/ready"
        for name in ("Makefile", "requirements.txt", "pyproject.toml", *SCRIPTS):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
            os.utime(folder / name, (1e9, 1e9))
        self.python = folder / "fake-python"
        self.python.write_text(PYTHON)
        self.python.chmod(0o755)

    def make(self, *arguments, python=None, **faults):
        """Run make; `faults` are exit statuses of the stand-in, such as NO_PIP="1".

        With `python=""` make has to find one itself.
        """
        (self.folder / "calls").write_text("")
        # These tests may themselves have been started by make, which must not show.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("M")}
        named = [] if python == "" else [f"PYTHON={python or self.python}"]
        return subprocess.run(
            [shutil.which("make"), *arguments, *named],
            cwd=self.folder,
            env=environment | faults,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def installs(self):
        calls = (self.folder / "calls").read_text().splitlines()
        return [call for call in calls if "pip install" in call]


@pytest.fixture
def course(tmp_path):
    return Course(tmp_path)


@pytest.fixture
def tools(tmp_path):
    """A folder with the programs that make's recipes call, and no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "dirname", "head", "sort", "cut", "sed", "rm", "mkdir", "cp", "touch"):
        (folder / name).symlink_to(shutil.which(name))
    return folder


def stand_in(folder, name, answer):
    """Put a Python on the path that gives this answer to the question for its version."""
    folder.mkdir(exist_ok=True)
    python = folder / name
    first = f'#!/bin/sh\ncase "$*" in *python_version.py) {answer} ;; esac\n'
    python.write_text(PYTHON.replace("#!/bin/sh\n", first))
    python.chmod(0o755)
    return python


@needs_make
def test_the_newest_python_that_runs_is_found(course, tools):
    shims, others = course.folder / "shims", course.folder / "others"
    stand_in(shims, "python3.14", "exit 127")  # a shim of pyenv, for no Python
    stand_in(shims, "python3.12", f"echo 3.12.1 {shims}/python3.12; exit")
    stand_in(shims, "python3", "echo 3.15.0 python3; exit 1")  # too new
    stand_in(others, "python", f"echo 3.9.18 {others}/python; exit 1")  # too old
    stand_in(others, "python3", f"echo 3.10.13 {others}/python3; exit")
    stand_in(others, "python3.13", f"echo 3.13.0 {others}/python3.13; exit")
    stand_in(others, "python3.12", f"echo 3.12.9 {others}/python3.12; exit")
    path = os.pathsep.join(map(str, (shims, others, tools)))
    done = subprocess.run(
        ["sh", "tools/pythons.sh"],
        cwd=course.folder,
        env={"PATH": path},
        capture_output=True,
        text=True,
    )
    found = [f"{others}/python3.13", f"{shims}/python3.12", f"{others}/python3"]
    assert done.stdout.splitlines() == found
    made = course.make(".venv/ready", python="", PATH=path)
    assert f"Making .venv with {found[0]}:" in made.stdout


@needs_make
def test_this_python_is_found_when_it_is_the_first_of_its_version():
    here = Path(sys.executable).parent
    done = subprocess.run(
        ["sh", ROOT / "tools/pythons.sh"],
        env=os.environ | {"PATH": os.pathsep.join([str(here), os.environ["PATH"]])},
        capture_output=True,
        text=True,
    )
    assert str(here) in {str(Path(line).parent) for line in done.stdout.splitlines()}


@needs_make
def test_make_alone_lists_what_there_is(course):
    lines = course.make().stdout.splitlines()
    targets = [
        *("help", "lab", "copies", "quick", "test", "lint", "train", "notebooks"),
        *("slides", "site", "assignment", "clean"),
    ]
    assert [line.split()[:2] for line in lines] == [["make", name] for name in targets]
    assert not course.ready.exists()


@needs_make
def test_the_environment_is_made_once(course):
    done = course.make(".venv/ready")
    assert done.returncode == 0, done.stdout
    assert course.ready.exists()
    assert len(course.installs) == 2
    assert "-r requirements.txt" in course.installs[0]
    assert re.search(r"--no-deps d2l==[\d.]+$", course.installs[1])
    assert "up to date" in course.make(".venv/ready").stdout
    assert course.installs == []


@needs_make
@pytest.mark.parametrize("name", ["requirements.txt", "pyproject.toml"])
def test_the_environment_is_brought_up_to_date_when_its_files_change(course, name):
    course.make(".venv/ready")
    os.utime(course.ready, (2e8, 2e8))
    os.utime(course.folder / name, (3e8, 3e8))
    assert course.make(".venv/ready").returncode == 0
    assert len(course.installs) == 2
    calls = (course.folder / "calls").read_text()
    assert "-m venv" not in calls, "what is installed already is kept"


@needs_make
def test_a_failed_install_leaves_nothing_that_looks_complete(course):
    assert course.make(".venv/ready", NO_PIP="1").returncode != 0
    assert not course.ready.exists()
    assert course.make(".venv/ready").returncode == 0
    os.utime(course.ready, (2e8, 2e8))
    assert course.make(".venv/ready", NO_PIP="1").returncode != 0
    assert not course.ready.exists()


@needs_make
def test_without_d2l_the_course_goes_on(course):
    done = course.make(".venv/ready", NO_D2L="1")
    assert done.returncode == 0
    assert "d2l could not be added; only the cells that compare" in done.stdout
    assert course.ready.exists()


@needs_make
@pytest.mark.parametrize(
    ("python", "faults", "sentence"),
    [
        ("no-such-python", {}, "make lab PYTHON=python3.13"),
        (None, {"WRONG": "1"}, "needs Python 3.10 to 3.14"),
        (None, {"NO_VENV": "1"}, "sudo apt install python3-venv"),
        ("", {"PATH": "bin"}, "what is on the path is none"),
        ("", {"PATH": "bin"}, "brew install python@3.13"),
    ],
)
def test_a_python_that_will_not_do_is_refused_in_words(course, tools, python, faults, sentence):
    done = course.make("lab", python=python, **faults)
    assert done.returncode != 0
    assert sentence in done.stdout
    assert not (course.folder / ".venv").exists()


@needs_make
def test_make_lab_passes_its_flags_and_finds_the_environments_programs(course):
    course.make(".venv/ready")
    copies, lab = course.make("-n", "lab", "LABFLAGS=--no-browser --port=8890").stdout.splitlines()
    assert copies == ".venv/bin/python tools/copies.py"
    assert lab.startswith(f'PATH="{course.folder}/.venv/bin:$PATH" .venv/bin/python')
    assert lab.endswith(" my_notebooks/00_start_here.ipynb --no-browser --port=8890")


@needs_make
def test_the_tests_come_last_in_make_test(course):
    course.make(".venv/ready")
    lint = ["ruff check .", "ruff format --check .", "codespell_lib", "mypy"]
    quick = 'pytest -m "not slow and not drawing" tests'
    every = "pytest --numprocesses 2 --dist loadfile"
    for target, tests in {"test": every, "quick": quick}.items():
        lines = course.make("-n", target).stdout.splitlines()
        assert [line.split(" -m ", 1)[1] for line in lines] == [*lint, tests]


def test_the_gate_runs_make_test_and_nothing_after_it():
    gate = ROOT / ".ci/run"
    assert gate.stat().st_mode & 0o100 or os.name == "nt"
    assert gate.read_text(encoding="utf-8").splitlines()[-1] == "exec make test"


def test_the_workflow_takes_the_oldest_and_the_newest_python():
    file = ROOT / ".github/workflows/checks.yml"
    jobs = yaml.safe_load(file.read_text(encoding="utf-8"))["jobs"]
    ends = ["{}.{}".format(*end) for end in (python_version.OLDEST, python_version.NEWEST)]
    assert jobs["systems"]["strategy"]["matrix"]["python"] == ends
    assert len(jobs["systems"]["strategy"]["matrix"]["os"]) == 3
    assert "bash .ci/run" in [step.get("run") for step in jobs["everything"]["steps"]]


def test_the_lowest_versions_are_those_of_every_bound():
    pins = lowest.lowest((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert {canonicalize_name(pin.split("==")[0]) for pin in pins} == set(DECLARED)
    for pin in map(Requirement, pins):
        bound = str(DECLARED[canonicalize_name(pin.name)]).replace(">=", "==")
        assert str(pin.specifier) == bound


def test_a_commit_is_checked_as_make_lint_does():
    settings = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook["entry"] for repository in settings["repos"] for hook in repository["hooks"]]
    assert hooks == ["make lint"]


@pytest.mark.skipif(not shutil.which("git"), reason="needs git: apt-get install git")
def test_a_checkout_for_windows_has_the_same_bytes(tmp_path):
    """Git for Windows writes CRLF unless told otherwise, and what is hashed or run breaks."""
    names = [".ci/run", "Makefile", "tools/pythons.sh", "notebooks/00_start_here.ipynb", "LICENSE"]
    names += [".gitattributes", "inception_course/data/sample/sample.json"]
    source, clone = tmp_path / "source", tmp_path / "clone"
    for name in names:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@x", "-c", "core.autocrlf=true"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], cwd=source, check=True, capture_output=True)
    subprocess.run([*git, "clone", "-q", source, clone], check=True, capture_output=True)
    for name in names:
        assert (clone / name).read_bytes() == (ROOT / name).read_bytes(), name
