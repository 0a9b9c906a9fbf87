"""Spikes: closes that moved too far too fast to be believed at once (semantics §1).

A spike is stored and flagged. It holds back new entries until `CLEARING_BARS` later bars were no
spikes themselves, or a person clears it (see `doubts`); exits are never held back.

Add here: another sign in the closes that is flagged. Keep out: I/O, what follows from a flag.
"""

from __future__ import annotations

import polars as pl

SPIKE_FACTOR = 20.0
TRAILING_BARS = 100
LEAST_BARS = 20
CLEARING_BARS = 3


def spikes(bars: pl.DataFrame, factor: float = SPIKE_FACTOR) -> pl.Series:
    """Return per bar whether its close-to-close move is a spike (Boolean, never null).

    A spike is an absolute move above `factor` times the mean absolute move of the `TRAILING_BARS`
    moves before it; with fewer than `LEAST_BARS` of them nothing is a spike. `bars`: sorted, of one
    symbol and interval.
    """
    move = pl.col("close").diff().abs()
    usual = move.shift(1).rolling_mean(TRAILING_BARS, min_samples=LEAST_BARS)
    return bars.select((move > factor * usual).fill_null(value=False).alias("spike")).to_series()
