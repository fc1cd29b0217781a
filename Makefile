# Two commands on a machine with python3 (3.11 or later, with venv) and make:
#   make demo   installs into .venv and runs the main job on a bundled data set
#   make test   runs everything that must pass
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ORACLES := .venv-oracles
JOBS ?= 2
export OMP_NUM_THREADS ?= 1
# a hundred tests start a process of their own, which should not compile the package anew
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test lint types tests plugins bench oracles clean

demo: $(STAMP)
	$(BIN)/python -m sklearnloss.demo

test: lint types tests plugins

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

tests: $(STAMP)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal tests

plugins: $(STAMP)
	for plugin in plugins/*/; do $(BIN)/python -m pytest -p no:cacheprovider "$$plugin" || exit 1; done

bench: $(STAMP)
	$(BIN)/python benchmarks/fit.py

# what other packages make of the inputs of tests/test_oracles.py, written to tests/oracles.json; no test needs this.
# timm and libauc come without what they depend on: of torchvision there is no build for a CPU to go with this torch
oracles: $(ORACLES)/.installed
	$(ORACLES)/bin/python tests/make_oracles.py

$(ORACLES)/.installed: Makefile constraints.txt
	$(PYTHON) -m venv $(ORACLES)
	$(ORACLES)/bin/python -m pip install --quiet -c constraints.txt torch scikit-learn \
		pytorch-metric-learning==2.9.0 monai==1.6.1 kornia==0.9.0 scoringrules==0.10.0
	$(ORACLES)/bin/python -m pip install --quiet --no-deps timm==1.0.31 libauc==2.0.1
	touch $@

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	for plugin in plugins/*/; do $(BIN)/python -m pip install --quiet -c constraints.txt --no-deps -e "$$plugin" || exit 1; done
	touch $(STAMP)

clean:
	rm -rf $(VENV) $(ORACLES) build dist *.egg-info
