# Two commands on a machine with python3 (3.11 or later, with venv) and make:
#   make demo   installs into .venv and runs the main job on a bundled data set
#   make test   runs everything that must pass
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
JOBS ?= 2
export OMP_NUM_THREADS ?= 1

.PHONY: demo test lint types tests plugins bench clean

demo: $(STAMP)
	$(BIN)/python -m sklearnloss.demo

test: lint types tests plugins

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

tests: $(STAMP)
	$(BIN)/python -m pytest -n $(JOBS) tests

plugins: $(STAMP)
	for plugin in plugins/*/; do $(BIN)/python -m pytest -p no:cacheprovider "$$plugin" || exit 1; done

bench: $(STAMP)
	$(BIN)/python benchmarks/fit.py

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	for plugin in plugins/*/; do $(BIN)/python -m pip install --quiet -c constraints.txt --no-deps -e "$$plugin" || exit 1; done
	touch $(STAMP)

clean:
	rm -rf $(VENV) build dist *.egg-info
