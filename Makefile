# make lab sets up what it needs and opens the course; make test does the same and checks it.

# Makes the environment: by default the newest Python on the path that the course can use. Another:
# make lab PYTHON=python3.12   (after make clean, if .venv exists already)
PYTHON ?= $(shell sh tools/pythons.sh | head -n 1)
# Options for JupyterLab, for example LABFLAGS="--no-browser --port=8890"
LABFLAGS ?=
# The environment's folder
VENV ?= .venv

RUN := $(VENV)/bin/python
# Fails for a Python that the course cannot use.
SUPPORTED := inception_course/lessons/python_version.py
# Written last, so that it exists only in an environment that is complete.
READY := $(VENV)/ready
# The same for what slides, web edition and assignments need besides.
DOCS := $(VENV)/ready-docs
# d2l with the version in requirements.txt; pip takes it from there only below Python 3.12.
D2L := $(shell sed -n 's/^\(d2l==[0-9.]*\).*/\1/p' requirements.txt)

.DEFAULT_GOAL := help
.PHONY: help lab copies quick test lint train notebooks slides site assignment clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1|\2/p' Makefile | awk -F'|' '{printf "%-16s%s\n", $$1, $$2}'

lab: $(READY) ## set up the environment and open working copies of the lectures in JupyterLab
	$(RUN) tools/copies.py
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(RUN) -m jupyterlab my_notebooks/00_start_here.ipynb $(LABFLAGS)

copies: $(READY) ## make copies of the notebooks to work in, in my_notebooks
	$(RUN) tools/copies.py

quick: lint ## lint, types and the unit tests that take no more than a moment
	$(RUN) -m pytest -m "not slow and not drawing" tests

test: lint ## set up the environment and run every check
	$(RUN) -m pytest --numprocesses 2 --dist loadfile

lint: $(READY) ## code style, spelling and types
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m codespell_lib
	$(RUN) -m mypy

train: $(READY) ## train GoogLeNet on the full Fashion-MNIST, without a browser
	$(RUN) -m inception_course train --model googlenet_bn --recipe quick

notebooks: $(READY) ## run every notebook again and store what it shows
	$(RUN) tools/execute.py notebooks/*.ipynb

slides: $(DOCS) ## make the slides of every lecture, in build/slides
	$(RUN) tools/slides.py build/slides $(NB)

site: $(DOCS) ## make the web edition: build/site, with a book to take along, and all of it as build/site.zip
	$(RUN) -m sphinx -b html -c docs -d build/doctrees -W -q . build/site
	$(RUN) -m sphinx -b epub -c docs -d build/doctrees -W -q . build/epub
	cp build/epub/*.epub build/site/
	cd build && ../$(RUN) -m zipfile -c site.zip site

assignment: $(DOCS) ## make an assignment for nbgrader: make assignment NB=04
	$(RUN) tools/assignment.py "$(NB)" build/class

clean: ## remove the environment and caches; results and data stay
	rm -rf $(VENV) .venv-oldest build *.egg-info
	rm -rf .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements.txt pyproject.toml
	@rm -f $@
	@# An environment that cannot run pip, or with a Python that will not do, is made again.
	@$(RUN) -c 'import pip' 2>/dev/null && $(RUN) $(SUPPORTED) >/dev/null 2>&1 || { \
	  python='$(PYTHON)'; \
	  "$${python:-false}" $(SUPPORTED) >/dev/null 2>&1 || { \
	    echo "The course needs Python 3.10 to 3.14, for which torch has builds; $${python:-what is on the path} is none."; \
	    echo "Name one: make $(MAKECMDGOALS) PYTHON=python3.13"; \
	    echo "Or install one: brew install python@3.13, sudo apt install python3-venv, uv python install 3.13"; \
	    exit 1; }; \
	  "$$python" -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "'$$python' lacks its venv module. On Debian or Ubuntu: sudo apt install python3-venv"; \
	    exit 1; }; \
	  echo "Making $(VENV) with $$python: on Linux about 3.3 GB to download and 6.2 GB on disk, once."; \
	  "$$python" -m venv --clear $(VENV); }
	$(RUN) -m pip install --disable-pip-version-check -r requirements.txt
	@$(RUN) -c 'import sys; sys.exit(sys.version_info < (3, 12))' || exit 0; \
	  $(RUN) -m pip install --disable-pip-version-check --no-deps $(D2L) || \
	  echo "d2l could not be added; only the cells that compare with it will be left out."
	$(RUN) -m ipykernel install --sys-prefix
	@# matplotlib looks for fonts once; left to the first notebook, it would say so there.
	@$(RUN) -c 'import matplotlib.font_manager'
	@touch $@

$(DOCS): docs/requirements.txt $(READY)
	$(RUN) -m pip install --disable-pip-version-check -r docs/requirements.txt
	@touch $@
