"""The machine under the course: cores, memory, threads, a stopwatch, and files written whole."""

import ctypes
import math
import os
import platform
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import util
from pathlib import Path

import torch

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # of glibc's malloc.h
inside = 0  # how many `keep_freed_memory` are open


@contextmanager
def keep_freed_memory() -> Iterator[None]:
    """Inside, memory that was freed stays with the process, for the next batch to use again.

    glibc would give large pieces back to the system, which fills them with zeros when they are
    asked for again, in every step. Other C libraries are left as they are.
    """
    global inside
    try:
        libc = ctypes.CDLL(None)
        mallopt, trim, _ = libc.mallopt, libc.malloc_trim, libc.gnu_get_libc_version
    except (AttributeError, TypeError, OSError):
        yield
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    inside += 1
    try:
        yield
    finally:
        inside -= 1
        if not inside:  # the largest that glibc chooses by itself, which it does no more when told
            mallopt(M_MMAP_MAX, 65536)
            mallopt(M_MMAP_THRESHOLD, 32 * 2**20)
            mallopt(M_TRIM_THRESHOLD, 64 * 2**20)
            trim(0)


def usable_cores(root: Path = Path("/"), visible: int | None = None) -> int:
    """How many threads this process should use: the cores it may run on, within its CPU quota.

    `visible` is the number of cores it may run on (asked of the system by default); a cgroup quota
    of 1.5 cores counts as 2. At least 1. `root` is the file system to read, for tests.
    """
    if visible is None:
        can_ask = hasattr(os, "sched_getaffinity")
        visible = len(os.sched_getaffinity(0)) if can_ask else os.cpu_count() or 1
    quota = cpu_quota(root)
    if quota is not None:
        visible = min(visible, math.ceil(quota))
    return max(1, visible)


def cpu_quota(root: Path = Path("/")) -> float | None:
    """The tightest cgroup limit on processor time, in cores; None if there is none."""
    quotas = []
    for group in _control_groups(root, "cpu"):
        words = _text(group / "cpu.max").split()  # version 2: "max 100000" or "150000 100000"
        words = words or [_text(group / f"cpu.cfs_{part}_us") for part in ("quota", "period")]
        # No limit is "max" in version 2 and "-1" in version 1.
        if len(words) == 2 and all(word.isdigit() for word in words) and int(words[1]):
            quotas.append(int(words[0]) / int(words[1]))
    return min(quotas, default=None)


def memory_for_notebook(root: Path = Path("/")) -> float | None:
    """Bytes that this process can hold in all, with what it holds now; None if not known.

    The least of what the machine has available and what is left under each cgroup limit.
    """
    available = _kilobytes(root / "proc/meminfo", "MemAvailable")
    held = _kilobytes(root / "proc/self/status", "VmRSS")
    if available is None:
        if util.find_spec("psutil") is None:
            return None
        import psutil

        return psutil.virtual_memory().available + psutil.Process().memory_info().rss
    return min([available, *_memory_left(root)]) + (held or 0)


def _memory_left(root: Path) -> Iterator[int]:
    """Bytes left under each cgroup limit; file cache counts as free, since it is given up."""
    for group in _control_groups(root, "memory"):
        for limit, used, cache in (
            ("memory.max", "memory.current", "inactive_file"),  # version 2
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),  # 1
        ):
            limit, used = _text(group / limit), _text(group / used)
            if limit.isdigit() and used.isdigit():
                pairs = (line.split() for line in _text(group / "memory.stat").splitlines())
                statistics = {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}
                yield int(limit) - int(used) + statistics.get(cache, 0)


def _control_groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of this process's cgroup and of those around it, for cgroup versions 1 and 2."""
    mount = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:  # version 2
            top = mount
        elif controller in controllers.split(","):
            top = mount / controllers if (mount / controllers).is_dir() else mount / controller
        else:
            continue
        # In a container the path may be the host's; then only the top exists, and is the container.
        inside = Path(path.strip("/"))
        for folder in (inside, *inside.parents):
            if ".." not in folder.parts and (top / folder).is_dir():
                yield top / folder


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def _kilobytes(file: Path, key: str) -> int | None:
    """A line such as `MemAvailable:  123 kB`, in bytes."""
    for line in _text(file).splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    return None


def processor(root: Path = Path("/")) -> str:
    """Its name, as far as the system tells."""
    lines = _text(root / "proc/cpuinfo").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def pick_device() -> tuple[str, str]:
    """The device to train on ("cuda", "mps" or "cpu") and a sentence on why.

    A GPU counts only if a small convolution runs on it: it may be present and too new or too old
    for this torch.
    """
    import torch

    for device, backend in (("cuda", torch.cuda), ("mps", torch.backends.mps)):
        try:
            with warnings.catch_warnings():  # the sentence says it
                warnings.simplefilter("ignore")
                if not backend.is_available():
                    continue
                ones = torch.ones(1, 1, 3, 3, device=device)
                torch.nn.functional.conv2d(ones, ones).item()
                model = torch.cuda.get_device_name() if device == "cuda" else "Apple GPU"
        except Exception as error:  # drivers raise whatever they like
            return "cpu", (
                f"A GPU is present ({device}), but a small test on it failed, "
                f"so the course runs on the CPU. {first_line(error)}"
            )
        return device, f"GPU: {model} ({device})."
    return "cpu", "No GPU: the course runs on the CPU."


@contextmanager
def using_threads(count: int) -> Iterator[None]:
    """So many threads inside, as before afterwards: more threads than cores are slower than few."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def best_time(work: Callable[[], object]) -> float:
    """Seconds of `work()` at the best of three tries, after one that sets up kernels."""
    times = []
    for _ in range(4):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def write_atomically(path: Path, content: bytes) -> None:
    """All of it or nothing, whoever else writes the same file and whenever the process ends."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
