"""Features of bars for a classifier: what happened lately, in units of its own usual size.

Every column reads a finite past (`WARMUP_BARS`) and ratios of prices only, so that it is the same
from any start and on any unit of account. Entries are NaN while undefined.

Add here: a feature. Keep out: labels, models.
"""

from __future__ import annotations

import numpy as np

from thunes_core.indicators.averages import Line, sma
from thunes_core.indicators.columns import Columns
from thunes_core.indicators.ranges import rolling_max, rolling_min
from thunes_core.indicators.volatility import rolling_std

USUAL = 72
"""Bars over which the usual size of a move is measured."""
LONG = 168
WARMUP_BARS = LONG + 2
_DAY_US, _WEEK_US = 86_400_000_000, 604_800_000_000
_RETURNS = (1, 6, 24, 72)


def feature_names() -> tuple[str, ...]:
    """Name the features in the order of `feature_matrix`'s columns."""
    returns = tuple(f"return_{span}" for span in _RETURNS)
    calendar = ("hour_sin", "hour_cos", "week_sin", "week_cos")
    return (*returns, "trend_24", "trend_168", "volatility", "position", "volume", *calendar)


def usual_move(columns: Columns) -> Line:
    """Return the deviation of the last `USUAL` log returns; NaN until there are so many."""
    return columns.of(_deviation, "close", USUAL)


def feature_matrix(columns: Columns) -> Line:
    """Return (bars, features), float64; a row with NaN is undefined."""
    return columns.recall("feature_matrix", lambda: np.column_stack(_features(columns)))


def _features(columns: Columns) -> list[Line]:
    usual = usual_move(columns)
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = np.where(usual > 0, usual, np.nan)
        return [
            *(_moved(columns.close, span) / (unit * span**0.5) for span in _RETURNS),
            *(_trend(columns, span) / (unit * span**0.5) for span in (24, LONG)),
            np.log(columns.of(_deviation, "close", 24) / unit),
            _position(columns),
            _busy(columns.volume),
            *_calendar(columns),
        ]


def _deviation(close: Line, span: int) -> Line:
    """Return the deviation of the last `span` log returns, first at entry `span`."""
    deviation = np.full(len(close), np.nan)
    deviation[1:] = rolling_std(_moved(close, 1)[1:], span)
    return deviation


def _moved(close: Line, span: int) -> Line:
    moved = np.full(len(close), np.nan)
    moved[span:] = np.log(close[span:] / close[:-span])
    return moved


def _trend(columns: Columns, span: int) -> Line:
    return np.log(columns.close / columns.sma(span))


def _position(columns: Columns) -> Line:
    """Return where close stands in the range of the last 48 bars: 0 at its low, 1 at its high."""
    high, low = columns.of(rolling_max, "high", 48), columns.of(rolling_min, "low", 48)
    return (columns.close - low) / (high - low)


def _busy(volume: Line) -> Line:
    """Return the log of recent over usual volume, held to [-3, 3]; quiet counts as -3."""
    ratio = sma(volume, 6) / sma(volume, LONG)
    return np.clip(np.log(np.where(ratio > 0, ratio, np.exp(-3.0))), -3.0, 3.0)


def _calendar(columns: Columns) -> list[Line]:
    day = (columns.open_time % _DAY_US) / _DAY_US * 2 * np.pi
    week = (columns.open_time % _WEEK_US) / _WEEK_US * 2 * np.pi
    return [np.sin(day), np.cos(day), np.sin(week), np.cos(week)]
