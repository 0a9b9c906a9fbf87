"""Trend by two simple moving averages: in the market while the fast one is above the slow one.

Add here: what this strategy alone needs. Keep out: orders, other strategies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from thunes_core.domain.parameters import IntRange, ParameterSpace
from thunes_core.indicators import Columns, above
from thunes_core.indicators.averages import Line
from thunes_core.strategies.base import FromColumns, register, require


@register
@dataclass(frozen=True, slots=True)
class SmaCrossover(FromColumns):
    """1 while SMA(close, fast) > SMA(close, slow), else 0 (semantics §2); spans in bars."""

    name: ClassVar[str] = "sma_crossover"
    space: ClassVar[ParameterSpace] = ParameterSpace(
        {"fast": IntRange(5, 60), "slow": IntRange(20, 240)}
    )

    fast: int = 20
    slow: int = 50

    def __post_init__(self) -> None:
        require(1 <= self.fast < self.slow, "1 <= fast < slow", self)

    @property
    def warmup_bars(self) -> int:
        """The slow window."""
        return self.slow

    def exposure(self, columns: Columns) -> Line:
        """Return 1.0 where the fast average is above the slow one, else 0.0."""
        return above(columns.sma(self.fast), columns.sma(self.slow)).astype(float)
