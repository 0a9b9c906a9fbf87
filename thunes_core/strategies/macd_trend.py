"""Trend by MACD: in the market while the MACD line is above its signal line.

Add here: what this strategy alone needs. Keep out: orders, other strategies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from thunes_core.domain.parameters import IntRange, ParameterSpace
from thunes_core.indicators import Columns, Line, macd
from thunes_core.indicators.crossing import SEED
from thunes_core.strategies.base import FromColumns, register, require

WARMUP_SPANS = 8


@register
@dataclass(frozen=True, slots=True)
class MacdTrend(FromColumns):
    """1 while MACD(fast, slow) exceeds its EMA(signal) by more than 1e-7 of the price, else 0."""

    name: ClassVar[str] = "macd_trend"
    space: ClassVar[ParameterSpace] = ParameterSpace(
        {"fast": IntRange(5, 40), "slow": IntRange(15, 120), "signal": IntRange(3, 30)}
    )

    fast: int = 12
    slow: int = 26
    signal: int = 9

    def __post_init__(self) -> None:
        require(1 <= self.fast < self.slow, "1 <= fast < slow", self)
        require(self.signal >= 1, "signal >= 1", self)

    @property
    def warmup_bars(self) -> int:
        """Eight spans of each average that follows the other."""
        return WARMUP_SPANS * (self.slow + self.signal)

    def exposure(self, columns: Columns) -> Line:
        """Return 1.0 where the histogram is above zero, else 0.0."""
        line, signal = columns.of(macd, "close", self.fast, self.slow, self.signal)
        return (line - signal > SEED * columns.close).astype(float)
