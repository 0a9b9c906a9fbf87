"""Dagster instances on disk for tests, their stores made once a process and copied.

Making the schemas takes four times as long as everything else about an instance.

Add here: another kind of instance. Keep out: houses (`houses`).
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import dagster as dg


@lru_cache(maxsize=1)
def _blank() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="thunes-blank-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with dg.DagsterInstance.local_temp(str(folder)) as made:
        assert made.get_runs_count() == 0  # what asks first makes the stores
        assert not made.all_asset_keys()
        assert not made.all_instigator_state()
    return folder


def blank_stores(home: Path) -> Path:
    """Put Dagster's stores with nothing in them into `home`; return it."""
    return Path(shutil.copytree(_blank(), home, dirs_exist_ok=True))


@contextmanager
def instance_at(home: Path) -> Iterator[dg.DagsterInstance]:
    """Yield an instance of its own at `home`, which is DAGSTER_HOME until the block ends."""
    with dg.instance_for_test(temp_dir=str(blank_stores(home))) as made:
        yield made
