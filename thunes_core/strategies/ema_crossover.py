"""Trend by two exponential moving averages: in the market while the fast one leads.

Add here: what this strategy alone needs. Keep out: orders, other strategies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from thunes_core.domain.parameters import IntRange, ParameterSpace
from thunes_core.indicators import Columns, Line, above, ema
from thunes_core.indicators.crossing import SEED
from thunes_core.strategies.base import FromColumns, register, require

WARMUP_SPANS = 8


@register
@dataclass(frozen=True, slots=True)
class EmaCrossover(FromColumns):
    """1 while EMA(close, fast) > EMA(close, slow), else 0; spans in bars."""

    name: ClassVar[str] = "ema_crossover"
    space: ClassVar[ParameterSpace] = ParameterSpace(
        {"fast": IntRange(5, 60), "slow": IntRange(20, 200)}
    )

    fast: int = 20
    slow: int = 50

    def __post_init__(self) -> None:
        require(1 <= self.fast < self.slow, "1 <= fast < slow", self)

    @property
    def warmup_bars(self) -> int:
        """Eight slow spans: the beginning then weighs less than 2e-7."""
        return WARMUP_SPANS * self.slow

    def exposure(self, columns: Columns) -> Line:
        """Return 1.0 where the fast average is above the slow one, else 0.0."""
        fast = columns.of(ema, "close", self.fast)
        slow = columns.of(ema, "close", self.slow)
        return above(fast, slow, SEED).astype(float)
