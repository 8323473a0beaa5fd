"""Print the lowest versions that pyproject.toml allows, as pip takes them.

python3.10 -m venv .venv-lowest
.venv-lowest/bin/python -m pip install --only-binary :all: $(python tools/lowest.py)
"""

import re
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def lowest(text):
    """Return `name==version` for every `"name>=version"` of dependencies and extras."""
    project = text[text.index("\ndependencies") : text.index("[tool.")]
    return [f"{name}=={version}" for name, version in re.findall(r'"([\w-]+)>=([\w.]+)', project)]


if __name__ == "__main__":
    print("\n".join(lowest(PYPROJECT.read_text(encoding="utf-8"))))
