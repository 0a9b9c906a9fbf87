"""Averages against hand-computed tables and exact arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thunes_core.indicators import ema, sma, wilder

NAN = float("nan")
prices = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=80)


@pytest.mark.parametrize(
    ("formula", "span", "values", "expected"),
    [
        (sma, 1, [3, 5], [3, 5]),
        (sma, 2, [1, 2, 6, 4], [NAN, 1.5, 4, 5]),
        (sma, 3, [1, 2], [NAN, NAN]),
        (ema, 1, [3, 5], [3, 5]),
        (ema, 3, [4, 8, 2, 2], [NAN, NAN, 4, 3]),  # 4, 6, 4, 3 with weight 1/2
        (ema, 3, [NAN, 4, 8, 2], [NAN, NAN, NAN, 4]),
        (wilder, 2, [2, 4, 9, 1], [NAN, 3, 6, 3.5]),  # mean 3, then half and half
        (wilder, 2, [NAN, 2, 4, 9], [NAN, NAN, 3, 6]),
        (wilder, 4, [1, 2, 3], [NAN, NAN, NAN]),
    ],
)
def test_average_equals_the_hand_made_table(formula, span, values, expected):
    """Four entries, the answer in the head; NaN until the window is full."""
    np.testing.assert_allclose(formula(np.array(values, float), span), expected, rtol=1e-15)


@pytest.mark.parametrize("formula", [sma, ema, wilder])
def test_no_values_give_no_values(formula):
    """An empty array in, an empty array out."""
    assert len(formula(np.empty(0), 3)) == 0


@settings(max_examples=200, deadline=None, derandomize=True)
@given(values=prices, span=st.integers(1, 12))
def test_sma_is_the_exact_mean_to_the_last_bits(values, span):
    """Against fractions: four units in the last place, or 1e-19 of the largest value before."""
    line = sma(np.array(values), span)
    for t in range(span - 1, len(values)):
        exact = float(sum(map(Fraction, values[t - span + 1 : t + 1])) / span)
        assert abs(line[t] - exact) <= 4 * np.spacing(exact) + 1e-19 * max(values)


def test_sma_does_not_drift_over_a_million_values():
    """After a million large values the window of the last ten is still exact."""
    rng = np.random.default_rng(0)
    values = np.append(rng.uniform(9e4, 1e5, 1_000_000), np.full(10, 0.1))
    assert sma(values, 10)[-1] == pytest.approx(0.1, rel=1e-12)


def test_sma_after_a_collapse_keeps_its_digits():
    """A price that fell from 100 to 0.00005, as LUNA did, is averaged as if it began there."""
    values = np.append(np.full(100_000, 99.99), np.linspace(5e-5, 6e-5, 500))
    fresh = sma(values[100_000:], 20)
    np.testing.assert_allclose(sma(values, 20)[100_019:], fresh[19:], rtol=1e-13)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(values=prices, later=prices, span=st.integers(1, 12))
def test_later_values_change_no_bit_of_earlier_ones(values, later, span):
    """Prefix property of every average, to the bit."""
    for formula in (sma, ema, wilder):
        alone = formula(np.array(values), span)
        followed = formula(np.array(values + later), span)[: len(values)]
        np.testing.assert_array_equal(alone, followed)


def test_inputs_are_left_alone():
    """No formula writes into its input."""
    values = np.arange(1.0, 9.0)
    values.flags.writeable = False
    for formula in (sma, ema, wilder):
        formula(values, 3)
