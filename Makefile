# Two commands set everything up: `make demo` and `make test`. The rest is for those who build.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.installed-run
DEV := $(VENV)/.installed-dev
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps
BARS ?=

.PHONY: demo up test check format lint types imports docs lock clean
.DEFAULT_GOAL := test

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "THUNES needs Python 3.11 or later: make PYTHON=python3.11")'
	@$(PYTHON) -m venv $(VENV)

$(RUN): requirements.lock pyproject.toml | $(VENV)/pyvenv.cfg
	@echo "installing the pinned dependencies into $(VENV) (some minutes, the first time only)"
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-build-isolation -e .
	@touch $@

$(DEV): requirements-dev.lock pyproject.toml | $(VENV)/pyvenv.cfg
	@echo "installing the pinned dependencies into $(VENV) (some minutes, the first time only)"
	@$(PIP) --require-hashes -r requirements-dev.lock
	@$(PIP) --no-build-isolation -e .
	@touch $@ $(RUN)

demo: $(RUN)  ## ingest, search, promote, trade a simulated week, report; BARS=PATH for your own candles
	@$(BIN)/thunes demo $(if $(BARS),--bars $(BARS))

up: $(RUN)  ## local testnet, MLflow, Dagster webserver and daemon; Ctrl-C stops all
	@exec $(BIN)/thunes up

test: $(DEV)  ## every test
	@$(BIN)/python -m pytest -n 2 --dist loadscope

check: format lint types imports docs test  ## all that CI checks

format: $(DEV)
	@$(BIN)/ruff format --check thunes_core thunes_pipelines tests

lint: $(DEV)
	@$(BIN)/ruff check thunes_core thunes_pipelines tests

types: $(DEV)
	@$(BIN)/mypy

imports: $(DEV)
	@$(BIN)/lint-imports

docs: $(DEV)  ## the examples in docstrings run
	@$(BIN)/python -m pytest --doctest-modules thunes_core

bench-evidence: $(DEV)  ## how often the evidence is right, on planted edges and on noise (many minutes)
	@$(BIN)/python -m tests.bench.evidence

lock:  ## needs uv
	uv pip compile --universal --generate-hashes --no-header --python-version 3.11 pyproject.toml -o requirements.lock
	uv pip compile --universal --generate-hashes --no-header --python-version 3.11 --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
