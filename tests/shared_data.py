"""Where the local test resources are: real candles and exchange messages, not shipped here.

Expected in `../shared` beside the project, or where `THUNES_SHARED` points.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("THUNES_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def shared(name: str) -> Path:
    """Return the resource `name`, or skip the test and say where it is expected."""
    path = ROOT / name
    if not path.exists():
        pytest.skip(f"needs {name} in ../shared (or set THUNES_SHARED)")
    return path
