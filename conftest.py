"""What every test run needs, of the tests and of the notebooks alike."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent / folder) for folder in ("tests", "tools")]

pytest_plugins = ["gate", "nbval_repair"]


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than a moment; `make quick` leaves it out")
    config.addinivalue_line("markers", "drawing: draws every figure; `make quick` leaves it out")
