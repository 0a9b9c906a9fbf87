"""Momentum, ranges and volatility against hand-computed tables."""

from __future__ import annotations

import math

import numpy as np
import pytest

from thunes_core.indicators import (
    atr,
    bollinger,
    donchian_lower,
    donchian_upper,
    ema,
    macd,
    realised_volatility,
    rolling_std,
    rsi,
    true_range,
)

NAN = float("nan")


def close_to(actual, expected, **tolerance):
    """Assert equality within rounding, NaN equal to NaN."""
    np.testing.assert_allclose(actual, expected, **{"rtol": 1e-12, "atol": 1e-12, **tolerance})


def test_rsi_by_hand():
    """Moves +2 −1 +1 −4, period 2: gains 1, 1, 0.5; losses 0.5, 0.25, 2.125."""
    close_to(
        rsi(np.array([10.0, 12, 11, 12, 8]), 2),
        [NAN, NAN, 100 * 1 / 1.5, 100 * 1 / 1.25, 100 * 0.5 / 2.625],
    )


def test_rsi_of_wilders_kind_of_table():
    """The well-known fourteen-day table of 44.34 ... has 70.53, 66.32, 66.55, 69.41, 66.36."""
    closes = [
        44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955, 45.4245, 45.8433, 46.0826,
        45.8931, 46.0328, 45.6140, 46.2820, 46.2820, 46.0028, 46.0328, 46.4116, 46.2222,
    ]  # fmt: skip
    close_to(rsi(np.array(closes), 14)[14:], [70.53, 66.32, 66.55, 69.41, 66.36], atol=0.006)


def test_rsi_knows_only_gains_only_losses_and_standstill():
    """100, 0 and 50."""
    assert rsi(np.array([1.0, 2, 3, 4]), 2)[-1] == 100.0
    assert rsi(np.array([4.0, 3, 2, 1]), 2)[-1] == 0.0
    assert rsi(np.full(9, 0.1), 2)[2:].tolist() == [50.0] * 7


def test_rsi_forgets_what_moved_long_ago():
    """After 16 periods and more of standstill the index says neither: 50, not the old ratio."""
    close = np.append([100.0, 90.0, 95.0], np.full(400, 95.0))
    assert rsi(close, 5)[12] != 50.0 and rsi(close, 5)[-1] == 50.0


def test_macd_is_the_difference_and_its_average():
    """EMA(2) − EMA(4), and EMA(3) of it begun at its first value."""
    close = np.array([1.0, 2, 4, 8, 16, 8, 4])
    line, signal = macd(close, 2, 4, 3)
    close_to(line, ema(close, 2) - ema(close, 4))
    close_to(signal, [NAN] * 5 + [((line[3] + line[4]) / 2 + line[5]) / 2, signal[6]])
    close_to(signal[6], (signal[5] + line[6]) / 2)


def test_true_range_takes_the_last_close_into_account():
    """Inside day, gap up, gap down."""
    high, low, close = np.array([12.0, 12, 20, 9]), np.array([10.0, 11, 18, 8]), [11.0, 11, 19, 8]
    close_to(true_range(high, low, np.array(close)), [2, 1, 9, 11])


def test_atr_is_wilders_average_of_it():
    """Ranges 2 1 9 11 with period 2: 1.5, 5.25, 8.125."""
    high, low, close = np.array([12.0, 12, 20, 9]), np.array([10.0, 11, 18, 8]), [11.0, 11, 19, 8]
    close_to(atr(high, low, np.array(close), 2), [NAN, 1.5, 5.25, 8.125])


def test_donchian_leaves_the_bar_itself_out():
    """Highest and lowest of the two bars before."""
    values = np.array([3.0, 5, 4, 9, 1])
    close_to(donchian_upper(values, 2), [NAN, NAN, 5, 5, 9])
    close_to(donchian_lower(values, 2), [NAN, NAN, 3, 4, 4])


def test_rolling_std_by_hand():
    """Windows (1, 3) and (3, 7): deviations 1 and 2, by ddof 1 √2 and √8."""
    values = np.array([1.0, 3, 7])
    close_to(rolling_std(values, 2), [NAN, 1, 2])
    close_to(rolling_std(values, 2, ddof=1), [NAN, math.sqrt(2), math.sqrt(8)])
    close_to(rolling_std(values, 4), [NAN] * 3)


def test_rolling_std_of_a_constant_is_zero_after_anything():
    """No drift: after large values a constant window has deviation 0 exactly."""
    values = np.append(np.linspace(1e5, 2e5, 5000), np.full(50, 0.1))
    assert rolling_std(values, 20)[-30:].tolist() == [0.0] * 30


def test_bollinger_by_hand():
    """Window (1, 3), width 2: 0, 2, 4."""
    lower, middle, upper = bollinger(np.array([1.0, 3]), 2, 2.0)
    assert (lower[1], middle[1], upper[1]) == (0.0, 2.0, 4.0)


def test_realised_volatility_is_annualised():
    """Log returns +1 % and −1 %: sample deviation √2 %, times √365."""
    close = np.exp([0.0, 0.01, 0.0])
    close_to(realised_volatility(close, 2, 365.0), [NAN, NAN, 0.01 * math.sqrt(2 * 365)])


@pytest.mark.parametrize(
    "formula",
    [
        lambda x: rsi(x, 3),
        lambda x: macd(x, 2, 4, 3)[1],
        lambda x: atr(x + 1, x - 1, x, 3),
        lambda x: donchian_upper(x, 3),
        lambda x: bollinger(x, 3, 2.0)[0],
        lambda x: realised_volatility(x, 3, 365.0),
    ],
)
def test_formulas_keep_length_prefix_and_emptiness(formula):
    """Equal length, no bit changed by later values, and nothing from nothing."""
    values = np.random.default_rng(0).uniform(50, 60, 300)
    whole = formula(values)
    assert len(whole) == 300 and len(formula(np.empty(0))) == 0
    for cut in (1, 2, 7, 150, 299):
        np.testing.assert_array_equal(formula(values[:cut]), whole[:cut])
