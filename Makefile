# make lab sets up what it needs and opens the course; make test does the same and checks it.
# Another Python:  make lab PYTHON=python3.12  (after make clean, if .venv exists already)

PYTHON ?= python3
# Options for JupyterLab, for example LABFLAGS="--no-browser --port=8890"
LABFLAGS ?=

VENV := .venv
RUN := $(VENV)/bin/python
# Written last, so that it exists only in an environment that is complete.
READY := $(VENV)/ready
# d2l with the version in requirements.txt; pip takes it from there only below Python 3.12.
D2L := $(shell sed -n 's/^\(d2l==[0-9.]*\).*/\1/p' requirements.txt)

.DEFAULT_GOAL := help
.PHONY: help lab test train notebooks clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1|\2/p' Makefile | awk -F'|' '{printf "%-16s%s\n", $$1, $$2}'

lab: $(READY) ## set up the environment and open the course in JupyterLab
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(RUN) -m jupyterlab notebooks/00_start_here.ipynb $(LABFLAGS)

test: $(READY) ## set up the environment and run every check
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m pytest

train: $(READY) ## train GoogLeNet on the full Fashion-MNIST, without a browser
	$(RUN) -m inception_course train --model googlenet_bn --recipe quick

notebooks: $(READY) ## run every notebook again and store what it shows
	$(RUN) tools/execute.py notebooks/*.ipynb

clean: ## remove the environment and caches; results and data stay
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements.txt pyproject.toml
	@rm -f $@
	@# An environment that cannot run pip, or with too old a Python, is made again.
	@$(RUN) -c 'import pip, sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
	    echo "The course needs Python 3.10 or later, and '$(PYTHON)' is missing or older."; \
	    echo "Name another, for example: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }; \
	  $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "'$(PYTHON)' lacks its venv module. On Debian or Ubuntu: sudo apt install python3-venv"; \
	    exit 1; }; \
	  echo "Making $(VENV): on Linux about 3.3 GB to download and 6.2 GB on disk, once."; \
	  $(PYTHON) -m venv --clear $(VENV); }
	$(RUN) -m pip install --disable-pip-version-check -r requirements.txt
	@$(RUN) -c 'import sys; sys.exit(sys.version_info < (3, 12))' || exit 0; \
	  $(RUN) -m pip install --disable-pip-version-check --no-deps $(D2L) || \
	  echo "d2l could not be added; only the cells that compare with it will be left out."
	$(RUN) -m ipykernel install --sys-prefix
	@# matplotlib looks for fonts once; left to the first notebook, it would say so there.
	@$(RUN) -c 'import matplotlib.font_manager'
	@touch $@
