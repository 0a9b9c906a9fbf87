"""The databases that a ledger runs on: SQLite always, PostgreSQL where one is given.

`THUNES_TEST_POSTGRES=postgresql+psycopg2://user@host:port/base` names one whose schemas the tests
may make and drop; psycopg2 must be installed.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

POSTGRES = os.environ.get("THUNES_TEST_POSTGRES", "")
LEDGERS = [
    "sqlite",
    pytest.param(
        "postgres",
        marks=pytest.mark.skipif(not POSTGRES, reason="needs THUNES_TEST_POSTGRES"),
    ),
]


@contextmanager
def fresh_url(kind: str, folder: Path) -> Iterator[str]:
    """Hand out the URL of an empty database: a file in `folder`, or a schema that is dropped."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'ledger.db'}"
        return
    name = f"t{uuid.uuid4().hex}"
    engine = create_engine(POSTGRES)
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
    yield f"{POSTGRES}?options=-csearch_path%3D{name}"
    with engine.begin() as connection:
        connection.execute(text(f"DROP SCHEMA {name} CASCADE"))
    engine.dispose()
