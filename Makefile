# Commands of the project. On a fresh machine with Python 3.11 or newer: `make demo`, `make test`.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
# Tests run in several processes, those that hold a clock in one that has the machine to itself.
PROCESSES := --numprocesses logical --maxprocesses 4
ifneq ($(wildcard ../shared/data),)
export AUTOREC_DATA ?= $(abspath ../shared/data)
endif

.PHONY: install demo test test-long lint types clean

install: $(VENV)/.installed

$(VENV)/.installed: setup.cfg pyproject.toml
	@$(or $(PYTHON),false) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "AutoRec needs Python 3.11 or newer with venv (Debian: python3-venv); name one with: make PYTHON=python3.11 ..."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[all]'
	touch $@

demo: install  ## the main job: search the built-in click log, test, export, answer a raw row
	$(BIN)/autorec demo

test: install  ## the quick tests
	$(BIN)/python -m pytest $(PROCESSES) -m "not long and not alone"
	$(BIN)/python -m pytest -m "alone and not long"

test-long: install  ## examples, kills, many seeds
	$(BIN)/python -m pytest $(PROCESSES) -m "long and not alone"
	$(BIN)/python -m pytest -m "long and alone"

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
