"""The measures of semantics §5: 365 days a year, risk-free rate 0, fractions and not per cent.

Formulas take arrays whose last axis is time (one value per UTC day unless said), so that one
definition serves a single run and a whole sweep. A ratio over zero, and any measure of too few
values, is NaN; NaN in the input gives NaN.

Add here: a measure of returns, equity or trades. Keep out: simulating, drawing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]
Figures = dict[str, float]

DAYS_A_YEAR = 365
DAY_US = 86_400_000_000
EULER = 0.5772156649015329
NAMES = (
    "total_return",
    "cagr",
    "sharpe",
    "sortino",
    "max_drawdown",
    "calmar",
    "win_rate",
    "profit_factor",
    "trades",
    "exposure",
    "turnover",
)
"""The metrics that every command, frame and report shows, in this order."""

_NORMAL = NormalDist()


def ratio(numerator: npt.ArrayLike, denominator: npt.ArrayLike) -> Floats:
    """Divide element by element; NaN where the denominator is 0 or either side is not finite."""
    top, bottom = np.asarray(numerator, float), np.asarray(denominator, float)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(
            (bottom != 0) & np.isfinite(bottom) & np.isfinite(top), top / bottom, np.nan
        )


def day_ends(time_us: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the index of the last bar of each UTC day that has bars; `time_us` sorted."""
    if not len(time_us):
        return np.empty(0, np.int64)
    midnights = np.arange(time_us[0] // DAY_US + 1, time_us[-1] // DAY_US + 2) * DAY_US
    before = np.searchsorted(time_us, midnights)
    return before[np.diff(before, prepend=0) > 0] - 1


def daily_returns(daily_equity: Floats, cash: float) -> Floats:
    """Return day over day returns of `daily_equity` (..., days), the first against `cash`.

    After a day that ended with nothing the return is NaN.
    """
    before = np.empty_like(daily_equity)
    before[..., :1] = cash
    before[..., 1:] = daily_equity[..., :-1]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return daily_equity / before - 1.0


def _per_day_sharpe(returns: Floats) -> Floats:
    count = returns.shape[-1]
    if count < 2:
        return np.full(returns.shape[:-1], np.nan)
    mean = returns.mean(axis=-1)
    centred = returns - mean[..., None]
    spread = np.sqrt(np.einsum("...i,...i->...", centred, centred) / (count - 1))
    return ratio(mean, np.where(spread <= 1e-15, 0.0, spread))


def sharpe(returns: npt.ArrayLike) -> float:
    """Return mean / std(ddof=1) × √365 of daily `returns`; NaN below two days or without spread."""
    return float(annual_sharpe(np.asarray(returns, float)))


def annual_sharpe(returns: Floats) -> Floats:
    """Return the Sharpe ratio of each series (..., days) of daily returns."""
    return _per_day_sharpe(returns) * math.sqrt(DAYS_A_YEAR)


def sortino(returns: npt.ArrayLike) -> float:
    """Return mean / √(mean(min(r, 0)²) over all days) × √365; NaN without a losing day."""
    return float(annual_sortino(np.asarray(returns, float)))


def annual_sortino(returns: Floats) -> Floats:
    """Return the Sortino ratio of each series (..., days) of daily returns."""
    if not returns.shape[-1]:
        return np.full(returns.shape[:-1], np.nan)
    losses = np.minimum(returns, 0.0)
    downside = np.sqrt(np.einsum("...i,...i->...", losses, losses) / returns.shape[-1])
    return ratio(returns.mean(axis=-1), downside) * math.sqrt(DAYS_A_YEAR)


def volatility(returns: npt.ArrayLike) -> float:
    """Return std(ddof=1) × √365 of daily `returns`; NaN below two days."""
    values = np.asarray(returns, float)
    return float(values.std(ddof=1) * math.sqrt(DAYS_A_YEAR)) if len(values) > 1 else math.nan


def max_drawdown(equity: npt.ArrayLike, cash: float) -> float:
    """Return the deepest fall from a peak as a negative fraction; `cash` is the first peak.

    >>> round(max_drawdown([110.0, 99.0, 120.0], 100.0), 6)
    -0.1
    """
    values = np.asarray(equity, float)
    if not len(values):
        return math.nan
    peaks = np.maximum(np.maximum.accumulate(values), cash)
    return min(float((values / peaks).min()) - 1.0, 0.0)


def cagr(total_return: npt.ArrayLike, days: int) -> Floats:
    """Return (1 + total)^(365 / days) − 1; NaN without days or when more than all was lost."""
    growth = 1.0 + np.asarray(total_return, float)
    if days < 1:
        return np.full_like(growth, np.nan)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(np.power(growth, DAYS_A_YEAR / days) - 1.0)


def profit_factor(gains: npt.ArrayLike, losses: npt.ArrayLike) -> Floats:
    """Return won / lost money; NaN where nothing was lost."""
    return ratio(gains, losses)


def moments(returns: npt.ArrayLike) -> tuple[float, float]:
    """Return skew γ3 and raw kurtosis γ4 (normal = 3), population moments; NaN without spread."""
    values = np.asarray(returns, float)
    if len(values) < 2:
        return math.nan, math.nan
    centred = values - values.mean()
    second = float(np.mean(centred**2))
    if second <= 1e-30:
        return math.nan, math.nan
    third, fourth = float(np.mean(centred**3)), float(np.mean(centred**4))
    return third / second**1.5, fourth / second**2


def probabilistic_sharpe(
    sharpe_per_period: float, benchmark: float, periods: int, skew: float, kurtosis: float
) -> float:
    """Return PSR(b) = Φ((SR − b)√(T − 1) / √(1 − γ3 SR + (γ4 − 1)/4 SR²)), all per period.

    Source: Bailey and López de Prado, "The Sharpe Ratio Efficient Frontier" (2012).
    """
    rest = 1.0 - skew * sharpe_per_period + (kurtosis - 1.0) / 4.0 * sharpe_per_period**2
    if not rest > 0.0 or periods < 2:
        return math.nan
    return _NORMAL.cdf((sharpe_per_period - benchmark) * math.sqrt((periods - 1) / rest))


def psr(returns: npt.ArrayLike, benchmark: float = 0.0) -> float:
    """Return the probability that the true Sharpe exceeds `benchmark` (per day), from returns."""
    values = np.asarray(returns, float)
    skew, kurtosis = moments(values)
    per_day = float(_per_day_sharpe(values))
    return probabilistic_sharpe(per_day, benchmark, len(values), skew, kurtosis)


def expected_max_sharpe(variance: float, trials: int) -> float:
    """Return SR0, the best Sharpe that luck gives `trials` worthless trials; 0 for one trial.

    `variance` is that of the trials' Sharpe ratios, and SR0 has their unit (per period or annual).
    Source: Bailey and López de Prado, "The Deflated Sharpe Ratio" (2014).

    >>> round(expected_max_sharpe(0.5 / 250, 100), 16)
    0.1131720018651321
    """
    if trials <= 1 or not variance >= 0.0:
        return 0.0 if trials <= 1 else math.nan
    often = _NORMAL.inv_cdf(1.0 - 1.0 / trials)
    rare = _NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return math.sqrt(variance) * ((1.0 - EULER) * often + EULER * rare)


def dsr(returns: npt.ArrayLike, trials: int, variance: float) -> float:
    """Return PSR(SR0): the probability that daily `returns` are better than the luckiest trial.

    `variance` is that of the trials' Sharpe ratios per day (annual variance / 365).
    """
    return psr(returns, expected_max_sharpe(variance, trials))


def figures(
    daily_equity: Floats,
    *,
    cash: float,
    drawdown: npt.ArrayLike,
    closed: npt.ArrayLike,
    wins: npt.ArrayLike,
    gains: npt.ArrayLike,
    losses: npt.ArrayLike,
    exposure: npt.ArrayLike,
    traded: npt.ArrayLike,
    mean_equity: npt.ArrayLike,
) -> dict[str, Floats]:
    """Return every metric of `NAMES` for one run (days,) or many (runs, days).

    `traded` and `mean_equity` in quote units; `gains` and `losses` are positive sums of pnl.
    """
    days = daily_equity.shape[-1]
    returns = daily_returns(daily_equity, cash)
    total = daily_equity[..., -1] / cash - 1.0 if days else np.full(returns.shape[:-1], np.nan)
    yearly = cagr(total, days)
    return {
        "total_return": np.asarray(total),
        "cagr": yearly,
        "sharpe": annual_sharpe(returns),
        "sortino": annual_sortino(returns),
        "max_drawdown": np.asarray(drawdown, float),
        "calmar": ratio(yearly, np.abs(drawdown)),
        "win_rate": ratio(wins, closed),
        "profit_factor": profit_factor(gains, losses),
        "trades": np.asarray(closed, float),
        "exposure": np.asarray(exposure, float),
        "turnover": ratio(traded, np.asarray(mean_equity) * days / DAYS_A_YEAR),
    }


def metrics_of(
    equity: pl.DataFrame,
    trades: pl.DataFrame,
    *,
    cash: float,
    exposure: float | None = None,
    traded: float | None = None,
) -> Figures:
    """Return the metrics of `NAMES` from frames of a run, a stitched curve or a live account.

    `equity`: open_time, equity, and quantity where exposure is to be measured from it. `trades`:
    as in `BacktestResult`; may be empty. What is neither given nor there is NaN.
    """
    values = equity["equity"].to_numpy()
    ends = day_ends(equity["open_time"].dt.epoch("us").to_numpy())
    if exposure is None:
        exposure = _share_held(equity)
    if traded is None:
        traded = _traded_value(trades)
    return scalars(
        figures(
            values[ends],
            cash=cash,
            drawdown=max_drawdown(values, cash),
            **trade_sums(_closed_pnl(trades)),
            exposure=exposure,
            traded=traded,
            mean_equity=values.mean() if len(values) else math.nan,
        )
    )


def scalars(values: Mapping[str, npt.ArrayLike]) -> Figures:
    """Turn figures of one run into plain floats."""
    return {name: float(np.asarray(value)) for name, value in values.items()}


def trade_sums(pnl: Floats) -> dict[str, float]:
    """Return closed, wins, gains and losses of closed trades' `pnl` (quote units)."""
    return {
        "closed": float(len(pnl)),
        "wins": float((pnl > 0).sum()),
        "gains": float(pnl[pnl > 0].sum()),
        "losses": float(-pnl[pnl < 0].sum()),
    }


def _share_held(equity: pl.DataFrame) -> float:
    if "quantity" not in equity.columns or not len(equity):
        return math.nan
    return float((equity["quantity"].to_numpy() > 0).mean())


def _closed_pnl(trades: pl.DataFrame) -> Floats:
    if not len(trades):
        return np.empty(0)
    return trades.filter(pl.col("exit_time").is_not_null())["pnl"].cast(pl.Float64).to_numpy()


def _traded_value(trades: pl.DataFrame) -> float:
    if not len(trades):
        return 0.0
    price = pl.col("entry_price").cast(pl.Float64) + pl.col("exit_price").cast(
        pl.Float64
    ).fill_null(0.0)
    return float(trades.select((price * pl.col("quantity").cast(pl.Float64)).sum()).item())
