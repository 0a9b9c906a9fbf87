"""Bars as numpy arrays that remember the indicators computed from them.

A sweep asks one `Columns` for the same averages thousands of times; each is computed once.

Add here: a column that a strategy needs. Keep out: formulas.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from thunes_core.domain.bars import Arrays, epoch_us, micros, parse_interval
from thunes_core.indicators.averages import Line, RunningSum, running_sum, window_mean

MEMORY_BYTES = 48 * 2**20
"""What one `Columns` remembers at most; the oldest goes first."""

_ARRAYS = ("open_time", "open", "high", "low", "close", "volume")

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Closed bars of one symbol, one array per column, oldest first; `open_time` in µs, UTC."""

    open_time: npt.NDArray[np.int64]
    open: Line
    high: Line
    low: Line
    close: Line
    volume: Line
    interval: str = ""
    remembered: dict[Any, Any] = field(default_factory=dict)
    memory_bytes: int = MEMORY_BYTES

    def __len__(self) -> int:
        return len(self.close)

    def count_until(self, moment: datetime) -> int:
        """Return how many bars opened at or before `moment`."""
        return int(self.open_time.searchsorted(micros(moment), side="right"))

    @property
    def arrays(self) -> Arrays:
        """The arrays by the names that the columns have in a frame."""
        return {name: getattr(self, name) for name in _ARRAYS}

    @property
    def bar_minutes(self) -> int:
        """Length of a bar in minutes, or `UnknownName` when the bars do not say it."""
        return parse_interval(self.interval).minutes

    @property
    def bars_per_year(self) -> float:
        """Bars in 365 days of a market that never closes."""
        return 365 * 24 * 60 / self.bar_minutes

    def of(self, formula: Callable[..., T], inputs: str, *arguments: float) -> T:
        """Return `formula(*input arrays, *arguments)`, computed once; do not write into it.

        `inputs` are column names, separated by blanks. Safe to call from several threads.
        """
        return self.recall(
            (formula, inputs, *arguments),
            lambda: formula(*(getattr(self, name) for name in inputs.split()), *arguments),
        )

    def sma(self, span: int) -> Line:
        """Return the simple moving average of close, all spans sharing one running sum."""
        sums: RunningSum = self.of(running_sum, "close")
        return self.recall((window_mean, span), lambda: window_mean(sums, span))

    def recall(self, key: Any, compute: Callable[[], T]) -> T:
        """Return what is remembered under `key`, or compute and remember it."""
        found: T | None = self.remembered.get(key)
        if found is None:
            found = compute()
            self._make_room(_size(found))
            self.remembered[key] = found
        return found

    def _make_room(self, needed: int) -> None:
        held = list(self.remembered.items())
        excess = sum(_size(value) for _, value in held) + needed - self.memory_bytes
        for key, value in held:
            if excess <= 0:
                return
            self.remembered.pop(key, None)
            excess -= _size(value)


def _size(value: Any) -> int:
    if isinstance(value, tuple):
        return sum(_size(part) for part in value)
    return int(getattr(value, "nbytes", 0))


def columns_of(bars: pl.DataFrame, memory_bytes: int = MEMORY_BYTES) -> Columns:
    """Return the `Columns` of a frame of bars (semantics §1), without copying where possible."""
    column = bars.get_column
    return Columns(
        open_time=epoch_us(column("open_time")),
        open=_floats(column("open")),
        high=_floats(column("high")),
        low=_floats(column("low")),
        close=_floats(column("close")),
        volume=_floats(column("volume")),
        interval=bars.item(0, "interval") if len(bars) else "",
        memory_bytes=memory_bytes,
    )


def _floats(column: pl.Series) -> Line:
    return column.to_numpy().astype(np.float64, copy=False)
