"""A signal inside a transaction of the ledger: nothing half-written, no lock left behind."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.crash.points import Point
from tests.crash.trials import BARS, BUY_AT, Trial, Zygote, assert_agrees_afterwards
from tests.databases import LEDGERS, fresh_url
from tests.worlds import START
from thunes_core.adapters.ledger import Ledger, open_ledger
from thunes_core.domain.portfolio import TradingState
from thunes_core.testnet.app import serve_in_thread
from thunes_core.testnet.market import replayed_market

STATEMENTS = {
    "decision": "INSERT INTO decisions",
    "book": "DELETE FROM positions",
    "intent": "INSERT INTO orders",
    "claim": "UPDATE orders",
    "fill": "INSERT INTO fills",
    "tick": "INSERT INTO ticks",
}
SOON = 2.0
HELD = {
    "sqlite": "SELECT 0",
    "postgresql": "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted",
}


@pytest.fixture(params=LEDGERS)
def trial(request: pytest.FixtureRequest, zygote: Zygote, tmp_path: Path) -> Iterator[Trial]:
    """Serve an exchange and name a ledger in either database."""
    with (
        serve_in_thread(replayed_market([BARS], start=START), cash=1000) as net,
        fresh_url(request.param, tmp_path) as url,
    ):
        open_ledger(url).close()
        yield Trial(zygote, net, url, home=str(tmp_path))


def assert_no_lock(url: str) -> None:
    """Another process writes at once."""
    seconds = {"timeout": SOON} if url.startswith("sqlite") else {}
    engine = create_engine(url, connect_args=seconds)
    with engine.connect() as connection:
        assert connection.execute(text(HELD[engine.dialect.name])).scalar() == 0
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
    engine.dispose()
    ledger = open_ledger(url)
    ledger.set_trading_state(TradingState.ACTIVE, reason="a person looks", author="test")
    ledger.close()


def assert_nothing_is_half_written(ledger: Ledger) -> None:
    """Every decision has its orders; every fill its booking, its balance and its cursor."""
    assert ledger.verify_audit().whole
    fills, orders = ledger.fills(), ledger.orders()
    assert ledger.decisions().height == orders.height
    booked = {o["client_order_id"]: Decimal(o["booked_quantity_text"]) for o in orders.to_dicts()}
    for fill in fills.to_dicts():
        assert booked[fill["client_order_id"]] == Decimal(fill["quantity_text"])
        assert ledger.cursor("BTCUSDT") == fill["trade_id"]
    for book in ledger.positions():
        assert book.is_open == bool(fills.height)
        assert book.cash == ledger.expected_balances()["USDT"]
        assert (book.last_bar is not None) == bool(orders.height)


INTERRUPTS = [(name, when, signal.SIGTERM) for name in STATEMENTS for when in ("after", "commit")]
KILLS = [(name, "after", signal.SIGKILL) for name in ("intent", "fill")]


@pytest.mark.parametrize(("name", "when", "number"), INTERRUPTS + KILLS)
def test_a_signal_inside_a_transaction_leaves_all_of_it_or_nothing(trial, name, when, number):
    """After a statement and just before the commit; the next tick agrees with the exchange."""
    struck = {"statement": STATEMENTS[name], "when": when, "signal": number}
    ended = trial.tick(BUY_AT, command=True, **struck)
    assert ended == ({"exit": 1} if number == signal.SIGTERM else {"signal": number})
    ledger = open_ledger(trial.url)
    assert_nothing_is_half_written(ledger)
    ledger.close()
    assert_no_lock(trial.url)
    assert_agrees_afterwards(trial, Point("commit", "before"))
