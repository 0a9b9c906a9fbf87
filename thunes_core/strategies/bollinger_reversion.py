"""Mean reversion by Bollinger's bands: buy below the lower band, leave above the middle.

Add here: what this strategy alone needs. Keep out: orders, other strategies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from thunes_core.domain.parameters import FloatRange, IntRange, ParameterSpace
from thunes_core.indicators import Columns, Line, above, bollinger, latched
from thunes_core.strategies.base import FromColumns, register, require

MEMORY_SPANS = 8


@register
@dataclass(frozen=True, slots=True)
class BollingerReversion(FromColumns):
    """Enter when close < SMA − width deviations, leave when close > SMA, hold in between.

    A hold is let go when close was last below the band more than 8 spans ago.
    """

    name: ClassVar[str] = "bollinger_reversion"
    space: ClassVar[ParameterSpace] = ParameterSpace(
        {"span": IntRange(10, 80), "width": FloatRange(1.0, 3.5)}
    )

    span: int = 20
    width: float = 2.0

    def __post_init__(self) -> None:
        require(self.span >= 2, "span >= 2", self)
        require(0 < self.width < float("inf"), "width > 0", self)

    @property
    def warmup_bars(self) -> int:
        """The window and what a hold may last."""
        return (1 + MEMORY_SPANS) * self.span

    def exposure(self, columns: Columns) -> Line:
        """Return 1.0 while the position is wanted, else 0.0."""
        lower, middle, _ = columns.of(bollinger, "close", self.span, self.width)
        close = columns.close
        memory = MEMORY_SPANS * self.span
        return latched(above(lower, close), above(close, middle), memory).astype(float)
