"""Bars with the extremes of blocks of them, so that a run can skip where nothing can happen.

Blocks of 16 bars (fine) and of 256 (coarse). A block's extremes bound every bar in it, so a check
that cannot fail for the block cannot fail for any of its bars; where it could, the bars are read.
What is read together stands together: a visited bar costs one line of the cache.

Add here: a way of asking many bars at once. Keep out: rules, state of a run.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from thunes_core.backtest.compiled import compiled
from thunes_core.backtest.falls import ROUNDED_UP
from thunes_core.backtest.kernel import Bar, Floats, Times
from thunes_core.backtest.metrics import day_ends
from thunes_core.backtest.simulate import BarArrays, read_only

FINE_BITS, COARSE_BITS = 4, 8
BLOCKS_BITS = COARSE_BITS - FINE_BITS
FINE, COARSE, BLOCKS = 1 << FINE_BITS, 1 << COARSE_BITS, 1 << BLOCKS_BITS

OPEN, HIGH, LOW, TIME, CLOSES_BEFORE = range(5)
"""Columns of `Terrain.rows`; the last is the sum of all earlier closes."""

LOWEST, HIGHEST, LEAST, MOST = range(4)
"""Columns of blocks: extremes of low and high, and of closes."""


class Terrain(NamedTuple):
    """Bars as arrays, prepared; `rows` has one row more than there are bars.

    `day_ends` and `day_close`: the last bar of each UTC day and its close.
    """

    rows: Floats
    time: Times
    high: Floats
    low: Floats
    close: Floats
    fine: Floats
    coarse: Floats
    day_ends: npt.NDArray[np.int64]
    day_close: Floats
    interval_us: int


def terrain_of(bars: BarArrays) -> Terrain:
    """Prepare bars once for all runs over them."""
    rows = np.zeros((len(bars.time) + 1, 8))
    for column, values in ((OPEN, bars.open), (HIGH, bars.high), (LOW, bars.low)):
        rows[:-1, column] = values
    rows[:-1, TIME] = bars.time
    rows[1:, CLOSES_BEFORE] = np.cumsum(bars.close)
    ends = day_ends(bars.time)
    return Terrain(
        rows=read_only(rows),
        time=read_only(bars.time, np.int64),
        high=read_only(bars.high),
        low=read_only(bars.low),
        close=read_only(bars.close),
        fine=read_only(_blocks(bars, FINE)),
        coarse=read_only(_blocks(bars, COARSE)),
        day_ends=read_only(ends, np.int64),
        day_close=read_only(bars.close[ends]),
        interval_us=bars.interval_us,
    )


def _blocks(bars: BarArrays, size: int) -> Floats:
    starts = np.arange(0, len(bars.time), size)
    columns = (
        np.minimum.reduceat(bars.low, starts),
        np.maximum.reduceat(bars.high, starts),
        np.minimum.reduceat(bars.close, starts),
        np.maximum.reduceat(bars.close, starts),
    )
    return np.stack(columns, axis=1)


@compiled
def bar_at(ground: Terrain, u: int) -> Bar:
    """Return bar `u`."""
    row = ground.rows[u]
    return Bar(int(row[TIME]), row[OPEN], row[HIGH], row[LOW])


@compiled
def highest(ground: Terrain, start: int, stop: int) -> float:
    """Return the highest high of the bars [start, stop); 0 for none."""
    best = 0.0
    u = start
    while u < stop:
        if u & (COARSE - 1) == 0 and u + COARSE <= stop:
            best = max(best, ground.coarse[u >> COARSE_BITS, HIGHEST])
            u += COARSE
        elif u & (FINE - 1) == 0 and u + FINE <= stop:
            best = max(best, ground.fine[u >> FINE_BITS, HIGHEST])
            u += FINE
        else:
            best = max(best, ground.high[u])
            u += 1
    return best


@compiled
def trace(
    ground: Terrain, start: int, stop: int, cash: float, quantity: float, peak: float, worst: float
) -> tuple[float, float]:
    """Follow equity over the closes [start, stop): return the peak and the least equity / peak.

    Equity at or above `harmless` cannot lower `worst`: a product in place of a division, with room
    for its rounding, so that the answer is that of dividing at every bar.
    """
    harmless = worst * peak * ROUNDED_UP
    block, last = start >> FINE_BITS, (stop - 1) >> FINE_BITS
    while block <= last:
        size, row = 1, ground.fine[block]
        if block & (BLOCKS - 1) == 0 and block + BLOCKS - 1 <= last:
            wide = ground.coarse[block >> BLOCKS_BITS]
            if cash + quantity * wide[MOST] <= peak:
                size, row = BLOCKS, wide
        most, least = cash + quantity * row[MOST], cash + quantity * row[LEAST]
        if most > peak or least < harmless:
            first, end = block << FINE_BITS, (block + size) << FINE_BITS
            if most <= peak and first >= start and end <= stop:
                worst = min(worst, least / peak)
            else:
                first, end = max(first, start), min(end, stop)
                peak, worst = trace_bars(ground, first, end, cash, quantity, peak, worst)
            harmless = worst * peak * ROUNDED_UP
        block += size
    return peak, worst


@compiled
def trace_bars(
    ground: Terrain, start: int, stop: int, cash: float, quantity: float, peak: float, worst: float
) -> tuple[float, float]:
    """Do `trace` bar by bar, for at least one bar."""
    least = most = ground.close[start]
    for u in range(start + 1, stop):
        least = min(least, ground.close[u])
        most = max(most, ground.close[u])
    if cash + quantity * most <= peak:
        return peak, min(worst, (cash + quantity * least) / peak)
    for u in range(start, stop):
        equity = cash + quantity * ground.close[u]
        peak = max(peak, equity)
        if equity < worst * peak * ROUNDED_UP:
            worst = min(worst, equity / peak)
    return peak, worst


@compiled
def fetch(ground: Terrain, bars: npt.NDArray[np.int32]) -> float:
    """Touch the rows of `bars`, all at once: a run would wait for the memory at each in turn."""
    total = 0.0
    for k in range(len(bars)):
        total += ground.rows[bars[k], OPEN]
    return total
