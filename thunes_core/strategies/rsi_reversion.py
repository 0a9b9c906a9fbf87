"""Mean reversion by RSI: buy weakness, hold until strength has returned.

Add here: what this strategy alone needs. Keep out: orders, other strategies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from thunes_core.domain.parameters import FloatRange, IntRange, ParameterSpace
from thunes_core.indicators import Columns, latched, rsi
from thunes_core.indicators.averages import Line
from thunes_core.strategies.base import FromColumns, register, require

WARMUP_PERIODS = 16
MEMORY_PERIODS = 32


@register
@dataclass(frozen=True, slots=True)
class RsiReversion(FromColumns):
    """Enter (1) when RSI < entry, leave (0) when RSI > exit, hold in between.

    A hold is let go when RSI was last below `entry` more than 32 periods ago: what has not
    reverted by then is no reversion, and the state needs a finite past only.
    """

    name: ClassVar[str] = "rsi_reversion"
    space: ClassVar[ParameterSpace] = ParameterSpace(
        {
            "period": IntRange(2, 30),
            "entry": FloatRange(10.0, 45.0),
            "exit": FloatRange(50.0, 80.0),
        }
    )

    period: int = 14
    entry: float = 30.0
    exit: float = 55.0

    def __post_init__(self) -> None:
        require(self.period >= 2, "period >= 2", self)
        require(0 < self.entry < self.exit < 100, "0 < entry < exit < 100", self)

    @property
    def warmup_bars(self) -> int:
        """Bars until RSI has forgotten its beginning, and those that a hold may last."""
        return (WARMUP_PERIODS + MEMORY_PERIODS) * self.period

    def exposure(self, columns: Columns) -> Line:
        """Return 1.0 while the position is wanted, else 0.0."""
        strength = columns.of(rsi, "close", self.period)
        wanted = latched(strength < self.entry, strength > self.exit, MEMORY_PERIODS * self.period)
        return wanted.astype(float)
