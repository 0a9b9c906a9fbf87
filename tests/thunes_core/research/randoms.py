"""Hourly bars of a random walk, for measures that need a market without a plan."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from thunes_core.domain.bars import SCHEMA

START = datetime(2025, 1, 1, tzinfo=UTC)


def random_bars(count, seed, deviation=0.01, drift=0.0):
    """Return `count` bars whose log returns are normal, with noise in the volume."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(drift, deviation, count)))
    first = np.concatenate([[100.0], close[:-1]])
    volume = rng.lognormal(0.0, 0.3, count)
    return pl.DataFrame(
        {
            "symbol": "TESTUSDT",
            "interval": "1h",
            "open_time": [START + timedelta(hours=n) for n in range(count)],
            "open": first,
            "high": np.maximum(first, close) * 1.001,
            "low": np.minimum(first, close) * 0.999,
            "close": close,
            "volume": volume,
            "quote_volume": volume * close,
            "trades": 1,
            "taker_buy_base": volume / 2,
            "taker_buy_quote": volume * close / 2,
        },
        schema=SCHEMA,
    )
