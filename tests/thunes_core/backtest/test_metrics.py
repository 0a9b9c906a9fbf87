"""Metrics of semantics §5: figures worked out by hand, published figures, and what is undefined."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thunes_core.backtest.markets import runs
from thunes_core.backtest import metrics
from thunes_core.backtest.more_metrics import (
    longest_drawdown_days,
    monthly_returns,
    more_metrics,
    returns_metrics,
)
from thunes_core.backtest.simulate import run_arrays, run_metrics, trades_frame
from thunes_core.domain.results import BacktestResult

DAY = metrics.DAY_US
NOTHING = pl.DataFrame(schema={"exit_time": pl.Datetime("us", "UTC"), "pnl": pl.Float64})
many = settings(max_examples=150, deadline=None, derandomize=True, database=None)


def curve(values: list[float], step_us: int = DAY) -> pl.DataFrame:
    """Return an equity frame with one value per `step_us` from 1970 on."""
    times = pl.Series(np.arange(len(values)) * step_us).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame({"open_time": times, "equity": pl.Series(values, dtype=pl.Float64)})


def test_figures_of_bailey_and_lopez_de_prado():
    """Annual Sharpe 2.5, V 0.5, N 100, T 1250, skew −3, kurtosis 10: the published answer."""
    luck = metrics.expected_max_sharpe(0.5 / 250, 100)
    assert luck == pytest.approx(0.1131720018651321, rel=1e-14)
    found = metrics.probabilistic_sharpe(2.5 / math.sqrt(250), luck, 1250, -3.0, 10.0)
    assert found == pytest.approx(0.9003968344493903, rel=1e-14)


def test_excess_kurtosis_would_give_another_figure():
    """Kurtosis is raw: with the excess the check would read 0.90177857."""
    luck = metrics.expected_max_sharpe(0.5 / 250, 100)
    wrong = metrics.probabilistic_sharpe(2.5 / math.sqrt(250), luck, 1250, -3.0, 7.0)
    assert wrong == pytest.approx(0.90177857, abs=1e-8)


def test_one_trial_has_no_luck_to_deflate():
    """N = 1 gives SR0 = 0 and the DSR is the PSR."""
    returns = np.array([0.01, -0.02, 0.03, 0.01])
    assert metrics.expected_max_sharpe(0.3, 1) == 0.0
    assert metrics.dsr(returns, 1, 0.3) == metrics.psr(returns)


def test_sharpe_by_hand():
    """Returns 1 %, 2 %, 3 %: mean 0.02 over spread 0.01, a year of 365 days."""
    assert metrics.sharpe([0.01, 0.02, 0.03]) == pytest.approx(2 * math.sqrt(365))


def test_sortino_counts_all_days_below_the_line():
    """Returns 3 % and −1 %: mean 0.01 over √(0.01² / 2)."""
    assert metrics.sortino([0.03, -0.01]) == pytest.approx(math.sqrt(2) * math.sqrt(365))


def test_max_drawdown_takes_the_start_as_a_peak():
    """From 100 down to 80 is −20 % even when 100 never was a close."""
    assert metrics.max_drawdown([90.0, 80.0, 95.0], 100.0) == pytest.approx(-0.2)


def test_max_drawdown_of_a_rising_curve_is_zero():
    """A curve that never falls has no drawdown, and Calmar is undefined."""
    found = metrics.metrics_of(curve([110.0, 120.0]), NOTHING, cash=100.0)
    assert found["max_drawdown"] == 0.0
    assert math.isnan(found["calmar"])


def test_max_drawdown_is_of_bars_not_of_days():
    """A fall within one day counts."""
    found = metrics.metrics_of(curve([100.0, 50.0, 100.0], DAY // 24), NOTHING, cash=100.0)
    assert found["max_drawdown"] == -0.5


def test_daily_returns_take_the_last_equity_of_each_utc_day():
    """Four bars of twelve hours: days end at 110 and 121, both +10 %."""
    found = metrics.metrics_of(curve([100.0, 110.0, 90.0, 121.0], DAY // 2), NOTHING, cash=100.0)
    assert found["total_return"] == pytest.approx(0.21)
    assert found["cagr"] == pytest.approx(1.21 ** (365 / 2) - 1)
    assert math.isnan(found["sharpe"]), "two equal returns have no spread"


def test_cagr_of_a_year_is_the_total_return():
    """365 days of growth to 1.5 make 50 %."""
    assert float(metrics.cagr(0.5, 365)) == pytest.approx(0.5)


def test_trade_figures_by_hand():
    """Three trades +30, −10, 0: one win of three, 3 won for each lost, open trades not counted."""
    trades = pl.DataFrame(
        {
            "exit_time": [1, 2, 3, None],
            "entry_price": [100.0] * 4,
            "exit_price": [130.0, 90.0, 100.0, None],
            "quantity": [1.0] * 4,
            "pnl": [30.0, -10.0, 0.0, 50.0],
        }
    )
    found = metrics.metrics_of(curve([100.0, 170.0]), trades, cash=100.0)
    assert found["win_rate"] == pytest.approx(1 / 3)
    assert found["profit_factor"] == pytest.approx(3.0)
    assert found["trades"] == 3
    assert found["turnover"] == pytest.approx(720 / 135 / (2 / 365))


def test_no_bars_at_all_give_undefined_figures():
    """Empty frames answer NaN for returns and 0 trades, and do not fail."""
    found = metrics.metrics_of(curve([]), NOTHING, cash=100.0)
    assert found["trades"] == 0
    assert all(math.isnan(v) for name, v in found.items() if name not in {"trades"})


def test_no_trades_give_undefined_trade_figures():
    """A flat year has no Sharpe, no win rate, no profit factor, and no drawdown."""
    found = metrics.metrics_of(curve([100.0] * 365), NOTHING, cash=100.0)
    assert found["total_return"] == 0.0
    assert found["cagr"] == 0.0
    assert found["max_drawdown"] == 0.0
    undefined = {"sharpe", "sortino", "calmar", "win_rate", "profit_factor"}
    assert {n for n in undefined if math.isnan(found[n])} == undefined


def test_nan_in_the_returns_gives_nan():
    """A hole is not silently skipped."""
    returns = np.array([0.01, math.nan, 0.02])
    assert math.isnan(metrics.sharpe(returns))
    assert math.isnan(metrics.sortino(returns))
    assert math.isnan(metrics.psr(returns))


@pytest.mark.parametrize("returns", [[], [0.01], [0.01, 0.01, 0.01]])
def test_too_little_to_judge_is_nan(returns):
    """No spread, no Sharpe, no PSR: neither zero nor infinite."""
    assert math.isnan(metrics.sharpe(returns))
    assert math.isnan(metrics.psr(returns))
    assert math.isnan(returns_metrics(np.array(returns), 10, 0.1)["dsr"])


@many
@given(st.integers(0, 2**32 - 1), st.floats(1.5, 5.0))
def test_more_noise_around_the_same_mean_lowers_a_good_sharpe(seed, factor):
    """Stretching the deviations divides the Sharpe ratio by the factor."""
    noise = np.random.default_rng(seed).normal(0, 0.01, 60)
    noise -= noise.mean()
    calm, wild = metrics.sharpe(0.002 + noise), metrics.sharpe(0.002 + factor * noise)
    assert wild == pytest.approx(calm / factor)


@many
@given(st.integers(0, 2**32 - 1))
def test_more_trials_never_raise_the_deflated_sharpe(seed):
    """The more was tried, the less the same returns prove."""
    returns = np.random.default_rng(seed).normal(0.001, 0.01, 100)
    found = [metrics.dsr(returns, trials, 0.002) for trials in (1, 2, 10, 100, 10_000)]
    assert found == sorted(found, reverse=True)


@many
@given(runs())
def test_frames_and_arrays_give_the_same_metrics(given_run):
    """Measuring the frames that a person sees equals measuring the run itself."""
    run = run_arrays(*given_run)
    times = pl.Series(run.bars.time).cast(pl.Datetime("us", "UTC"))
    frame = pl.DataFrame({"open_time": times, "equity": run.equity, "quantity": run.quantity})
    traded = float(run.trades[:, [3, 5]].sum())
    found = metrics.metrics_of(frame, trades_frame(run), cash=10_000.0, traded=traded)
    for name, value in run_metrics(run).items():
        assert found[name] == pytest.approx(value, rel=1e-12, nan_ok=True), name


def test_longest_drawdown_runs_from_the_peak_to_its_recovery():
    """A peak on day 1 reached again on day 4 is three days under water."""
    assert longest_drawdown_days(curve([100.0, 110.0, 90.0, 100.0, 110.0, 105.0]), 100.0) == 3.0


def test_longest_drawdown_still_running_counts_to_the_end():
    """A peak that is not reached again lasts to the last bar."""
    assert longest_drawdown_days(curve([100.0, 110.0, 90.0, 100.0]), 100.0) == 2.0


@pytest.mark.parametrize("values", [[100.0, 100.0], [100.0, 105.0], [105.0, 110.0]])
def test_a_curve_that_never_falls_has_no_drawdown_over_missing_bars(values):
    """The day between two peaks, and bars that lack between them, are no time under water."""
    assert longest_drawdown_days(curve(values), 100.0) == 0.0
    assert longest_drawdown_days(curve([*values, 0.0, 0.0, 200.0]), 100.0) == 3.0


def test_monthly_returns_chain_to_the_total():
    """January against the start, February against January."""
    table = monthly_returns(curve([100.0] * 30 + [110.0] + [110.0] * 27 + [99.0]), 100.0)
    assert table["month"].to_list() == [1, 2]
    assert table["return"].to_list() == pytest.approx([0.1, -0.1])


def test_figures_beside_of_one_trade():
    """One trade that paid 100 and won 10: 10 % on average, 10 in money."""
    trades = pl.DataFrame(
        {"exit_time": [1], "entry_price": [50.0], "quantity": [2.0], "pnl": [10.0]}
    )
    result = BacktestResult(curve([100.0, 110.0]), trades, {})
    found = more_metrics(result, 100.0)
    assert found["average_trade"] == pytest.approx(0.1)
    assert found["expectancy"] == pytest.approx(10.0)


def test_returns_metrics_agree_with_the_single_formulas():
    """The command's figures are those of the functions."""
    returns = np.random.default_rng(3).normal(0.001, 0.02, 400)
    found = returns_metrics(returns, 50, 0.001)
    assert found["sharpe"] == metrics.sharpe(returns)
    assert found["dsr"] == metrics.dsr(returns, 50, 0.001)
    assert found["total_return"] == pytest.approx(np.prod(1 + returns) - 1)
    assert found["days"] == 400
