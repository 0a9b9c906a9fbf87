"""A writer that fell silent inside its transaction holds nobody up (PostgreSQL)."""

from __future__ import annotations

import importlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta

import pytest
from sqlalchemy import text

from tests.postgres import fresh_base
from thunes_core.adapters.ledger import open_ledger
from thunes_core.domain.portfolio import TradingState
from thunes_core.errors import StoreFailed

connect = importlib.import_module("thunes_core.adapters.ledger.connect")


@pytest.fixture
def impatient(monkeypatch):
    """Writers wait two seconds for each other and may be silent for one."""
    patient = connect._QUEUE
    quick = patient.replace(f"'{connect.BUSY_SECONDS}s'", "'2s'")
    quick = quick.replace(f"'{connect.SILENT_SECONDS}s'", "'1s'")
    assert quick != patient
    monkeypatch.setattr(connect, "_QUEUE", quick)


@pytest.fixture
def url():
    """An empty base."""
    with fresh_base() as made:
        yield made


@pytest.mark.slow
def test_a_frozen_writer_is_put_out_and_cannot_commit(impatient, url):
    """Its transaction ends as if it had never been; the next writer gets through."""
    with closing(open_ledger(url)) as frozen, closing(open_ledger(url)) as living:
        with pytest.raises(StoreFailed, match="ledger"), frozen._write() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = 'torn'"))
            living.set_trading_state(TradingState.HALTED, reason="test", author="living")
            connection.execute(text("SELECT 1"))
        assert living.trading_state().author == "living"
        assert frozen.trading_state().author == "living"  # by a new connection


@pytest.mark.slow
def test_a_writer_behind_a_busy_one_says_so(impatient, url):
    """While another works on, the one that waits ends with an error and not never."""
    with closing(open_ledger(url)) as busy, closing(open_ledger(url)) as waiting:
        with busy._write() as connection, pytest.raises(StoreFailed, match="lock timeout"):
            _write_while(connection, waiting)
        assert waiting.acquire_lease("next", timedelta(minutes=1)).token == 1


def _write_while(connection, waiting):
    """Write from another thread while this one keeps its transaction at work."""
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(waiting.acquire_lease, "next", timedelta(minutes=1))
        while not written.done():
            connection.execute(text("SELECT pg_sleep(0.1)"))
        written.result()
