"""The import law is enforced, and each heavy library has one door."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("thunes_core", "thunes_pipelines")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

DOORS = {
    "binance": ("thunes_core/adapters/binance/",),
    "ccxt": ("thunes_core/adapters/ccxt/",),
    "cmaes": ("thunes_core/research/search/",),
    "dagster": ("thunes_pipelines/",),
    "dagster_duckdb": ("thunes_pipelines/",),
    "duckdb": ("thunes_core/adapters/",),
    "mlflow": ("thunes_pipelines/resources/registry/",),
    "numba": ("thunes_core/backtest/", "thunes_core/trading/rules.py"),
    "optuna": ("thunes_core/research/search/",),
    "pandas": (),
    "sklearn": ("thunes_core/research/models.py",),
    "sqlalchemy": (
        "thunes_core/adapters/ledger/",
        "thunes_core/adapters/paper/",
        "thunes_core/research/search/relational.py",  # locks beside the tables of Optuna
        "thunes_pipelines/services/session.py",  # tunes Dagster's own files, opens none
        "thunes_pipelines/resources/registry/connection.py",  # names what MLflow's store raises
    ),
    "sqlite3": (
        "thunes_core/adapters/ledger/",
        "thunes_core/adapters/paper/",
        "thunes_pipelines/services/session.py",  # tunes Dagster's own files, opens none
    ),
    "matplotlib": ("thunes_core/reporting/",),
    "plotly": ("thunes_core/reporting/", "thunes_pipelines/resources/registry/"),
}

BREACHES = {
    "layers: what is true below": ("thunes_core/domain/planted.py", "thunes_core.adapters"),
    "the core knows neither Dagster": ("thunes_core/risk/planted.py", "dagster"),
    "the testnet stands on the domain": ("thunes_core/testnet/planted.py", "thunes_core.trading"),
    "nobody in the core imports the testnet": (
        "thunes_core/trading/planted.py",
        "thunes_core.testnet",
    ),
    "settings are read by the pipelines": (
        "thunes_core/research/planted.py",
        "thunes_core.settings",
    ),
}


def name_of(path):
    """Return a module's path as people write it."""
    return str(path.relative_to(ROOT))


@cache
def imported(path):
    """Return the first name of every import of a module, those for types alone left out."""
    return frozenset(_imported(ast.parse(path.read_text())))


def _imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


@pytest.mark.slow
def test_a_breach_of_each_contract_is_caught(tmp_path):
    """One bad import planted per contract, in a copy: import-linter names all five as broken."""
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for place, target in BREACHES.values():
        (tmp_path / place).write_text(f"import {target}\n")
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--no-cache"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    broken = [line for line in done.stdout.splitlines() if line.endswith("BROKEN")]
    assert done.returncode != 0
    for contract in BREACHES:
        assert any(contract in line for line in broken), done.stdout


@pytest.mark.parametrize("library", DOORS)
def test_each_heavy_library_has_one_door(library):
    """Only the modules named in `DOORS` import it, wherever the import stands."""
    outside = [
        name_of(path)
        for path in MODULES
        if library in imported(path)
        and not name_of(path).startswith(DOORS[library] or ("nowhere",))
    ]
    assert outside == []
