"""Stationary bootstrap: what else the same days could have made, kept in runs.

Source: Politis and Romano, "The Stationary Bootstrap" (1994).

Add here: a distribution drawn from returns. Keep out: thresholds, drawing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from thunes_core.backtest.metrics import annual_sharpe

Floats = npt.NDArray[np.float64]
DRAWS = 1_000
LOW, HIGH = 0.05, 0.95


def resampled(
    returns: npt.ArrayLike,
    periods: int | None = None,
    *,
    draws: int = DRAWS,
    mean_block: float | None = None,
    seed: int = 7,
) -> Floats:
    """Return (draws, periods) of returns, drawn in runs of geometric length, wrapping around.

    `mean_block` is the mean run in periods, by default the cube root of the history times 1.5,
    at least 2. Deterministic with `seed`.
    """
    values = np.asarray(returns, dtype=float)
    wanted = len(values) if periods is None else periods
    rng = np.random.default_rng(seed)
    block = mean_block or max(1.5 * len(values) ** (1 / 3), 2.0)
    starts = rng.random((draws, wanted)) < 1.0 / block
    starts[:, :1] = True
    fresh = rng.integers(0, len(values), (draws, wanted))
    began = np.maximum.accumulate(np.where(starts, np.arange(wanted), 0), axis=1)
    origin = np.take_along_axis(fresh, began, axis=1)
    rows = (origin + np.arange(wanted) - began) % len(values)
    return np.asarray(values[rows])


@dataclass(frozen=True, slots=True)
class Band:
    """The annual Sharpe ratio's 5 % and 95 % quantiles, and the share of curves that gained."""

    low: float
    high: float
    gained: float


def sharpe_band(returns: npt.ArrayLike, seed: int = 7) -> Band:
    """Resample daily returns and return the band; NaN where there are fewer than two days.

    A draw without spread has Sharpe 0.
    """
    values = np.asarray(returns, dtype=float)
    if len(values) < 2:
        return Band(math.nan, math.nan, math.nan)
    drawn = resampled(values, seed=seed)
    low, high = np.quantile(np.nan_to_num(annual_sharpe(drawn), nan=0.0), [LOW, HIGH])
    return Band(float(low), float(high), float((drawn.mean(axis=1) > 0).mean()))


def promised_band(returns: npt.ArrayLike, days: int, seed: int = 7) -> pl.DataFrame:
    """Return how an equity of 1 may go in the next `days`, if the future is like `returns`.

    Columns: day (1 to `days`), low, middle, high: the 5, 50 and 95 % quantiles of growth.
    """
    growth = np.cumprod(1.0 + resampled(returns, days, seed=seed), axis=1)
    low, middle, high = np.quantile(growth, [LOW, 0.5, HIGH], axis=0)
    return pl.DataFrame({"day": np.arange(1, days + 1), "low": low, "middle": middle, "high": high})
