"""Run a target exposure or a strategy over bars of one symbol (semantics §3) and measure it (§5).

`backtest` and `backtest_strategy` take and give frames. `run_arrays` is the same run on plain
arrays, for callers that run thousands: convert the bars once with `bar_arrays`.

Add here: another way to ask for one run. Keep out: the rules, the formulas of metrics.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from thunes_core.backtest import kernel, metrics
from thunes_core.backtest.falls import deepest_fall
from thunes_core.backtest.kernel import Floats, Terms, Times
from thunes_core.backtest.limit_entry import run_limit_bars
from thunes_core.domain.bars import TIME, parse_interval
from thunes_core.domain.limits import Costs, LimitEntry, LotRules, Protection
from thunes_core.domain.results import BacktestResult
from thunes_core.errors import BarsInvalid, ParametersInvalid
from thunes_core.indicators.columns import Columns
from thunes_core.strategies.base import Strategy
from thunes_core.trading.rules import REASONS

MINUTE_US = 60_000_000
CASH = 10_000.0


class BarArrays(NamedTuple):
    """Bars of one symbol as arrays of equal length; times in microseconds since 1970 UTC."""

    time: Times
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    interval_us: int


class Run(NamedTuple):
    """One finished run: state per bar close, the table of trades, and the counts.

    `trades` has the columns of `kernel`; with `still_open` its last row is the open trade.
    """

    bars: BarArrays
    start_cash: float
    cash: Floats
    quantity: Floats
    equity: Floats
    trades: Floats
    closed: int
    rejected: int
    still_open: bool


def bar_arrays(bars: pl.DataFrame) -> BarArrays:
    """Take the columns that a run needs out of a frame of bars of one symbol, sorted by time.

    Raises `BarsInvalid` when there are no bars, `UnknownName` for an interval nobody knows.
    """
    if not len(bars):
        raise BarsInvalid("bars: expected at least one bar; there were none; check the time span")
    interval = parse_interval(str(bars["interval"][0])).duration
    return BarArrays(
        bars["open_time"].dt.epoch("us").to_numpy(),
        bars["open"].to_numpy(),
        bars["high"].to_numpy(),
        bars["low"].to_numpy(),
        bars["close"].to_numpy(),
        interval // timedelta(microseconds=1),
    )


def arrays_from(columns: Columns, skip: int) -> BarArrays:
    """Return the bars from `skip` on of columns already taken; raises as `bar_arrays`."""
    if len(columns) <= skip:
        raise BarsInvalid(f"bars: expected more than {skip} bars; there were {len(columns)}")
    prices = (columns.open[skip:], columns.high[skip:], columns.low[skip:], columns.close[skip:])
    duration = parse_interval(columns.interval).duration
    return BarArrays(columns.open_time[skip:], *prices, duration // timedelta(microseconds=1))


def read_only(values: npt.NDArray[Any], kind: type[np.generic] = np.float64) -> npt.NDArray[Any]:
    """Return a contiguous view that nobody writes through: one type for compiled functions."""
    view = np.ascontiguousarray(values, dtype=kind).view()
    view.flags.writeable = False
    return view


def target_array(target: pl.Series | npt.NDArray[np.float64], length: int) -> Floats:
    """Return `target` as floats, undefined as 0; `ParametersInvalid` unless one in [0, 1] a bar."""
    raw = target.cast(pl.Float64).to_numpy() if isinstance(target, pl.Series) else target
    values = np.ascontiguousarray(raw, dtype=np.float64)
    low, high = values.min(initial=math.inf), values.max(initial=-math.inf)
    if math.isnan(low):
        values = np.where(np.isnan(values), 0.0, values)
        low, high = values.min(), values.max()
    if values.shape != (length,) or (length and not 0 <= low <= high <= 1):
        raise ParametersInvalid(
            f"target: expected {length} values in [0, 1], one per bar; it was {values.shape} "
            f"in [{low}, {high}]; correct it"
        )
    return values


def terms_of(costs: Costs, protection: Protection, lots: LotRules) -> Terms:
    """Join costs, protection and lot rules into what the kernel takes.

    Raises `ParametersInvalid` unless all are finite and none is negative.
    """
    terms = Terms(
        float(costs.taker_fee),
        float(costs.maker_fee),
        float(costs.slippage),
        float(protection.stop_loss),
        float(protection.take_profit),
        float(protection.trailing_stop),
        float(protection.trailing_activation),
        float(protection.cooldown_minutes) * MINUTE_US,
        float(lots.step_size),
        float(lots.min_quantity),
        float(lots.min_notional),
    )
    if not all(0.0 <= value < math.inf for value in terms):
        raise ParametersInvalid(
            f"costs, exits, lots: expected finite numbers from 0 up; it was {terms}; correct them"
        )
    return terms


def run_arrays(
    bars: BarArrays,
    target: Floats,
    terms: Terms,
    cash: float = CASH,
    entry: LimitEntry | None = None,
) -> Run:
    """Run one target over `bars`; no frames, no checks. `entry`: None enters at the market."""
    length = len(bars.time)
    held_cash, quantity, equity = np.empty((3, length))
    trades = np.empty((length + 1, kernel.REASON + 1))
    given: tuple[Any, ...] = (
        read_only(bars.time, np.int64),
        read_only(bars.open),
        read_only(bars.high),
        read_only(bars.low),
        read_only(bars.close),
        read_only(target),
    )
    rest: tuple[Any, ...] = (
        bars.interval_us,
        float(cash),
        terms,
        held_cash,
        quantity,
        equity,
        trades,
    )
    if entry is None:
        counts = kernel.run_bars(*given, *rest)
    else:
        with_limits: tuple[Any, ...] = (*given, *_limit_terms(entry), *rest)
        counts = run_limit_bars(*with_limits)
    closed, rejected, still_open = counts
    kept = trades[: closed + still_open].copy()
    return Run(bars, float(cash), held_cash, quantity, equity, kept, closed, rejected, still_open)


def _limit_terms(entry: LimitEntry) -> tuple[float, int, bool]:
    if not 0.0 <= entry.offset < 1.0 or entry.timeout_bars < 1:
        raise ParametersInvalid(
            f"limit entry: expected 0 <= offset < 1 and timeout_bars >= 1; it was {entry}; correct"
        )
    return float(entry.offset), int(entry.timeout_bars), bool(entry.then_market)


def run_metrics(run: Run) -> metrics.Figures:
    """Return the metrics of semantics §5 of one run, in milliseconds' fractions."""
    equity = run.equity
    pnl = run.trades[: run.closed, kernel.PNL]
    return metrics.scalars(
        metrics.figures(
            equity[metrics.day_ends(run.bars.time)],
            cash=run.start_cash,
            drawdown=deepest_fall(equity, run.start_cash) - 1.0,
            **metrics.trade_sums(pnl),
            exposure=np.count_nonzero(run.quantity) / len(equity),
            traded=run.trades[:, [kernel.SPENT, kernel.RECEIVED]].sum(),
            mean_equity=equity.mean(),
        )
    )


def backtest(
    bars: pl.DataFrame,
    target: pl.Series | npt.NDArray[np.float64],
    *,
    cash: float = CASH,
    costs: Costs = Costs(),  # noqa: B008 - immutable
    protection: Protection = Protection(),  # noqa: B008 - immutable
    lots: LotRules = LotRules(),  # noqa: B008 - immutable
    entry: LimitEntry | None = None,
) -> BacktestResult:
    """Run a target exposure over bars of one symbol.

    `bars`: the schema of bars, sorted and valid. `target`: one value in [0, 1] per bar, decided at
    that bar's close and traded at the next open; NaN and null are 0. `cash` in quote units.
    `entry`: None enters at the market, else by limit orders.
    Raises `BarsInvalid` or `ParametersInvalid`.
    """
    arrays = bar_arrays(bars)
    terms = terms_of(costs, protection, lots)
    run = run_arrays(arrays, target_array(target, len(arrays.time)), terms, cash, entry)
    return BacktestResult(
        equity=equity_frame(bars, run),
        trades=trades_frame(run),
        metrics=run_metrics(run),
        rejected_orders=run.rejected,
    )


def backtest_strategy(
    bars: pl.DataFrame,
    strategy: Strategy,
    *,
    cash: float = CASH,
    costs: Costs = Costs(),  # noqa: B008 - immutable
    protection: Protection = Protection(),  # noqa: B008 - immutable
    lots: LotRules = LotRules(),  # noqa: B008 - immutable
) -> BacktestResult:
    """Run a strategy over bars of one symbol; as `backtest` of its target exposure."""
    target = strategy.target_exposure(bars)
    return backtest(bars, target, cash=cash, costs=costs, protection=protection, lots=lots)


def equity_frame(bars: pl.DataFrame, run: Run) -> pl.DataFrame:
    """Return open_time, equity, cash, quantity: one row per bar, valued at its close."""
    columns = {"equity": run.equity, "cash": run.cash, "quantity": run.quantity}
    return pl.DataFrame({"open_time": bars["open_time"], **columns})


def trades_frame(run: Run) -> pl.DataFrame:
    """Return one row per trade of a run; see `trades_frame_of`."""
    return trades_frame_of(run.trades)


def trades_frame_of(t: Floats) -> pl.DataFrame:
    """Return one row per trade, flat to flat: average prices, total quantity, money in quote."""
    exits = np.where(t[:, kernel.REASON] == REASONS.index("open"), 0.0, 1.0)
    exit_price = metrics.ratio(t[:, kernel.RECEIVED] * exits, t[:, kernel.SOLD] * exits)
    entry_price = metrics.ratio(t[:, kernel.SPENT], t[:, kernel.BOUGHT])
    return pl.DataFrame(
        {
            "entry_time": _times(t[:, kernel.ENTRY_TIME]),
            "exit_time": _times(t[:, kernel.EXIT_TIME]).set(pl.Series(exits == 0), None),
            "entry_price": entry_price,
            "exit_price": pl.Series(exit_price).fill_nan(None),
            "quantity": np.ascontiguousarray(t[:, kernel.BOUGHT]),
            "pnl": np.ascontiguousarray(t[:, kernel.PNL]),
            "fees": np.ascontiguousarray(t[:, kernel.FEES]),
            "reason": pl.Series(REASONS).gather(t[:, kernel.REASON].astype(np.int64)),
        }
    )


def _times(microseconds: Floats) -> pl.Series:
    return pl.Series(microseconds.astype(np.int64)).cast(TIME)
