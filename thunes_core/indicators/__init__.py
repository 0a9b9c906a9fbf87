"""Series in, series out: one formula a function, with its source.

One convention: float64 numpy arrays in and out, equal length, NaN while undefined.

Add here: a formula that a strategy reads.
Keep out: thresholds, positions, orders.
"""

from thunes_core.indicators.averages import ema, sma, wilder
from thunes_core.indicators.columns import Columns, columns_of
from thunes_core.indicators.crossing import above, latched
from thunes_core.indicators.momentum import macd, rsi

__all__ = ["Columns", "above", "columns_of", "ema", "latched", "macd", "rsi", "sma", "wilder"]
