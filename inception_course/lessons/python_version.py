"""Which Pythons can run the course: those that torch and torchvision have builds for.

Run as a program, this prints version and path of the Python that runs it, and fails if the course
cannot use it. make, `.ci/run` and pip's build of the course ask before anything is downloaded.
"""

import sys
from collections.abc import Sequence

OLDEST, NEWEST = (3, 10), (3, 14)
EXCLUDED = (3, 14, 1)  # by torchvision
RANGE = "{}.{} to {}.{}".format(*OLDEST, *NEWEST)
REMEDY = (
    "make clean, then make lab PYTHON=python3.13; without make: python3.13 -m venv --clear .venv "
    "(Windows: py -3.13 -m venv --clear .venv), then pip install -r requirements.txt in it"
)


def supported(version: "Sequence[int]" = sys.version_info[:3]) -> bool:
    """Tell whether the course can run on Python `version`, such as (3, 13, 0)."""
    return OLDEST <= tuple(version[:2]) <= NEWEST and tuple(version) != EXCLUDED


if __name__ == "__main__":
    print("{}.{}.{} {}".format(*sys.version_info[:3], sys.executable))
    sys.exit(not supported())
