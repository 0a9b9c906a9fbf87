"""The databases that a ledger runs on: SQLite, and PostgreSQL."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from tests.postgres import fresh_base
from thunes_core.adapters.ledger import open_ledger

LEDGERS = ["sqlite", "postgres"]
on_every_database = pytest.mark.parametrize("database", LEDGERS, indirect=True)
"""Runs a test whose ledger is at the fixture `database` on each of them; else it is SQLite."""


@contextmanager
def fresh_url(kind: str, folder: Path) -> Iterator[str]:
    """Hand out the URL of an empty database: a file in `folder`, or a base that is dropped."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'ledger.db'}"
        return
    with fresh_base() as url:
        yield url


def ledger_in(folder: Path) -> str:
    """Return the URL of a ledger in `folder` that holds nothing; its schema is made only once."""
    path = folder / "ledger.db"
    path.write_bytes(_empty_ledger())
    return f"sqlite:///{path}"


@cache
def _empty_ledger() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        open_ledger(f"sqlite:///{path}").close()
        return path.read_bytes()
