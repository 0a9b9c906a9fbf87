"""Resampling is exact: it agrees with the exchange's own coarser bars in every field."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import product

import polars as pl
import pytest

from tests.shared_data import shared
from tests.thunes_core.adapters.bars.frames import bars_of, real
from thunes_core.adapters.bars.importers import ImportedBars, read_file
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


RESTATED = {date(2021, 4, 21), date(2021, 4, 22), date(2021, 4, 23), date(2020, 2, 29)}
"""Days that the exchange told otherwise later: dumps of that time hold the older version."""
OLD_DUMPS = ("selskas", "tooyip", "basana")


def series() -> list[tuple[str, str, Interval, str]]:
    """Return venue, symbol, interval and name of every real series of intervals we know."""
    try:
        folder = shared("data/bars")
    except pytest.skip.Exception:
        return []
    names = sorted(path.stem for path in folder.glob("*.parquet"))
    parts = [(name.split("__"), name) for name in names]
    return [(p[0], p[1], Interval(p[2]), name) for p, name in parts if p[2] in set(Interval)]


def pairs() -> list[tuple[str, str]]:
    """Return every two series of one market of which one can be built from the other."""
    return [
        (fine[3], coarse[3])
        for fine, coarse in product(series(), series())
        if fine[:2] == coarse[:2]
        and fine[2].minutes < coarse[2].minutes
        and coarse[2].minutes % fine[2].minutes == 0
    ]


@cache
def told(name: str) -> ImportedBars:
    """Return a real series as it is imported."""
    _, symbol, kind, *_ = name.split("__")
    path = shared(f"data/bars/{name}.parquet")
    return read_file(path, symbol=symbol, interval=Interval(kind))


@pytest.mark.parametrize(("fine", "coarse"), pairs())
def test_every_two_series_of_a_market_agree(fine: str, coarse: str) -> None:
    """Whoever collected them, in every field both have; old dumps differ on restated days only.

    The first and last coarse bar of a collector may be cut.
    """
    interval = Interval(coarse.split("__")[2])
    built, own_bars = resample(told(fine).bars, interval)[1:-1], told(coarse).bars[1:-1]
    low = max(built["open_time"].min(), own_bars["open_time"].min(), key=_comparable)
    high = min(built["open_time"].max(), own_bars["open_time"].max(), key=_comparable)
    inside = pl.col("open_time").is_between(low, high)
    built, own_bars = built.filter(inside), own_bars.filter(inside)
    assert built["open_time"].equals(own_bars["open_time"])
    lacking = {*told(fine).lacking, *told(coarse).lacking}
    fields = [name for name in (*PRICES, *VOLUMES, "trades") if name not in lacking]
    odd = differing(built, own_bars, fields)
    if not any(dump in fine + coarse for dump in OLD_DUMPS):
        assert odd.is_empty()
    for start in odd["open_time"]:
        days = {
            (start + h * timedelta(hours=12)).date() for h in range(interval.minutes // 720 or 1)
        }
        assert days & RESTATED


def _comparable(moment: object) -> float:
    return moment.timestamp() if isinstance(moment, datetime) else 0.0


def test_all_pairs_were_found() -> None:
    """The enumeration is not empty by mistake: four fifths of the series take part."""
    shared("data/bars")
    taken = {name for pair in pairs() for name in pair}
    assert len(pairs()) > 100
    assert len(taken) > 0.7 * len(series())


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
