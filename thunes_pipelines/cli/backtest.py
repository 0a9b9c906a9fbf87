"""The commands `backtest` and `metrics`; `sweep` stands in `sweep.py`.

Add here: a command that measures a simulated run. Keep out: formulas, how files are read.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import orjson
import polars as pl
import typer
from rich.table import Table

from thunes_core.domain.limits import Conditions, Costs, LimitEntry, LotRules, Protection
from thunes_core.domain.results import BacktestResult
from thunes_core.errors import BadInput
from thunes_pipelines.cli import options as o
from thunes_pipelines.cli import sweep
from thunes_pipelines.cli.inputs import (
    bars_of,
    parse_object,
    parse_time,
    read_frame,
    read_targets,
)
from thunes_pipelines.cli.output import console, emit_json, write_bytes

_SHARES = ("total_return", "cagr", "max_drawdown", "win_rate", "exposure", "volatility")


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    app.command("backtest")(backtest_command)
    app.command("metrics")(metrics_command)
    sweep.add_to(app)


def backtest_command(
    bars: o.BarsFile = None,
    strategy: Annotated[str | None, typer.Option(help="Name of a strategy.")] = None,
    params: Annotated[str, typer.Option(help="JSON object of its parameters.")] = "{}",
    targets: Annotated[
        Path | None, typer.Option(help="Instead of a strategy: file of open_time and target.")
    ] = None,
    symbol: o.SymbolOf = None,
    interval: o.IntervalOf = None,
    start: o.Start = None,
    end: o.End = None,
    cash: o.Cash = 10_000.0,
    taker_fee: o.TakerFee = 0.001,
    maker_fee: o.MakerFee = 0.001,
    slippage: o.Slippage = 0.0005,
    stop_loss: o.StopLoss = 0.0,
    take_profit: o.TakeProfit = 0.0,
    trailing_stop: o.TrailingStop = 0.0,
    trailing_activation: o.TrailingActivation = 0.0,
    cooldown_minutes: o.Cooldown = 0,
    step_size: o.StepSize = 0.0,
    min_quantity: o.MinQuantity = 0.0,
    min_notional: o.MinNotional = 0.0,
    limit_offset: o.LimitOffset = None,
    limit_timeout: o.LimitTimeout = 1,
    limit_then_market: o.ThenMarket = False,
    json: Annotated[str | None, typer.Option(help="File for the result; - is stdout.")] = None,
    html: Annotated[Path | None, typer.Option(help="File for a page with charts.")] = None,
) -> None:
    """Simulate a strategy, or any target exposure, over bars of one symbol."""
    held = bars_of(bars, symbol, interval, parse_time(start, "--start"), parse_time(end, "--end"))
    target = _target(held, strategy, params, targets)
    costs = Costs(taker_fee, maker_fee, slippage)
    protection = Protection(
        stop_loss, take_profit, trailing_stop, trailing_activation, cooldown_minutes
    )
    lots = LotRules(step_size, min_quantity, min_notional)
    title = f"{strategy or targets} {held['symbol'][0]} {held['interval'][0]}"
    entry = None
    if limit_offset is not None:
        entry = LimitEntry(limit_offset, limit_timeout, limit_then_market)
    given = Conditions(cash, costs, protection, lots)
    _run_and_show(held, target, given, entry, title, json, html)


def _run_and_show(
    bars: pl.DataFrame,
    target: pl.Series,
    given: Conditions,
    entry: LimitEntry | None,
    title: str,
    json: str | None,
    html: Path | None,
) -> None:
    from thunes_core.backtest.more_metrics import buy_and_hold
    from thunes_core.backtest.simulate import backtest

    def run(costs: Costs) -> BacktestResult:
        return backtest(
            bars,
            target,
            cash=given.cash,
            costs=costs,
            protection=given.protection,
            lots=given.lots,
            entry=entry,
        )

    result, at_twice = run(given.costs), run(given.costs.times(2.0))
    held = buy_and_hold(bars, cash=given.cash, costs=given.costs, lots=given.lots)
    document = {**_document(result), **_beside(result, at_twice, held, given.cash)}
    if html is not None:
        from thunes_core.reporting.backtest_page import backtest_page

        write_bytes(html, backtest_page(result, bars, title, benchmark=held).encode())
    if json is not None:
        write_json(document, json)
    if json != "-":
        _print_result(document, title)


def _target(
    bars: pl.DataFrame, strategy: str | None, params: str, targets: Path | None
) -> pl.Series:
    if (strategy is None) == (targets is None):
        raise BadInput("target: expected either --strategy NAME or --targets FILE; give one")
    if targets is not None:
        return read_targets(targets, bars)
    from thunes_core.strategies.base import build

    return build(str(strategy), parse_object(params, "--params")).target_exposure(bars)


def _document(result: BacktestResult) -> dict[str, Any]:
    """Return the fixed part of the JSON: metrics, trades, equity, rejected orders."""
    trades = result.trades.with_columns(iso("entry_time"), iso("exit_time"))
    names = ("entry_time", "exit_time", "entry_price", "exit_price", "quantity", "pnl", "reason")
    return {
        "metrics": {**result.metrics, "trades": int(result.metrics["trades"])},
        "trades": trades.select(names).to_dicts(),
        "equity": result.equity.select(iso("open_time"), "equity").to_dict(as_series=False),
        "rejected_orders": result.rejected_orders,
    }


def _beside(
    result: BacktestResult, at_twice: BacktestResult, held: BacktestResult, cash: float
) -> dict[str, Any]:
    """Return what the JSON tells beside the fixed part."""
    from thunes_core.backtest.more_metrics import monthly_returns, more_metrics

    return {
        "more": more_metrics(result, cash),
        "benchmark": dict(held.metrics),
        "twice_costs": dict(at_twice.metrics),
        "monthly": monthly_returns(result.equity, cash).to_dicts(),
    }


def iso(column: str) -> pl.Expr:
    """Return a column of times as ISO 8601 text, UTC."""
    return pl.col(column).dt.strftime("%Y-%m-%dT%H:%M:%SZ")


def write_json(document: dict[str, Any], target: str) -> None:
    """Write a result to a file, whole or not at all, or to stdout for `-`; NaN is null."""
    if target == "-":
        emit_json(document)
        return
    write_bytes(Path(target), orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY))


def _print_result(document: dict[str, Any], title: str) -> None:
    table = Table(title=title)
    for head in ("", "result", "buy and hold", "at twice the costs"):
        table.add_column(head, justify="left" if not head else "right")
    for name, value in document["metrics"].items():
        others = (document["benchmark"][name], document["twice_costs"][name])
        table.add_row(name, *(shown(name, v) for v in (value, *others)))
    for name, value in document["more"].items():
        table.add_row(name, shown(name, value))
    console.print(table)
    console.print(
        f"{len(document['trades'])} trades, {document['rejected_orders']} rejected orders"
    )


def shown(name: str, value: float) -> str:
    """Return a figure for people: fractions as per cent, undefined as a dash."""
    if not math.isfinite(value):
        return "–"
    if name in _SHARES or name == "average_trade":
        return f"{value:.2%}"
    return f"{value:.0f}" if name == "trades" else f"{value:,.3f}"


def metrics_command(
    returns: Annotated[Path, typer.Option(help="Parquet or CSV: one column of daily returns.")],
    trials: Annotated[int | None, typer.Option(min=1, help="Trials behind the choice.")] = None,
    trial_variance: Annotated[
        float | None, typer.Option(min=0, help="Variance of the trials' Sharpe ratios per day.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Measure a series of daily returns, with the probability that it is luck."""
    from thunes_core.backtest.more_metrics import returns_metrics

    if (trials is None) != (trial_variance is None):
        raise BadInput("luck: expected --trials and --trial-variance together; give both")
    found = returns_metrics(_one_column(returns), trials, trial_variance)
    if json:
        emit_json({**found, "days": int(found["days"])})
        return
    table = Table(title=str(returns))
    table.add_column("")
    table.add_column("value", justify="right")
    for name, value in found.items():
        table.add_row(name, shown(name, value))
    console.print(table)


def _one_column(path: Path) -> Any:
    frame = read_frame(path)
    numbers = [name for name, kind in frame.schema.items() if kind.is_numeric()]
    if len(numbers) != 1:
        raise BadInput(
            f"{path}: expected one column of numbers; it has {len(numbers)}; keep one column"
        )
    returns = frame[numbers[0]].cast(pl.Float64).drop_nulls()
    wrong = int((~returns.is_finite() | (returns < -1)).sum())
    if wrong or not len(returns):
        raise BadInput(
            f"{path}: expected finite daily returns from -1 up; {wrong} of {len(returns)} are not; "
            "correct the file"
        )
    return returns.to_numpy()
