"""How much memory a kernel has needed, for the promise in a notebook's header."""

from pathlib import Path

try:
    import psutil
except ImportError:  # comes with IPython 9; without it only Linux can tell
    psutil = None


def peak(pid):
    """Bytes a process and its children need now, or the process's own highest mark if larger.

    Gives None where the process is gone or the system does not tell.
    """
    if Path("/proc/self/smaps_rollup").exists():
        return linux_peak(pid)
    return psutil and resident(pid)


def linux_peak(pid):
    try:
        # Proportional size: pages that a forked child shares with its parent count once.
        now = sum(field(each, "smaps_rollup", "Pss") for each in [pid, *children(pid)])
        return max(now, field(pid, "status", "VmHWM"))
    except (OSError, KeyError):
        return None


def children(pid):
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *children(int(child))]
    return found


def field(pid, file, name):
    lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    values = dict(line.split(":", 1) for line in lines if ":" in line)
    return int(values[name].split()[0]) * 1024


def resident(pid):
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        return sum(each.memory_info().rss for each in family)
    except psutil.Error:
        return None
