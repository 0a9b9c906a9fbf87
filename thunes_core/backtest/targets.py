"""Make the changes of many targets at once: by the strategy itself, or a compiled way equal to it.

Add here: a strategy whose changes are made faster than one by one. Keep out: runs, metrics.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from thunes_core.backtest.changes import TILE, changes, sma_crosses
from thunes_core.backtest.kernel import Floats
from thunes_core.backtest.simulate import read_only, target_array
from thunes_core.indicators.averages import RunningSum, running_sum
from thunes_core.indicators.columns import Columns
from thunes_core.strategies.base import FromColumns, Strategy
from thunes_core.strategies.sma_crossover import SmaCrossover

POOL = 4_000_000
"""Room for changes while crossovers are made: 16 MB."""

WORTHWHILE = 8
"""Fewer crossovers are made faster one by one."""

_OFTEN = 2.0
"""Crosses a bar, times √(fast × slow), that are expected at most; a random walk has 0.7."""


class TargetChanges(NamedTuple):
    """Changes of some targets, one after the other: bars, the values they change to.

    `places[s]` is (first in `bars`, first in `values`, how many) of target s.
    """

    bars: npt.NDArray[np.int32]
    values: Floats
    places: npt.NDArray[np.int64]


def changes_of(
    strategies: Sequence[Strategy], bars: pl.DataFrame, columns: Columns, skip: int
) -> TargetChanges:
    """Return the changes of each strategy's target over `bars` from the bar `skip` on.

    All strategies are of one class. `columns` are those of `bars` and remember indicators.
    """
    many = len(strategies) >= WORTHWHILE
    if many and all(type(s) is SmaCrossover for s in strategies):
        return _of_crossovers([s for s in strategies if isinstance(s, SmaCrossover)], columns, skip)
    return _joined(_changes_of_each(strategies, bars, columns, skip))


def _changes_of_each(
    strategies: Sequence[Strategy], bars: pl.DataFrame, columns: Columns, skip: int
) -> Iterator[tuple[npt.NDArray[np.int32], Floats]]:
    length = len(bars) - skip
    at, to = np.empty(length, np.int32), np.empty(length)
    for strategy in strategies:
        target = target_array(_exposure(strategy, bars, columns)[skip:], length)
        count = changes(read_only(target), at, to)
        yield at[:count].copy(), to[:count].copy()


def _exposure(strategy: Strategy, bars: pl.DataFrame, columns: Columns) -> Floats:
    if isinstance(strategy, FromColumns):
        return strategy.exposure(columns)
    return strategy.target_exposure(bars).cast(pl.Float64).to_numpy()


def _joined(parts: Iterator[tuple[npt.NDArray[np.int32], Floats]]) -> TargetChanges:
    held = list(parts)
    counts = np.array([len(at) for at, _ in held], np.int64)
    starts = np.cumsum(counts) - counts
    return TargetChanges(
        np.concatenate([at for at, _ in held] or [np.empty(0, np.int32)]),
        np.concatenate([to for _, to in held] or [np.empty(0)]),
        np.stack([starts, starts, counts], axis=1),
    )


def _of_crossovers(pairs: Sequence[SmaCrossover], columns: Columns, skip: int) -> TargetChanges:
    """Make pairs in one pass, or as many as `POOL` has room for at once."""
    sums: RunningSum = columns.of(running_sum, "close")
    length = len(columns)
    fast = np.array([pair.fast for pair in pairs], np.int64)
    slow = np.array([pair.slow for pair in pairs], np.int64)
    room = min(length, TILE + int(_OFTEN * length / math.sqrt((fast * slow).min(initial=1 << 40))))
    together = max(POOL // room, 1)
    if len(pairs) <= together:
        return _crosses(sums, fast, slow, skip, room) or _few_at_a_time(sums, fast, slow, skip)
    starts = range(0, len(pairs), together)
    parts = (_of_crossovers(pairs[i : i + together], columns, skip) for i in starts)
    return _joined(piece for part in parts for piece in _pieces(part))


def _few_at_a_time(
    sums: RunningSum, fast: npt.NDArray[np.int64], slow: npt.NDArray[np.int64], skip: int
) -> TargetChanges:
    """Make crossovers with room for a change at every bar."""
    length = len(sums.total)
    few = max(POOL // length, 1)
    parts = (
        _crosses(sums, fast[i : i + few], slow[i : i + few], skip, length)
        for i in range(0, len(fast), few)
    )
    return _joined(piece for part in parts if part is not None for piece in _pieces(part))


def _crosses(
    sums: RunningSum, fast: npt.NDArray[np.int64], slow: npt.NDArray[np.int64], skip: int, room: int
) -> TargetChanges | None:
    fast_spans, fast_which = np.unique(fast, return_inverse=True)
    slow_spans, slow_which = np.unique(slow, return_inverse=True)
    at, counts = np.empty(len(fast) * room, np.int32), np.zeros(len(fast), np.int64)
    done = sma_crosses(
        read_only(sums.total),
        read_only(sums.rest),
        fast_spans,
        slow_spans,
        fast_which,
        slow_which,
        skip,
        room,
        at,
        counts,
        np.empty((len(fast_spans), TILE)),
        np.empty((len(slow_spans), TILE)),
        np.zeros(TILE, np.uint8),
        np.zeros(len(fast), np.uint8),
    )
    if not done:
        return None
    on_off = np.resize([1.0, 0.0], max(int(counts.max(initial=0)), 1))
    first = np.arange(len(fast), dtype=np.int64) * room
    return TargetChanges(at, on_off, np.stack([first, np.zeros_like(first), counts], axis=1))


def _pieces(found: TargetChanges) -> Iterator[tuple[npt.NDArray[np.int32], Floats]]:
    for at, to, count in found.places:
        yield found.bars[at : at + count].copy(), found.values[to : to + count]
