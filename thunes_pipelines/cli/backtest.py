"""The commands `backtest`, `sweep` and `metrics`.

Add here: a command that measures a simulated run. Keep out: formulas, how files are read.
"""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import polars as pl
import typer
from rich.table import Table

from thunes_core.domain.limits import Costs, LotRules, Protection
from thunes_core.domain.results import BacktestResult
from thunes_core.errors import BadInput
from thunes_pipelines.cli import options as o
from thunes_pipelines.cli.inputs import (
    cut,
    parse_object,
    parse_time,
    read_bars,
    read_frame,
    read_targets,
)
from thunes_pipelines.cli.output import console, emit_json

_SHARES = ("total_return", "cagr", "max_drawdown", "win_rate", "exposure", "volatility")


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    app.command("backtest")(backtest_command)
    app.command("metrics")(metrics_command)


def backtest_command(
    bars: o.BarsFile = None,
    strategy: Annotated[str | None, typer.Option(help="Name of a strategy.")] = None,
    params: Annotated[str, typer.Option(help="JSON object of its parameters.")] = "{}",
    targets: Annotated[
        Path | None, typer.Option(help="Instead of a strategy: file of open_time and target.")
    ] = None,
    symbol: Annotated[str | None, typer.Option(help="Instead of --bars: from the store.")] = None,
    interval: Annotated[str | None, typer.Option(help="Instead of --bars: from the store.")] = None,
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
    json: Annotated[str | None, typer.Option(help="File for the result; - is stdout.")] = None,
) -> None:
    """Simulate a strategy, or any target exposure, over bars of one symbol."""
    from thunes_core.backtest.simulate import backtest

    held = bars_of(bars, symbol, interval, parse_time(start, "--start"), parse_time(end, "--end"))
    target = _target(held, strategy, params, targets)
    costs = Costs(taker_fee, maker_fee, slippage)
    protection = Protection(
        stop_loss, take_profit, trailing_stop, trailing_activation, cooldown_minutes
    )
    lots = LotRules(step_size, min_quantity, min_notional)

    def run(at: Costs) -> BacktestResult:
        return backtest(held, target, cash=cash, costs=at, protection=protection, lots=lots)

    result = run(costs)
    document = {
        **_document(result),
        **_beside(result, run(costs.times(2.0)), held, cash, costs, lots),
    }
    title = f"{strategy or targets} {held['symbol'][0]} {held['interval'][0]}"
    if json is not None:
        _write_json(document, json)
    if json != "-":
        _print_result(document, title)


def bars_of(
    path: Path | None,
    symbol: str | None,
    interval: str | None,
    start: datetime | None,
    end: datetime | None,
) -> pl.DataFrame:
    """Return bars from a file, or from the store by symbol and interval."""
    if path is not None:
        return read_bars(path, start, end)
    if symbol is None or interval is None:
        raise BadInput("bars: expected --bars FILE, or --symbol and --interval of the store")
    from thunes_core.domain.bars import parse_interval
    from thunes_core.settings import load
    from thunes_pipelines.resources.wiring import bar_store

    stored = bar_store(load()).read(symbol, parse_interval(interval), start, end)
    return cut(stored, start, end, f"store: {symbol} {interval}")


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
    trades = result.trades.with_columns(_iso("entry_time"), _iso("exit_time"))
    names = ("entry_time", "exit_time", "entry_price", "exit_price", "quantity", "pnl", "reason")
    return {
        "metrics": {**result.metrics, "trades": int(result.metrics["trades"])},
        "trades": trades.select(names).to_dicts(),
        "equity": result.equity.select(_iso("open_time"), "equity").to_dict(as_series=False),
        "rejected_orders": result.rejected_orders,
    }


def _beside(
    result: BacktestResult,
    at_twice: BacktestResult,
    bars: pl.DataFrame,
    cash: float,
    costs: Costs,
    lots: LotRules,
) -> dict[str, Any]:
    from thunes_core.backtest.more_metrics import buy_and_hold, monthly_returns, more_metrics

    return {
        "more": more_metrics(result, cash),
        "benchmark": dict(buy_and_hold(bars, cash=cash, costs=costs, lots=lots).metrics),
        "twice_costs": dict(at_twice.metrics),
        "monthly": monthly_returns(result.equity, cash).to_dicts(),
    }


def _iso(column: str) -> pl.Expr:
    return pl.col(column).dt.strftime("%Y-%m-%dT%H:%M:%SZ")


def _write_json(document: dict[str, Any], target: str) -> None:
    if target == "-":
        emit_json(document)
        return
    write_bytes(Path(target), orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a result; `BadInput` when the place cannot be written."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise BadInput(f"{path}: cannot be written ({error.strerror}); give another") from error


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
    return frame[numbers[0]].cast(pl.Float64).drop_nulls().to_numpy()
