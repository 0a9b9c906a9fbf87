"""What every test run leaves behind: byte code, and nothing else.

Hundreds of tests start processes that import the project; compiled anew by each, it would cost a
third of a second every time. Garbage is collected more seldom than usual: beside what Dagster and
MLflow import, to look at everything for a few objects more took a tenth of the time. Hypothesis
asks nothing about time: a busy machine is no fault of the code. Files with slow tests go first,
the slowest before all, so that no process is left alone with one at the end.

What a script starts with `&` ignores SIGINT, and so do its children, to which tests send it. It
showed only in some orders of the tests: polars, once imported, hears SIGINT whatever was before,
until a test puts back what Python remembers. So every process of the tests hears it from the start.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from pathlib import Path

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
    """Put the files that may last longest first, those without a slow test last, in their order."""
    longest: dict[Path, float] = {}
    for item in items:
        longest[item.path] = max(longest.get(item.path, 0.0), _expected_seconds(item))
    items.sort(key=lambda item: longest[item.path], reverse=True)


def _expected_seconds(item: pytest.Item) -> float:
    """Return what a test's marks say of how long it may last."""
    bound = item.get_closest_marker("timeout")
    if bound is not None:
        return float(bound.args[0])
    return 5.0 if item.get_closest_marker("slow") else 0.0


def pytest_unconfigure() -> None:
    """End the PostgreSQL server that tests of this process may have started."""
    postgres.stop()
