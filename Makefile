# make results    run the notebook from top to bottom, in place
# make notebook   open it in JupyterLab
# make test       run the tests
# make benchmark  compare the training's speed with that of others
# Each sets up .venv first, given Python 3.10 to 3.13 (choose one with PYTHON=python3.12).
# MNIST comes from Keras, or from the .npz file that MNIST_NPZ names.

PYTHON ?= python3
BIN := .venv/bin
NEXT := .next-run.ipynb
SHELL := /bin/bash
.DELETE_ON_ERROR:
.PHONY: results notebook test benchmark clean

# What a run leaves in the notebook beside its outputs (times, versions) is taken out again.
define SCRUB
import nbformat
from nbconvert.preprocessors.coalescestreams import CoalesceStreamsPreprocessor

notebook, _ = CoalesceStreamsPreprocessor()(nbformat.read("$(NEXT)", 4), {})
notebook.metadata = {"kernelspec": notebook.metadata.kernelspec, "language_info": {"name": "python"}}
for cell in notebook.cells:
    cell.metadata = {"tags": tags} if (tags := cell.metadata.get("tags")) else {}
nbformat.write(notebook, "$(NEXT)")
endef
export SCRUB

results: .venv/ready
	$(BIN)/papermill VAE_MNIST.ipynb $(NEXT) -k python3 --stdout-file -
	$(BIN)/python -c "$$SCRUB"
	mv $(NEXT) VAE_MNIST.ipynb

notebook: .venv/ready
	$(BIN)/jupyter lab VAE_MNIST.ipynb

benchmark: .venv/ready
	$(BIN)/python benchmarks/train_speed.py

test: .venv/test-ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest tests

.venv/ready: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' \
	  || { echo "$(PYTHON) is not Python 3.10 to 3.13: name one that is, as in  make results PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

.venv/test-ready: tests/requirements.txt .venv/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	touch $@

clean:
	rm -rf .venv $(NEXT) Results/in-progress
