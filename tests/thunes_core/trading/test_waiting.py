"""Limit entries on the live path: they rest, fill, are withdrawn and never double (R32)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.thunes_core.trading.test_step import held, run
from tests.worlds import BarsMarket, bars_of, small_world, wave
from thunes_core.domain.limits import LimitEntry, Protection
from thunes_core.domain.orders import OrderStatus, OrderType
from thunes_core.domain.portfolio import TradingState
from thunes_core.trading.step import tick

STOP = Protection(stop_loss=0.05)


def world(tmp_path, entry: LimitEntry, protection: Protection = STOP):
    """Return a small world whose entries are limit orders."""
    made = small_world(tmp_path, BarsMarket(bars_of(wave())), protection=protection)
    made.plan = replace(made.plan, entry=entry)
    return made


def until_asked(small) -> int:
    """Tick until an entry was sent; return that bar."""
    for bar in range(41, 80):
        if run(small, bar).orders:
            return bar
    raise AssertionError("the wave never made the strategy buy")


def entries(small) -> list[dict[str, object]]:
    """Return the buys of the ledger."""
    return [row for row in small.ledger.orders().to_dicts() if row["side"] == "BUY"]


def test_an_entry_rests_below_the_close_decided_on(tmp_path):
    """2 % below, as a limit order; nothing is held and nothing else is sent while it rests."""
    small = world(tmp_path, LimitEntry(offset=0.02, timeout_bars=9))
    bar = until_asked(small)
    close = small.market.frames["BTCUSDT"]["close"][bar - 1]
    (resting,) = small.broker.inner.open_orders()
    assert resting.type is OrderType.LIMIT
    assert float(resting.price) == pytest.approx(close * 0.98, abs=1e-8)
    report = run(small, bar + 1, bar + 2)
    assert len(entries(small)) == 1
    assert report.decisions[0].why == "its limit entry rests"
    assert not held(small).is_open
    small.ledger.close()


def test_a_fill_is_booked_and_protected_by_the_next_tick(tmp_path):
    """The price traded through the limit: maker fee, a stop rests."""
    small = world(tmp_path, LimitEntry(offset=0.02, timeout_bars=9))
    bar = until_asked(small)
    small.market.prices["BTCUSDT"] = Decimal(95)
    run(small, bar + 1)
    assert held(small).is_open
    (stop,) = small.broker.inner.open_orders()
    assert stop.type is OrderType.STOP_LOSS
    assert stop.quantity == held(small).quantity
    (fill,) = small.ledger.fills().to_dicts()
    assert fill["is_maker"]
    small.ledger.close()


def test_one_that_is_not_filled_in_time_is_withdrawn_until_the_target_changes(tmp_path):
    """Cancelled at the open after its bars; the same rise makes no other, the next rise does."""
    small = world(tmp_path, LimitEntry(offset=0.2, timeout_bars=2))
    bar = until_asked(small)
    run(small, bar + 1)
    assert len(small.broker.inner.open_orders()) == 1
    report = run(small, bar + 2)
    assert small.broker.inner.open_orders() == []
    assert report.decisions[0].why == "its limit entry was not filled in time"
    run(small, *range(bar + 3, bar + 12))
    assert len(entries(small)) == 1
    run(small, *range(bar + 12, bar + 50))
    assert len(entries(small)) == 2
    small.ledger.close()


def test_one_that_is_not_filled_in_time_becomes_a_market_order_where_asked(tmp_path):
    """Bought at the open after its bars, once, and protected."""
    small = world(tmp_path, LimitEntry(offset=0.2, timeout_bars=1, then_market=True))
    bar = until_asked(small)
    run(small, bar + 1)
    assert held(small).is_open
    assert [row["type"] for row in entries(small)] == ["LIMIT", "MARKET"]
    assert [row["status"] for row in entries(small)] == ["CANCELED", "FILLED"]
    assert [o.type for o in small.broker.inner.open_orders()] == [OrderType.STOP_LOSS]
    small.ledger.close()


def test_a_change_of_target_withdraws_it(tmp_path):
    """The signal is gone before it was filled."""
    small = world(tmp_path, LimitEntry(offset=0.2, timeout_bars=99))
    bar = until_asked(small)
    while small.broker.inner.open_orders() and bar < 100:
        bar += 1
        run(small, bar)
    assert small.ledger.decisions()["target"][-1] == 0.0
    (order,) = entries(small)
    assert order["status"] == OrderStatus.CANCELED
    small.ledger.close()


@pytest.mark.parametrize("unarmed", [{"armed": False}, {"identity": "another account"}])
def test_one_that_rests_when_arming_ended_is_withdrawn(tmp_path, unarmed):
    """Real money is let in for a time: an order that waits does not outlive it."""
    small = world(tmp_path, LimitEntry(offset=0.2, timeout_bars=9))
    bar = until_asked(small)
    run(small, bar + 1)
    assert len(small.broker.inner.open_orders()) == 1
    small.plan = replace(small.plan, **unarmed)
    small.market.now += timedelta(minutes=10)
    tick(small.world, small.plan)
    assert small.broker.inner.open_orders() == []
    small.ledger.close()


@pytest.mark.parametrize("state", [TradingState.REDUCING, TradingState.HALTED])
def test_nothing_may_be_bought_any_more_withdraws_it_at_once(tmp_path, state):
    """Cancels only, or reductions only: a resting buy is neither."""
    small = world(tmp_path, LimitEntry(offset=0.2, timeout_bars=99))
    until_asked(small)
    small.ledger.set_trading_state(state, reason="look", author="me")
    tick(small.world, small.plan)
    assert small.broker.inner.open_orders() == []
    small.ledger.close()


def test_a_fill_while_it_is_withdrawn_is_booked_and_not_bought_again(tmp_path):
    """The cancel came too late: what was bought is the position."""
    small = world(tmp_path, LimitEntry(offset=0.02, timeout_bars=1, then_market=True))
    bar = until_asked(small)
    honest = small.broker.inner.cancel

    def too_late(symbol, client_order_id):
        small.market.prices["BTCUSDT"] = Decimal(95)
        small.market.now += timedelta(seconds=30)
        return honest(symbol, client_order_id)

    small.broker.inner.cancel = too_late
    run(small, bar + 1)
    assert held(small).is_open
    assert [row["side"] for row in small.ledger.fills().to_dicts()] == ["BUY"]
    assert [row["type"] for row in entries(small)] == ["LIMIT"]
    small.ledger.close()
