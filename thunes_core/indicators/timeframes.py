"""Slow bars seen from fast ones: each visible from its close on, and never before (semantics §1).

Add here: a way to read another interval. Keep out: formulas on the slow closes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from thunes_core.domain.bars import Interval, parse_interval, resample
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


def seen(fast: pl.DataFrame, slow: pl.DataFrame, prefix: str = "slow_") -> pl.DataFrame:
    """Return `fast` bars, each with the newest bar of `slow` that has closed when it closes.

    Both frames: the schema of bars, sorted, of one symbol. The slow columns get `prefix`
    (`slow_open_time`, `slow_close`, …) and are null where no slow bar has closed yet. A slow bar
    counts from its close on and not a moment before (semantics §1), whatever is missing among the
    fast ones.
    """
    known = slow.drop("symbol", "interval").rename(lambda name: f"{prefix}{name}")
    closed = known.with_columns((pl.col(f"{prefix}open_time") + _length(slow)).alias("_at"))
    decided = fast.with_columns((pl.col("open_time") + _length(fast)).alias("_at"))
    return decided.join_asof(closed, on="_at", strategy="backward").drop("_at")


def slow_bars(fast: pl.DataFrame, interval: Interval) -> pl.DataFrame:
    """Return the bars of a coarser `interval` that `fast` bars make, the first one only if whole.

    The newest may still be running: `seen` shows it to nobody before its close.
    """
    built = resample(fast, interval)
    return built.filter(pl.col("open_time") >= fast["open_time"][0]) if fast.height else built


def _length(bars: pl.DataFrame) -> pl.Expr:
    minutes = parse_interval(str(bars["interval"][0])).minutes if bars.height else 0
    return pl.duration(minutes=minutes)


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
