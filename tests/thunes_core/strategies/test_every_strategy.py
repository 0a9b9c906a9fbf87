"""What holds for every registered strategy; a new one is tested by being registered."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thunes_core.strategies.frames import bars_of, random_bars, real_bars
from thunes_core.domain.bars import empty
from thunes_core.domain.parameters import Choice, FloatRange, ParameterSet
from thunes_core.errors import ParametersInvalid
from thunes_core.indicators.columns import columns_of
from thunes_core.indicators.features import feature_names
from thunes_core.strategies.base import (
    Strategy,
    build,
    build_from,
    registered,
    strategy_class,
    targets_of,
)

NAMES = sorted(registered())
every_strategy = pytest.mark.parametrize("name", NAMES)


def quick(name: str) -> Strategy:
    """Return the strategy with short windows, so that it acts often on short frames."""
    return build(name, QUICK.get(name, {}))


MODEL = json.dumps(
    {
        "kind": "logistic",
        "features": feature_names(),
        "platt": [1.0, 0.0],
        "deciles": [[float(n) for n in range(9)]] * len(feature_names()),
        "mean": [0.0] * len(feature_names()),
        "scale": [1.0] * len(feature_names()),
        "weights": [0.0, 1.0] + [0.0] * (len(feature_names()) - 2),
        "bias": 0.0,
    }
)
"""A fitted model by hand: a rise is likely when the last six bars rose."""

QUICK = {
    "learned_direction": {"smooth": 2, "model": MODEL},
    "sma_crossover": {"fast": 3, "slow": 8},
    "ema_crossover": {"fast": 3, "slow": 8},
    "rsi_reversion": {"period": 3},
    "donchian_breakout": {"entry": 10, "exit": 5},
    "bollinger_reversion": {"span": 10},
    "macd_trend": {"fast": 3, "slow": 7, "signal": 3},
    "volatility_breakout": {"period": 5, "hold": 6},
    "volatility_target": {"span": 12, "parameters": '{"fast": 3, "slow": 8}'},
    "regime_filter": {"trend": 20, "span": 12, "parameters": '{"fast": 3, "slow": 8}'},
    "multi_timeframe_trend": {"fast": 3, "slow": 8, "multiple": 4, "trend": 5},
}


def assert_prefix(strategy: Strategy, bars: pl.DataFrame, cuts) -> None:
    """Cutting later bars changes no earlier value, to the bit."""
    whole = strategy.target_exposure(bars).to_numpy()
    for cut in cuts:
        part = strategy.target_exposure(bars[:cut]).to_numpy()
        np.testing.assert_array_equal(part, whole[:cut])


def assert_warmup(strategy: Strategy, bars: pl.DataFrame, ends) -> None:
    """Starting `warmup_bars` earlier is enough to know the value."""
    whole = strategy.target_exposure(bars).to_numpy()
    for end in ends:
        window = bars[max(end - strategy.warmup_bars, 0) : end + 1]
        assert abs(strategy.target_exposure(window)[-1] - whole[end]) <= 1e-6, f"at bar {end}"


@every_strategy
@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), cut=st.integers(0, 590))
def test_cutting_later_bars_changes_nothing_earlier(name, seed, cut):
    """Prefix property: the value at a bar uses bars up to it only."""
    assert_prefix(quick(name), random_bars(seed, 600), [cut])


@every_strategy
@settings(max_examples=10, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000))
def test_warmup_bars_are_enough(name, seed):
    """Warm-up property: a late start agrees with the full history."""
    bars = random_bars(seed, 1200)
    assert_warmup(quick(name), bars, np.random.default_rng(seed).integers(0, len(bars), 20))


@every_strategy
@pytest.mark.parametrize("interval", ["15m", "1d"])
def test_prefix_and_warmup_hold_on_real_bars_with_defaults(name, interval):
    """Both properties on Binance's own bars, with the default parameters."""
    bars = real_bars("ETHUSDT", interval)
    strategy = build(name, {})
    some = np.random.default_rng(1).integers(strategy.warmup_bars, len(bars), 40)
    assert_prefix(strategy, bars, some[:10])
    assert_warmup(strategy, bars, some)


@every_strategy
def test_exposure_is_a_fraction_for_every_bar_and_acts(name):
    """One Float64 in [0, 1] per bar, no null, no NaN, and neither always 0 nor always held."""
    target = quick(name).target_exposure(random_bars(3))
    assert target.dtype == pl.Float64 and len(target) == len(random_bars(3))
    assert target.null_count() == 0 and target.is_between(0, 1).all()
    assert target.min() == 0.0 and target.max() > 0.0


@every_strategy
def test_a_tick_is_told_the_very_exposure(name):
    """The short way to the numbers is the series, number for number."""
    bars, strategy = random_bars(3), quick(name)
    assert targets_of(strategy, bars, columns_of(bars)) == strategy.target_exposure(bars).to_list()


def test_a_strategy_that_answers_with_a_series_is_asked_for_it():
    """Only what is computed on arrays goes the short way."""

    class Held:
        def target_exposure(self, bars):
            return pl.Series([1.0] * bars.height)

    bars = bars_of([100.0, 101.0])
    assert targets_of(Held(), bars, columns_of(bars)) == [1.0, 1.0]


@every_strategy
def test_no_bars_and_too_few_bars_give_zero(name):
    """Undefined during warm-up is 0, and an empty frame is no error."""
    assert len(quick(name).target_exposure(empty())) == 0
    assert quick(name).target_exposure(bars_of([100.0, 101.0])).to_list() == [0.0, 0.0]


@every_strategy
def test_a_price_that_never_moves_is_never_bought(name):
    """On a constant price nothing crosses, whatever rounding does."""
    target = quick(name).target_exposure(bars_of([0.1] * 700))
    assert target.to_list() == [0.0] * 700


@every_strategy
def test_scaling_all_prices_changes_nothing(name):
    """A strategy reads moves, not the unit of account: halving every price keeps every value."""
    bars = random_bars(5)
    halved = bars.with_columns(pl.col("open", "high", "low", "close") * 0.5)
    strategy = quick(name)
    assert strategy.target_exposure(bars).equals(strategy.target_exposure(halved))


@every_strategy
def test_space_dimensions_are_fields_and_hold_the_defaults(name):
    """Search finds every dimension as a field, whose default lies inside the space."""
    cls = strategy_class(name)
    defaults = {f.name: f.default for f in dataclasses.fields(cls)}
    for dimension, bounds in cls.space.dimensions.items():
        assert bounds.holds(defaults[dimension])


@every_strategy
def test_ends_of_the_space_build_or_are_infeasible(name):
    """Corners of the space either build or raise `ParametersInvalid`, which search skips."""
    for corner in (0, -1):
        values = {k: _end(d, corner) for k, d in strategy_class(name).space.dimensions.items()}
        strategy_class(name).space.require(values)
        try:
            assert build(name, values).warmup_bars >= 1
        except ParametersInvalid as error:
            assert "expected" in str(error)


@every_strategy
def test_whole_numbers_are_refused_as_floats_flags_text_or_nan(name):
    """An int field takes an int alone, and no field takes NaN."""
    for field in dataclasses.fields(strategy_class(name)):
        wrong = {"int": [2.0, True, "2", float("nan")], "float": [float("nan"), True, "0.5"]}
        for value in wrong.get(str(field.type), [1]):
            with pytest.raises(ParametersInvalid, match=f"{field.name}.*; it was"):
                build(name, {field.name: value})


def test_a_whole_number_is_taken_for_a_float():
    """30 and 30.0 build the same strategy."""
    assert build("rsi_reversion", {"entry": 30}) == build("rsi_reversion", {"entry": 30.0})


def test_a_parameter_set_names_its_strategy():
    """`build_from` gives the strategy of a parameter set with the other fields at their default."""
    built = build_from(ParameterSet("sma_crossover", {"slow": 90}))
    assert (built.name, built.fast, built.slow) == ("sma_crossover", 20, 90)


def test_unknown_parameters_are_named():
    """The message says what may be given and what was."""
    with pytest.raises(ParametersInvalid, match=r"\['fast', 'slow'\]; it was \['fats'\]"):
        build("sma_crossover", {"fats": 3})


def _end(dimension, corner: int):
    if isinstance(dimension, Choice):
        return dimension.options[corner]
    value = (dimension.low, dimension.high)[corner]
    return float(value) if isinstance(dimension, FloatRange) else value
