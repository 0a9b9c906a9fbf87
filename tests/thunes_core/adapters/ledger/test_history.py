"""What a tick asks of the ledger takes as much work after years of trading as on the first day."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from tests.history import grow, slower, work
from tests.worlds import BarsMarket, Small, bars_of, small_world, wave
from thunes_core.domain.limits import Protection
from thunes_core.trading.step import tick

NAMES = ("client_order_id", "exchange_order_id", "trade_id")
TIMES = ("bar", "time", "intended_at", "submitted_at", "updated_at", "exit_time", "entry_time")


@pytest.fixture()
def small(tmp_path: Path) -> Small:
    """A world whose stops and signals trade, with its ledger in a file."""
    protection = Protection(stop_loss=0.02, trailing_stop=0.03)
    return small_world(tmp_path, BarsMarket(bars_of(wave())), protection=protection)


def questions(small: Small) -> dict[str, Any]:
    """Trade for a while; return every SELECT the ledger was asked, with values it was given."""
    asked: dict[str, Any] = {}

    def note(_c: Connection, _cursor: Any, sql: str, given: Any, *_: Any) -> None:
        if sql.startswith("SELECT"):
            asked.setdefault(sql, given)

    event.listen(small.ledger._engine, "before_cursor_execute", note)
    for bar in range(46, 140):
        small.market.stand_at(bar)
        tick(small.world, small.plan)
    small.ledger.last_exit("sma_crossover", "BTCUSDT")
    small.ledger.interval_of("sma_crossover", "BTCUSDT")
    small.ledger.entries_since(small.market.now)
    small.ledger.stop_outs_since(small.market.now)
    event.remove(small.ledger._engine, "before_cursor_execute", note)
    return asked


def test_no_question_of_a_tick_takes_longer_for_a_long_history(small: Small, tmp_path: Path):
    """Thousands of older orders, fills, trades and decisions add next to nothing to any of them."""
    asked = questions(small)
    small.ledger.close()
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as file:
        before = work(file, asked)
        file.execute("BEGIN")
        for table in ("orders", "fills", "trades", "decisions"):
            grow(file, table, NAMES, TIMES)
        after = work(file, asked)
    assert slower(before, after) == {}
    assert len(asked) > 20
