"""Runs over frames: published figures, checks of the input, the shape of the result."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tests.shared_data import shared
from thunes_core.backtest.more_metrics import buy_and_hold
from thunes_core.backtest.simulate import backtest, backtest_strategy
from thunes_core.domain.limits import Costs, LotRules, Protection
from thunes_core.errors import BarsInvalid, ParametersInvalid
from thunes_core.strategies.base import build

FREE = Costs(0.0, 0.0, 0.0)


def bars(prices: list[float]) -> pl.DataFrame:
    """Return hourly bars that stand still at each price."""
    times = pl.Series(np.arange(len(prices)) * 3_600_000_000).cast(pl.Datetime("us", "UTC"))
    column = pl.Series(prices, dtype=pl.Float64)
    return pl.DataFrame(
        {"open_time": times, "open": column, "high": column, "low": column, "close": column}
    ).with_columns(interval=pl.lit("1h"), symbol=pl.lit("X"), volume=pl.lit(1.0))


def goog() -> tuple[pl.DataFrame, np.ndarray]:
    """Return GOOG daily and the target of SMA 10/30 that waits for a first cross, flat at last."""
    frame = pl.read_parquet(shared("data/bars/other__GOOG__1d__backtestingpy.parquet"))
    close = frame["close"]
    target = (close.rolling_mean(10) > close.rolling_mean(30)).fill_null(value=False)
    flags = target.cast(pl.Float64).to_numpy().copy()
    flags[: 29 + int(np.flatnonzero(flags[29:] == 0)[0])] = 0.0
    flags[-2] = 0.0
    return frame.rename({"timeframe": "interval"}), flags


@pytest.mark.parametrize(
    ("fee", "final", "drawdown"),
    [(0.0, 57157.30, -0.2958195), (0.001, 53485.78656, -0.3039561)],
)
def test_goog_gives_the_published_figures_of_backtesting_py(fee, final, drawdown):
    """SMA 10/30, 10,000 in whole shares: 33 trades, final equity and drawdown as published.

    backtesting.py enters on a cross only, and sells at the last bar's open.
    """
    frame, target = goog()
    result = backtest(frame, target, costs=Costs(fee, fee, 0.0), lots=LotRules(1.0))
    assert len(result.trades) == 33
    assert result.equity["equity"][-1] == pytest.approx(final, abs=1e-6)
    assert result.metrics["max_drawdown"] == pytest.approx(drawdown, abs=1e-7)


def test_the_result_says_what_was_open_and_when():
    """One closed and one open trade: the open one has neither exit time nor price."""
    result = backtest(
        bars([100.0, 100.0, 110.0, 110.0]), np.array([1.0, 0.0, 1.0, 1.0]), costs=FREE
    )
    assert result.trades["reason"].to_list() == ["signal", "open"]
    assert result.trades["exit_time"].is_null().to_list() == [False, True]
    assert result.trades["exit_price"].to_list() == [110.0, None]
    assert result.equity.columns == ["open_time", "equity", "cash", "quantity"]
    assert result.metrics["trades"] == 1.0


def test_a_series_with_nulls_is_a_target():
    """Undefined is 0, whether null or NaN."""
    prices = bars([100.0] * 4)
    of_series = backtest(prices, pl.Series([None, None, 1.0, 1.0]))
    of_array = backtest(prices, np.array([np.nan, np.nan, 1.0, 1.0]))
    assert of_series.equity.equals(of_array.equity)
    assert len(of_series.trades) == 1


@pytest.mark.parametrize("target", [[0.0, 1.5], [0.0, -0.1], [0.0, np.inf], [1.0], [1.0] * 3])
def test_a_target_out_of_place_is_refused(target):
    """Exposure lies in [0, 1], one value per bar."""
    with pytest.raises(ParametersInvalid, match=r"expected 2 values in \[0, 1\], one per bar"):
        backtest(bars([100.0, 100.0]), np.array(target))


def test_no_bars_are_refused():
    """An empty span is told as such."""
    with pytest.raises(BarsInvalid, match="expected at least one bar"):
        backtest(bars([]), np.array([]))


def test_a_strategy_runs_as_its_target():
    """The strategy's exposure is all that counts."""
    prices = bars([100.0, 101.0, 103.0, 102.0, 99.0, 98.0, 101.0, 104.0, 106.0, 103.0])
    strategy = build("sma_crossover", {"fast": 1, "slow": 2})
    result = backtest_strategy(prices, strategy, protection=Protection(stop_loss=0.01))
    same = backtest(prices, strategy.target_exposure(prices), protection=Protection(stop_loss=0.01))
    assert result.equity.equals(same.equity)
    assert result.trades.equals(same.trades)


def test_buy_and_hold_follows_the_price():
    """The benchmark enters at the second open and never leaves."""
    result = buy_and_hold(bars([50.0, 100.0, 150.0]), costs=FREE)
    assert result.metrics["total_return"] == pytest.approx(0.5)
    assert result.metrics["trades"] == 0.0


def test_twice_the_costs_are_twice_each_rate():
    """Fees and slippage are doubled, protection is not touched."""
    assert Costs(0.001, 0.0005, 0.0002).times(2.0) == Costs(0.002, 0.001, 0.0004)
