"""A classifier's opinion: hold while the calibrated probability of a rise is high enough.

The fitted model comes as a parameter, in plain numbers (JSON): no code is loaded, and what is read
here equals what was fitted to 1e-9. Without a model the strategy holds nothing. Fitting is in
`research/models.py`.

Add here: how a fitted model is applied. Keep out: fitting, features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from thunes_core.domain.parameters import Choice, FloatRange, IntRange, ParameterSpace
from thunes_core.indicators.averages import Line, sma
from thunes_core.indicators.columns import Columns
from thunes_core.indicators.features import WARMUP_BARS, feature_matrix
from thunes_core.strategies.base import FromColumns, register, require
from thunes_core.strategies.model_document import KINDS, probability, read_model


@register
@dataclass(frozen=True, slots=True)
class LearnedDirection(FromColumns):
    """1 while the mean probability of the last `smooth` bars is at least `threshold`, else 0.

    A rise means that within `horizon` bars the upper barrier, `barrier` usual moves away, is
    touched before the lower. `strength` is how freely the model may bend (inverse of its
    regularisation). `horizon`, `barrier` and `strength` matter to fitting alone.
    """

    name: ClassVar[str] = "learned_direction"
    space: ClassVar[ParameterSpace] = ParameterSpace(
        {
            "kind": Choice(KINDS),
            "horizon": IntRange(6, 48),
            "barrier": FloatRange(0.5, 2.5),
            "threshold": FloatRange(0.5, 0.65),
            "smooth": IntRange(1, 24),
            "strength": FloatRange(0.01, 10.0, log=True),
        }
    )
    fitted: ClassVar[tuple[str, ...]] = ("model",)

    kind: str = "logistic"
    horizon: int = 24
    barrier: float = 1.0
    threshold: float = 0.55
    smooth: int = 6
    strength: float = 0.1
    model: str = ""

    def __post_init__(self) -> None:
        require(self.kind in KINDS, f"kind among {KINDS}", self)
        require(self.horizon >= 1 and self.smooth >= 1, "horizon >= 1 and smooth >= 1", self)
        require(0 < self.threshold < 1, "0 < threshold < 1", self)
        require(self.barrier > 0 and self.strength > 0, "barrier > 0 and strength > 0", self)
        if self.model:
            read_model(self.model)

    @property
    def warmup_bars(self) -> int:
        """Bars until every feature is known, and those of the smoothing."""
        return WARMUP_BARS + self.smooth

    def exposure(self, columns: Columns) -> Line:
        """Return 1.0 while the smoothed probability reaches the threshold, else 0.0."""
        if not self.model:
            return np.zeros(len(columns))
        return self.hold(probability(read_model(self.model), feature_matrix(columns)))

    def hold(self, chance: Line) -> Line:
        """Turn a probability per bar into an exposure; undefined counts as none."""
        smoothed = sma(np.nan_to_num(chance, nan=0.0), self.smooth)
        return (smoothed >= self.threshold).astype(float)
