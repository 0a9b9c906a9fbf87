"""Trend on two timeframes: the fast one decides when, the slow one decides whether.

Add here: what this strategy alone needs. Keep out: orders, other strategies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from thunes_core.domain.parameters import Choice, IntRange, ParameterSpace
from thunes_core.indicators import Columns, Line, above, slow_closes, sma
from thunes_core.strategies.base import FromColumns, register, require

MINUTE_US = 60_000_000


@register
@dataclass(frozen=True, slots=True)
class MultiTimeframeTrend(FromColumns):
    """1 while SMA(fast) > SMA(slow) and the newest closed slow bar closed above its SMA(trend).

    A slow bar is `multiple` bars long, on the UTC grid, and counts from its close on
    (semantics §1). `fast` and `slow` are in bars, `trend` in slow bars.
    """

    name: ClassVar[str] = "multi_timeframe_trend"
    space: ClassVar[ParameterSpace] = ParameterSpace(
        {
            "fast": IntRange(5, 40),
            "slow": IntRange(20, 120),
            "multiple": Choice((2, 4, 6, 12, 24)),
            "trend": IntRange(5, 60),
        }
    )

    fast: int = 10
    slow: int = 30
    multiple: int = 4
    trend: int = 30

    def __post_init__(self) -> None:
        require(1 <= self.fast < self.slow, "1 <= fast < slow", self)
        require(self.multiple >= 2 and self.trend >= 1, "multiple >= 2 and trend >= 1", self)

    @property
    def warmup_bars(self) -> int:
        """The longer of the slow window and the trend's bars, the cut and the open one included."""
        return max(self.slow, self.multiple * (self.trend + 2))

    def exposure(self, columns: Columns) -> Line:
        """Return 1.0 where both timeframes rise, else 0.0."""
        slow = columns.of(
            slow_closes,
            "open_time close volume",
            columns.bar_minutes * MINUTE_US,
            self.multiple,
        )
        timing = above(columns.sma(self.fast), columns.sma(self.slow))
        rising = above(slow.close, sma(slow.close, self.trend))
        return (timing & slow.seen(rising)).astype(float)
