"""Bring records of runs from the course's first edition to the names of the second.

    python tools/rename_record_fields.py runs/googlenet_bn-modern-2026-11-20-101500

Takes JSON files, or folders of them, and changes them in place; no measured value changes. A run's
recipe gets the names that its fields have now, and what it trained, a network and its options,
moves out of the recipe. A trained network of the first edition can then be evaluated as before.
"""

import json
import sys
from pathlib import Path

from inception_course import models
from inception_course.machine import write_atomically

FIELDS = {
    "weight_averaging": "ema_decay",
    "after": "init_from",
    "shift": "translate",
    "erase": "cutout",
    "crop": "random_resized_crop",
}


def renamed(value, model: str):
    """Give the record its new names; `model` is what was trained where a recipe does not say."""
    if isinstance(value, list):
        return [renamed(each, model) for each in value]
    if not isinstance(value, dict):
        return value
    value = {name: renamed(each, model) for name, each in value.items()}
    recipe = value.get("recipe")
    if not isinstance(recipe, dict) or "network" not in recipe:
        return value
    network = {"model": recipe.pop("model", model), "options": recipe.pop("network")}
    recipe = {FIELDS.get(name, name): each for name, each in recipe.items()}
    if recipe["schedule"] == "2014":
        recipe["schedule"] = "step"
    return value | {"recipe": recipe, "network": network}


def model_of(path: Path) -> str:
    """Return the network in the name of a record, or of its folder: MODEL-RECIPE."""
    for name in (path.stem, path.parent.name):
        if (model := name.partition("-")[0]) in models.names():
            return model
    return "googlenet_bn"


def main(paths: list[Path]) -> None:
    files = [file for path in paths for file in (sorted(path.rglob("*.json")) or [path])]
    for path in files:
        text = path.read_text("utf-8")
        before = json.loads(text)
        if (after := renamed(before, model_of(path))) != before:
            end = "\n" * text.endswith("\n")
            write_atomically(path, (json.dumps(after, indent=1) + end).encode())
            print(path)


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
