# Everything runs in an environment of its own: VENV, made by PYTHON on first use.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test slow lint format notebooks benchmark docs wheel clean

## Compare flows with gradient descent on real data: prints the table, writes demo.png and demo.npz
demo: $(VENV)/examples
	$(BIN)/python -m flows compare breast_cancer --save demo.png --save demo.npz

## Run the tests
test: $(VENV)/test
	$(BIN)/python -m pytest -n 2 --dist loadfile -q

## Run the tests that take long: networks at the edge of stability, many dimensions
slow: $(VENV)/test
	$(BIN)/python -m pytest -n 2 --dist load -q -m slow

## Check style and types, and that notebooks and lists of faults are in step with the code
lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python notebooks/run.py --check
	$(BIN)/python tests/plant_faults.py --placed tests/faults/*.toml
	$(BIN)/pyright --pythonpath $(BIN)/python

## Rewrite the files in the house style
format: $(VENV)/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python notebooks/run.py --write

## Execute the tutorials; prints the seconds of each
notebooks: $(VENV)/notebooks
	$(BIN)/python notebooks/run.py

## Measure speed and memory (minutes; close other programs)
benchmark: $(VENV)/test
	XLA_FLAGS= $(BIN)/python -m pytest tests/benchmarks -m benchmark -s -q

## Build the documentation into docs/_build; executes the tutorials that `make notebooks` has not
docs: $(VENV)/docs
	$(BIN)/python -m sphinx -W --keep-going -q docs docs/_build

## Build sdist and wheel into dist; run README's first example with nothing but the wheel installed
wheel: $(VENV)/wheel
	rm -rf dist $(VENV)-wheel
	$(BIN)/python -m build --outdir dist .
	$(PYTHON) -m venv $(VENV)-wheel
	$(VENV)-wheel/bin/python -m pip install --quiet dist/*.whl
	cd $(VENV)-wheel && bin/python -W error ../tests/readme_example.py

clean:
	rm -rf .venv* docs/_build docs/jupyter_execute docs/tutorials build dist .ruff_cache

# The environment with one of the extras of pyproject.toml, renewed when that file changes.
$(VENV)/%: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[$*]'
	touch $@
