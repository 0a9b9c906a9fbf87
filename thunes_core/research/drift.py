"""Whether the market is still the one that a champion was fitted on: features and volatility.

Features are held against their deciles at the time of fitting by the population stability index
(Siddiqi, "Credit Risk Scorecards", 2006): the sum over ten bins of (now - 0.1) ln(now / 0.1).
Slow features drift by themselves from week to week, so that the index must also exceed what any
stretch of the training bars, as long as the recent one, showed against the whole of them.

Add here: a measure of drift. Keep out: reading stores, what follows from a drift.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from thunes_core.indicators.averages import Line
from thunes_core.indicators.columns import columns_of
from thunes_core.indicators.features import WARMUP_BARS, feature_matrix, feature_names

__all__ = ["WARMUP_BARS", "Drift", "feature_drift", "volatility_drift"]

SIGNIFICANT = 0.25
"""Below it an index is commonly taken for noise."""
STRETCH_DAYS = 30
"""Days of new bars that are held against the training at most."""
LEAST_NEW_DAYS = 7
"""Days of new bars before they are held against the training."""
LEAST_STRETCHES = 3
MARGIN = 1.25
"""Volatility must leave the range it had in training by this factor."""
_CALENDAR = ("hour_sin", "hour_cos", "week_sin", "week_cos")
_SMOOTHING = 0.5


@dataclass(frozen=True, slots=True)
class Drift:
    """One measure now, and the range it had in training."""

    name: str
    now: float
    low: float
    high: float
    parts: Mapping[str, float]

    @property
    def has_drifted(self) -> bool:
        """True outside the range."""
        return not self.low <= self.now <= self.high

    def sentence(self) -> str:
        """Say it in one line."""
        return f"{self.name} is {self.now:.3g}, in training {self.low:.3g} to {self.high:.3g}"


def deciles_of(features: Line) -> Line:
    """Return (features, 9): the deciles of each column's finite rows."""
    known = features[np.isfinite(features).all(axis=1)]
    return np.quantile(known, np.arange(1, 10) / 10, axis=0).T


def stability_index(deciles: Line, values: Line) -> float:
    """Return the population stability index of `values` against nine deciles; 0 is no drift.

    Half an observation is added to each bin, so that an empty one stays finite.
    """
    counts = np.bincount(np.searchsorted(deciles, values, side="right"), minlength=10)
    shares = (counts + _SMOOTHING) / (len(values) + 10 * _SMOOTHING)
    return float(((shares - 0.1) * np.log(shares / 0.1)).sum())


def feature_drift(
    training: pl.DataFrame, recent: pl.DataFrame, deciles: Line | None = None
) -> Drift | None:
    """Hold the features of `recent` bars against those of the `training` bars.

    `deciles` (features, 9): those stored with the model; by default of the training bars. The
    measure is the mean index over features, the calendar left out. None where the training has
    fewer than `LEAST_STRETCHES` stretches as long as what is recent, or nothing recent is defined.
    """
    known = _defined(training)
    now = _defined(recent)
    stretches = _stretches(known, len(now))
    if len(stretches) < LEAST_STRETCHES:
        return None
    reference = deciles_of(known) if deciles is None else deciles
    parts = _indices(reference, now)
    seen = [_mean(_indices(reference, stretch)) for stretch in stretches]
    return Drift("feature drift (mean PSI)", _mean(parts), 0.0, max(SIGNIFICANT, *seen), parts)


def volatility_drift(training: pl.DataFrame, recent: pl.DataFrame) -> Drift | None:
    """Hold the deviation of `recent` log returns against that of each stretch of the training.

    Per bar, as a fraction. None where there is too little of either.
    """
    now = _returns(recent)
    stretches = _stretches(_returns(training), len(now))
    if len(stretches) < LEAST_STRETCHES:
        return None
    seen = [float(stretch.std(ddof=1)) for stretch in stretches]
    low, high = min(seen) / MARGIN, max(seen) * MARGIN
    return Drift("volatility per bar", float(now.std(ddof=1)), low, high, {})


def _defined(bars: pl.DataFrame) -> Line:
    features = feature_matrix(columns_of(bars))
    return np.asarray(features[np.isfinite(features).all(axis=1)])


def _returns(bars: pl.DataFrame) -> Line:
    return np.asarray(np.diff(np.log(bars["close"].to_numpy())))


def _stretches(rows: Line, length: int) -> list[Line]:
    """Cut rows into runs of `length`, the incomplete one at the end left out; none below two."""
    if length < 2:
        return []
    return [rows[i : i + length] for i in range(0, len(rows) - length + 1, length)]


def _indices(deciles: Line, rows: Line) -> dict[str, float]:
    return {
        name: stability_index(deciles[n], rows[:, n])
        for n, name in enumerate(feature_names())
        if name not in _CALENDAR
    }


def _mean(parts: Mapping[str, float]) -> float:
    return sum(parts.values()) / len(parts)
