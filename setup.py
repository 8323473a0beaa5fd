"""Refuse a Python that the course cannot use before pip downloads anything for it.

Everything else about the package is in pyproject.toml.
"""

import runpy
import sys

from setuptools import setup

python = runpy.run_path("inception_course/lessons/python_version.py")
if not python["supported"]():
    sys.exit(
        "The course needs Python {RANGE}, for which torch has builds; this is Python {}.{}.{}.\n"
        "Make the environment again: {REMEDY}.".format(*sys.version_info, **python)
    )
setup()
