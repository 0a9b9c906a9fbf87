"""Series in, series out: one formula a function, with its source.

One convention: float64 numpy arrays in and out, equal length, NaN while undefined.

Add here: a formula that a strategy reads.
Keep out: thresholds, positions, orders.
"""

from thunes_core.indicators.averages import Line, ema, sma, wilder
from thunes_core.indicators.columns import Columns, columns_of
from thunes_core.indicators.crossing import above, latched
from thunes_core.indicators.momentum import macd, rsi
from thunes_core.indicators.ranges import atr, donchian_lower, donchian_upper, true_range
from thunes_core.indicators.timeframes import seen, slow_bars, slow_closes
from thunes_core.indicators.volatility import bollinger, realised_volatility, rolling_std

__all__ = [
    "Columns",
    "Line",
    "above",
    "atr",
    "bollinger",
    "columns_of",
    "donchian_lower",
    "donchian_upper",
    "ema",
    "latched",
    "macd",
    "realised_volatility",
    "rolling_std",
    "rsi",
    "seen",
    "slow_bars",
    "slow_closes",
    "sma",
    "true_range",
    "wilder",
]
