"""Frames of bars for the tests of strategies: hand-made, random, real."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from tests.shared_data import shared
from thunes_core.domain.bars import SCHEMA, Interval

START = datetime(2024, 1, 1, tzinfo=UTC)


def bars_of(closes, *, interval: str = "1h", start: datetime = START, volumes=None):
    """Return bars that open at the last close and close at `closes`; volume 1 unless given."""
    close = np.asarray(closes, float)
    opens = np.append(close[:1], close[:-1])
    return _frame(
        opens, np.maximum(opens, close), np.minimum(opens, close), close, interval, start, volumes
    )


def random_bars(seed: int, count: int = 1500, *, interval: str = "1h", tick: float = 0.01):
    """Return a random walk on ticks with calm and wild stretches, a standstill and a gap."""
    rng = np.random.default_rng(seed)
    scale = np.repeat(rng.uniform(0.002, 0.02, count // 50 + 1), 50)[:count]
    steps = rng.normal(0.0, 1.0, count) * scale
    steps[count // 3 : count // 3 + 80] = 0.0
    close = np.maximum(np.round(100 * np.exp(np.cumsum(steps)) / tick), 1) * tick
    opens = np.append(close[:1], close[:-1])
    wick = 1 + np.abs(rng.normal(0, 0.003, (2, count)))
    high, low = np.maximum(opens, close) * wick[0], np.minimum(opens, close) / wick[1]
    frame = _frame(opens, high, low, close, interval, START, rng.integers(0, 5, count))
    return pl.concat([frame[: count // 2], frame[count // 2 + 7 :]])


def real_bars(symbol: str, interval: str, last: int = 4000):
    """Return the last bars of a real series, or skip."""
    path = shared(f"data/bars/binance_spot__{symbol}__{interval}__finom__to2025H1.parquet")
    return pl.read_parquet(path).rename({"timeframe": "interval"}).tail(last)


def _frame(opens, high, low, close, interval, start, volumes):
    count = len(close)
    step: timedelta = Interval(interval).duration
    volume = np.ones(count) if volumes is None else np.asarray(volumes, float)
    return pl.DataFrame(
        {
            "symbol": "TESTUSDT",
            "interval": interval,
            "open_time": [start + step * i for i in range(count)],
            "open": opens,
            "high": high,
            "low": low,
            "close": close,
            "volume": volume,
            "quote_volume": volume * close,
            "trades": volume.astype(np.int64),
            "taker_buy_base": volume / 2,
            "taker_buy_quote": volume * close / 2,
        }
    ).cast(SCHEMA)
