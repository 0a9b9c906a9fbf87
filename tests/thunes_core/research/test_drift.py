"""Drift of features against stored deciles, and of volatility against the training's range."""

import numpy as np
import pytest

from tests.thunes_core.research.randoms import random_bars
from thunes_core.research.drift import (
    WARMUP_BARS,
    deciles_of,
    feature_drift,
    stability_index,
    volatility_drift,
)

DECILES = np.arange(1, 10) / 10


def test_values_spread_as_the_deciles_say_have_no_drift():
    """A tenth in each bin: the index is 0."""
    assert stability_index(DECILES, np.linspace(0.0, 0.999, 1000)) == pytest.approx(0.0, abs=1e-9)


def test_values_in_one_bin_drift_by_the_formula():
    """All in one bin of ten: (1 - 0.1) ln(10) and nine times (0 - 0.1) ln(0), smoothed."""
    share, rest = 1000.5 / 1005, 0.5 / 1005
    expected = (share - 0.1) * np.log(share / 0.1) + 9 * (rest - 0.1) * np.log(rest / 0.1)
    assert stability_index(DECILES, np.full(1000, 0.05)) == pytest.approx(expected)


def test_the_same_market_has_not_drifted_and_a_wilder_one_has():
    """Bars of the same process stay in the range; three times the volatility leaves it."""
    training = random_bars(24 * 180, seed=1)
    assert not volatility_drift(training, random_bars(24 * 14, seed=2)).has_drifted
    wild = volatility_drift(training, random_bars(24 * 14, seed=2, deviation=0.03))
    assert wild.has_drifted
    assert "in training" in wild.sentence()


def test_features_of_a_market_that_only_rises_have_drifted():
    """Returns, trend and place in the range all sit in their upper bins; noise does not."""
    training = random_bars(24 * 180, seed=1)
    calm = feature_drift(training, random_bars(24 * 40, seed=5))
    assert not calm.has_drifted
    rising = feature_drift(training, random_bars(24 * 40, seed=5, drift=0.01))
    assert rising.has_drifted
    assert rising.parts["trend_168"] > calm.parts["trend_168"]
    assert "hour_sin" not in rising.parts


def test_stored_deciles_are_what_recent_features_are_held_against():
    """Against deciles of another market the same bars have drifted."""
    training, recent = random_bars(24 * 180, seed=1), random_bars(24 * 40, seed=5)
    features = np.random.default_rng(1).normal(50.0, 1.0, (500, 13))
    assert feature_drift(training, recent, deciles_of(features)).now > 1.0


def test_too_little_training_says_nothing():
    """Two months hold no three stretches of forty days."""
    few, recent = random_bars(24 * 60, seed=1), random_bars(24 * 40, seed=2)
    assert feature_drift(few, recent) is None
    assert volatility_drift(few, recent) is None


def test_a_short_look_is_held_against_stretches_as_short():
    """A week of the same market is no drift, though it is farther from the whole than a month."""
    training = random_bars(24 * 180, seed=1)
    for seed in range(2, 12):
        week = feature_drift(training, random_bars(24 * 7 + WARMUP_BARS, seed=seed))
        month = feature_drift(training, random_bars(24 * 30 + WARMUP_BARS, seed=seed))
        assert week.high > month.high
        assert not week.has_drifted
