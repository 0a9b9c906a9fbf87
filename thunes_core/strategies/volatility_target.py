"""Constant risk: hold less of another strategy's exposure when the market is wild.

Add here: what this strategy alone needs. Keep out: orders, other strategies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from thunes_core.domain.parameters import Choice, FloatRange, IntRange, ParameterSpace
from thunes_core.indicators import Columns, Line, realised_volatility
from thunes_core.strategies.base import FromColumns, register, require
from thunes_core.strategies.wrapping import WRAPPABLE, inner_strategy


@register
@dataclass(frozen=True, slots=True)
class VolatilityTarget(FromColumns):
    """The inner exposure × min(1, target / realised volatility), floored to multiples of `step`.

    `target` is a volatility a year (0.4 = 40 %), measured over `span` bars. The steps keep drift
    of the estimate from trading every bar. `parameters` is JSON of the inner strategy's.
    """

    name: ClassVar[str] = "volatility_target"
    space: ClassVar[ParameterSpace] = ParameterSpace(
        {
            "inner": Choice(WRAPPABLE),
            "target": FloatRange(0.1, 1.0),
            "span": IntRange(12, 240),
            "step": Choice((0.1, 0.2, 0.25, 0.5)),
        }
    )

    inner: str = "sma_crossover"
    parameters: str = "{}"
    target: float = 0.4
    span: int = 72
    step: float = 0.25

    def __post_init__(self) -> None:
        require(0 < self.target < float("inf"), "target > 0", self)
        require(self.span >= 2, "span >= 2", self)
        require(0 < self.step <= 1, "0 < step <= 1", self)
        inner_strategy(self.inner, self.parameters)

    @property
    def warmup_bars(self) -> int:
        """The longer of the inner warm-up and the window of the volatility."""
        return max(inner_strategy(self.inner, self.parameters).warmup_bars, self.span)

    def exposure(self, columns: Columns) -> Line:
        """Return the scaled inner exposure; 0 until the volatility is known."""
        wanted = inner_strategy(self.inner, self.parameters).exposure(columns)
        risk = columns.of(realised_volatility, "close", self.span, columns.bars_per_year)
        share = np.divide(self.target, risk, out=np.ones(len(risk)), where=risk > self.target)
        share[np.isnan(risk)] = 0.0
        return np.minimum(np.floor(wanted * share / self.step + 1e-9) * self.step, 1.0)
