"""Bars: the one schema of candles, what makes them valid, gaps, resampling, fingerprints.

Add here: a fact that every reader of bars must share (semantics §1).
Keep out: I/O, importers of foreign formats, the clock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from thunes_core.errors import BarsInvalid, UnknownName


class Interval(StrEnum):
    """A fixed bar length, named as Binance names it; weeks begin on Monday."""

    M1 = "1m"
    M3 = "3m"
    M5 = "5m"
    M15 = "15m"
    M30 = "30m"
    H1 = "1h"
    H2 = "2h"
    H4 = "4h"
    H6 = "6h"
    H8 = "8h"
    H12 = "12h"
    D1 = "1d"
    W1 = "1w"

    @property
    def duration(self) -> timedelta:
        """Length of one bar."""
        return timedelta(minutes=_MINUTES[self])

    @property
    def minutes(self) -> int:
        """Length of one bar in minutes."""
        return _MINUTES[self]

    @property
    def origin(self) -> datetime:
        """An open time on the grid of this interval: 1970-01-01, or the Monday after it."""
        return _MONDAY if self is Interval.W1 else _EPOCH

    @property
    def every(self) -> str:
        """The interval in polars' words, so that its windows begin on the grid."""
        return "1w" if self is Interval.W1 else f"{self.minutes}m"

    def floor(self, moment: datetime) -> datetime:
        """Return the open time of the bar that contains `moment` (UTC grid).

        >>> Interval.W1.floor(datetime(2024, 1, 3, 12, tzinfo=UTC)).isoformat()
        '2024-01-01T00:00:00+00:00'
        """
        return moment - (moment - self.origin) % self.duration


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
_MINUTES = {
    Interval.M1: 1,
    Interval.M3: 3,
    Interval.M5: 5,
    Interval.M15: 15,
    Interval.M30: 30,
    Interval.H1: 60,
    Interval.H2: 120,
    Interval.H4: 240,
    Interval.H6: 360,
    Interval.H8: 480,
    Interval.H12: 720,
    Interval.D1: 1440,
    Interval.W1: 10080,
}

TIME = pl.Datetime("us", "UTC")
SCHEMA: dict[str, pl.DataType] = {
    "symbol": pl.String(),
    "interval": pl.String(),
    "open_time": TIME,
    "open": pl.Float64(),
    "high": pl.Float64(),
    "low": pl.Float64(),
    "close": pl.Float64(),
    "volume": pl.Float64(),
    "quote_volume": pl.Float64(),
    "trades": pl.Int64(),
    "taker_buy_base": pl.Float64(),
    "taker_buy_quote": pl.Float64(),
}
PRICES = ("open", "high", "low", "close")
VOLUMES = ("volume", "quote_volume", "taker_buy_base", "taker_buy_quote")
_TEXTS = ("symbol", "interval")

Arrays = Mapping[str, npt.NDArray[Any]]
"""Bars as one array per column, by name; `open_time` in µs since 1970 UTC."""

_NONE: Arrays = MappingProxyType({})


_NO_INTERVAL = {
    "1M": " (months differ in length: they have no grid, no gaps and no exact sum of weeks)",
    "1s": " (seconds are not kept: a decision needs a closed bar of a minute or more)",
}


def parse_interval(name: str) -> Interval:
    """Return the `Interval` called `name`, or raise `UnknownName` with the ones there are."""
    try:
        return Interval(name)
    except ValueError:
        why = _NO_INTERVAL.get(name, "")
        raise UnknownName(
            f"interval: expected one of {', '.join(Interval)}; it was {name!r}{why}; "
            "give one of these"
        ) from None


def empty() -> pl.DataFrame:
    """Return a frame of no bars with the schema of bars."""
    return pl.DataFrame(schema=SCHEMA)


@dataclass(frozen=True, slots=True)
class Gap:
    """A run of missing grid points: the first and last missing `open_time`, and how many."""

    start: datetime
    end: datetime
    bars: int


@dataclass(frozen=True, slots=True)
class Problem:
    """A kind of defect and how many rows have it."""

    kind: str
    rows: int


def problems(bars: pl.DataFrame, interval: Interval) -> list[Problem]:
    """Return every rule of semantics §1 that `bars` break, with row counts; empty when valid.

    NaN and null count as broken prices and volumes. Gaps are not problems (see `gaps`).
    """
    return [
        Problem(kind, int(rows))
        for kind, rows in bars.select(**_rules(interval)).row(0, named=True).items()
        if rows
    ]


def _rules(interval: Interval) -> dict[str, pl.Expr]:
    return {
        "duplicates": pl.col("open_time").is_duplicated().sum(),
        "unsorted": (pl.col("open_time").diff() < timedelta(0)).sum(),
        "off_grid": off_grid(interval).fill_null(value=True).sum(),
        "bad_price": (~broken_free_prices()).sum(),
        "bad_high_low": (~high_low_ok()).sum(),
        "bad_volume": (~volumes_ok()).sum(),
    }


def off_grid(interval: Interval) -> pl.Expr:
    """`open_time` is not one of the interval's; null where it is null."""
    since = pl.col("open_time").dt.epoch("us") - int(interval.origin.timestamp()) * 1_000_000
    return since % (interval.duration // timedelta(microseconds=1)) != 0


def broken_free_prices() -> pl.Expr:
    """All four prices are finite and above zero."""
    return pl.all_horizontal(
        (pl.col(c).is_finite() & (pl.col(c) > 0)).fill_null(value=False) for c in PRICES
    )


def high_low_ok() -> pl.Expr:
    """`low <= min(open, close)` and `high >= max(open, close)`."""
    low, high = pl.col("low"), pl.col("high")
    return (
        (low <= pl.min_horizontal("open", "close")) & (high >= pl.max_horizontal("open", "close"))
    ).fill_null(value=False)


def volumes_ok() -> pl.Expr:
    """Volumes and trade counts are finite and not below zero."""
    finite = [(pl.col(c).is_finite() & (pl.col(c) >= 0)).fill_null(value=False) for c in VOLUMES]
    return pl.all_horizontal(*finite, (pl.col("trades") >= 0).fill_null(value=False))


def require_valid(bars: pl.DataFrame, interval: Interval) -> pl.DataFrame:
    """Return `bars` unchanged when they keep semantics §1, else raise `BarsInvalid`."""
    if bars.schema != SCHEMA:
        raise BarsInvalid(
            f"bars: expected columns {list(SCHEMA)} of the bars schema; "
            f"it was {dict(bars.schema)}; import the file with `thunes ingest --from`"
        )
    broken = problems(bars, interval)
    if broken:
        listed = ", ".join(f"{p.kind} in {p.rows} rows" for p in broken)
        raise BarsInvalid(f"bars: expected valid {interval} bars; found {listed}; repair the file")
    return bars


def gaps(bars: pl.DataFrame, interval: Interval) -> list[Gap]:
    """Return missing grid points between the first and last bar, from content.

    `bars` must be sorted and of one symbol.
    """
    step = interval.duration
    holes = (
        bars.lazy()
        .select(start=pl.col("open_time").shift(1) + step, after=pl.col("open_time"))
        .filter(pl.col("after") > pl.col("start"))
        .collect()
    )
    return [Gap(start=a, end=b - step, bars=(b - a) // step) for a, b in holes.iter_rows()]


def resample(bars: pl.DataFrame, coarse: Interval) -> pl.DataFrame:
    """Build `coarse` bars from finer ones; a bar without trades never sets a price it did not see.

    Bars with zero trades and zero volume are left out of open, high, low, close unless the whole
    coarse bar has none. Only complete coarse bars are as good as the exchange's own: the caller
    cuts a running one. Symbols stay apart.
    """
    traded = (pl.col("trades") > 0) | (pl.col("volume") > 0)
    quiet = ~traded.any()
    price = {
        "open": pl.when(quiet)
        .then(pl.col("open").first())
        .otherwise(pl.col("open").filter(traded).first()),
        "high": pl.when(quiet)
        .then(pl.col("high").max())
        .otherwise(pl.col("high").filter(traded).max()),
        "low": pl.when(quiet)
        .then(pl.col("low").min())
        .otherwise(pl.col("low").filter(traded).min()),
        "close": pl.when(quiet)
        .then(pl.col("close").last())
        .otherwise(pl.col("close").filter(traded).last()),
    }
    sums = {c: pl.col(c).sum() for c in (*VOLUMES, "trades")}
    return (
        bars.lazy()
        .sort("symbol", "open_time")
        .group_by_dynamic("open_time", every=coarse.every, group_by="symbol", start_by="window")
        .agg(**price, **sums)
        .with_columns(interval=pl.lit(str(coarse)))
        .select(*SCHEMA)
        .cast(SCHEMA)  # type: ignore[arg-type]
        .sort("symbol", "open_time")
        .collect()
    )


def epoch_us(times: pl.Series) -> npt.NDArray[np.int64]:
    """Return moments without nulls as microseconds since 1970 UTC; a view, no query of polars."""
    return times.to_numpy().astype("datetime64[us]", copy=False).view(np.int64)


def micros(moment: datetime) -> int:
    """Return a moment as microseconds since 1970 UTC."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment_of(us: int) -> datetime:
    """Return the moment, UTC, that is `us` microseconds after 1970."""
    return _EPOCH + timedelta(microseconds=us)


def fingerprint(bars: pl.DataFrame, known: Arrays = _NONE) -> str:
    """Return the SHA-256 of the bars' content: same bars, same text, on any machine.

    `known`: those columns of `bars` that are at hand as arrays of the schema's types.
    """
    digest = hashlib.sha256()
    for name in SCHEMA:
        digest.update(known[name].data if name in known else _content(name, bars.get_column(name)))
    return digest.hexdigest()


def _content(name: str, column: pl.Series) -> bytes | memoryview:
    if name in _TEXTS:
        return "\x1f".join(column.to_list()).encode()
    return (epoch_us(column) if name == "open_time" else column.to_numpy()).data
