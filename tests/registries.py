"""Blank registries for tests: making MLflow's schema takes seconds, copying it does not."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

from thunes_pipelines.resources.registry import Registry

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
