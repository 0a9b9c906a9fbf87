"""The price path through the candles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.thunes_core.testnet.markets import HOUR_MS, START_MS, Ohlc, bars
from thunes_core.testnet.series import PathOrder, Series, frame_of, series_of

ROWS: list[Ohlc] = [(100.0, 104.0, 98.0, 103.0), (105.0, 106.0, 101.0, 102.0)]


def path(rows: list[Ohlc] = ROWS, order: PathOrder = PathOrder.LOW_FIRST) -> Series:
    """Return the path through `rows`."""
    return series_of(bars(rows), order)


@pytest.mark.parametrize(
    ("after_ms", "price"),
    [
        (0, 100.0),
        (HOUR_MS // 6, 99.0),
        (HOUR_MS // 3, 98.0),
        (HOUR_MS // 2, 101.0),
        (2 * HOUR_MS // 3, 104.0),
        (HOUR_MS - 1, 103.0),
        (HOUR_MS, 105.0),
        (2 * HOUR_MS - 1, 102.0),
        (9 * HOUR_MS, 102.0),
        (-1, 100.0),
    ],
)
def test_price_runs_from_open_over_the_extremes_to_the_close(after_ms: int, price: float) -> None:
    """Corners lie on thirds of the hour; a boundary has exactly the new open; holes rest."""
    assert path().price_at(START_MS + after_ms) == pytest.approx(price, abs=1e-3)


def test_order_of_extremes_follows_the_option() -> None:
    """By colour a falling candle shows its high first; low first always the low; seed is stable."""
    falling = [(100.0, 104.0, 96.0, 98.0)]
    third = START_MS + HOUR_MS // 3
    assert path(falling, PathOrder.COLOUR).price_at(third) == 104.0
    assert path(falling, PathOrder.LOW_FIRST).price_at(third) == 96.0
    tossed = [path(falling * 40, PathOrder.SEED).knots(i)[1][1] for i in range(40)]
    assert set(tossed) == {104.0, 96.0}
    assert tossed == [path(falling * 40, PathOrder.SEED).knots(i)[1][1] for i in range(40)]


def test_a_running_candle_knows_only_what_was_seen() -> None:
    """Half way: the low is known, the high not yet, and half of the volume."""
    candle = path().candle_at(0, START_MS + HOUR_MS // 2)
    assert (candle.open, candle.low, candle.close) == (100.0, 98.0, pytest.approx(101.0))
    assert candle.high == pytest.approx(101.0)
    assert candle.volume == 5.0
    assert candle.close_ms == START_MS + HOUR_MS - 1


def test_crossing_at_an_open_that_leaps_over_the_level_tells_the_jump() -> None:
    """From a close of 103 to an open of 105: the level 104.5 is leapt over exactly at the open."""
    found = path().first_crossing(
        START_MS + HOUR_MS - 1, START_MS + 2 * HOUR_MS, 104.5, falling=False, touch=False
    )
    assert found is not None
    assert (found.time_ms, found.jump) == (START_MS + HOUR_MS, 105.0)


@pytest.mark.parametrize(("touch", "found"), [(True, True), (False, False)])
def test_an_extreme_equal_to_the_level_only_touches(touch: bool, found: bool) -> None:
    """The high 104 touches 104, and does not go through it."""
    crossing = path().first_crossing(
        START_MS, START_MS + HOUR_MS - 1, 104.0, falling=False, touch=touch
    )
    assert (crossing is not None) is found


@given(
    level=st.floats(95, 108),
    after=st.integers(0, 130),
    length=st.integers(1, 60),
    falling=st.booleans(),
    touch=st.booleans(),
)
def test_crossing_is_what_a_search_minute_by_minute_finds(
    level: float, after: int, length: int, falling: bool, touch: bool
) -> None:
    """No price before the crossing is past the level, and where none is found none is past it."""
    series = path([*ROWS, (99.0, 100.0, 96.0, 97.0)])
    start, end = START_MS + after * 60_000, START_MS + (after + length) * 60_000

    def past(price: float) -> bool:
        gap = level - price if falling else price - level
        return gap > 1e-9

    if past(series.price_at(start)):
        return
    found = series.first_crossing(start, end, level, falling=falling, touch=touch)
    until = found.time_ms - 1 if found else end
    times = np.linspace(start, until, 400).astype(int)
    assert not any(past(series.price_at(int(t))) for t in times)
    if found:
        assert start < found.time_ms <= end


def test_frame_of_a_series_is_the_frame_it_came_from() -> None:
    """Bars to series and back lose nothing."""
    assert frame_of(path(), "BTCUSDT").equals(bars(ROWS))
