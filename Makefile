# Everything runs in .venv, which the first target that needs it makes.
# Variables: THREADS (threads of the demo), WORKERS (processes of the tests), PYTEST_ARGS.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
CORES := $(shell nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 2)
THREADS ?= $(CORES)
WORKERS ?= $(CORES)
DEMO_OUTPUT ?= demo_output
SUITE := not slow and not mpi

# one BLAS thread for each test process: the package sets its own number where it matters
TEST_ENVIRONMENT := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MPLBACKEND=Agg

.PHONY: help demo test test-slow lint kernels format docs clean

help:
	@echo "make demo       simulate a small data set, refine it, show where the results are"
	@echo "make test       formatting, lint, types, tests (minutes)"
	@echo "make test-slow  the tests marked slow or mpi (tens of minutes)"
	@echo "make lint       formatting, lint and types only"
	@echo "make format     rewrite the code in the house style"
	@echo "make docs       write the generated pages of docs/"
	@echo "make clean      remove everything that make has made, $(VENV) included"

# the stamps are newer than pyproject.toml when the installation is up to date
$(VENV)/.installed: pyproject.toml tools/make_venv.sh
	@tools/make_venv.sh $(VENV)
	@touch $@

$(VENV)/.installed-dev: pyproject.toml tools/make_venv.sh
	@tools/make_venv.sh $(VENV) dev
	@touch $(VENV)/.installed $@

demo: $(VENV)/.installed
	@AUREFINE=$(abspath $(BIN)/aurefine) THREADS=$(THREADS) examples/demo.sh $(DEMO_OUTPUT)

lint: $(VENV)/.installed-dev
	@echo "== formatting and lint"
	@$(BIN)/ruff format --check --quiet . || { echo "run 'make format'"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@echo "== types"
	@$(BIN)/mypy

# once, where the processes of the tests would all do it; beside the type check, which takes as long
kernels: $(VENV)/.installed-dev
	@$(BIN)/python -m aurefine.kernels.beforehand

test: $(VENV)/.installed-dev
	@$(MAKE) --no-print-directory -j 2 lint kernels
	@tools/get_chromium.sh
	@echo "== tests"
	@$(TEST_ENVIRONMENT) $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile \
		--durations 10 --durations-min 10 -m "$(SUITE)" $(PYTEST_ARGS)

test-slow: $(VENV)/.installed-dev
	@tools/get_chromium.sh
	@$(TEST_ENVIRONMENT) $(BIN)/python -m pytest -v --durations 20 -m "slow or mpi" $(PYTEST_ARGS) \
		|| [ $$? = 5 ]  # 5: no test has these markers

format: $(VENV)/.installed-dev
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

docs: $(VENV)/.installed-dev
	@$(BIN)/python docs/make_options.py

clean:
	rm -rf $(VENV) $(DEMO_OUTPUT) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
