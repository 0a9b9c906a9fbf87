"""Blank registries for tests: making MLflow's schema takes seconds, copying it does not.

Nor does what a walk's run holds change from test to test: its pictures are drawn once a process.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

import pytest

from thunes_core.domain.results import Evidence, WalkForwardResult
from thunes_pipelines.resources.registry import Registry, content

KEY = b"k" * 32


@lru_cache(maxsize=1)
def _blank() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="thunes-blank-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    Registry(f"sqlite:///{folder}/mlflow.db", folder.as_uri(), KEY).versions()
    return folder / "mlflow.db"


def blank_registry(home: Path) -> Path:
    """Put a database with MLflow's schema and nothing in it into `home`; return its path."""
    home.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(_blank(), home / "mlflow.db"))


_DRAWN: dict[tuple[int, int], tuple[object, dict[str, str | bytes]]] = {}
_ARTEFACTS = content.artefacts


def _drawn(result: WalkForwardResult, evidence: Evidence) -> dict[str, str | bytes]:
    """Return the real files of a walk, made at the first time; the objects live on beside them."""
    key = (id(result), id(evidence))
    if key not in _DRAWN:
        _DRAWN[key] = ((result, evidence), _ARTEFACTS(result, evidence))
    return _DRAWN[key][1]


@pytest.fixture(autouse=True)
def drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same walk with the same evidence gives the same files; import it to have it."""
    monkeypatch.setattr(content, "artefacts", _drawn)
