"""What the course asks of the machine, and does to it: cores, memory, threads, time, files."""

import platform
from itertools import count

import pytest
import torch

from inception_course import machine


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
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: {1, 5, 7}, raising=False)
    assert machine.usable_cores(tmp_path) == 3


def test_the_processor_has_a_name_where_the_system_tells(tmp_path):
    lines = "processor\t: 0\nmodel name\t: Made CPU 7\nprocessor\t: 1\nmodel name\t: Made CPU 7"
    assert machine.processor(system(tmp_path, {"proc/cpuinfo": lines})) == "Made CPU 7"
    assert isinstance(machine.processor(tmp_path / "nowhere"), str)


def test_cores_on_a_system_without_affinity(tmp_path, monkeypatch):
    monkeypatch.delattr(machine.os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(machine.os, "cpu_count", lambda: None)
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
    monkeypatch.setattr(machine.util, "find_spec", lambda name: None)
    assert machine.memory_for_notebook(tmp_path) is None


def new_pages(count):
    """How many pages of memory the system had to hand out for `count` large blocks in turn.

    Blocks that malloc gives: torch asks for aligned ones, of which glibc cuts off small pieces.
    """
    import resource  # not on Windows

    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(count):
        b"x" * 2**26
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_memory_is_kept_between_steps():
    with machine.keep_freed_memory():
        new_pages(1)
        inside = new_pages(4)
    assert inside < new_pages(4) / 2


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_memory_is_kept_until_the_outermost_end():
    with machine.keep_freed_memory():
        with machine.keep_freed_memory():
            new_pages(1)
        kept = new_pages(4)
    assert kept < new_pages(4) / 2


@pytest.mark.parametrize("error", [AttributeError, TypeError, OSError])
def test_other_c_libraries_are_left_alone(monkeypatch, error):
    def library(name):
        raise error

    monkeypatch.setattr(machine.ctypes, "CDLL", library)
    with machine.keep_freed_memory():
        kept = torch.ones(3)
    assert kept.sum() == 3


def test_threads_are_as_many_as_asked_for_and_as_before_afterwards():
    before = torch.get_num_threads()
    with machine.using_threads(3):
        assert torch.get_num_threads() == 3
    assert torch.get_num_threads() == before


def test_processes_share_the_cores_and_torch_takes_no_more_than_its_part(tmp_path):
    before = torch.get_num_threads()
    with machine.using_threads(999), machine.sharing_cores(3):
        parts = [machine.usable_cores(tmp_path, visible) for visible in (1, 3, 8)]
        assert parts == [1, 1, 2]
        assert torch.get_num_threads() == machine.usable_cores()
    with machine.using_threads(1), machine.sharing_cores(1):
        assert torch.get_num_threads() == 1
    assert machine.usable_cores(tmp_path, visible=8) == 8
    assert torch.get_num_threads() == before


def test_the_best_of_three_times_counts_after_a_first_try_that_warms_up(monkeypatch):
    clock = iter([0, 1, 10, 18, 20, 25, 30, 36])  # tries of 1, 8, 5 and 6 seconds
    monkeypatch.setattr(machine.time, "perf_counter", lambda: next(clock))
    tries = count()
    assert machine.best_time(lambda: next(tries)) == 5
    assert next(tries) == 4


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    file = tmp_path / "record.json"
    machine.write_atomically(file, b"first")

    def full(descriptor):
        raise OSError("no space left")

    monkeypatch.setattr(machine.os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        machine.write_atomically(file, b"second")
    assert file.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [file]
