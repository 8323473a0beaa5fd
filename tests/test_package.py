"""The package itself: what it offers at once, and that it costs nothing to import."""

import subprocess
import sys
from pathlib import Path

import pytest

import inception_course
from inception_course import models, train


def test_the_four_names_of_a_training_are_at_hand():
    from inception_course import RECIPES, Recipe, create, fit

    assert (create, fit) == (models.create, train.fit)
    assert (Recipe, RECIPES) == (train.Recipe, train.RECIPES)


def test_another_name_is_refused_as_of_any_module():
    with pytest.raises(AttributeError, match="'inception_course' has no attribute 'Fit'"):
        _ = inception_course.Fit


def test_importing_the_package_imports_no_torch():
    check = "import inception_course, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], timeout=60).returncode == 0


def test_the_map_names_every_part_of_the_package():
    folder = Path(inception_course.__file__).parent
    parts = {path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()}
    parts = {part for part in parts if not part.startswith("_")} - {"weights"}
    assert not [part for part in parts if part not in inception_course.__doc__]
