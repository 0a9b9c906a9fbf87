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
    flags: npt.NDArray[np.uint8], size: int, start: int, last: int, bars: Events, count: int
) -> int:
    """Append the bars at which a flag differs from the one before it; eight flags at a time."""
    words = flags.view(np.uint64)
    before = np.uint64(last)
    for w in range((size + 7) >> 3):
        word = words[w]
        turned = word ^ ((word << np.uint64(8)) | before)
        before = word >> np.uint64(56)
        if turned != 0:
            for j in range(w << 3, min((w << 3) + 8, size)):
                if turned & np.uint64(1):
                    bars[count] = start + j + 1
                    count += 1
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
    room: int,
    bars: Events,
    counts: Indices,
    lines: Floats,
    bounds: Floats,
    flags: npt.NDArray[np.uint8],
    last: npt.NDArray[np.uint8],
) -> bool:
    """Write the changes of many crossovers; p is (fast_spans[fast[p]], slow_spans[slow[p]]).

    Pair p writes from p × `room` on, and `counts[p]` changes; False when one may need more room.
    The first change is to 1, the next to 0, and so on. Bars before `skip` only warm up: bars are
    counted from it, and the target before it is 0. Room to work in: `lines` (fast spans, TILE),
    `bounds` (slow spans, TILE), `flags` (TILE,), and `last`, zeros at first, one per pair.
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
            if counts[p] + size > room:
                return False
            line, bound = lines[fast[p]], bounds[slow[p]]
            for i in range(size):
                flags[i] = line[i] > bound[i]
            found = bars[p * room :]
            counts[p] = _note_flags(flags, size, start - skip, last[p], found, counts[p])
            last[p] = flags[size - 1]
    return True
