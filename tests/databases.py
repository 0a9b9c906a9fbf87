"""The databases that a ledger runs on: SQLite, and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.postgres import fresh_base

LEDGERS = ["sqlite", "postgres"]


@contextmanager
def fresh_url(kind: str, folder: Path) -> Iterator[str]:
    """Hand out the URL of an empty database: a file in `folder`, or a base that is dropped."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'ledger.db'}"
        return
    with fresh_base() as url:
        yield url
