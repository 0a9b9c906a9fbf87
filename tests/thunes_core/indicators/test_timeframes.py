"""Whole slow bars beside fast ones: hand-made frames, real series of several stored intervals."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from tests.thunes_core.adapters.bars.frames import bars_of, real
from tests.worlds import START
from thunes_core.adapters.bars.store import BarStore
from thunes_core.domain.bars import Interval, resample
from thunes_core.indicators import seen, slow_bars

HOUR = timedelta(hours=1)


def minutes(closes, skip=()):
    """Return 15-minute bars from the start of a day."""
    return bars_of(closes, start=START, interval=Interval.M15, skip=skip)


def test_a_slow_bar_is_seen_from_its_close_on():
    """Four quarters make an hour: the fourth sees it, the first three see the hour before."""
    fast = minutes([1, 2, 3, 4, 5, 6, 7, 8, 9])
    both = seen(fast, slow_bars(fast, Interval.H1))
    assert both["slow_close"].to_list() == [None, None, None, 4, 4, 4, 4, 8, 8]
    assert both["slow_high"].to_list()[3:] == [4, 4, 4, 4, 8, 8]
    assert both["slow_open_time"][8] == START + HOUR
    assert both.columns[:12] == fast.columns


def test_a_missing_fast_bar_delays_nothing_and_shows_nothing_early():
    """The quarter that would complete the hour is missing: the next one sees it."""
    fast = minutes([1, 2, 3, 4, 5, 6], skip=[3])
    both = seen(fast, slow_bars(fast, Interval.H1))
    assert both["slow_close"].to_list() == [None, None, None, 3, 3]


def test_a_slow_bar_that_was_begun_before_the_first_fast_one_is_not_whole():
    """Bars from 00:30: the hour of 00:00 is left out, that of 01:00 is there."""
    fast = minutes([1, 2, 3, 4, 5, 6])[2:]
    assert slow_bars(fast, Interval.H1)["open_time"].to_list() == [START + HOUR]


def test_no_bars_see_nothing():
    """The columns stand there."""
    empty = minutes([1.0]).head(0)
    assert seen(empty, slow_bars(empty, Interval.H1)).height == 0
    assert seen(minutes([1.0]), empty)["slow_close"].to_list() == [None]


def test_the_future_of_a_slow_bar_is_never_seen():
    """Whatever comes after a fast bar, what it sees stays."""
    rng = np.random.default_rng(4)
    closes = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 200)))
    fast = minutes(closes.tolist())
    whole = seen(fast, slow_bars(fast, Interval.H4))
    for cut in range(150, 170):
        known = fast.head(cut)
        assert seen(known, slow_bars(known, Interval.H4)).equals(whole.head(cut))


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT"])
@pytest.mark.parametrize("slow", [Interval.H1, Interval.H4, Interval.D1])
def test_several_stored_intervals_show_what_the_exchange_had_closed(tmp_path, symbol, slow):
    """Real bars of two intervals in one lake: stored and built ones are seen alike, none early."""
    fast_bars = real(f"bars/binance_spot__{symbol}__15m__finom__to2025H1", symbol, Interval.M15)
    own = real(f"bars/binance_spot__{symbol}__{slow}__finom__to2025H1", symbol, slow)
    store = BarStore(tmp_path)
    for bars, interval in ((fast_bars, Interval.M15), (own, slow)):
        store.replace_window(
            bars,
            symbol=symbol,
            interval=interval,
            start=bars["open_time"][0],
            end=bars["open_time"][-1] + interval.duration,
            observed_at=bars["open_time"][-1],
        )
    fast, stored = store.read(symbol, Interval.M15), store.read(symbol, slow)
    both = seen(fast, stored)
    decided, closes_at = (
        both["open_time"] + Interval.M15.duration,
        both["slow_open_time"] + slow.duration,
    )
    assert (closes_at <= decided).all()
    assert (decided - closes_at < slow.duration).mean() > 0.99  # and not later than needed
    built = seen(fast, resample(fast, slow)).drop_nulls("slow_close")
    prices = [name for name in both.columns if not name.endswith(("volume", "base", "quote"))]
    same = both.filter(pl.col("slow_open_time") >= fast["open_time"][0])
    assert built.select(prices).equals(same.select(prices))
