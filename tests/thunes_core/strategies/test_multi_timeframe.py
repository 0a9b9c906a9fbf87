"""A slow bar is visible only from its close on (semantics §1, last point)."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from tests.shared_data import shared
from tests.thunes_core.strategies.frames import START, bars_of
from thunes_core.domain.bars import Interval, resample
from thunes_core.indicators import slow_closes
from thunes_core.strategies.base import build

HOUR_US = 3_600_000_000


def seen_closes(bars, bar_us, multiple):
    """Return what each fast bar sees of the slow closes, NaN where nothing closed yet."""
    time = bars["open_time"].dt.epoch("us").to_numpy()
    closes, volume = bars["close"].to_numpy(), bars["volume"].to_numpy()
    slow = slow_closes(time, closes, volume, bar_us, multiple)
    return np.append(slow.close, np.nan)[slow.visible].tolist()


def test_a_slow_bar_is_seen_by_the_fast_bar_that_completes_it():
    """Four hours make a bar: hour 3 sees the close of hour 3, hours 0 to 2 see nothing."""
    seen = seen_closes(bars_of([1, 2, 3, 4, 5, 6, 7, 8, 9]), HOUR_US, 4)
    assert np.isnan(seen[:3]).all() and seen[3:] == [4, 4, 4, 4, 8, 8]


def test_the_grid_is_that_of_utc_not_of_the_first_bar():
    """Bars that begin at 02:00 complete the first four hours at 03:59."""
    seen = seen_closes(bars_of([1, 2, 3, 4], start=START + timedelta(hours=2)), HOUR_US, 4)
    assert np.isnan(seen[0]) and seen[1:] == [2, 2, 2]


def test_after_a_gap_the_slow_bar_counts_from_its_close_with_what_it_saw():
    """Hours 3 and 4 are missing: hour 5 is the first to see the bar of hours 0 to 2."""
    bars = bars_of([1, 2, 3, 4, 5, 6, 7])
    seen = seen_closes(pl.concat([bars[:3], bars[5:]]), HOUR_US, 4)
    assert np.isnan(seen[:3]).all() and seen[3:] == [3, 3]


def test_a_bar_without_volume_sets_no_close():
    """As in resampling: the close is that of the last traded hour, unless none was traded."""
    quiet_end = bars_of([1, 2, 3, 9], volumes=[1, 1, 1, 0])
    all_quiet = bars_of([1, 2, 3, 9], volumes=[0, 0, 0, 0])
    assert seen_closes(quiet_end, HOUR_US, 4)[3] == 3
    assert seen_closes(all_quiet, HOUR_US, 4)[3] == 9


def test_what_is_seen_are_the_exchanges_own_slow_bars():
    """Real 15m bars: what is seen of an hour equals Binance's own 1h bar, from its close on."""
    name = "data/bars/binance_spot__BTCUSDT__{}__finom__to2025H1.parquet"
    fast = pl.read_parquet(shared(name.format("15m")))
    hourly = pl.read_parquet(shared(name.format("1h")))
    seen = fast.select(
        "open_time",
        decided=pl.col("open_time") + timedelta(minutes=15),
        seen=pl.Series(seen_closes(fast, HOUR_US // 4, 4)),
    )
    known = hourly.select(closed=pl.col("open_time") + timedelta(hours=1), theirs="close")
    both = seen.join_asof(known, left_on="decided", right_on="closed")[3:]
    assert len(both) > 10_000
    np.testing.assert_array_equal(both["seen"], both["theirs"])


@pytest.mark.parametrize(("interval", "coarse"), [("1h", Interval.H4), ("15m", Interval.H1)])
def test_closes_equal_those_of_resampling(interval, coarse):
    """The strategy's slow closes are those of `domain.bars.resample`, halts included."""
    path = shared(f"data/bars/binance_spot__BTCUSDT__{interval}__finom__to2025H1.parquet")
    fast = pl.read_parquet(path).rename({"timeframe": "interval"})
    time, close = fast["open_time"].dt.epoch("us").to_numpy(), fast["close"].to_numpy()
    bar_us = Interval(interval).minutes * 60_000_000
    slow = slow_closes(time, close, fast["volume"].to_numpy(), bar_us, 4)
    filled = fast.with_columns(taker_buy_base=0.0, taker_buy_quote=0.0)
    np.testing.assert_array_equal(slow.close, resample(filled, coarse)["close"])


def test_a_slow_turn_counts_only_from_its_close():
    """Price leaps within a slow bar: the fast trend turns at once, the exposure at the close."""
    closes = [*[10.0] * 8, *[9.0] * 8, 12, 13, 14, 15, 16, 17]
    bars = bars_of(closes)
    exposure = build(
        "multi_timeframe_trend", {"fast": 1, "slow": 2, "multiple": 4, "trend": 2}
    ).target_exposure(bars)
    assert exposure.to_list() == [0.0] * 19 + [1.0] * 3


def test_what_comes_later_in_the_slow_bar_is_not_known():
    """Changing the rest of an open slow bar changes no value before its close."""
    rng = np.random.default_rng(2)
    closes = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 400)))
    strategy = build("multi_timeframe_trend", {"fast": 2, "slow": 5, "multiple": 12, "trend": 3})
    usual = strategy.target_exposure(bars_of(closes))
    for cut in range(300, 312):
        crashed = np.append(closes[:cut], closes[cut:] * 0.2)
        assert strategy.target_exposure(bars_of(crashed))[:cut].equals(usual[:cut])
