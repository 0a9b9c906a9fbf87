"""Semantics §3 by leaps: visit only bars where something can happen; same results, many times over.

Between two changes of the target a settled run does nothing but hold, until an extreme can reach
the stop or the target. `first_hit` finds that bar by block extremes; at the bars visited the steps
are those of `kernel`, so there is one arithmetic.

Add here: what a sweep needs of a run. Keep out: rules, metrics, making of targets.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from thunes_core.backtest.compiled import compiled
from thunes_core.backtest.kernel import (
    REJECTED,
    Book,
    Floats,
    Terms,
    close_trade,
    desired_exposure,
    flat_book,
    raise_high_water,
    row_terms,
    stop_level,
    target_level,
    visit,
)
from thunes_core.backtest.terrain import (
    BLOCKS,
    BLOCKS_BITS,
    CLOSES_BEFORE,
    FINE_BITS,
    HIGHEST,
    LOWEST,
    Terrain,
    bar_at,
    fetch,
    highest,
    trace,
)
from thunes_core.trading import rules

Events = npt.NDArray[np.int32]
Indices = npt.NDArray[np.int64]

CLOSED, WINS, GAINS, LOSSES, TRADED, LONG_BARS, EQUITY_SUM, WORST, REJECTIONS = range(9)
"""Columns of the sums of a run; WORST is the least equity / peak."""


class Tally(NamedTuple):
    """What a run has come to so far; `day` is the next day to close."""

    closed: int
    wins: int
    gains: float
    losses: float
    traded: float
    long_bars: int
    equity_sum: float
    peak: float
    worst: float
    day: int


@compiled
def can_hit(low: float, high: float, high_water: float, b: Book, t: Terms, target: float) -> bool:
    """True when a bar within [low, high] and below `high_water` before it could end the trade."""
    stop = stop_level(b.entry, high_water, t.stop_loss, t.trailing_stop, t.trailing_activation)[0]
    return low <= stop or high >= target


@compiled
def first_hit(ground: Terrain, start: int, stop: int, b: Book, t: Terms) -> tuple[int, int, float]:
    """Return the first bar of [start, stop) where protection ends the trade, else `stop`.

    With it a bar and the high water before that bar: from there `highest` gives the high water
    before the bar returned, if anyone still asks.
    """
    target = target_level(b.entry, t.take_profit)
    known, water = start, b.high_water
    bound = water
    block, last = start >> FINE_BITS, (stop - 1) >> FINE_BITS
    while block <= last:
        if block & (BLOCKS - 1) == 0 and block + BLOCKS - 1 <= last:
            wide = ground.coarse[block >> BLOCKS_BITS]
            top = max(bound, wide[HIGHEST])
            if not can_hit(wide[LOWEST], wide[HIGHEST], top, b, t, target):
                bound = top
                block += BLOCKS
                continue
        near = ground.fine[block]
        top = max(bound, near[HIGHEST])
        if can_hit(near[LOWEST], near[HIGHEST], top, b, t, target):
            first = max(block << FINE_BITS, start)
            water = max(water, highest(ground, known, first))
            known = first
            while known < min((block + 1) << FINE_BITS, stop):
                if can_hit(ground.low[known], ground.high[known], water, b, t, target):
                    return known, known, water
                water = max(water, ground.high[known])
                known += 1
            top = water
        bound = top
        block += 1
    return stop, known, water


@compiled
def wake(ground: Terrain, u: int, b: Book, target: float) -> int:
    """Return the next bar at which the open would act on an unchanged target; the end if none."""
    length = len(ground.time)
    if desired_exposure(target, b.level, b.blocked, False) == b.level or u + 1 >= length:
        return length
    if ground.time[u + 1] >= b.cooldown_until:
        return u + 1
    return max(u + 1, int(np.searchsorted(ground.time, b.cooldown_until)))


@compiled
def mark(ground: Terrain, start: int, stop: int, b: Book, y: Tally, daily: Floats) -> Tally:
    """Value the book at the closes [start, stop) and at the days that end there."""
    day, peak, worst, long_bars = y.day, y.peak, y.worst, y.long_bars
    length = stop - start
    equity_sum = y.equity_sum + b.cash * length
    while day < len(daily) and ground.day_ends[day] < stop:
        daily[day] = b.cash + b.quantity * ground.day_close[day]
        day += 1
    if b.quantity == 0.0:
        peak = max(peak, b.cash)
        worst = min(worst, b.cash / peak)
    else:
        long_bars += length
        closes = ground.rows[stop, CLOSES_BEFORE] - ground.rows[start, CLOSES_BEFORE]
        equity_sum += b.quantity * closes
        peak, worst = trace(ground, start, stop, b.cash, b.quantity, peak, worst)
    return Tally(
        y.closed, y.wins, y.gains, y.losses, y.traded, long_bars, equity_sum, peak, worst, day
    )


@compiled
def count_trade(b: Book, y: Tally) -> Tally:
    """Add the trade that the book holds, just sold out."""
    pnl = b.received - b.spent - b.fees
    return Tally(
        y.closed + 1,
        y.wins + (pnl > 0.0),
        y.gains + max(pnl, 0.0),
        y.losses + max(-pnl, 0.0),
        y.traded + b.spent + b.received,
        y.long_bars,
        y.equity_sum,
        y.peak,
        y.worst,
        y.day,
    )


@compiled
def run_events(
    ground: Terrain,
    bars: Events,
    values: Floats,
    start_cash: float,
    t: Terms,
    daily: Floats,
    sums: Floats,
) -> None:
    """Run one target, given as its changes; fill `daily` (equity per day) and `sums`.

    `bars[k]` is the bar at whose open the target becomes `values[k]`; before the first it is 0.
    """
    length = len(ground.time)
    guarded = t.stop_loss > 0.0 or t.trailing_stop > 0.0 or t.take_profit > 0.0
    b = flat_book(start_cash)
    y = Tally(0, 0, 0.0, 0.0, 0.0, 0, 0.0, start_cash, 1.0, 0)
    target = 0.0
    u = k = rejected = 0
    while u < length:
        change = bars[k] if k < len(bars) else length
        v = min(change, wake(ground, u, b, target))
        known, water = u + 1, b.high_water
        if guarded and b.quantity > 0.0:
            v, known, water = first_hit(ground, u + 1, v, b, t)
        y = mark(ground, u, v, b, y, daily)
        u = v
        if v == length:
            break
        previous = target
        if v == change:
            target = values[k]
            k += 1
        if b.quantity > 0.0 and target > 0.0:
            b = raise_high_water(b, max(water, highest(ground, known, v)))
        b, reason, exit_time, done = visit(
            b, bar_at(ground, v), target, previous, ground.interval_us, t
        )
        rejected += done == REJECTED
        if reason >= 0:
            y = count_trade(b, y)
            b = close_trade(b, exit_time, reason != rules.SIGNAL or b.blocked, t)
    sums[CLOSED] = y.closed
    sums[WINS] = y.wins
    sums[GAINS] = y.gains
    sums[LOSSES] = y.losses
    sums[TRADED] = y.traded + b.spent + b.received
    sums[LONG_BARS] = y.long_bars
    sums[EQUITY_SUM] = y.equity_sum
    sums[WORST] = y.worst
    sums[REJECTIONS] = rejected


@compiled
def run_many(
    ground: Terrain,
    bars: Events,
    values: Floats,
    places: Indices,
    rows: Indices,
    which: Indices,
    start_cash: float,
    terms: Floats,
    daily: Floats,
    sums: Floats,
) -> None:
    """Run many combinations: row `rows[k]` takes changes `which[k]` and its own terms.

    `places[s]` is (first in `bars`, first in `values`, how many) of changes s. `terms`, `daily` and
    `sums` have a line per row; lines that `rows` does not name are left alone.
    """
    for k in range(len(rows)):
        row = rows[k]
        at, value_at, count = places[which[k]]
        sums[row, CLOSED] = fetch(ground, bars[at : at + count])
        run_events(
            ground,
            bars[at : at + count],
            values[value_at : value_at + count],
            start_cash,
            row_terms(terms[row]),
            daily[row],
            sums[row],
        )
