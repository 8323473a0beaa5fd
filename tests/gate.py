"""Rules of every test run: no network, and nothing left out silently."""

import functools
import importlib.util
import os
import runpy
import shutil
from pathlib import Path

import pytest

OFFLINE = Path(__file__).parent / "offline"
LEFT_OUT = "left out"  # the name of the property in which a test says what it left out


def chromium():
    """The path of a Chromium or Chrome on this machine, or None."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next(filter(None, map(shutil.which, names)), None)


def has_full_data():
    from inception_course import data

    try:
        return data.find().kind != "download"
    except data.DataError:
        return False


# What `@pytest.mark.needs(name)` and the cell tag `needs-name` can ask for:
# is it here, and if not, how to get it.
CAPABILITIES = {
    "data": (
        has_full_data,
        "the full Fashion-MNIST: python -m inception_course data fetch, "
        "or apt-get install dataset-fashion-mnist",
    ),
    "chromium": (
        lambda: chromium() and importlib.util.find_spec("playwright"),
        "Chromium and playwright: apt-get install chromium (or install Google Chrome), "
        "pip install -r requirements.txt",
    ),
    "d2l": (
        lambda: importlib.util.find_spec("d2l"),
        "d2l: pip install --no-deps d2l==1.0.3",
    ),
    "nbgrader": (
        lambda: importlib.util.find_spec("nbgrader"),
        "nbgrader: pip install -r docs/requirements.txt",
    ),
    "timm": (
        lambda: importlib.util.find_spec("timm"),
        "timm: pip install -r requirements.txt",
    ),
    "sphinx": (
        lambda: importlib.util.find_spec("myst_nb"),
        "what the web edition is made with: pip install -r docs/requirements.txt",
    ),
}


@functools.cache
def missing(name):
    """What to install for a capability that this machine lacks, or None if it is there."""
    if name not in CAPABILITIES:
        raise pytest.UsageError(f"needs({name!r}): known are {', '.join(CAPABILITIES)}")
    is_here, how = CAPABILITIES[name]
    return None if is_here() else f"needs {how}"


def in_ci():
    return bool(os.environ.get("CI"))


def is_sharing():
    """Whether other processes run tests beside this one (pytest-xdist)."""
    return "PYTEST_XDIST_WORKER" in os.environ


def share_cores():
    """Give each process that runs tests its own cores: two that train on the same cores wait for
    each other far longer than they compute.
    """
    if is_sharing() and hasattr(os, "sched_setaffinity"):
        number = int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw"))
        cores = sorted(os.sched_getaffinity(0))
        share = cores[number :: int(os.environ["PYTEST_XDIST_WORKER_COUNT"])]
        os.sched_setaffinity(0, share or cores)


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "needs(name, ...): what the test needs; left out where that is missing"
    )
    share_cores()
    # In this process, and through the environment in kernels and subprocesses.
    runpy.run_path(str(OFFLINE / "sitecustomize.py"))
    inherited = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(OFFLINE), inherited]))


@pytest.hookimpl(tryfirst=True)  # before the fixtures, which may need the same
def pytest_runtest_setup(item):
    for marker in item.iter_markers("needs"):
        for name in marker.args:
            if reason := missing(name):
                pytest.skip(reason)


def fail_if_left_out(report):
    """In CI a skip is a failure, whoever asked for it; elsewhere it is listed at the end."""
    if report.skipped and in_ci() and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"In CI nothing may be left out: {skip_reason(report)}"
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport():
    return fail_if_left_out((yield))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report():
    return fail_if_left_out((yield))


def skip_reason(report):
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")


def told(terminalreporter, name):
    """List what tests put into their property of that name: (test, text), from every process."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    return [
        (report.nodeid, text)
        for report in reports
        if getattr(report, "when", None) == "call"
        for key, text in report.user_properties
        if key == name
    ]


def pytest_terminal_summary(terminalreporter):
    skipped = terminalreporter.stats.get("skipped", [])
    left_out = [(report.nodeid, skip_reason(report)) for report in skipped]
    left_out += told(terminalreporter, LEFT_OUT)
    if left_out:
        terminalreporter.section("Left out here")
        for nodeid, reason in left_out:
            terminalreporter.line(f"{nodeid}: {reason}")
