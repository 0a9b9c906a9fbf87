"""Trend by Donchian's channel: buy a new high, leave at a new low of a shorter span.

Add here: what this strategy alone needs. Keep out: orders, other strategies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from thunes_core.domain.parameters import IntRange, ParameterSpace
from thunes_core.indicators import Columns, Line, donchian_lower, donchian_upper, latched
from thunes_core.strategies.base import FromColumns, register, require

MEMORY_SPANS = 6


@register
@dataclass(frozen=True, slots=True)
class DonchianBreakout(FromColumns):
    """Enter when close > the highest high of the `entry` bars before, leave below `exit` lows.

    A hold is let go when the last new high is more than 6 entry spans old.
    """

    name: ClassVar[str] = "donchian_breakout"
    space: ClassVar[ParameterSpace] = ParameterSpace(
        {"entry": IntRange(10, 120), "exit": IntRange(5, 60)}
    )

    entry: int = 55
    exit: int = 20

    def __post_init__(self) -> None:
        require(1 <= self.exit <= self.entry, "1 <= exit <= entry", self)

    @property
    def warmup_bars(self) -> int:
        """The channel and what a hold may last."""
        return (1 + MEMORY_SPANS) * self.entry + 1

    def exposure(self, columns: Columns) -> Line:
        """Return 1.0 while the position is wanted, else 0.0."""
        upper = columns.of(donchian_upper, "high", self.entry)
        lower = columns.of(donchian_lower, "low", self.exit)
        memory = MEMORY_SPANS * self.entry
        return latched(columns.close > upper, columns.close < lower, memory).astype(float)
