"""A process that was stopped between claim and wire sends nothing late."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.contracts.test_broker import COSTS, ROWS, order
from tests.worlds import START, candles_of
from thunes_core.adapters.binance import broker as module
from thunes_core.adapters.binance.broker import MARGIN, PATIENCE, BinanceBroker
from thunes_core.clock import SystemClock
from thunes_core.errors import ExchangeUnavailable
from thunes_core.settings import LOCAL_KEY, LOCAL_SECRET
from thunes_core.testnet.app import serve_in_thread
from thunes_core.testnet.market import replayed_market


@pytest.fixture()
def broker():
    """Trade on a local testnet."""
    market = replayed_market([candles_of(ROWS)], start=START)
    with serve_in_thread(market, cash=1000, costs=COSTS) as net:
        made = BinanceBroker(net.url, LOCAL_KEY, LOCAL_SECRET)
        yield made
        made.close()


def test_an_order_that_leaves_too_late_after_ready_is_stopped_before_the_wire(broker, monkeypatch):
    """`ready` was long ago by the clock that stamps the request: provably nothing was sent."""

    class LongAgo(SystemClock):
        def now(self):
            return super().now() - PATIENCE - timedelta(seconds=1)

    with monkeypatch.context() as patched:
        patched.setattr(module, "SystemClock", LongAgo)
        broker._sync = lambda: None
        broker.client.timestamp_offset = 0
        broker.ready()
    with pytest.raises(ExchangeUnavailable, match="ms too late; nothing was sent"):
        broker.submit(order())
    del broker._sync
    assert broker.order("BTCUSDT", "th-1") is None


def test_an_order_in_time_is_sent_and_the_next_needs_its_own_ready(broker):
    """The limit holds for one request."""
    at = broker.ready()
    assert abs(at - START) < timedelta(seconds=5)
    assert broker.submit(order()).client_order_id == "th-1"
    assert broker._latest_ms is None


def test_patience_is_within_the_margin_after_which_not_found_counts():
    """The settle time counts from `ready`."""
    assert PATIENCE < MARGIN
