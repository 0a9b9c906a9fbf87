"""Protection that a filter does not let be placed: the stop counts; else the position is closed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.thunes_core.trading.test_step import first_buy, held, run
from tests.thunes_core.trading.test_unprotected import Watched, watched
from tests.worlds import LOTS, BarsMarket, Small, bars_of, small_world, wave
from thunes_core.domain.instrument import Filter, PercentPrice
from thunes_core.domain.limits import Protection
from thunes_core.domain.orders import OrderType
from thunes_core.domain.portfolio import TradingState
from thunes_core.trading.step import tick

__all__ = ["watched"]
FAR, BOTH = Decimal(5), Protection(stop_loss=0.05, take_profit=0.3)
NEAR = PercentPrice(FAR, Decimal("0.2"), Decimal("1.1"), Decimal("0.2"))
"""Sells at most a tenth above the average price: a target of 30 % may not be placed."""


def world(folder: Path, *filters: Filter, protection: Protection = BOTH) -> Small:
    """Return a wave of prices under those filters."""
    market = BarsMarket(bars_of(wave()), filters=filters)
    return small_world(folder, market, protection=protection)


@pytest.fixture()
def near(tmp_path: Path) -> Iterator[Small]:
    """Return a world in which the target of a pair is refused."""
    made = world(tmp_path, *LOTS, NEAR)
    yield made
    made.ledger.close()


def test_a_stop_rests_alone_where_its_target_may_not_be_placed(near):
    """Too far from the price for the exchange: no reason to stand bare."""
    bar = first_buy(near)
    (stop,) = near.broker.inner.open_orders()
    assert stop.type is OrderType.STOP_LOSS
    assert stop.quantity == held(near).quantity
    orders = near.ledger.orders().height
    run(near, bar + 1)
    assert near.ledger.orders().height == orders
    assert len(near.broker.inner.open_orders()) == 1


def test_the_target_comes_back_once_it_may_be_placed(near):
    """The price rose towards it: stop and target rest as pairs, which cover all."""
    bar = first_buy(near)
    entry = held(near).average_price
    near.market.stand_at(bar + 1)
    near.market.prices["BTCUSDT"] = entry * Decimal("1.2")
    run(near, bar + 1)
    for kind in (OrderType.STOP_LOSS, OrderType.LIMIT_MAKER):
        rest = [one for one in near.broker.inner.open_orders() if one.type is kind]
        assert sum(one.quantity for one in rest) == held(near).quantity


def test_a_target_that_does_not_rest_is_watched_by_ticks(near):
    """Between two bars the price is there: the stop beside it gives way to the sale."""
    first_buy(near)
    near.market.now += timedelta(minutes=10)
    near.market.prices["BTCUSDT"] = held(near).average_price * Decimal("1.31")
    tick(near.world, near.plan)
    (trade,) = near.ledger.trades().to_dicts()
    assert trade["reason"] == "take_profit"
    assert near.broker.inner.open_orders() == []


def test_an_entry_brings_its_stop_where_the_target_may_not_be_placed(watched: Watched):
    """One list with the stop alone, instead of an entry with nothing; the exchange agrees."""
    band = watched.net.exchange.market.listing("BTCUSDT").filters["PERCENT_PRICE_BY_SIDE"]
    band["askMultiplierUp"] = "1.1"
    watched.enter()
    assert len(watched.stops()) == 1
    assert watched.bare_seconds == 0
    orders = {row["leg"]: row for row in watched.ledger.orders().to_dicts()}
    assert set(orders) == {"entry", "stop"}
    assert orders["entry"]["list_id"] == orders["stop"]["list_id"] != ""


def test_a_position_whose_stop_may_not_be_placed_is_closed_with_an_alarm(tmp_path, monkeypatch):
    """Stop-limit orders alone are taken, and theirs would be too far away: nothing stays bare."""
    low = PercentPrice(FAR, Decimal("0.2"), FAR, Decimal("0.97"))
    small = world(tmp_path, *LOTS, low, protection=Protection(stop_loss=0.1))
    honest, kinds = small.market.instruments, ("MARKET", "LIMIT", "STOP_LOSS_LIMIT")

    def limited(symbols=None):
        return {name: replace(one, order_types=kinds) for name, one in honest(symbols).items()}

    monkeypatch.setattr(small.market, "instruments", limited)
    first_buy(small)
    notes = small.ledger.last_tick()["notes"]
    assert not held(small).is_open, notes
    alarm = "ALARM BTCUSDT: protection is refused, PERCENT_PRICE"
    assert any(note.startswith(alarm) for note in notes)
    assert held(small).blocked
    small.ledger.close()


def test_what_can_be_neither_protected_nor_sold_is_only_named(near):
    """HALTED lets neither through: no alarm at every tick for it."""
    bar = first_buy(near)
    for order in near.broker.inner.open_orders():
        near.broker.inner.cancel("BTCUSDT", order.client_order_id)
    near.ledger.set_trading_state(TradingState.HALTED, reason="look", author="me")
    report = run(near, bar + 1)
    assert held(near).is_open
    assert any("not protected at the exchange, trading is HALTED" in n for n in report.notes)
    assert not any("ALARM" in note for note in report.notes)
