"""What is asked of the paper account takes as much work after years of trading as at first."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.history import grow, slower, work
from tests.worlds import HOUR, BarsMarket, bars_of, small_world, wave
from thunes_core.adapters.paper import store
from thunes_core.domain.limits import Protection
from thunes_core.trading.step import tick


def test_no_question_takes_longer_for_a_long_history(tmp_path: Path):
    """Thousands of older orders add next to nothing; fills are read from an id on."""
    protection = Protection(stop_loss=0.02, take_profit=0.1)
    small = small_world(tmp_path, BarsMarket(bars_of(wave())), protection=protection)
    for bar in range(46, 140):
        small.market.stand_at(bar)
        tick(small.world, small.plan)
    small.ledger.close()
    asked = list[str]()
    with closing(sqlite3.connect(tmp_path / "paper.db", isolation_level=None)) as file:
        file.row_factory = sqlite3.Row
        file.set_trace_callback(asked.append)
        *_, newest = store.orders_since(file, "BTCUSDT", small.market.now - 20 * HOUR)
        store.open_orders(file)
        store.open_orders(file, "BTCUSDT")
        store.read_order(file, "BTCUSDT", newest.client_order_id)
        store.siblings(file, newest)
        store.sent_at(file, newest)
        store.read_fills(file, "BTCUSDT", 10)
        file.set_trace_callback(None)
        before = work(file, dict.fromkeys(asked, ()))
        file.execute("BEGIN")
        ended = "status IN ('FILLED', 'CANCELED')"
        grow(file, "orders", ("client_order_id", "list_id"), ("sent", "updated"), ended)
        after = work(file, dict.fromkeys(asked, ()))
    assert slower(before, after) == {}
    assert len(asked) == 7
