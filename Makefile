# make results    run the notebook from top to bottom, in place
# make notebook   open it in JupyterLab
# make test       check the style of all code, then run the tests
# make page       build site/, to be read in a browser: the notebook and the explorer
# make benchmark  compare the training's speed with that of others
# Each sets up .venv first, given Python 3.10 to 3.13 (choose one with PYTHON=python3.12).
# MNIST comes from Keras, or from the .npz file that MNIST_NPZ names.

PYTHON ?= python3
RUN := .venv/bin/python
PIP := $(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt
NEXT := .next-run.ipynb
NAME_ONE := name one that is, as in  make results PYTHON=python3.12
SHELL := /bin/bash
.DELETE_ON_ERROR:
.PHONY: results notebook page test benchmark clean same-python

# What a run leaves in the notebook's metadata (times, versions) is taken out, what was
# printed piece by piece is joined, and the tag `fold` becomes what each front end reads:
# JupyterLab (source_hidden), Colab (cellView), Jupyter Book and MyST (hide-input).
define FINISH
import sys

import nbformat
from nbconvert.preprocessors.coalescestreams import CoalesceStreamsPreprocessor

join = CoalesceStreamsPreprocessor(enabled=True)
notebook, _ = join(nbformat.read(sys.argv[1], 4), {})
notebook.metadata.pop("papermill", None)
notebook.metadata.language_info.pop("version", None)
for cell in notebook.cells:
    tags = [tag for tag in cell.metadata.get("tags", []) if tag != "hide-input"]
    folded = {"jupyter": {"source_hidden": True}, "cellView": "form"}
    hidden = folded | {"tags": [*tags, "hide-input"]}
    cell.metadata = hidden if "fold" in tags else {"tags": tags} if tags else {}
nbformat.write(notebook, sys.argv[1])
endef
export FINISH

results: same-python .venv/ready
	$(RUN) -m papermill VAE_MNIST.ipynb $(NEXT) -k python3 --stdout-file -
	$(RUN) -c "$$FINISH" $(NEXT)
	mv $(NEXT) VAE_MNIST.ipynb

notebook: same-python .venv/ready
	$(RUN) -m jupyterlab VAE_MNIST.ipynb

page: same-python .venv/page-ready
	$(RUN) page/build.py

benchmark: same-python .venv/ready
	$(RUN) benchmarks/race.py
	$(RUN) benchmarks/growth.py

test: same-python .venv/test-ready
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	@if command -v npm >/dev/null; \
	  then cd explorer && npm ci --no-audit --no-fund && npm run check; \
	  else echo "no npm here: the explorer's own checks are left out"; fi
	$(RUN) -m pytest tests -rs

# A .venv that is there stays; another Python than its own must not be ignored silently.
same-python:
	@[ ! -e .venv/made ] || [ -x $(RUN) ] \
	  || { echo ".venv has lost its Python: run  make clean  first"; exit 1; }
	@[ "$(PYTHON)" = python3 ] || command -v "$(PYTHON)" >/dev/null \
	  || { echo "there is no $(PYTHON) here: $(NAME_ONE)"; exit 1; }
	@[ "$(PYTHON)" = python3 ] || [ ! -x $(RUN) ] || [ "$$($(RUN) -V)" = "$$("$(PYTHON)" -V 2>/dev/null)" ] \
	  || { echo "$(PYTHON) is not what .venv was made with ($$($(RUN) -V)): run  make clean  first"; exit 1; }

.venv/made:
	@command -v "$(PYTHON)" >/dev/null \
	  || { echo "there is no $(PYTHON) here: $(NAME_ONE)"; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null \
	  || { echo "$(PYTHON) is not Python 3.10 to 3.13: $(NAME_ONE)"; exit 1; }
	"$(PYTHON)" -m venv .venv
	touch $@

.venv/ready: requirements.txt constraints.txt .venv/made
	$(PIP) -r requirements.txt
	touch $@

.venv/page-ready: page/requirements.txt constraints.txt .venv/made
	$(PIP) -r page/requirements.txt
	touch $@

.venv/test-ready: tests/requirements.txt page/requirements.txt .venv/ready
	$(PIP) -r tests/requirements.txt
	touch $@

clean:
	rm -rf .venv site $(NEXT) explorer/node_modules Results/in-progress-[0-9]*-*
