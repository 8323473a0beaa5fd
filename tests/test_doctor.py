import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import torch

from inception_course import data, machine
from inception_course.lessons import doctor
from inception_course.lessons.doctor import Check

GB = 10**9


@pytest.mark.parametrize(
    ("room", "ok", "failed"),
    [
        (1.4 * GB, False, True),
        (1.5 * GB, False, False),
        (1.9 * GB, False, False),
        (2.0 * GB, True, False),
        (None, True, False),
    ],
)
def test_memory_fails_below_1_5_gb_and_is_noted_below_2(room, ok, failed):
    check = doctor.judge_memory(room)
    assert (check.ok, check.failed) == (ok, failed)


def test_more_threads_than_cores_are_noted_with_the_setting():
    assert doctor.judge_threads(2, cores=2).ok
    check = doctor.judge_threads(8, cores=2)
    assert not check.ok
    assert not check.failed
    assert "8 threads" in check.says
    assert check.remedy.endswith("OMP_NUM_THREADS=2")


TESTED = ("torch==2.14.1", "torchvision==0.29.1")


@pytest.mark.parametrize(
    ("pair", "requires"),
    [
        (("2.14.1", "0.29.1"), ["numpy", "torch (>=2.14.0)"]),
        (("2.14.1+cu130", "0.29.1+cu130"), ["torch==2.14.1"]),
        (("2.15.0.dev20261101", "0.30.0.dev20261101"), ["torch==2.15.0.dev20261101"]),
        (("2.14.1", "0.29.1"), []),
    ],
)
def test_a_matching_pair_is_fine(pair, requires):
    assert doctor.judge_torch(*pair, requires).ok


def test_a_pair_of_which_one_was_upgraded_alone_is_named_with_the_line_that_mends_it():
    requires = ["numpy", "torch==2.4.0", "scipy ; extra == 'scipy'"]
    check = doctor.judge_torch("2.5.1", "0.19.0", requires, TESTED)
    assert check.failed
    assert check.says == (
        "torch 2.5.1, torchvision 0.19.0 do not match: this torchvision needs torch==2.4.0"
    )
    assert check.remedy.endswith(
        "python -m pip install --force-reinstall torch==2.14.1 torchvision==0.29.1"
    )


def test_a_pair_that_matches_on_paper_but_not_when_imported():
    error = "operator torchvision::nms does not exist"
    check = doctor.judge_torch("2.15.0", "0.29.1", ["torch>=2.14.0"], import_error=error)
    assert check.failed
    assert error in check.says
    assert check.remedy.endswith("pip install --force-reinstall torch torchvision")


def test_the_import_error_of_torchvision_is_caught(monkeypatch):
    def nms(*_):
        raise RuntimeError("operator torchvision::nms does not exist\nand more")

    monkeypatch.setattr("torchvision.ops.nms", nms)
    check = doctor.ask_torch()
    assert check.failed
    assert check.says.endswith("operator torchvision::nms does not exist")


def test_the_pair_to_install_is_read_from_the_requirements(tmp_path):
    file = tmp_path / "requirements.txt"
    assert doctor.tested_pair(file) == []
    file.write_text("torch==2.14.1  # nets\ntorchvision==0.29.1\ntorchfoo==1\n")
    assert doctor.tested_pair(file) == list(TESTED)


@pytest.mark.parametrize(
    ("version", "ok"),
    [
        ((3, 9, 18), False),
        ((3, 10, 0), True),
        ((3, 14, 0), True),
        ((3, 14, 1), False),  # left out by torchvision
        ((3, 14, 2), True),
        ((3, 15, 0), False),
        ((4, 0, 0), False),
    ],
)
def test_a_python_without_a_build_of_torch_is_refused_with_what_helps(version, ok):
    check = doctor.judge_python(version)
    assert check.failed != ok
    assert f"Python {version[0]}.{version[1]}.{version[2]}; torch has builds for 3.10 to 3.14" == (
        check.says
    )
    assert "make lab PYTHON=python3.13" in check.remedy
    assert "py -3.13 -m venv --clear .venv" in check.remedy


@pytest.mark.parametrize(
    ("matplotlib", "ipython", "ok"),
    [
        ("3.7.2", "9.15.0", True),
        ("3.7.2", "9.16.0", False),
        ("3.8.4", "9.18.1", False),
        ("3.9.0", "9.18.1", True),
        ("3.11.2", "9.18.1", True),
    ],
)
def test_versions_that_turn_figures_into_text_are_found(matplotlib, ipython, ok):
    check = doctor.judge_figures(matplotlib, ipython)
    assert check.failed != ok
    assert check.remedy.endswith("pip install 'ipython<9.16'")


@pytest.mark.parametrize(
    ("command", "ok"),
    [
        ("python", True),
        ("/course/.venv/bin/python", True),
        ("/course/.venv/bin/python3.11", True),
        ("/usr/bin/python3", False),
        ("/other/.venv/bin/python", False),
    ],
)
def test_a_kernel_of_another_environment_is_found(command, ok):
    check = doctor.judge_kernel(command, "/course/.venv/bin/python3")
    assert check.failed != ok
    assert ok or (command in check.says and "ipykernel install" in check.remedy)


def test_the_kernel_that_jupyter_would_start_is_asked_for(tmp_path, monkeypatch):
    kernel = '{"argv": ["/elsewhere/bin/python", "-m", "ipykernel"], "display_name": "Old"}'
    folder = tmp_path / "kernels/python3"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(kernel)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    check = doctor.ask_kernel()
    assert check.failed
    assert "/elsewhere/bin/python" in check.says


def test_a_missing_jupyter_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "jupyter_client.kernelspec", None)
    assert "Jupyter is not installed" in doctor.ask_kernel().says


def test_inside_a_kernel_the_kernel_is_this_one(monkeypatch):
    monkeypatch.setattr(doctor, "in_kernel", lambda: True)
    assert doctor.ask_kernel().ok


def test_a_gpu_that_fails_is_left_alone_with_one_plain_sentence(monkeypatch):
    def no_kernel_image(*_, **__):
        raise RuntimeError("CUDA error: no kernel image is available\nCUDA kernel errors might…")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "ones", no_kernel_image)
    device, sentence = machine.pick_device()
    assert device == "cpu"
    assert sentence == (
        "A GPU is present (cuda), but a small test on it failed, so the course runs on the CPU. "
        "CUDA error: no kernel image is available"
    )
    check = doctor.ask_gpu()
    assert not check.ok
    assert not check.failed


def test_a_gpu_that_works_is_named(monkeypatch):
    ones = torch.ones(1, 1, 3, 3)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla T4")
    monkeypatch.setattr(torch, "ones", lambda *_, **__: ones)
    assert machine.pick_device() == ("cuda", "GPU: Tesla T4 (cuda).")
    assert doctor.ask_gpu().ok


def test_no_gpu_is_no_fault(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert machine.pick_device() == ("cpu", "No GPU: the course runs on the CPU.")
    assert doctor.ask_gpu().ok


def test_data_that_is_not_there_is_a_note_and_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "find", lambda: data.DataSource("download", tmp_path))
    check = doctor.ask_data()
    assert not check.ok
    assert not check.failed
    assert "packaged sample works" in check.says
    assert check.remedy.endswith("-m inception_course data fetch")


def test_data_that_is_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "find", lambda: data.DataSource("cache", tmp_path))
    assert doctor.ask_data().ok
    assert str(tmp_path) in doctor.ask_data().says


def test_a_folder_of_data_that_was_named_and_is_empty_fails(tmp_path, monkeypatch):
    monkeypatch.setenv(data.VARIABLE, str(tmp_path))
    check = doctor.ask_data()
    assert check.failed
    assert data.VARIABLE in check.remedy


@pytest.mark.parametrize("name", ["ipywidgets", "d2l"])
def test_what_the_course_can_do_without_is_a_note(name, monkeypatch):
    monkeypatch.setattr(doctor.util, "find_spec", lambda asked: None)
    check = {"ipywidgets": doctor.ask_widgets, "d2l": doctor.ask_d2l}[name]()
    assert not check.ok
    assert not check.failed
    assert f"pip install {'--no-deps d2l' if name == 'd2l' else name}" in check.remedy


def test_a_package_that_is_not_installed_is_said(monkeypatch):
    def version(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor.metadata, "version", version)
    check = doctor.ask_course()
    assert check.failed
    assert check.remedy.endswith("pip install -e .")


def test_packages_that_are_missing_or_too_old_are_named_with_what_is_needed():
    requires = ["torch>=2.4", "typer>=0.15.4", "tqdm>=4.66", 'pytest>=9; extra == "test"']
    here = {"torch": "2.14.1+cu130", "typer": "0.12.5"}
    check = doctor.judge_course("0.1.0", requires, lambda name: here.get(name, doctor.ABSENT))
    assert check.failed
    assert check.says == (
        "inception_course 0.1.0 needs typer>=0.15.4, here 0.12.5; tqdm>=4.66, here (not installed)"
    )
    assert check.remedy.endswith("pip install -r requirements.txt")
    assert doctor.judge_course("0.1.0", requires[:1], here.__getitem__).ok


def test_every_check_is_made_here_in_order():
    checks = doctor.examine()
    assert [check.name for check in checks] == [name for name, _, _ in doctor.PROBES]
    assert all(check.says and "\n" not in check.says + check.remedy for check in checks)
    assert all(check.ok or check.remedy for check in checks)


def test_a_probe_that_raises_becomes_a_check_that_is_off(monkeypatch):
    def broken():
        raise OSError("disk on fire\nline 2")

    probes = [(name, broken, optional) for name, _, optional in doctor.PROBES]
    monkeypatch.setattr(doctor, "PROBES", probes)
    checks = doctor.examine()
    assert {check.says for check in checks} == {"OSError: disk on fire"}
    assert doctor.failed(checks) == [name for name, _, optional in probes if not optional]
    assert doctor.report(checks)
    assert "\nNot ready: python, course, torch" in doctor.summary()


def test_a_report_has_a_line_for_each_check_and_what_to_do():
    checks = [
        Check("one", True, "fine", "not shown"),
        Check("two", False, "broken", "mend it"),
        Check("three", False, "missing", "add it", optional=True),
    ]
    assert doctor.report(checks).splitlines() == [
        "ok    one          fine",
        "FAIL  two          broken",
        "                   What to do: mend it",
        "note  three        missing",
        "                   What to do: add it",
        "",
        "Not ready: two.",
    ]
    assert doctor.report(checks).isascii()  # a Windows console may know no more
    assert doctor.verdict([checks[0], checks[2]]) == "Ready for the course."


def test_the_summary_is_short_and_free_of_paths():
    summary = doctor.summary()
    assert len(summary.splitlines()) <= 2
    assert "/" not in summary
    assert "\\" not in summary
    for version in (doctor.PYTHON, torch.__version__.split("+")[0]):
        assert version in summary


def test_the_doctor_needs_nothing_but_python():
    """-S: without the environment's packages, as before anything is installed."""
    done = subprocess.run(
        [sys.executable, "-S", "-m", "inception_course.lessons.doctor"],
        cwd=Path(__file__).parents[1],
        env=os.environ | {"PYTHONPATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith(f"ok    python       Python {doctor.PYTHON};"), done.stderr
    assert "FAIL  torch        torch (not installed), torchvision (not installed)" in done.stdout
    assert "pip install -r requirements.txt" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("Not ready: ")


BLOCKED = """
import runpy, sys
sys.modules[sys.argv.pop(1)] = None
runpy.run_module("inception_course", run_name="__main__", alter_sys=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("missing", "command"),
    [("typer", ["doctor"]), ("torch", ["cost", "nin"]), ("matplotlib", ["train", "--sample", "8"])],
)
def test_every_command_tells_what_is_missing(missing, command):
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, missing, *command],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert re.search(f"FAIL  import       .*{missing}", done.stderr)
    assert "Not ready: " in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_fault_of_the_course_itself_is_no_missing_package():
    with pytest.raises(ImportError, match="Nothing") as fault:
        from inception_course.data import Nothing  # noqa: F401
    with pytest.raises(ImportError, match="Nothing"):
        doctor.give_up(fault.value)
