"""Layouts of parameter sets and resampled returns keep what they promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunes_core.domain.parameters import Choice, FloatRange, IntRange, ParameterSpace
from thunes_core.research.bootstrap import promised_band, resampled, sharpe_band
from thunes_core.research.neighbours import even_sample, from_unit, neighbours, to_unit

SPACE = ParameterSpace(
    {
        "span": IntRange(5, 60, step=5),
        "share": FloatRange(0.01, 1.0, log=True),
        "width": FloatRange(0.5, 3.0),
        "kind": Choice(("a", "b", "c")),
    }
)


def test_even_sample_is_inside_the_space_and_covers_each_dimension():
    """Every point fits; each tenth of a dimension has about a tenth of the points."""
    points = even_sample(SPACE, 200, seed=3)
    for point in points:
        SPACE.require(point)
    widths = np.histogram([p["width"] for p in points], bins=10, range=(0.5, 3.0))[0]
    assert widths.tolist() == [20] * 10
    assert even_sample(SPACE, 200, seed=3) == points != even_sample(SPACE, 200, seed=4)


@given(unit=st.floats(0, 1))
def test_scale_and_back_is_the_nearest_value(unit):
    """Going to a dimension's scale and back gives the same value again."""
    for dimension in SPACE.dimensions.values():
        value = from_unit(dimension, unit)
        assert dimension.holds(value)
        again = from_unit(dimension, min(to_unit(dimension, value) + 1e-12, 1.0))
        assert again == pytest.approx(value) if isinstance(value, float) else True


def test_neighbours_move_one_dimension_and_stay_inside():
    """Each neighbour differs in exactly one dimension; none leaves the space."""
    values = {"span": 5, "share": 0.1, "width": 3.0, "kind": "b"}
    found = neighbours(SPACE, values)
    assert found
    for point in found:
        SPACE.require(point)
        assert sum(point[name] != values[name] for name in values) == 1
        assert point["kind"] == "b"


def test_resampled_returns_come_in_runs_from_the_history():
    """Every value is from the history, and most follow their predecessor of the history."""
    history = np.arange(100.0)
    drawn = resampled(history, draws=50, mean_block=10, seed=1)
    follows = (drawn[:, 1:] - drawn[:, :-1]) % 100 == 1
    assert set(drawn.ravel()) <= set(history)
    assert 0.87 < follows.mean() < 0.93
    assert np.array_equal(drawn, resampled(history, draws=50, mean_block=10, seed=1))


def test_sharpe_band_holds_the_sharpe_and_narrows_with_history():
    """Ten times the days give a narrower band around about the same value."""
    returns = np.random.default_rng(1).normal(0.001, 0.01, 3000)
    short, long = sharpe_band(returns[:300]), sharpe_band(returns)
    assert long.low < returns.mean() / returns.std() * np.sqrt(365) < long.high
    assert long.high - long.low < short.high - short.low
    assert long.gained > 0.99
    assert np.isnan(sharpe_band([0.1]).low)


def test_promised_band_widens_with_time_around_its_middle():
    """Low, middle and high are in order every day, and the band grows."""
    band = promised_band(np.random.default_rng(1).normal(0.001, 0.01, 400), 60)
    assert band["day"].to_list() == list(range(1, 61))
    assert ((band["low"] < band["middle"]) & (band["middle"] < band["high"])).all()
    assert band["high"][-1] - band["low"][-1] > band["high"][4] - band["low"][4]
