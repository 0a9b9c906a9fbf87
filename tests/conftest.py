"""What every test run leaves behind: byte code, and nothing else.

Hundreds of tests start processes that import the project; compiled anew by each, it would cost a
third of a second every time. Garbage is collected more seldom than usual: beside what Dagster and
MLflow import, to look at everything for a few objects more took a tenth of the time. Hypothesis
asks nothing about time: a busy machine is no fault of the code. Files with slow tests go first, so
that no process is left alone with one at the end. Tests started in the background hear Ctrl-C too.
"""

from __future__ import annotations

import gc
import os
import signal
import sys

import pytest
from hypothesis import settings

from tests import postgres

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
gc.set_threshold(20_000, 10, 20)
settings.register_profile("house", deadline=None)
settings.load_profile("house")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that hold a slow test before the others, each in its order."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_unconfigure() -> None:
    """End the PostgreSQL server that tests of this process may have started."""
    postgres.stop()
