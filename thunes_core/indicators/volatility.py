"""Volatility: rolling deviation, Bollinger's bands, realised volatility.

Arrays in and out as in `averages`.

Add here: a measure of dispersion. Keep out: thresholds.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from thunes_core.indicators.averages import Line, sma

BLOCK = 4096
"""Windows computed at a time: enough for speed, few enough for the processor's cache."""


def rolling_std(values: Line, span: int, ddof: int = 0) -> Line:
    """Return the standard deviation of the last `span` values; NaN before that.

    Each window is computed anew, relative to its first value: no drift, and exactly 0 where the
    values are constant. Needs span > ddof.
    """
    deviation = np.full(len(values), np.nan)
    if len(values) < span:
        return deviation
    windows = sliding_window_view(values, span)
    for start in range(0, len(windows), BLOCK):
        block = windows[start : start + BLOCK]
        last = start + span - 1
        deviation[last : last + len(block)] = _deviations(block, span - ddof)
    return deviation


def _deviations(windows: Line, divisor: int) -> Line:
    moved = windows - windows[:, :1]
    moved -= moved.mean(axis=1, keepdims=True)
    squares: Line = np.einsum("ij,ij->i", moved, moved)
    return np.sqrt(squares / divisor)


def bollinger(close: Line, span: int, width: float) -> tuple[Line, Line, Line]:
    """Return lower band, middle and upper band: SMA ± width × population deviation.

    Source: John Bollinger, Bollinger on Bollinger Bands (2001); usual span 20, width 2.
    """
    middle = sma(close, span)
    reach = width * rolling_std(close, span)
    return middle - reach, middle, middle + reach


def log_returns(close: Line) -> Line:
    """Return ln(close[t] / close[t-1]), NaN at entry 0."""
    return np.diff(np.log(close), prepend=np.nan)


def realised_volatility(close: Line, span: int, bars_per_year: float) -> Line:
    """Return the annualised sample deviation of the last `span` log returns, first at entry `span`.

    A fraction a year (0.5 = 50 %). Source: Hull, Options, Futures, and Other Derivatives, §15.4,
    with the year of a market that never closes.
    """
    volatility = np.full(len(close), np.nan)
    volatility[1:] = rolling_std(log_returns(close)[1:], span, ddof=1)
    volatility *= bars_per_year**0.5
    return volatility
