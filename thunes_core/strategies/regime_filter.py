"""Regime filter: another strategy, allowed only in a rising and tolerably calm market.

Add here: what this strategy alone needs. Keep out: orders, other strategies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from thunes_core.domain.parameters import Choice, FloatRange, IntRange, ParameterSpace
from thunes_core.indicators import Columns, Line, above, realised_volatility
from thunes_core.strategies.base import FromColumns, register, require
from thunes_core.strategies.wrapping import WRAPPABLE, inner_strategy


@register
@dataclass(frozen=True, slots=True)
class RegimeFilter(FromColumns):
    """The inner exposure while close > SMA(trend) and realised volatility <= cap, else 0.

    `cap` is a volatility a year (1.0 = 100 %) over `span` bars. `parameters` is JSON of the inner
    strategy's.
    """

    name: ClassVar[str] = "regime_filter"
    space: ClassVar[ParameterSpace] = ParameterSpace(
        {
            "inner": Choice((*WRAPPABLE, "rsi_reversion", "bollinger_reversion")),
            "trend": IntRange(50, 400),
            "span": IntRange(12, 240),
            "cap": FloatRange(0.3, 2.0),
        }
    )

    inner: str = "sma_crossover"
    parameters: str = "{}"
    trend: int = 200
    span: int = 72
    cap: float = 1.0

    def __post_init__(self) -> None:
        require(self.trend >= 1 and self.span >= 2, "trend >= 1 and span >= 2", self)
        require(0 < self.cap < float("inf"), "cap > 0", self)
        inner_strategy(self.inner, self.parameters)

    @property
    def warmup_bars(self) -> int:
        """The longest of the inner warm-up and both windows."""
        inner = inner_strategy(self.inner, self.parameters)
        return max(inner.warmup_bars, self.trend, self.span)

    def exposure(self, columns: Columns) -> Line:
        """Return the inner exposure where the regime allows it, else 0.0."""
        wanted = inner_strategy(self.inner, self.parameters).exposure(columns)
        risk = columns.of(realised_volatility, "close", self.span, columns.bars_per_year)
        rising = above(columns.close, columns.sma(self.trend))
        return np.where(rising & (risk <= self.cap), wanted, 0.0)
