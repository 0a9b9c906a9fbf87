"""Small markets whose answers fit in the head."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

from thunes_core.clock import to_millis
from thunes_core.domain.bars import SCHEMA
from thunes_core.testnet.clock import SteppedClock
from thunes_core.testnet.market import Market, replayed_market
from thunes_core.testnet.matching import Exchange
from thunes_core.testnet.options import Options
from thunes_core.testnet.series import PathOrder

ZERO_HOUR = datetime(2025, 1, 1, tzinfo=UTC)
START_MS = to_millis(ZERO_HOUR)
HOUR_MS = 3_600_000
Ohlc = tuple[float, float, float, float]

QUIET: list[Ohlc] = [(100.0, 101.0, 99.0, 100.0)] * 4
RISING: list[Ohlc] = [
    (100.0, 104.0, 98.0, 103.0),
    (103.0, 110.0, 102.0, 109.0),
    (112.0, 115.0, 111.0, 114.0),
    (114.0, 120.0, 113.0, 119.0),
]


def bars(rows: list[Ohlc], symbol: str = "BTCUSDT", minutes: int = 60) -> pl.DataFrame:
    """Return candles of `rows` from 2025 on, ten units of volume each."""
    step = timedelta(minutes=minutes)
    interval = {60: "1h", 15: "15m", 5: "5m", 1: "1m"}[minutes]
    return pl.DataFrame(
        [
            (
                symbol,
                interval,
                ZERO_HOUR + i * step,
                *row,
                10.0,
                10.0 * row[3],
                7,
                5.0,
                5.0 * row[3],
            )
            for i, row in enumerate(rows)
        ],
        schema=SCHEMA,
        orient="row",
    )


def market(rows: list[Ohlc], order: PathOrder = PathOrder.LOW_FIRST) -> Market:
    """Return a market that replays `rows` as hours of BTCUSDT."""
    return replayed_market([bars(rows)], start=ZERO_HOUR, order=order)


def exchange(rows: list[Ohlc], options: Options | None = None, at_ms: int = 0) -> Exchange:
    """Return an exchange on `rows`, its stepped clock `at_ms` after the first candle's open."""
    return Exchange(market(rows), SteppedClock(START_MS + at_ms), options or Options())


def step(on: Exchange, hours: float) -> None:
    """Move the exchange's clock and let the market run."""
    on.clock.move_to(on.clock.now_ms() + int(hours * HOUR_MS))
    on.advance()
