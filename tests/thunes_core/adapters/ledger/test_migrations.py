"""Migrations lead to the schema that the code uses, from any earlier version."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, insert

from tests.databases import LEDGERS, fresh_url
from thunes_core.adapters.ledger import open_ledger, schema
from thunes_core.adapters.ledger.connect import HEAD

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
