"""The machine under the course: cores, memory, threads, a stopwatch, and files written whole."""

from __future__ import annotations

import ctypes
import math
import os
import platform
import socket
import sys
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from importlib import util
from pathlib import Path

# Python 3.8 and later can import this module, and torch is imported where it is used: the doctor
# stands on it, and says what is wrong with the Python or with torch.

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # of glibc's malloc.h
CLAIM = ".claimed"  # the file in a folder that says which process uses it
_open = 0  # how many `keep_freed_memory` are open
_sharing = 1  # the processes that share the cores, this one included


@contextmanager
def keep_freed_memory() -> Iterator[None]:
    """Inside, memory that was freed stays with the process, for the next batch to use again.

    glibc would give large pieces back to the system in every step, and the system fills them with
    zeros when they are asked for again. Other C libraries are left as they are.
    """
    global _open
    try:
        libc = ctypes.CDLL(None)
        mallopt, trim, _ = libc.mallopt, libc.malloc_trim, libc.gnu_get_libc_version
    except (AttributeError, TypeError, OSError):
        yield
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    _open += 1
    try:
        yield
    finally:
        _open -= 1
        if not _open:  # the largest values that glibc would choose; once told, it chooses no more
            mallopt(M_MMAP_MAX, 65536)
            mallopt(M_MMAP_THRESHOLD, 32 * 2**20)
            mallopt(M_TRIM_THRESHOLD, 64 * 2**20)
            trim(0)


def usable_cores(root: Path = Path("/"), visible: int | None = None) -> int:
    """Return how many threads this process should use: the cores it may run on, within its quota.

    `visible` is the number of cores it may run on (by default, what the system says); a cgroup
    quota of 1.5 cores counts as 2. The answer is at least 1, and inside `sharing_cores` it is this
    process's part. `root` is the file system to read.
    """
    if visible is None:
        can_ask = hasattr(os, "sched_getaffinity")
        visible = len(os.sched_getaffinity(0)) if can_ask else os.cpu_count() or 1
    quota = cpu_quota(root)
    if quota is not None:
        visible = min(visible, math.ceil(quota))
    return max(1, visible // _sharing)


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Return the tightest cgroup limit on processor time, in cores; None if there is none."""
    quotas = []
    for group in _control_groups(root, "cpu"):
        words = text_of(group / "cpu.max").split()  # version 2: "max 100000" or "150000 100000"
        words = words or [text_of(group / f"cpu.cfs_{part}_us") for part in ("quota", "period")]
        # No limit is "max" in version 2 and "-1" in version 1.
        if len(words) == 2 and all(word.isdigit() for word in words) and int(words[1]):
            quotas.append(int(words[0]) / int(words[1]))
    return min(quotas, default=None)


def memory_for_notebook(root: Path = Path("/")) -> float | None:
    """Return the bytes that this process can hold, including those it holds; None if unknown.

    The limit is what the machine has available, or what is left under a cgroup's limit if less.
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
    """Yield the bytes left under each cgroup limit; file cache counts as free."""
    for group in _control_groups(root, "memory"):
        for limit, used, cache in (
            ("memory.max", "memory.current", "inactive_file"),  # version 2
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),  # 1
        ):
            limit, used = text_of(group / limit), text_of(group / used)
            if limit.isdigit() and used.isdigit():
                pairs = (line.split() for line in text_of(group / "memory.stat").splitlines())
                statistics = {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}
                yield int(limit) - int(used) + statistics.get(cache, 0)


def _control_groups(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of this process's cgroup and of those around it, in version 1 and 2."""
    mount = root / "sys/fs/cgroup"
    for line in text_of(root / "proc/self/cgroup").splitlines():
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


def text_of(file: Path) -> str:
    """Return what a small file holds; nothing if it cannot be read."""
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def _kilobytes(file: Path, key: str) -> int | None:
    """Return what a line such as `MemAvailable:  123 kB` says, in bytes."""
    for line in text_of(file).splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    return None


def processor(root: Path = Path("/")) -> str:
    """Return the processor's name, as far as the system tells."""
    lines = text_of(root / "proc/cpuinfo").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def pick_device() -> tuple[str, str]:
    """Return the device to train on ("cuda", "mps" or "cpu") and a sentence on why.

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
    """Inside, torch uses `count` threads; afterwards as many as before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def sharing_cores(processes: int) -> Iterator[None]:
    """Inside, this process takes no more than its part of the cores, which `processes` share."""
    import torch

    global _sharing
    before, _sharing = _sharing, processes
    try:
        with using_threads(min(torch.get_num_threads(), usable_cores())):
            yield
    finally:
        _sharing = before


def best_time(work: Callable[[], object]) -> float:
    """Return the seconds that `work()` takes at best: three tries, after one that warms up."""
    times = []
    for _ in range(4):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def write_atomically(path: Path, content: bytes) -> None:
    """Write all or nothing, whoever else writes the same file and whenever the process ends."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def claim(folder: Path, name: str = "") -> Iterator[None]:
    """Inside, no other process can claim the folder, or what has that `name` in it.

    The folder is made if need be.

    The claim is a lock that the system drops when the process ends, however it ends. Raises
    `BlockingIOError` with a line that says who has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (f".{name}{CLAIM}" if name else CLAIM)
    while True:
        file = path.open("a+b")
        try:
            _lock(file.fileno())
        except BlockingIOError as error:
            file.seek(0)
            owner = file.read().decode(errors="replace").strip()
            file.close()
            raise BlockingIOError(owner or "another process") from error
        if path.exists() and path.stat().st_ino == os.fstat(file.fileno()).st_ino:
            break
        file.close()  # its owner has just left and removed it: this one would protect nothing
    with file:
        file.truncate(0)
        now = f"{datetime.now():%Y-%m-%d %H:%M}"
        file.write(f"process {os.getpid()} on {socket.gethostname()} since {now}\n".encode())
        file.flush()
        try:
            yield
        finally:
            with suppress(OSError):  # Windows removes no open file; an unlocked one harms nobody
                path.unlink()


def _lock(descriptor: int) -> None:
    """Take the lock of an open file; raise `BlockingIOError` at once if another has it."""
    if sys.platform == "win32":
        import msvcrt

        # A byte that nobody writes: what is locked cannot be read on Windows.
        os.lseek(descriptor, 2**20, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError from error
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says; the name of its kind if it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
