# Two commands set everything up: `make demo` and `make test`. The rest is for those who build.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BARS ?=

.PHONY: demo up test check format lint types imports docs bench lock clean
.DEFAULT_GOAL := test

$(STAMP): requirements-dev.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the pinned dependencies into $(VENV) (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP)  ## ingest, search, promote, trade a simulated week, report
	@$(BIN)/thunes demo $(if $(BARS),--bars $(BARS))

up: $(STAMP)  ## local testnet, MLflow, Dagster webserver and daemon; Ctrl-C stops all
	@$(BIN)/thunes up

test: $(STAMP)  ## every test
	@$(BIN)/python -m pytest -n 2 --dist loadscope

check: $(STAMP) format lint types imports docs test  ## all that CI checks

format: $(STAMP)
	@$(BIN)/ruff format --check thunes_core thunes_pipelines tests

lint: $(STAMP)
	@$(BIN)/ruff check thunes_core thunes_pipelines tests

types: $(STAMP)
	@$(BIN)/mypy

imports: $(STAMP)
	@$(BIN)/lint-imports

docs: $(STAMP)  ## examples in docstrings run
	@$(BIN)/python -m pytest --doctest-modules thunes_core

lock:  ## needs uv
	uv pip compile --universal --generate-hashes --no-header --python-version 3.11 pyproject.toml -o requirements.lock
	uv pip compile --universal --generate-hashes --no-header --python-version 3.11 --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
