"""Migrations lead to the schema that the code uses, from any earlier version."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Pool, create_engine, event, insert

from tests.databases import LEDGERS, fresh_url
from thunes_core.adapters.ledger import open_ledger, schema
from thunes_core.adapters.ledger.connect import HEAD
from thunes_core.errors import StoreFailed

FOLDER = Path(schema.__file__).parent / "migrations"


def config() -> Config:
    """Return Alembic's configuration of the ledger."""
    made = Config()
    made.set_main_option("script_location", str(FOLDER))
    return made


def versions() -> list[str]:
    """Return every version, oldest first."""
    walked = ScriptDirectory.from_config(config()).walk_revisions()
    return [script.revision for script in walked][::-1]


def test_the_named_head_is_the_newest_migration():
    """`connect.HEAD` and the folder agree."""
    assert versions()[-1] == HEAD


@pytest.mark.parametrize("kind", LEDGERS)
@pytest.mark.parametrize("version", versions())
def test_every_earlier_ledger_becomes_the_present_schema(tmp_path, version, kind):
    """Opened by today's code, it has exactly today's tables and columns."""
    with fresh_url(kind, tmp_path) as url:
        engine = create_engine(url)
        with engine.begin() as connection:
            made = config()
            made.attributes["connection"] = connection
            command.upgrade(made, version)
        engine.dispose()
        ledger = open_ledger(url)
        with ledger._engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": False})
            assert compare_metadata(context, schema.metadata) == []
            connection.execute(insert(schema.cursors).values(symbol="BTCUSDT", trade_id="1"))
        ledger.close()


def test_a_ledger_of_a_newer_version_is_told_and_left_as_it_is(tmp_path):
    """Whoever went back to older code reads what to do; nothing that was opened stays open."""
    url, opened, closed = f"sqlite:///{tmp_path / 'ledger.db'}", list[object](), list[object]()
    open_ledger(url).close()
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as file:
        file.execute("UPDATE alembic_version SET version_num = '9999'")
    with (
        listening("connect", lambda raw, _record: opened.append(raw)),
        listening("close", lambda raw, _record: closed.append(raw)),
        pytest.raises(StoreFailed, match=r"'9999'; start the newer THUNES"),
    ):
        open_ledger(url)
    assert opened
    assert opened == closed
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as file:
        assert file.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]


@contextmanager
def listening(name: str, listener: Callable[[object, object], None]) -> Iterator[None]:
    """Call `listener` at each such event of any pool of connections."""
    event.listen(Pool, name, listener)
    try:
        yield
    finally:
        event.remove(Pool, name, listener)
