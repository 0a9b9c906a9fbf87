"""From targets to their changes: what the leaping run reads instead of one value per bar.

`changes` takes any target. `sma_crosses` makes the changes of many SMA crossovers in one pass of
the data, to the bit those of `strategies.sma_crossover`.

Add here: a compiled way from indicators to changes, equal to its strategy. Keep out: runs.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from thunes_core.backtest.compiled import compiled
from thunes_core.backtest.kernel import Floats
from thunes_core.indicators.crossing import ROUNDING

Events = npt.NDArray[np.int32]
Indices = npt.NDArray[np.int64]
TILE = 1024
"""Bars worked on at a time; their means stay in the cache."""

WORDS = 8
"""Words of eight flags that are looked at together."""

_EIGHT_TRUE = np.uint64(0x0101010101010101)


@compiled
def changes(target: Floats, bars: Events, values: Floats) -> int:
    """Write the bars at whose open `target` (decided one bar before) changes, and to what.

    Return how many there are; `bars` and `values` need len(target) entries.
    """
    count = 0
    previous = 0.0
    for p in range(len(target) - 1):
        if target[p] != previous:
            previous = target[p]
            bars[count] = p + 1
            values[count] = previous
            count += 1
    return count


@compiled
def _mean_tile(total: Floats, rest: Floats, span: int, start: int, stop: int, out: Floats) -> None:
    """Write the means of `indicators.averages.window_mean` for entries [start, stop)."""
    defined = min(max(start, span - 1), stop)
    out[: defined - start] = np.nan
    if defined == stop:
        return
    after, before = total[defined + 1 : stop + 1], total[defined + 1 - span : stop + 1 - span]
    lost_after, lost_before = (
        rest[defined + 1 : stop + 1],
        rest[defined + 1 - span : stop + 1 - span],
    )
    inside = out[defined - start :]
    for i in range(stop - defined):
        inside[i] = ((after[i] - before[i]) + (lost_after[i] - lost_before[i])) / span


@compiled
def _note_flags(
    flags: npt.NDArray[np.uint8], size: int, bar: int, last: int, bars: Events, count: int
) -> int:
    """Append the bars at which one of the first `size` flags differs from the one before it.

    `bar` is that of the first flag, `last` the flag before it. Flags that do not turn, as most do
    not, are passed over together; near those that do, every bar is written and the next overwrites
    it unless it counts: a branch that nobody can predict would cost more.
    """
    words = flags.view(np.uint64)
    used = (size + 7) >> 3
    before = np.uint64(last)
    for first in range(0, used, WORDS):
        unlike, same = np.uint64(0), before * _EIGHT_TRUE
        for w in range(first, first + WORDS):
            unlike |= words[w] ^ same
        if unlike == 0:
            continue
        for w in range(first, min(first + WORDS, used)):
            word = words[w]
            turned = word ^ ((word << np.uint64(8)) | before)
            before = word >> np.uint64(56)
            if turned != 0:
                for j in range(w << 3, min((w << 3) + 8, size)):
                    bars[count] = bar + j
                    count += int(turned & np.uint64(1))
                    turned >>= np.uint64(8)
    return count


@compiled
def sma_crosses(
    total: Floats,
    rest: Floats,
    fast_spans: Indices,
    slow_spans: Indices,
    fast: Indices,
    slow: Indices,
    skip: int,
    bars: Events,
    starts: Indices,
    counts: Indices,
    lines: Floats,
    bounds: Floats,
    flags: npt.NDArray[np.uint8],
    last: npt.NDArray[np.uint8],
) -> bool:
    """Write the changes of many crossovers; p is (fast_spans[fast[p]], slow_spans[slow[p]]).

    Pair p writes from `starts[p]` to below `starts[p + 1]`, `counts[p]` changes; False when one may
    need more room. The first change is to 1, the next to 0, and so on. Bars before `skip` only warm
    up: bars are counted from it, and the target before it is 0. Room to work in: `lines` (fast
    spans, TILE), `bounds` (slow spans, TILE), `flags` (TILE,), and `last`, zeros at first, one per
    pair.
    """
    length = len(total) - 1
    for start in range(skip, length - 1, TILE):
        size = min(TILE, length - 1 - start)
        for s in range(len(fast_spans)):
            _mean_tile(total, rest, fast_spans[s], start, start + size, lines[s])
        for s in range(len(slow_spans)):
            _mean_tile(total, rest, slow_spans[s], start, start + size, bounds[s])
            bound = bounds[s]
            for i in range(size):
                bound[i] = abs(bound[i]) * ROUNDING + bound[i]
        for p in range(len(fast)):
            if starts[p] + counts[p] + size > starts[p + 1]:
                return False
            line, bound = lines[fast[p]], bounds[slow[p]]
            for i in range(size):
                flags[i] = line[i] > bound[i]
            found = bars[starts[p] :]
            counts[p] = _note_flags(flags, size, start - skip + 1, last[p], found, counts[p])
            last[p] = flags[size - 1]
    return True
