"""Slow bars seen from fast ones: each visible from its close on, and never before (semantics §1).

Add here: a way to read another interval. Keep out: formulas on the slow closes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from thunes_core.indicators.averages import Line
from thunes_core.indicators.crossing import Flags


@dataclass(frozen=True, slots=True, eq=False)
class SlowCloses:
    """Closes of slow bars, oldest first, and for each fast bar the newest that it may see.

    `visible` is −1 where no slow bar has closed yet. A slow bar without any fast bar is missing.
    """

    close: Line
    visible: npt.NDArray[np.int64]

    @property
    def nbytes(self) -> int:
        """Memory of both arrays in bytes."""
        return self.close.nbytes + self.visible.nbytes

    def seen(self, flags: Flags) -> Flags:
        """Return for each fast bar the flag of the slow bar that it sees, False where none is."""
        seen: Flags = np.append(flags, False)[self.visible]
        return seen


def slow_closes(
    open_time: npt.NDArray[np.int64],
    close: Line,
    volume: Line,
    bar_us: int,
    multiple: int,
) -> SlowCloses:
    """Return closes of bars `multiple` times as long, on the UTC grid; `bar_us` is a bar's length.

    As in `domain.bars.resample`, a bar without volume sets no close unless its whole slow bar has
    none. A slow bar that the newest fast bar has not completed is there, but visible to nobody.
    """
    length = bar_us * multiple
    slot = open_time // length
    first = np.flatnonzero(np.diff(slot, prepend=slot[:1] - 1))
    ends = (slot[first] + 1) * length
    settled = np.maximum.accumulate(np.where(volume > 0, np.arange(len(close)), -1))
    last = np.append(first[1:], len(close)) - 1
    chosen = np.where(settled[last] >= first, settled[last], last)
    visible = np.searchsorted(ends, open_time + bar_us, side="right") - 1
    return SlowCloses(close[chosen], visible)
