# Two commands set everything up: `make demo` and `make test`. The rest is for those who build.
PYTHON ?= python3
VENV := .venv
PEERS := .venv-peers
BIN := $(VENV)/bin
RUN := $(VENV)/.installed-run
DEV := $(VENV)/.installed-dev
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps
BARS ?=
DAYS ?= 365
HOURS ?= 168
SEED ?= 1
EXAMPLES ?= 2000

# Without byte code each process would compile the project anew: 0.3 s of CPU.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: bench bench-backtest bench-walk bench-latency bench-stream bench-data bench-evidence demo up test check soak nightly format lint types imports docs peers lock clean refusals
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
	@$(BIN)/python -m pytest -n 3 --dist loadscope --no-loadscope-reorder

refusals: $(DEV)  ## write docs/refusals.md anew from the checks of the gate
	@THUNES_WRITE_SNAPSHOTS=1 $(BIN)/python -m pytest -q tests/docs/test_refusals.py

check: format lint types imports docs peers test  ## all that CI checks

format: $(DEV)
	@$(BIN)/ruff format --check thunes_core thunes_pipelines tests

lint: $(DEV)
	@$(BIN)/ruff check thunes_core thunes_pipelines tests

types: $(DEV)
	@$(BIN)/mypy

imports: $(DEV)
	@$(BIN)/lint-imports

docs: $(DEV)  ## the examples in docstrings run
	@$(BIN)/python -m pytest --doctest-modules --ignore-glob="*/migrations/*" thunes_core

soak: $(RUN)  ## HOURS of paper trading on a testnet that attacks: ledger and exchange must agree
	@$(BIN)/thunes soak --hours $(HOURS) --seed $(SEED)

nightly: soak $(DEV)  ## the soak, then thousands (EXAMPLES) of orders of events by the state machine
	@THUNES_SOAK_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest tests/machine

bench-evidence: $(DEV)  ## how often the evidence is right, on planted edges and on noise (many minutes)
	@$(BIN)/python -m tests.bench.evidence --write docs/performance.md

$(PEERS)/.installed: requirements-peers.lock
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	@echo "installing what others wrote into $(PEERS), to compare with (some minutes, the first time only)"
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-peers.lock
	@touch $@

peers: $(DEV) $(PEERS)/.installed  ## agreement with backtesting.py, vectorbt, quantstats, empyrical, skfolio
	@$(BIN)/python -m tests.peers.inputs build/peers
	@TQDM_DISABLE=1 $(PEERS)/bin/python -W ignore tests/peers/run_peers.py build/peers
	@$(BIN)/python -m tests.peers.compare build/peers

bench: bench-backtest bench-walk bench-latency bench-stream  ## speed of everything but the lake; writes docs/performance.md

bench-backtest: $(DEV) $(PEERS)/.installed  ## backtests against the last runs, and against vectorbt and backtesting.py
	@$(BIN)/python -m pytest tests/benchmarks/bench_backtest.py --benchmark-timer=time.process_time --benchmark-quiet --benchmark-json=build/benchmark.json
	@$(BIN)/python -m tests.benchmarks.history build/benchmark.json
	@$(BIN)/python -m tests.benchmarks.against_peers $(PEERS)/bin/python docs/performance.md

bench-walk: $(DEV)  ## what a walk-forward costs beside its backtests, against Optuna alone
	@$(BIN)/python -m tests.benchmarks.bench_walk --write docs/performance.md

bench-data: $(DEV)  ## what fetching, storing and reading bars costs, against others (DAYS=30: minutes)
	@$(BIN)/python -m tests.benchmarks.bench_data --symbols 10 --days $(DAYS) --write docs/performance.md

bench-stream: $(DEV)  ## from a closed bar at the socket to the start of the tick
	@$(BIN)/python -m tests.benchmarks.bench_stream --bars 120 --write docs/performance.md

bench-latency: $(DEV)  ## from a closed bar to the order on the wire, in process and as a Dagster run
	@$(BIN)/python -m tests.benchmarks.bench_latency --write docs/performance.md

lock:  ## needs uv
	uv pip compile --universal --generate-hashes --no-header --python-version 3.11 pyproject.toml -o requirements.lock
	uv pip compile --universal --generate-hashes --no-header --python-version 3.11 --extra dev --extra ccxt --extra scale -c requirements.lock pyproject.toml -o requirements-dev.lock
	uv pip compile --universal --generate-hashes --no-header --python-version 3.11 --extra ccxt -c requirements-dev.lock pyproject.toml -o requirements-ccxt.lock
	uv pip compile --universal --generate-hashes --no-header --python-version 3.11 --extra scale -c requirements-dev.lock pyproject.toml -o requirements-scale.lock
	uv pip compile --universal --generate-hashes --no-header --python-version 3.11 tests/peers/requirements.in -o requirements-peers.lock

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
