"""Make the changes of many targets at once: by the strategy itself, or a compiled way equal to it.

Add here: a strategy whose changes are made faster than one by one. Keep out: runs, metrics.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from thunes_core.backtest.changes import TILE, Indices, changes, sma_crosses
from thunes_core.backtest.kernel import Floats
from thunes_core.backtest.simulate import read_only, target_array
from thunes_core.indicators.averages import RunningSum, running_sum
from thunes_core.indicators.columns import Columns
from thunes_core.strategies.base import FromColumns, Strategy
from thunes_core.strategies.sma_crossover import SmaCrossover

POOL_BYTES = 2**24
"""What the changes made together may take; they are run before the next are made."""

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
) -> Iterator[TargetChanges]:
    """Yield the changes of each strategy's target over `bars` from the bar `skip` on, in order.

    All strategies are of one class. `columns` are those of `bars` and remember indicators. Of many
    strategies some come together, as many as `POOL_BYTES` hold.
    """
    pairs = [strategy for strategy in strategies if type(strategy) is SmaCrossover]
    if len(pairs) >= WORTHWHILE:
        return _of_crossovers(pairs, columns, skip)
    return _pooled(_changes_of_each(strategies, bars, columns, skip))


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


def _pooled(parts: Iterator[tuple[npt.NDArray[np.int32], Floats]]) -> Iterator[TargetChanges]:
    held: list[tuple[npt.NDArray[np.int32], Floats]] = []
    size = 0
    for at, to in parts:
        held.append((at, to))
        size += at.nbytes + to.nbytes
        if size >= POOL_BYTES:
            yield _joined(held)
            held, size = [], 0
    if held:
        yield _joined(held)


def _joined(held: Sequence[tuple[npt.NDArray[np.int32], Floats]]) -> TargetChanges:
    counts = np.array([len(at) for at, _ in held], np.int64)
    starts = np.cumsum(counts) - counts
    return TargetChanges(
        np.concatenate([at for at, _ in held]),
        np.concatenate([to for _, to in held]),
        np.stack([starts, starts, counts], axis=1),
    )


def _of_crossovers(
    pairs: Sequence[SmaCrossover], columns: Columns, skip: int
) -> Iterator[TargetChanges]:
    """Make pairs in passes of the data; where one turns more often than markets do, each alone."""
    sums: RunningSum = columns.of(running_sum, "close")
    spans = np.array([(pair.fast, pair.slow) for pair in pairs], np.int64)
    expected = _OFTEN * len(columns) / np.sqrt(spans.prod(axis=1))
    room = np.minimum(len(columns), expected.astype(np.int64)) + TILE
    passes = np.cumsum(room) * np.dtype(np.int32).itemsize // POOL_BYTES
    for together in np.split(np.arange(len(pairs)), np.flatnonzero(np.diff(passes)) + 1):
        found = _crosses(sums, spans[together], skip, room[together])
        if found is not None:
            yield found
            continue
        for one in together:
            whole = np.full(1, len(columns) + TILE, np.int64)
            alone = _crosses(sums, spans[one : one + 1], skip, whole)
            assert alone is not None, "a target changes once a bar at most"
            yield alone


def _crosses(sums: RunningSum, spans: Indices, skip: int, room: Indices) -> TargetChanges | None:
    """Make pairs of `spans` in one pass, with `room` for each; None when one has too little."""
    fast_spans, fast = np.unique(spans[:, 0], return_inverse=True)
    slow_spans, slow = np.unique(spans[:, 1], return_inverse=True)
    starts = np.concatenate(([0], np.cumsum(room)))
    at, counts = np.empty(starts[-1], np.int32), np.zeros(len(spans), np.int64)
    done = sma_crosses(
        read_only(sums.total),
        read_only(sums.rest),
        fast_spans,
        slow_spans,
        fast,
        slow,
        skip,
        at,
        starts,
        counts,
        np.empty((len(fast_spans), TILE)),
        np.empty((len(slow_spans), TILE)),
        np.zeros(TILE, np.uint8),
        np.zeros(len(spans), np.uint8),
    )
    if not done:
        return None
    on_off = np.resize([1.0, 0.0], max(int(counts.max(initial=0)), 1))
    return TargetChanges(at, on_off, np.stack([starts[:-1], np.zeros_like(counts), counts], axis=1))
