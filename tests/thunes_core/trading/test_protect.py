"""Protective exits judged on closed bars."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from tests.worlds import HOUR, START, candles_of
from thunes_core.domain.limits import Protection
from thunes_core.domain.portfolio import Position
from thunes_core.indicators.columns import Columns, columns_of
from thunes_core.trading.protect import watch_bars, watch_price

LONG = Position(
    "s",
    "BTCUSDT",
    cash=Decimal(0),
    quantity=Decimal(1),
    average_price=Decimal(100),
    entry_time=START,
    high_water=100.0,
    level=1.0,
)


def closed(rows: list[tuple[float, float, float, float]]) -> Columns:
    """Return hourly bars of (open, high, low, close) as a tick has them."""
    return columns_of(candles_of(rows))


def test_a_low_at_the_stop_asks_to_leave():
    """5 % below 100 is 95; a low of 95 touches it."""
    watch = watch_bars(
        LONG, closed([(100, 101, 99, 100), (100, 101, 95, 96)]), Protection(stop_loss=0.05)
    )
    assert watch.reason == "stop_loss"


def test_a_quiet_bar_raises_the_high_water_only():
    """The highest high since the entry is remembered."""
    watch = watch_bars(
        LONG, closed([(100, 108, 99, 100), (100, 103, 99, 100)]), Protection(stop_loss=0.05)
    )
    assert (watch.reason, watch.position.high_water) == ("", 108.0)


def test_a_trail_uses_the_high_of_earlier_bars_only():
    """The second bar's own high of 120 does not move its stop; 110 × 0.98 = 107.8 does."""
    rows = [(100, 110, 99, 109), (109, 120, 108, 119)]
    protection = Protection(trailing_stop=0.02)
    assert watch_bars(LONG, closed(rows[:1]), protection).reason == ""
    quiet = watch_bars(LONG, closed(rows), protection)
    assert (quiet.reason, quiet.position.high_water) == ("", 120.0)
    dips = [(100, 110, 99, 109), (109, 120, 107, 119)]
    assert watch_bars(LONG, closed(dips), protection).reason == "trailing_stop"


def test_a_target_is_taken():
    """10 % above 100."""
    watch = watch_bars(
        LONG, closed([(100, 101, 99, 100), (100, 111, 99, 105)]), Protection(take_profit=0.1)
    )
    assert watch.reason == "take_profit"


def test_bars_seen_before_are_not_judged_again():
    """Only what comes after the last bar counts."""
    rows = [(100, 101, 90, 100), (100, 101, 99, 100)]
    seen = replace(LONG, last_bar=START)
    assert watch_bars(seen, closed(rows), Protection(stop_loss=0.05)).reason == ""


def test_bars_closed_before_the_entry_do_not_count():
    """Their lows were not ours."""
    rows = [(100, 101, 90, 100), (100, 101, 99, 100)]
    later = replace(LONG, entry_time=START + HOUR)
    assert watch_bars(later, closed(rows), Protection(stop_loss=0.05)).reason == ""


def test_an_entry_long_after_the_open_does_not_inherit_that_bars_low():
    """A bar that was mostly over says nothing about the position."""
    rows = [(100, 101, 90, 100), (100, 101, 99, 100)]
    later = replace(LONG, entry_time=START + timedelta(minutes=30))
    assert watch_bars(later, closed(rows), Protection(stop_loss=0.05)).reason == ""


def test_the_price_of_now_can_ask_to_leave():
    """Between bars the latest price is judged."""
    assert watch_price(LONG, 94.9, Protection(stop_loss=0.05)) == "stop_loss"
    assert watch_price(LONG, 95.1, Protection(stop_loss=0.05)) == ""


def test_a_flat_book_is_never_asked_to_leave():
    """Nothing held, nothing to protect."""
    flat = Position("s", "BTCUSDT", cash=Decimal(1000))
    assert watch_price(flat, 1.0, Protection(stop_loss=0.05)) == ""
