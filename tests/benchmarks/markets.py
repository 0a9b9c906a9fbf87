"""A year of bars drawn from a seed, the parameters and the grids that are timed.

Add here: an input of a benchmark. Keep out: timing.
"""

from __future__ import annotations

import numpy as np
import polars as pl

YEAR_US = 365 * 86_400_000_000
START_US = 1_672_531_200_000_000
INTERVALS = {"1h": 60, "1m": 1}
STOP, TRAIL, ACTIVATION, FEE, SLIPPAGE = 0.03, 0.04, 0.02, 0.001, 0.0005
SINGLE = {"fast": 20, "slow": 50}
GRIDS = {
    "1h": {"fast": list(range(5, 105)), "slow": list(range(110, 310, 2))},
    "1m": {"fast": list(range(20, 120, 5)), "slow": list(range(150, 750, 20))},
}
PEER_GRIDS = {
    "1h": {"fast": list(range(5, 105, 5)), "slow": list(range(110, 310, 20))},
    "1m": {"fast": [20, 60], "slow": [150, 350, 550, 750]},
}
"""The same ranges, thinned to what the others can do in seconds."""


def year(interval: str, seed: int = 7) -> pl.DataFrame:
    """Return a year of bars whose volatility is that of BTCUSDT: 60 % a year."""
    minutes = INTERVALS[interval]
    size = 365 * 24 * 60 // minutes
    rng = np.random.default_rng(seed)
    moves = rng.normal(0, 0.6 * np.sqrt(minutes / (365 * 24 * 60)), size)
    close = np.round(30_000 * np.exp(np.cumsum(moves)), 2)
    open_ = np.concatenate(([30_000.0], close[:-1]))
    wick = np.abs(moves) * 0.5
    high = np.round(np.maximum(open_, close) * (1 + wick), 2)
    low = np.round(np.minimum(open_, close) * (1 - wick), 2)
    time = START_US + np.arange(size) * minutes * 60_000_000
    return pl.DataFrame(
        {
            "symbol": "BTCUSDT",
            "interval": interval,
            "open_time": pl.Series(time).cast(pl.Datetime("us", "UTC")),
            "open": open_,
            "high": np.maximum(high, np.maximum(open_, close)),
            "low": np.minimum(low, np.minimum(open_, close)),
            "close": close,
            "volume": 1.0,
        }
    )
