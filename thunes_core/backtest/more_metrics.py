"""What is told beside the metrics of semantics §5: trades, droughts, months, benchmark.

Add here: a figure that explains a result. Keep out: figures that decide (they stand in `metrics`).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import polars as pl

from thunes_core.backtest import metrics
from thunes_core.backtest.metrics import DAY_US, Figures
from thunes_core.backtest.simulate import CASH, backtest
from thunes_core.domain.limits import Costs, LotRules
from thunes_core.domain.results import BacktestResult


def more_metrics(result: BacktestResult, cash: float) -> Figures:
    """Return what describes trades, droughts and certainty; NaN where undefined.

    average_trade (mean pnl / paid, fraction), expectancy (mean pnl, quote units),
    longest_drawdown_days, volatility (a year), psr.
    """
    closed = result.trades.filter(pl.col("exit_time").is_not_null())
    pnl = closed["pnl"].to_numpy()
    paid = (closed["entry_price"] * closed["quantity"]).to_numpy()
    returns = returns_of(result.equity, cash)
    return {
        "average_trade": float(np.mean(pnl / paid)) if len(pnl) else math.nan,
        "expectancy": float(pnl.mean()) if len(pnl) else math.nan,
        "longest_drawdown_days": longest_drawdown_days(result.equity, cash),
        "volatility": metrics.volatility(returns),
        "psr": metrics.psr(returns),
    }


def returns_of(equity: pl.DataFrame, cash: float) -> npt.NDArray[np.float64]:
    """Return the daily returns of a frame of open_time and equity, the first against `cash`."""
    ends = metrics.day_ends(equity["open_time"].dt.epoch("us").to_numpy())
    return metrics.daily_returns(equity["equity"].to_numpy()[ends], cash)


def longest_drawdown_days(equity: pl.DataFrame, cash: float) -> float:
    """Return the longest time from a peak to the bar that reaches it again, or to the end.

    0 for a curve that never falls below a peak, whatever bars lack in it.
    """
    values = equity["equity"].to_numpy()
    if not len(values):
        return math.nan
    times = equity["open_time"].dt.epoch("us").to_numpy()
    at_peak = values >= np.maximum(np.maximum.accumulate(values), cash)
    marks = np.concatenate(([0], np.flatnonzero(at_peak), [len(values) - 1]))
    below = np.concatenate(([0], np.cumsum(~at_peak)))
    under_water = below[marks[1:] + 1] > below[marks[:-1]]
    return float(np.diff(times[marks])[under_water].max(initial=0) / DAY_US)


def monthly_returns(equity: pl.DataFrame, cash: float) -> pl.DataFrame:
    """Return year, month, return: last equity of each UTC month against the month before.

    The first month is measured against `cash`.
    """
    last = (
        equity.group_by(
            year=pl.col("open_time").dt.year().cast(pl.Int64),
            month=pl.col("open_time").dt.month().cast(pl.Int64),
        )
        .agg(pl.col("equity").last())
        .sort("year", "month")
    )
    before = pl.col("equity").shift(1, fill_value=cash)
    return last.select("year", "month", (pl.col("equity") / before - 1.0).alias("return"))


def buy_and_hold(
    bars: pl.DataFrame,
    *,
    cash: float = CASH,
    costs: Costs = Costs(),  # noqa: B008 - immutable
    lots: LotRules = LotRules(),  # noqa: B008 - immutable
) -> BacktestResult:
    """Return the benchmark: all cash into the symbol at the second bar's open, held to the end."""
    return backtest(bars, np.ones(len(bars)), cash=cash, costs=costs, lots=lots)


def returns_metrics(
    returns: npt.NDArray[np.float64], trials: int | None = None, variance: float | None = None
) -> Figures:
    """Return every measure of a series of daily `returns`; `dsr` and `sr0` where trials are given.

    `variance`: of the trials' Sharpe ratios per day. NaN in `returns` gives NaN.
    """
    equity = np.cumprod(1.0 + returns)
    skew, kurtosis = metrics.moments(returns)
    total = float(equity[-1] - 1.0) if len(equity) else math.nan
    drawdown = metrics.max_drawdown(equity, 1.0)
    yearly = float(metrics.cagr(total, len(returns)))
    found = {
        "days": float(len(returns)),
        "total_return": total,
        "cagr": yearly,
        "volatility": metrics.volatility(returns),
        "sharpe": metrics.sharpe(returns),
        "sortino": metrics.sortino(returns),
        "max_drawdown": drawdown,
        "calmar": float(metrics.ratio(yearly, abs(drawdown))),
        "skew": skew,
        "kurtosis": kurtosis,
        "psr": metrics.psr(returns),
    }
    if trials is None or variance is None:
        return found
    luck = metrics.expected_max_sharpe(variance, trials)
    return {**found, "sr0": luck, "dsr": metrics.psr(returns, luck)}
