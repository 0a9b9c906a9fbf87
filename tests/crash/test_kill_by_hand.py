"""SIGKILL while a trade by hand is kept: the next tick knows it once, and what it explains."""

from __future__ import annotations

import signal
from decimal import Decimal

import pytest

from tests.worlds import START
from thunes_core.adapters.binance.broker import BinanceBroker
from thunes_core.adapters.ledger import open_ledger
from thunes_core.domain.orders import ApprovedOrder, Leg, OrderRequest, OrderType, Side
from thunes_core.domain.portfolio import TradingState
from thunes_core.settings import LOCAL_KEY, LOCAL_SECRET

LOOKED_AT = 41


@pytest.mark.parametrize("method", ["keep_foreign", "set_cursor"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_trade_by_hand_is_kept_once_whenever_the_process_dies(trial, method, when):
    """Between its row and the cursor that passes it, too: it blocks, explains and halts nothing."""
    assert trial.tick(LOOKED_AT) == {"exit": 0}
    by_hand(trial.net.url)
    struck = {"method": method, "when": when, "nth": 1}
    assert trial.tick(LOOKED_AT + 1, **struck) == {"signal": signal.SIGKILL}
    assert trial.tick(LOOKED_AT + 1, 1) == {"exit": 0}
    ledger = open_ledger(trial.url)
    (kept,) = ledger.foreign_trades()
    assert (kept.side, kept.quantity) == (Side.BUY, Decimal("0.2"))
    assert ledger.cursor("BTCUSDT") == kept.trade_id
    assert ledger.fills().is_empty()
    assert ledger.trading_state().state is TradingState.ACTIVE
    assert "entries wait until `thunes reconcile --accept`" in str(ledger.last_tick())
    assert ledger.verify_audit().whole
    ledger.close()


def by_hand(url: str) -> None:
    """Buy at the market as a person does at the exchange."""
    broker = BinanceBroker(url, LOCAL_KEY, LOCAL_SECRET)
    asked = OrderRequest("BTCUSDT", Side.BUY, OrderType.MARKET, Decimal("0.2"), "web_1", Leg.ENTRY)
    broker.submit(ApprovedOrder(asked, START))
    broker.close()
