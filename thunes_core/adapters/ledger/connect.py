"""Open the database of the ledger: pragmas, one writer at a time, schema at its newest version.

SQLite runs in WAL with synchronous=FULL; a write transaction begins IMMEDIATE. On PostgreSQL a
write transaction takes an advisory lock. Either way writers queue, and the audit chain has one end.
A writer whose host vanished, or that was frozen, loses its place to the next (PostgreSQL).

Add here: how a database is opened. Keep out: queries.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from thunes_core.errors import BadInput, StoreFailed
from thunes_core.postgres import SILENT_SECONDS, line_args

HEAD = "0008"
"""The newest migration; a test holds it to the folder of migrations."""
BUSY_SECONDS = 30
"""How long a writer waits for those before it, at most."""
DATABASE_ERRORS = (SQLAlchemyError, sqlite3.Error)
_DAMAGED = ("malformed", "not a database")
_LOCK = 7_460_114
_QUEUE = (
    f"SET LOCAL lock_timeout = '{BUSY_SECONDS}s'; "
    f"SET LOCAL idle_in_transaction_session_timeout = '{SILENT_SECONDS}s'; "
    f"SELECT pg_advisory_xact_lock({_LOCK})"
)


def connect(url: str, synchronous: str = "FULL") -> Engine:
    """Return an engine for `url` with the newest schema; `StoreFailed` if it cannot be opened.

    `synchronous` is SQLite's pragma: anything but FULL may forget the last commits in a power cut.
    """
    try:
        engine = create_engine(url, **_terms(url))
    except (ArgumentError, ImportError, ValueError) as error:
        raise BadInput(
            f"ledger: expected a URL such as sqlite:////path/ledger.db or "
            f"postgresql+psycopg2://host/base; {error}; correct THUNES_LEDGER_URL"
        ) from error
    _prepare(engine, synchronous)
    try:
        with store_errors():
            _migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn errors of the database into `StoreFailed`."""
    try:
        yield
    except DATABASE_ERRORS as error:
        raise failure(error) from error


def failure(error: Exception) -> StoreFailed:
    """Return what to raise for an error of the database."""
    reason = str(error.__cause__ or error).strip().splitlines()[0]
    damaged = any(sign in reason for sign in _DAMAGED)
    remedy = "put a backup back" if damaged else "check its path, rights and disk space"
    return StoreFailed(
        f"ledger: expected a readable and writable database; {reason}; {remedy}, then try again"
    )


def reading(engine: Engine) -> Engine:
    """Return a view of `engine` whose transactions do not ask for the write lock."""
    return engine.execution_options(thunes_reads=True)


def standing(engine: Engine) -> Connection:
    """Return a connection to stay open, each of whose reads sees the newest commit."""
    return engine.connect().execution_options(thunes_reads=True, thunes_standing=True)


def _terms(url: str) -> dict[str, Any]:
    if url.startswith("sqlite"):
        return {"connect_args": {"timeout": BUSY_SECONDS}}
    return {"connect_args": line_args(url), "pool_pre_ping": True}


def _prepare(engine: Engine, synchronous: str) -> None:
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", partial(_set_pragmas, synchronous))
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "begin", _begin_locked)


def _set_pragmas(synchronous: str, raw: Any, _record: Any) -> None:
    raw.isolation_level = None  # the begin event below says how a transaction starts
    for pragma in ("journal_mode=WAL", f"synchronous={synchronous}"):
        raw.execute(f"PRAGMA {pragma}")


def _reads(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get("thunes_reads"))


def _begin_sqlite(connection: Connection) -> None:
    if not connection.get_execution_options().get("thunes_standing"):
        connection.exec_driver_sql("BEGIN" if _reads(connection) else "BEGIN IMMEDIATE")


def _begin_locked(connection: Connection) -> None:
    if not _reads(connection):
        connection.exec_driver_sql(_QUEUE)


def _migrate(engine: Engine) -> None:
    with reading(engine).connect() as connection:
        current = _version(connection)
    if current != HEAD:
        with engine.begin() as connection:
            if _version(connection) != HEAD:
                _upgrade(connection)


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, HEAD)
    except CommandError as error:
        raise StoreFailed(
            f"ledger: expected a schema that this version knows (up to {HEAD}); {error}; start "
            "the newer THUNES that wrote it, or put a backup back"
        ) from error
