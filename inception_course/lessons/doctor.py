"""Is this machine ready for the course, and if not, what to do?

`python -m inception_course doctor` prints `report(examine())`; notebooks begin with `summary()`.
`python -m inception_course.lessons.doctor` does the same where nothing is installed yet: importing
this module needs the standard library only, of Python 3.8 or later.

A `judge_…` function decides from plain values, so that tests can feed it any machine; an `ask_…`
function looks at this machine and hands what it finds to the judge.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import NoReturn

from ..machine import first_line, memory_for_notebook, pick_device, text_of, usable_cores
from . import python_version

PYTHON = "{}.{}.{}".format(*sys.version_info)

ABSENT = "(not installed)"  # in place of a version
GB = 1e9
# Bytes for one notebook, `import torch` included: what the largest cell needs, and what is easy.
LEAST_MEMORY = 1.5 * GB
GOOD_MEMORY = 2.0 * GB


@dataclass(frozen=True)
class Check:
    """Says whether `name` is as it should be, what was found, and what to do if it is not.

    `optional` marks what the course can do without: it is reported, but does not stop the course.
    """

    name: str
    ok: bool
    says: str
    remedy: str = ""
    optional: bool = False

    @property
    def failed(self) -> bool:
        return not (self.ok or self.optional)


def examine() -> list[Check]:
    """Make every check, in a fixed order. A probe that raises gives a check that failed."""
    return [_ask(name, probe, optional) for name, probe, optional in PROBES]


def failed(checks: Sequence[Check]) -> list[str]:
    """Name the checks that keep the course from running; there are none if it is ready."""
    return [check.name for check in checks if check.failed]


def report(checks: Sequence[Check]) -> str:
    """Write a line for each check, what to do below it where something is off, and a verdict."""
    lines = []
    for check in checks:
        mark = "ok" if check.ok else "FAIL" if check.failed else "note"
        lines.append(f"{mark:5} {check.name:12} {check.says}")
        if check.remedy and not check.ok:
            lines.append(f"{'':18} What to do: {check.remedy}")
    return "\n".join([*lines, "", verdict(checks)])


def verdict(checks: Sequence[Check]) -> str:
    """Say in one sentence that all is ready, or what is not."""
    off = failed(checks)
    return f"Not ready: {', '.join(off)}." if off else "Ready for the course."


def summary() -> str:
    """Write the short form, 1 or 2 lines without paths: versions, cores, GPU, and the verdict."""
    checks = examine()
    gpu = next(check for check in checks if check.name == "gpu")
    cores = usable_cores()
    course, torch = _version("inception-course"), _version("torch")
    first = (
        f"inception_course {course}, Python {PYTHON}, torch {torch}, "
        f"{cores} core{'s' if cores > 1 else ''}. "
        f"{gpu.says if gpu.ok else 'No working GPU: the course runs on the CPU.'}"
    )
    if failed(checks):
        return f"{first}\n{verdict(checks)} `python -m inception_course doctor` says what to do."
    return f"{first} {verdict(checks)}"


def give_up(error: ImportError | OSError) -> NoReturn:
    """End the program where importing raised `error`: say what is off, and what to do.

    If one of the course's own modules is missing, `error` is raised again: no reader can repair it.
    """
    if (getattr(error, "name", None) or "").startswith(__name__.partition(".")[0]):
        raise error
    check = Check("import", False, first_line(error), _pip("install -r requirements.txt"))
    raise SystemExit(report([*examine(), check])) from None


# Judges: from plain values to a Check


def judge_python(version: Sequence[int]) -> Check:
    """Judge a version such as (3, 13, 0)."""
    return Check(
        "python",
        python_version.supported(version),
        f"Python {'.'.join(map(str, version))}; torch has builds for {python_version.RANGE}",
        f"make the environment again: {python_version.REMEDY}",
    )


def judge_course(course: str, requires: Sequence[str], version_of: Callable[[str], str]) -> Check:
    """Judge whether the versions that are installed are those that the course requires."""
    from packaging.requirements import Requirement

    lacking = []
    for each in map(Requirement, requires):
        if each.marker is None or each.marker.evaluate({"extra": ""}):
            version = version_of(each.name)
            if version == ABSENT or not each.specifier.contains(version, prereleases=True):
                lacking.append(f"{each.name}{each.specifier}, here {version}")
    says = f"inception_course {course}"
    if lacking:
        says += f" needs {'; '.join(lacking)}"
    return Check("course", not lacking, says, _pip("install -r requirements.txt"))


def judge_torch(
    torch: str,
    torchvision: str,
    requires: Sequence[str] = (),
    tested: Sequence[str] = (),
    import_error: str = "",
) -> Check:
    """Judge whether torch and torchvision fit together.

    `requires` is torchvision's own list of requirements, `tested` the pair to install instead, and
    `import_error` what importing them said.
    """
    says = f"torch {torch}, torchvision {torchvision}"
    if import_error:
        ok, says = False, f"{says} do not work together: {import_error}"
    else:
        from packaging.requirements import Requirement
        from packaging.specifiers import SpecifierSet

        specifiers = {each.name: each.specifier for each in map(Requirement, requires)}
        wanted = specifiers.get("torch", SpecifierSet())
        if not (ok := wanted.contains(torch, prereleases=True)):
            says += f" do not match: this torchvision needs torch{wanted}"
    pair = " ".join(tested or ("torch", "torchvision"))
    return Check("torch", ok, says, _pip(f"install --force-reinstall {pair}"))


def judge_figures(matplotlib: str, ipython: str) -> Check:
    """Judge two together: matplotlib before 3.9 asks for a name that IPython 9.16 removed."""
    from packaging.version import Version

    return Check(
        "figures",
        not (Version(matplotlib) < Version("3.9") and Version(ipython) >= Version("9.16")),
        f"matplotlib {matplotlib}, IPython {ipython}",
        "figures would show as text; " + _pip("install 'ipython<9.16'"),
    )


def judge_kernel(command: str, interpreter: str) -> Check:
    """Judge if `command`, which starts the kernel `python3`, is in `interpreter`'s environment.

    A bare name such as "python" is: Jupyter replaces it by its own interpreter.
    """
    # Links are not followed: those of all environments end at the same Python.
    if Path(command).parent in (Path(), Path(interpreter).parent):
        return Check("kernel", True, "notebooks run in this environment")
    return Check(
        "kernel",
        False,
        f"notebooks would run in another environment: {command}",
        f"{_command()} -m ipykernel install --sys-prefix, and start JupyterLab with make lab",
    )


def judge_threads(threads: int, cores: int) -> Check:
    """Judge torch's threads: with more than cores, a step takes 1.5 times as long (measured)."""
    return Check(
        "threads",
        threads <= cores,
        f"torch uses {threads} thread{'s' if threads > 1 else ''}; usable cores: {cores}",
        f"before starting Jupyter, set the environment variable OMP_NUM_THREADS={cores}",
        optional=True,
    )


def judge_memory(room: float | None) -> Check:
    """Judge the bytes that one notebook can hold; `room` is None where the system does not say."""
    if room is None:
        return Check("memory", True, "not known on this system")
    return Check(
        "memory",
        room >= GOOD_MEMORY,
        f"{room / GB:.1f} GB for a notebook; {GOOD_MEMORY / GB:.0f} GB are recommended, "
        f"{LEAST_MEMORY / GB:.1f} GB the least",
        "shut down other kernels and close programs, or use a machine with more memory",
        optional=room >= LEAST_MEMORY,
    )


# Probes: look at this machine


def ask_python() -> Check:
    return judge_python(sys.version_info[:3])


def ask_course() -> Check:
    try:
        version = metadata.version("inception-course")
    except metadata.PackageNotFoundError:
        says = "the course's package is not installed in this environment"
        return Check("course", False, says, f"in the course's folder: {_pip('install -e .')}")
    return judge_course(version, metadata.requires("inception-course") or (), _version)


def ask_torch() -> Check:
    error = ""
    try:
        import torch
        import torchvision

        torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    except (ImportError, OSError, RuntimeError, AttributeError) as problem:
        error = first_line(problem)
    requires = () if error else metadata.requires("torchvision") or ()
    pair = tested_pair(Path(__file__).parents[2] / "requirements.txt")
    return judge_torch(_version("torch"), _version("torchvision"), requires, pair, error)


def ask_gpu() -> Check:
    device, sentence = pick_device()
    ok = device != "cpu" or sentence.startswith("No GPU")
    remedy = "nothing, if the CPU is fast enough; else update the GPU's driver, then torch"
    return Check("gpu", ok, sentence, remedy, optional=True)


def ask_threads() -> Check:
    import torch

    return judge_threads(torch.get_num_threads(), usable_cores())


def ask_memory() -> Check:
    return judge_memory(memory_for_notebook())


def ask_kernel() -> Check:
    if in_kernel():
        return Check("kernel", True, "this notebook runs in this environment")
    try:
        from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    except ImportError:
        says = "Jupyter is not installed in this environment"
        return Check("kernel", False, says, _pip("install -r requirements.txt"))
    try:
        command = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        says = "Jupyter knows no kernel named python3"
        return Check("kernel", False, says, f"{_command()} -m ipykernel install --sys-prefix")
    return judge_kernel(command, sys.executable)


def ask_figures() -> Check:
    return judge_figures(metadata.version("matplotlib"), metadata.version("ipython"))


def ask_data() -> Check:
    from inception_course import data

    try:
        place = data.find()
    except data.DataError as error:  # the folder was named by the reader, so it counts
        return Check("data", False, first_line(error), f"correct or unset ${data.VARIABLE}")
    if place.kind == "download":
        says = "full Fashion-MNIST not found: the packaged sample works"
        return Check("data", False, says, f"{_command()} -m inception_course data fetch", True)
    return Check("data", True, f"full Fashion-MNIST, verified ({place.kind}): {place.folder}")


def ask_widgets() -> Check:
    if util.find_spec("ipywidgets"):
        return Check("widgets", True, f"ipywidgets {_version('ipywidgets')}")
    says = "sliders are not shown, static figures remain"
    return Check("widgets", False, says, _pip("install ipywidgets"), optional=True)


def ask_d2l() -> Check:
    if util.find_spec("d2l"):
        return Check("d2l", True, f"d2l {_version('d2l')}")
    says = "not installed: the cells that compare with it are left out"
    return Check("d2l", False, says, _pip("install --no-deps d2l==1.0.3"), optional=True)


def in_kernel() -> bool:
    """Tell whether this code runs in a notebook's kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "kernel", None) is not None


def tested_pair(requirements: Path) -> list[str]:
    """Return the lines for torch and torchvision, as "torch==2.14.1"; none without the file."""
    lines = (line.split("#")[0].strip() for line in text_of(requirements).splitlines())
    return [line for line in lines if line.startswith(("torch==", "torchvision=="))]


PROBES: tuple[tuple[str, Callable[[], Check], bool], ...] = (
    # name, probe, whether the course can do without
    ("python", ask_python, False),
    ("course", ask_course, False),
    ("torch", ask_torch, False),
    ("gpu", ask_gpu, True),
    ("threads", ask_threads, True),
    ("memory", ask_memory, False),
    ("kernel", ask_kernel, False),
    ("figures", ask_figures, False),
    ("data", ask_data, True),
    ("widgets", ask_widgets, True),
    ("d2l", ask_d2l, True),
)


def _ask(name: str, probe: Callable[[], Check], optional: bool) -> Check:
    try:
        return probe()
    except Exception as error:  # a check that cannot be made is itself news
        says = f"{type(error).__name__}: {first_line(error)}"
        remedy = _pip("install -r requirements.txt") if isinstance(error, ImportError) else ""
        return Check(name, False, says, remedy, optional)


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ABSENT


def _command() -> str:
    """Say how to call this Python: as seen from the course's folder if it is in there."""
    try:
        return str(Path(sys.executable).relative_to(Path(__file__).parents[2]))
    except ValueError:
        return "python"


def _pip(arguments: str) -> str:
    return f"{_command()} -m pip {arguments}"


if __name__ == "__main__":
    print(report(examine()))
