"""From target to order, with the numbers of semantics §3."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.worlds import HOUR, LOTS, START
from thunes_core.domain.bars import Interval
from thunes_core.domain.filters import broken_filter
from thunes_core.domain.instrument import Instrument, MarketLotSize
from thunes_core.domain.limits import Costs
from thunes_core.domain.orders import Leg, OrderType, Side
from thunes_core.domain.portfolio import Position
from thunes_core.trading.decide import View, decide, lots

INSTRUMENT = Instrument("BTCUSDT", "BTC", "USDT", filters=LOTS)
FLAT = Position("s", "BTCUSDT", cash=Decimal(1000), last_bar=START - HOUR)
LONG = replace(FLAT, cash=Decimal(0), quantity=Decimal(10), level=1.0, last_target=1.0)


def view(*targets: float, price: str = "100", exit_reason: str = "") -> View:
    """Return what a decision sees."""
    costs = Costs(taker_fee=0.001, slippage=0.0)
    return View(Interval.H1, START, targets, Decimal(price), INSTRUMENT, costs, exit_reason)


def test_a_new_target_buys_what_cash_and_fee_allow():
    """1000 / (100 × 1.001), down to a thousandth."""
    decision = decide(FLAT, view(0.0, 1.0))
    (order,) = decision.orders
    assert (order.side, order.type, order.quantity) == (
        Side.BUY,
        OrderType.MARKET,
        Decimal("9.990"),
    )
    assert (order.leg, order.level, order.reduces) == (Leg.ENTRY, 1.0, False)


def test_a_target_of_zero_sells_everything():
    """An exit carries the level 0 and reduces."""
    (order,) = decide(LONG, view(1.0, 0.0)).orders
    assert (order.side, order.quantity, order.level) == (Side.SELL, Decimal("10.000"), 0.0)
    assert order.reduces


def test_an_exit_beyond_the_largest_market_order_sells_what_one_order_may():
    """The exchange lowers that filter as volume falls; refusing it whole would be for ever."""
    smaller = MarketLotSize(Decimal(0), Decimal("4.0005"), Decimal(0))
    narrow = replace(INSTRUMENT, filters=(*LOTS, smaller))
    (order,) = decide(LONG, replace(view(1.0, 0.0), instrument=narrow)).orders
    assert order.quantity == Decimal("4.000")
    assert broken_filter(order, narrow, Decimal(100)) is None


def test_an_unchanged_target_asks_for_nothing():
    """Drift is left alone."""
    assert decide(LONG, view(1.0, 1.0, price="150")).orders == ()


def test_a_lower_target_sells_down_to_it():
    """Half of the equity stays."""
    (order,) = decide(LONG, view(1.0, 0.5)).orders
    assert (order.quantity, order.leg, order.level) == (Decimal("5.000"), Leg.REDUCE, 0.5)


def test_a_reduction_beyond_one_order_goes_on_at_the_next_bar():
    """The level is reached by the last part: the same target asks for it again."""
    smaller = MarketLotSize(Decimal(0), Decimal("3.0005"), Decimal(0))
    narrow = replace(INSTRUMENT, filters=(*LOTS, smaller))
    seen = replace(view(1.0, 0.5), instrument=narrow)
    (first,) = decide(LONG, seen).orders
    assert (first.quantity, first.leg, first.level) == (Decimal("3.000"), Leg.REDUCE, 1.0)
    assert broken_filter(first, narrow, Decimal(100)) is None
    later = replace(LONG, cash=Decimal(300), quantity=Decimal(7), last_target=0.5)
    (rest,) = decide(later, replace(view(0.5, 0.5), instrument=narrow)).orders
    assert (rest.quantity, rest.level) == (Decimal("2.000"), 0.5)


def test_a_block_lasts_until_the_target_changes():
    """After a protective exit the same target does not enter again; a changed one does."""
    blocked = replace(FLAT, blocked=True, last_target=1.0)
    assert decide(blocked, view(1.0, 1.0)).orders == ()
    assert decide(blocked, view(1.0, 1.0)).position.blocked
    again = decide(blocked, view(1.0, 0.5))
    assert not again.position.blocked
    assert len(again.orders) == 1


def test_a_change_in_missed_bars_lifts_the_block():
    """1, 0, 1 while nobody looked is a change."""
    blocked = replace(FLAT, blocked=True, last_target=1.0)
    assert not decide(blocked, view(1.0, 0.0, 1.0)).position.blocked


def test_a_cool_down_holds_back_increases_until_its_end():
    """The open at the very end of the cool-down is free."""
    cooling = replace(FLAT, cooldown_until=START + 2 * HOUR)
    assert decide(cooling, view(0.0, 1.0)).orders == ()
    ended = replace(FLAT, cooldown_until=START + HOUR)
    assert len(decide(ended, view(0.0, 1.0)).orders) == 1


def test_a_cool_down_never_holds_back_an_exit():
    """Leaving is always possible."""
    cooling = replace(LONG, cooldown_until=START + 9 * HOUR)
    assert len(decide(cooling, view(1.0, 0.0)).orders) == 1


def test_a_protective_reason_sells_all_although_the_target_stays():
    """The order says why."""
    (order,) = decide(LONG, view(1.0, 1.0, exit_reason="stop_loss")).orders
    assert (order.reason, order.leg, order.quantity) == ("stop_loss", Leg.STOP, Decimal("10.000"))


def test_a_signal_comes_before_protection():
    """At the open, the signal's exit is booked as the signal's."""
    (order,) = decide(LONG, view(1.0, 0.0, exit_reason="stop_loss")).orders
    assert order.reason == "signal"


def test_the_same_bar_gives_the_same_client_order_id():
    """The id is derived, never drawn."""
    first, second = (decide(FLAT, view(0.0, 1.0)).orders[0] for _ in range(2))
    assert first.client_order_id == second.client_order_id


def test_dust_counts_towards_the_holding():
    """What is there already is not bought again: (500.025 - 0.05) / 100.1."""
    dusty = replace(FLAT, dust=Decimal("0.0005"))
    (order,) = decide(dusty, view(0.0, 0.5)).orders
    assert order.quantity == Decimal("4.994")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.3, "0.300"), (0.29999999999999, "0.300"), (0.2999, "0.299"), (0.0, "0.000")],
)
def test_floats_become_lots_downwards_forgiving_a_billionth(value, expected):
    """The same rule as the backtest's floor_step, exact in Decimal."""
    assert lots(value, INSTRUMENT) == Decimal(expected)


def test_without_a_step_the_assets_precision_counts():
    """Eight digits, down."""
    free = Instrument("BTCUSDT", "BTC", "USDT")
    assert lots(0.123456789, free) == Decimal("0.12345678")
