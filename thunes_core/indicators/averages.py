"""Moving averages: simple, exponential, Wilder's.

Every function takes and returns one-dimensional float64 arrays of the same length; an entry is NaN
until its window is full. Entry t reads entries <= t only, and to the bit whatever follows.

Add here: an average. Keep out: comparing averages (`crossing`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

Line = npt.NDArray[np.float64]
PART = 16_384
"""Entries worked on at a time, so that what lies between input and result stays in the cache."""


@dataclass(frozen=True, slots=True, eq=False)
class RunningSum:
    """Sum of the first i values at entry i, as `total` plus the rounding error `rest` it lost.

    Compensated summation (Ogita, Rump, Oishi 2005, "Accurate sum and dot product", Sum2), kept for
    every prefix: the sum of any window is then good to the last bit or two, however long the
    series, in time independent of the window. Both arrays have one entry more than the values.
    """

    total: Line
    rest: Line

    @property
    def nbytes(self) -> int:
        """Memory of both arrays in bytes."""
        return self.total.nbytes + self.rest.nbytes


def parts(length: int) -> Iterator[slice]:
    """Yield the slices that cover `length` entries, `PART` at a time."""
    return (slice(start, min(start + PART, length)) for start in range(0, length, PART))


def running_sum(values: Line) -> RunningSum:
    """Return the compensated running sum of finite `values`."""
    total, rest = np.zeros((2, len(values) + 1))
    np.cumsum(values, out=total[1:])
    for part in parts(len(values)):
        before, after = total[:-1][part], total[1:][part]
        added = after - before
        lost = before - (after - added)
        np.add(lost, values[part] - added, out=rest[1:][part])
    np.cumsum(rest[1:], out=rest[1:])
    return RunningSum(total, rest)


def window_mean(sums: RunningSum, span: int) -> Line:
    """Return the mean of the last `span` values from their running sum; NaN before that."""
    n = len(sums.total) - 1
    mean = np.empty(n)
    mean[: span - 1] = np.nan
    for part in parts(n + 1 - span):
        inside = mean[span - 1 :][part]
        np.subtract(sums.total[span:][part], sums.total[part], out=inside)
        inside += sums.rest[span:][part] - sums.rest[part]
        inside /= span
    return mean


def sma(values: Line, span: int) -> Line:
    """Return the simple moving average of finite `values` over `span` entries.

    >>> sma(np.array([1.0, 2.0, 6.0]), 2)
    array([nan, 1.5, 4. ])
    """
    return window_mean(running_sum(values), span)


def ema(values: Line, span: int) -> Line:
    """Return the exponential moving average, weight 2 / (span + 1), begun at the first value.

    After 8 spans the beginning weighs less than 2e-7. Leading NaN are skipped.
    """
    return _recursive(values, 2.0 / (span + 1), span)


def wilder(values: Line, period: int) -> Line:
    """Return Wilder's average: the mean of the first `period` values, then weight 1 / period.

    Source: J. Welles Wilder, New Concepts in Technical Trading Systems (1978). After 16 periods
    the beginning weighs less than 2e-7. Leading NaN are skipped.
    """
    start = _first_finite(values)
    seeded = np.full(len(values), np.nan)
    if len(values) - start < period:
        return seeded
    seeded[start + period - 1] = values[start : start + period].mean()
    seeded[start + period :] = values[start + period :]
    return _recursive(seeded, 1.0 / period, 1)


def _recursive(values: Line, weight: float, full_after: int) -> Line:
    """Return y[t] = weight x[t] + (1 - weight) y[t-1], y = x at the first finite entry."""
    start = _first_finite(values)
    line = np.full(len(values), np.nan)
    line[start:] = pl.Series(values[start:]).ewm_mean(alpha=weight, adjust=False).to_numpy()
    line[start : start + full_after - 1] = np.nan
    return line


def _first_finite(values: Line) -> int:
    finite = np.isfinite(values)
    return int(finite.argmax()) if finite.any() else len(values)
