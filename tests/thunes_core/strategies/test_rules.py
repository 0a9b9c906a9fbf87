"""Each strategy's own rule, on frames whose answer fits in the head."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tests.shared_data import shared
from tests.thunes_core.strategies.frames import bars_of
from thunes_core.errors import ParametersInvalid
from thunes_core.indicators import rsi
from thunes_core.strategies.base import build, strategy_class

UP_AND_DOWN = [*range(10, 20), *range(20, 8, -1)]


def target(name, closes, **values):
    """Return the exposure of strategy `name` on `closes` as a list."""
    return build(name, values).target_exposure(bars_of(closes)).to_list()


@pytest.mark.parametrize("name", ["sma_crossover", "ema_crossover"])
def test_fast_must_be_shorter_than_slow(name):
    """Infeasible pairs raise `ValueError`, through `build` `ParametersInvalid`, naming both."""
    for fast, slow in ((8, 8), (9, 8), (0, 8)):
        message = f"1 <= fast < slow; it was .*fast={fast}, slow={slow}"
        with pytest.raises(ValueError, match=message):
            strategy_class(name)(fast, slow)
        with pytest.raises(ParametersInvalid, match=message):
            build(name, {"fast": fast, "slow": slow})


def test_sma_crossover_holds_while_fast_is_above_slow():
    """Closes 1 1 1 4 4 4 1 1: SMA(1) > SMA(3) on the first two bars of the rise alone."""
    assert target("sma_crossover", [1, 1, 1, 4, 4, 4, 1, 1], fast=1, slow=3) == [
        0, 0, 0, 1, 1, 0, 0, 0,
    ]  # fmt: skip


def test_sma_crossover_calls_equal_means_equal():
    """0.1 + 0.2 + 0.3 over 3 equals 0.2: a tie in prices is a tie in means."""
    rising_and_back = [0.1, 0.2, 0.3] * 3
    assert target("sma_crossover", rising_and_back, fast=1, slow=3) == [0, 0, 1, 0, 0, 1, 0, 0, 1]


def test_sma_crossover_equals_exact_arithmetic_on_a_coin_of_few_ticks():
    """A coin priced in a few thousand ticks ties often; integers decide, and we agree with them."""
    path = shared("data/bars/binance_spot__BTTUSDT__1m__selskas.parquet")
    bars = pl.read_parquet(path).rename({"timeframe": "interval"}).head(30_000)
    ticks = np.rint(bars["close"].to_numpy() * 1e8).astype(np.int64)
    sums = np.concatenate(([0], np.cumsum(ticks)))
    for fast, slow in ((2, 4), (5, 20), (20, 50)):
        expected = np.zeros(len(ticks))
        of_fast = (sums[fast:] - sums[:-fast])[slow - fast :]
        expected[slow - 1 :] = of_fast * slow > (sums[slow:] - sums[:-slow]) * fast
        ours = build("sma_crossover", {"fast": fast, "slow": slow}).target_exposure(bars)
        np.testing.assert_array_equal(ours.to_numpy(), expected)


def test_ema_crossover_follows_the_trend():
    """Above while prices rise, below some bars after they fall."""
    exposure = target("ema_crossover", UP_AND_DOWN, fast=2, slow=4)
    assert exposure[3:10] == [1.0] * 7 and exposure[-8:] == [0.0] * 8


def test_rsi_reversion_enters_below_holds_between_and_leaves_above():
    """The state follows from the index alone: 1 from below entry until above exit."""
    closes = 100 + 5 * np.sin(np.arange(80) / 5) + np.arange(80) % 3
    index, state, expected = rsi(closes, 4), 0.0, []
    for value in index:
        state = 1.0 if value < 35 else 0.0 if value > 60 else state
        expected.append(state)
    assert target("rsi_reversion", closes, period=4, entry=35, exit=60) == expected
    assert 0 < sum(expected) < 80 and any((index > 35) & (index < 60) & (np.array(expected) == 1))


def test_rsi_reversion_lets_an_old_hold_go():
    """32 periods after RSI was last below entry the hold ends, whatever came before."""
    closes = [100.0, 100.0, 90.0, *([93.0, 90.0] * 60)]
    exposure = target("rsi_reversion", closes, period=2, entry=5, exit=95)
    assert exposure[2] == 1.0 and exposure[2 + 64] == 1.0 and exposure[2 + 65] == 0.0


@pytest.mark.parametrize(
    "values", [{"entry": 60.0, "exit": 50.0}, {"entry": 0.0}, {"exit": 100.0}, {"period": 1}]
)
def test_rsi_reversion_refuses_thresholds_without_meaning(values):
    """0 < entry < exit < 100 and at least two moves."""
    with pytest.raises(ParametersInvalid, match="rsi_reversion: expected"):
        build("rsi_reversion", values)


def test_donchian_breakout_buys_a_new_high_and_leaves_at_a_new_low():
    """Close above the 3 bars before enters; close below the 2 bars before leaves."""
    assert target("donchian_breakout", [5, 5, 5, 5, 6, 6, 6, 5, 5], entry=3, exit=2) == [
        0, 0, 0, 0, 1, 1, 1, 0, 0,
    ]  # fmt: skip


def test_bollinger_reversion_buys_below_the_band_and_leaves_above_the_middle():
    """One deep close enters, the return above the mean leaves."""
    closes = [10, 11, 10, 11, 10, 11, 10, 5, 5.5, 12, 12]
    exposure = target("bollinger_reversion", closes, span=5, width=1.5)
    assert exposure == [0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0]


def test_macd_trend_follows_the_sign_of_the_histogram():
    """Rising faster holds, falling does not."""
    exposure = target("macd_trend", [10.0] * 12 + UP_AND_DOWN, fast=2, slow=4, signal=2)
    assert exposure[13] == 1.0 and exposure[-6:] == [0.0] * 6


def test_volatility_breakout_holds_a_leap_for_so_many_bars():
    """A leap of more than the usual range is held 3 bars; a fall as large ends it sooner."""
    quiet = [10.0, 10.1] * 5
    assert target("volatility_breakout", [*quiet, 12, 12, 12, 12], period=3, hold=3)[10:] == [
        1, 1, 1, 0,
    ]  # fmt: skip
    assert target("volatility_breakout", [*quiet, 12, 9, 9, 9], period=3, hold=3)[10:] == [
        1, 0, 0, 0,
    ]  # fmt: skip


def test_volatility_target_scales_the_inner_exposure_in_steps():
    """A calm market is held in full, a wild one in a quarter."""
    calm = 100 * np.exp(np.cumsum(np.tile([0.0002, 0.0004], 30)))
    wild = calm[-1] * np.exp(np.cumsum(np.tile([0.05, -0.03], 20)))
    inner = '{"fast": 1, "slow": 30}'
    exposure = target(
        "volatility_target", [*calm, *wild], parameters=inner, target=0.5, span=10, step=0.1
    )
    assert exposure[40:60] == [1.0] * 20
    assert set(exposure[72:]) == {0.1}


def test_volatility_target_never_exceeds_full_exposure():
    """Steps that do not divide 1 still end at 1 or below."""
    exposure = target("volatility_target", np.linspace(10, 20, 200), span=10, step=0.3)
    assert max(exposure) == pytest.approx(0.9)


def test_regime_filter_allows_only_rising_and_calm_markets():
    """The inner strategy wants in on the rise; below the trend or above the cap it may not."""
    closes = [*np.linspace(100, 60, 60), *np.linspace(60, 110, 120)]
    values = {"parameters": '{"fast": 2, "slow": 5}', "trend": 40, "span": 10}
    free = np.array(target("sma_crossover", closes, fast=2, slow=5))
    filtered = np.array(target("regime_filter", closes, **values, cap=9.0))
    assert free[66] == 1 and filtered[66] == 0 and filtered[-1] == 1
    assert (filtered <= free).all()
    assert max(target("regime_filter", closes, **values, cap=1e-9)) == 0.0


@pytest.mark.parametrize("name", ["volatility_target", "regime_filter"])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"inner": "nobody"}, "strategy: expected one of"),
        ({"parameters": "{"}, "expected a strategy to wrap"),
        ({"parameters": '{"fast": 90}'}, "1 <= fast < slow"),
        ({"parameters": "[1]"}, "expected a strategy to wrap"),
    ],
)
def test_a_wrapper_refuses_what_it_cannot_wrap(name, values, message):
    """A wrong name, wrong JSON or wrong parameters of the inner strategy are named at once."""
    with pytest.raises(ParametersInvalid, match=message):
        build(name, values)
