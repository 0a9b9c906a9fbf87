"""Resampling is exact: it agrees with the exchange's own coarser bars in every field."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache

import polars as pl
import pytest

from tests.thunes_core.adapters.bars.frames import bars_of, real
from thunes_core.domain.agreement import differing
from thunes_core.domain.bars import PRICES, VOLUMES, Interval, gaps, resample

SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT")
STEPS = [("15m", "1h"), ("15m", "4h"), ("15m", "1d"), ("1h", "4h"), ("1h", "1d"), ("4h", "1d")]
HALT = datetime(2023, 3, 24, 12, tzinfo=UTC)


@cache
def own(symbol: str, interval: str) -> pl.DataFrame:
    """Return the exchange's own bars."""
    name = f"bars/binance_spot__{symbol}__{interval}__finom__to2025H1"
    return real(name, symbol, Interval(interval))


@pytest.mark.parametrize(("fine", "coarse"), STEPS)
@pytest.mark.parametrize("symbol", SYMBOLS)
def test_built_bars_equal_the_exchange_s_own(symbol: str, fine: str, coarse: str) -> None:
    """Every field of every coarse bar, halts and outages included."""
    built, theirs = resample(own(symbol, fine), Interval(coarse)), own(symbol, coarse)
    covered = theirs.filter(
        pl.col("open_time").is_between(built["open_time"][0], built["open_time"][-1])
    )
    assert built["open_time"].equals(covered["open_time"])
    assert differing(built, theirs).is_empty()


@pytest.mark.parametrize(
    ("fine", "coarse", "interval"),
    [
        ("BTCUSDT__5m__harthor__to2025H1", "BTCUSDT__15m__finom__to2025H1", Interval.M15),
        ("ETHUSDT__5m__harthor__to2025H1", "ETHUSDT__1h__finom__to2025H1", Interval.H1),
        ("BTCUSDT__1m__ga_rd", "BTCUSDT__5m__ga_rd", Interval.M5),
    ],
)
def test_bars_of_other_collectors_agree_too(fine: str, coarse: str, interval: Interval) -> None:
    """One and five minutes of other sources build the same bars."""
    symbol, kind = fine.split("__")[:2]
    built = resample(real(f"bars/binance_spot__{fine}", symbol, Interval(kind)), interval)
    theirs = real(f"bars/binance_spot__{coarse}", symbol, interval)
    inner = built[1:-1]  # a collector's first and last coarse bar may be cut
    assert inner.height > 1000
    assert differing(inner, theirs, (*PRICES, "volume")).is_empty()


def test_a_bar_without_trades_sets_no_price() -> None:
    """Taking the first open blindly goes wrong in exactly one bar of all: the halt of 2023."""
    hours, theirs = own("BTCUSDT", "1h"), own("BTCUSDT", "4h")
    assert [g.start for g in gaps(hours, Interval.H1)] == [HALT.replace(hour=13)]
    naive = resample(hours.with_columns(trades=pl.col("trades").clip(1)), Interval.H4)
    assert differing(naive, theirs, PRICES)["open_time"].to_list() == [HALT]


def test_a_coarse_bar_of_quiet_bars_keeps_their_prices() -> None:
    """Where nothing was traded at all, the carried price is all there is."""
    quiet = bars_of([5.0] * 4).with_columns(
        trades=pl.lit(0, pl.Int64()), **{name: pl.lit(0.0) for name in VOLUMES}
    )
    built = resample(quiet, Interval.H4)
    assert built.select(*PRICES).row(0) == (5, 5, 5, 5)


def test_symbols_are_resampled_apart() -> None:
    """Bars of two symbols never meet in one coarse bar."""
    both = pl.concat([bars_of([1, 2, 3, 4]), bars_of([10, 20, 30, 40], symbol="ETHUSDT")])
    built = resample(both.sort("open_time"), Interval.H4)
    assert built.select("symbol", "close").rows() == [("BTCUSDT", 4), ("ETHUSDT", 40)]
