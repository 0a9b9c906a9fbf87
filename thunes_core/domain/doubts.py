"""Why new entries should wait for better bars: broken, missing or spiking ones (semantics §1).

Asked at every tick, so it works on arrays and takes tens of microseconds. Exits never wait for any
of this.

Add here: a doubt that the bars themselves raise. Keep out: doubts that need a second source.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl

from thunes_core.domain.bars import PRICES, Interval
from thunes_core.domain.spikes import CLEARING_BARS, LEAST_BARS, SPIKE_FACTOR, TRAILING_BARS


def why_wait(
    bars: pl.DataFrame, interval: Interval, cleared_until: datetime | None = None
) -> str | None:
    """Return the first reason why entries should wait after the last of `bars`, or None.

    `bars`: those a decision reads, sorted, of one symbol and interval. `cleared_until`: a person
    cleared spikes up to and including this open time.
    """
    broken = _broken(bars)
    if broken:
        return f"{broken} of the {bars.height} bars read are broken; look at the quarantine"
    times = bars["open_time"].tail(CLEARING_BARS)
    span = (times[-1] - times[0]) // interval.duration + 1 if len(times) else 0
    if span > len(times):
        return f"{span - len(times)} of the last {span} bars are missing"
    spike = _last_spike(bars)
    if spike is None or (cleared_until is not None and spike <= cleared_until):
        return None
    return (
        f"the close of {spike:%Y-%m-%d %H:%M} moved more than {SPIKE_FACTOR:.0f} times the usual; "
        f"entries wait for {CLEARING_BARS} calmer bars"
    )


def _broken(bars: pl.DataFrame) -> int:
    """Count bars whose prices or volume break semantics §1; null and NaN count as broken."""
    prices = [bars[name].to_numpy() for name in PRICES]
    low, high = np.minimum.reduce(prices), np.maximum.reduce(prices)
    sound = (low > 0) & np.isfinite(high) & (prices[1] >= high) & (prices[2] <= low)
    return int((~(sound & (bars["volume"].to_numpy() >= 0))).sum())


def _last_spike(bars: pl.DataFrame) -> datetime | None:
    """Return the open time of the newest spike among the last `CLEARING_BARS` bars."""
    moves = np.abs(np.diff(bars["close"].to_numpy()))
    for back in range(1, min(CLEARING_BARS, len(moves)) + 1):
        usual = moves[:-back][-TRAILING_BARS:]
        if len(usual) >= LEAST_BARS and moves[-back] > SPIKE_FACTOR * usual.mean():
            when: datetime = bars["open_time"][-back]
            return when
    return None
