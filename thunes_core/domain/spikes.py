"""Spikes: closes that moved too far too fast to be believed at once (semantics §1).

A spike is stored and flagged. It holds back new entries until `CLEARING_BARS` later bars were no
spikes themselves, or a person clears it; exits are never held back.

Add here: another sign in the closes that should make an entry wait. Keep out: I/O, order logic.
"""

from __future__ import annotations

from datetime import datetime

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


def entry_hold(bars: pl.DataFrame, cleared_until: datetime | None = None) -> str | None:
    """Return why new entries should wait after the last of `bars`, or None.

    `cleared_until`: spikes up to and including this open time were cleared by a person.
    """
    recent = bars.filter(spikes(bars)).filter(
        pl.col("open_time").is_in(bars["open_time"].tail(CLEARING_BARS).implode())
    )
    if cleared_until is not None:
        recent = recent.filter(pl.col("open_time") > cleared_until)
    if recent.is_empty():
        return None
    when = recent["open_time"][-1]
    return (
        f"the close of {when:%Y-%m-%d %H:%M} moved more than {SPIKE_FACTOR:.0f} times the usual; "
        f"entries wait for {CLEARING_BARS} calmer bars"
    )
