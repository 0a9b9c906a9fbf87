"""Momentum: RSI and MACD.

Arrays in and out as in `averages`.

Add here: an oscillator. Keep out: its thresholds.
"""

from __future__ import annotations

import numpy as np

from thunes_core.indicators.averages import Line, ema, wilder

STILL = 1e-7
"""Average moves below this share of the price are no movement: the remains of older bars."""


def rsi(close: Line, period: int) -> Line:
    """Return Wilder's relative strength index in [0, 100], first at entry `period`.

    100 × gain / (gain + loss), both Wilder averages of close-to-close moves. A price that stands
    still has 50: neither strength. Source: Wilder (1978), chapter VI.
    """
    moves = np.diff(close, prepend=np.nan)
    gain = wilder(np.maximum(moves, 0.0), period)
    moved = gain + wilder(np.maximum(-moves, 0.0), period)
    with np.errstate(invalid="ignore", divide="ignore"):
        index = 100.0 * gain / moved
    index[moved <= STILL * close] = 50.0
    return index


def macd(close: Line, fast: int, slow: int, signal: int) -> tuple[Line, Line]:
    """Return Appel's MACD line, EMA(fast) − EMA(slow), and its signal line, EMA(signal) of it.

    Source: Gerald Appel, The Moving Average Convergence-Divergence Trading Method (1979).
    """
    line = ema(close, fast) - ema(close, slow)
    return line, ema(line, signal)
