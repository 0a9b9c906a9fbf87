"""Ranges: true range, Wilder's average of it, Donchian's channel.

Arrays in and out as in `averages`.

Add here: a measure of highs and lows. Keep out: thresholds.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from thunes_core.indicators.averages import Line, wilder


def true_range(high: Line, low: Line, close: Line) -> Line:
    """Return the largest of high − low and the distances of both to the last close.

    The first entry is high − low. Source: Wilder (1978), chapter III.
    """
    last = np.concatenate((close[:1], close[:-1]))
    last[:1] = np.clip(last[:1], low[:1], high[:1])
    return np.maximum(high, last) - np.minimum(low, last)


def atr(high: Line, low: Line, close: Line, period: int) -> Line:
    """Return Wilder's average true range in price units, first at entry `period` − 1."""
    return wilder(true_range(high, low, close), period)


def rolling_max(values: Line, span: int) -> Line:
    """Return the largest of the last `span` values, NaN before that."""
    return pl.Series(values).rolling_max(span).fill_null(np.nan).to_numpy()


def rolling_min(values: Line, span: int) -> Line:
    """Return the smallest of the last `span` values, NaN before that."""
    return pl.Series(values).rolling_min(span).fill_null(np.nan).to_numpy()


def donchian_upper(high: Line, span: int) -> Line:
    """Return the highest high of the `span` bars before each bar, the bar itself left out.

    Source: Richard Donchian's channel, as the Turtles traded it (Faith 2003): a break is a price
    beyond the channel of the bars before.
    """
    return _earlier(rolling_max(high, span))


def donchian_lower(low: Line, span: int) -> Line:
    """Return the lowest low of the `span` bars before each bar, the bar itself left out."""
    return _earlier(rolling_min(low, span))


def _earlier(line: Line) -> Line:
    shifted = np.full(len(line), np.nan)
    shifted[1:] = line[:-1]
    return shifted
