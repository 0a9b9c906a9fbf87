"""Breakout of volatility: buy a close that leaps by several average true ranges.

Add here: what this strategy alone needs. Keep out: orders, other strategies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from thunes_core.domain.parameters import FloatRange, IntRange, ParameterSpace
from thunes_core.indicators import Columns, Line, atr, latched
from thunes_core.strategies.base import FromColumns, register, require

WARMUP_PERIODS = 16


@register
@dataclass(frozen=True, slots=True)
class VolatilityBreakout(FromColumns):
    """Enter when close − last close > width × ATR(period) of the last bar, for `hold` bars.

    Leave earlier when close falls by as much in one bar. A new leap begins the hold anew.
    """

    name: ClassVar[str] = "volatility_breakout"
    space: ClassVar[ParameterSpace] = ParameterSpace(
        {"period": IntRange(5, 40), "width": FloatRange(0.5, 3.0), "hold": IntRange(4, 96)}
    )

    period: int = 14
    width: float = 1.5
    hold: int = 24

    def __post_init__(self) -> None:
        require(self.period >= 1 and self.hold >= 1, "period >= 1 and hold >= 1", self)
        require(0 < self.width < float("inf"), "width > 0", self)

    @property
    def warmup_bars(self) -> int:
        """Bars until the range has forgotten its beginning, and those of a hold."""
        return WARMUP_PERIODS * self.period + self.hold + 1

    def exposure(self, columns: Columns) -> Line:
        """Return 1.0 during a hold, else 0.0."""
        usual = columns.of(atr, "high low close", self.period)
        moved = np.diff(columns.close, prepend=np.nan)
        reach = self.width * np.append(np.nan, usual[:-1])
        return latched(moved > reach, moved < -reach, self.hold - 1).astype(float)
