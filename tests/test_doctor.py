import subprocess
import sys
from importlib import metadata

import pytest
import torch

from inception_course import data, machine
from inception_course.lessons import doctor
from inception_course.lessons.doctor import Check

GB = 10**9


def system(folder, files):
    """A file system to read instead of this machine's: path -> text."""
    for path, text in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
    return folder


# Version 2 has one hierarchy and says "max"; version 1 one per controller and says -1.
V2_CONTAINER = {"proc/self/cgroup": "0::/"}
V2_NESTED = {"proc/self/cgroup": "0::/user.slice/hub"}
V1_CONTAINER = {"proc/self/cgroup": "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n0::/"}
V1_NESTED = {"proc/self/cgroup": "3:memory:/hub/ann\n2:cpuacct:/hub\n1:cpu:/hub/ann\n0::/"}
V2, V1 = "sys/fs/cgroup/", "sys/fs/cgroup/cpu,cpuacct/"

CORES = {
    "no cgroups": ({}, 8),
    "v2 without limit": ({**V2_CONTAINER, f"{V2}cpu.max": "max 100000"}, 8),
    "v2 one and a half": ({**V2_CONTAINER, f"{V2}cpu.max": "150000 100000"}, 2),
    "v2 exactly two": ({**V2_CONTAINER, f"{V2}cpu.max": "200000 100000"}, 2),
    "v2 a tenth": ({**V2_CONTAINER, f"{V2}cpu.max": "10000 100000"}, 1),
    "v2 more than there are": ({**V2_CONTAINER, f"{V2}cpu.max": "6400000 100000"}, 8),
    "v2 limit on the group around": (
        {
            **V2_NESTED,
            f"{V2}user.slice/cpu.max": "300000 100000",
            f"{V2}user.slice/hub/cpu.max": "max 100000",
        },
        3,
    ),
    "v2 group outside the container": (
        {"proc/self/cgroup": "0::/../../other", f"{V2}cpu.max": "100000 100000"},
        1,
    ),
    "v1 without limit": (
        {**V1_CONTAINER, f"{V1}cpu.cfs_quota_us": "-1", f"{V1}cpu.cfs_period_us": "100000"},
        8,
    ),
    "v1 container, path of the host": (
        {**V1_CONTAINER, f"{V1}cpu.cfs_quota_us": "400000", f"{V1}cpu.cfs_period_us": "100000"},
        4,
    ),
    "v1 nested": (
        {
            **V1_NESTED,
            "sys/fs/cgroup/cpu/hub/ann/cpu.cfs_quota_us": "50000",
            "sys/fs/cgroup/cpu/hub/ann/cpu.cfs_period_us": "20000",
        },
        3,
    ),
    "nonsense": ({**V2_CONTAINER, f"{V2}cpu.max": "a lot"}, 8),
    "period of nothing": ({**V2_CONTAINER, f"{V2}cpu.max": "100000 0"}, 8),
}


@pytest.mark.parametrize(("files", "expected"), CORES.values(), ids=CORES)
def test_cores_follow_the_quota_of_the_control_group(tmp_path, files, expected):
    assert machine.usable_cores(system(tmp_path, files), visible=8) == expected


def test_cores_follow_the_affinity_and_are_never_more(tmp_path):
    four = system(tmp_path, {**V2_CONTAINER, f"{V2}cpu.max": "400000 100000"})
    assert [machine.usable_cores(four, visible) for visible in (1, 2, 3, 4, 5, 64)] == [
        1, 2, 3, 4, 4, 4,
    ]  # fmt: skip


def test_cores_ask_the_system_for_the_affinity(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor.os, "sched_getaffinity", lambda _: {1, 5, 7}, raising=False)
    assert machine.usable_cores(tmp_path) == 3


def test_the_processor_has_a_name_where_the_system_tells(tmp_path):
    lines = "processor\t: 0\nmodel name\t: Made CPU 7\nprocessor\t: 1\nmodel name\t: Made CPU 7"
    assert machine.processor(system(tmp_path, {"proc/cpuinfo": lines})) == "Made CPU 7"
    assert isinstance(machine.processor(tmp_path / "nowhere"), str)


def test_cores_on_a_system_without_affinity(tmp_path, monkeypatch):
    monkeypatch.delattr(doctor.os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(doctor.os, "cpu_count", lambda: None)
    assert machine.usable_cores(tmp_path) == 1


MEMORY = {
    "proc/meminfo": "MemTotal: 16000000 kB\nMemAvailable: 8000000 kB",
    "proc/self/status": "Name: python\nVmRSS:   500000 kB",
}
V2_MEMORY = {
    f"{V2}memory.max": "2000000000",
    f"{V2}memory.current": "1500000000",
    f"{V2}memory.stat": "anon 900000000\ninactive_file 400000000",
}
V1_MEMORY = {
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "1000000000",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": "600000000",
}
ROOM = {
    "whole machine": ({}, 8_000_000 * 1024),
    "v2": (V2_CONTAINER | V2_MEMORY, 900_000_000),
    "v2 without limit": (V2_CONTAINER | V2_MEMORY | {f"{V2}memory.max": "max"}, 8_000_000 * 1024),
    "v1": (V1_CONTAINER | V1_MEMORY, 400_000_000),
    "v1 without limit": (
        {
            **V1_CONTAINER,
            **V1_MEMORY,
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
        },
        8_000_000 * 1024,
    ),
}


@pytest.mark.parametrize(("files", "free"), ROOM.values(), ids=ROOM)
def test_memory_is_what_is_free_under_the_limit_and_what_is_held_already(tmp_path, files, free):
    assert machine.memory_for_notebook(system(tmp_path, MEMORY | files)) == free + 500_000 * 1024


def test_memory_elsewhere_comes_from_psutil_or_is_not_known(tmp_path, monkeypatch):
    assert machine.memory_for_notebook(tmp_path) > 0
    monkeypatch.setattr(doctor.util, "find_spec", lambda name: None)
    assert machine.memory_for_notebook(tmp_path) is None


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
    ("version", "ok"), [("3.9.18", False), ("3.10.0", True), ("3.14.2", True), ("3.15.0", True)]
)
def test_python_is_held_against_the_package(version, ok):
    check = doctor.judge_python(version, ">=3.10")
    assert check.ok == ok
    assert ">=3.10" in check.says


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
    system(tmp_path, {"kernels/python3/kernel.json": kernel})
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


def test_importing_the_doctor_is_light():
    heavy = "{'torch', 'IPython', 'matplotlib', 'jupyter_client', 'd2l'}"
    code = f"import inception_course.lessons.doctor, sys; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
