"""Make working copies of the lectures: my_notebooks, where a reader can write.

    python tools/copies.py

A copy has no cell that only tests the lecture, and no result of what is to be predicted. A copy
that the reader has changed is never overwritten: a newer version of the course comes beside it.
"""

import hashlib
import json
from pathlib import Path

import lectures

FOLDER = lectures.NOTEBOOKS.with_name("my_notebooks")
MADE = ".made.json"  # the SHA-256 of each file as we wrote it, by its name


def make(folder=FOLDER, notebooks=lectures.NOTEBOOKS):
    """Bring the copies in `folder` up to date; gives a sentence for each that came beside."""
    folder.mkdir(exist_ok=True)
    record = folder / MADE
    made = json.loads(record.read_text("utf-8")) if record.exists() else {}
    told = []
    for path in sorted(notebooks.glob("*.ipynb")):
        text = json.dumps(lectures.for_the_reader(lectures.read(path)), indent=1) + "\n"
        name = place(folder, path.name, text, made)
        if name is None:
            continue
        (folder / name).write_text(text, "utf-8", newline="\n")
        made[name] = digest(text.encode())
        if name != path.name:
            told.append(
                f"{path.name} has your changes and stays as it is; the course's new version is "
                f"{folder.name}/{name}"
            )
    record.write_text(json.dumps(made, indent=1) + "\n", "utf-8")
    return told


def place(folder, name, text, made):
    """Choose the name to write a lecture under; None if this version of it is there already."""
    new, number = digest(text.encode()), 1
    candidate = name
    while (folder / candidate).exists():
        now = digest((folder / candidate).read_bytes())
        if made.get(candidate) == new:
            return None  # this version, perhaps with the reader's changes
        if made.get(candidate) == now:
            return candidate  # an older version, which nobody has changed
        number += 1
        candidate = f"{Path(name).stem}-{number}.ipynb"
    return candidate


def digest(content):
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    for sentence in make():
        print(sentence)
