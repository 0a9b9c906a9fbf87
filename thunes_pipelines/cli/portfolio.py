"""The command `portfolio`: a strategy over several symbols on shared cash, with limits.

Add here: another way of giving or showing a portfolio. Keep out: how one is simulated.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
import typer
from rich.table import Table

from thunes_core.domain.limits import Conditions, Costs, LotRules, PortfolioLimits, Protection
from thunes_core.errors import BadInput
from thunes_pipelines.cli import options as o
from thunes_pipelines.cli.backtest import iso, shown, write_json
from thunes_pipelines.cli.inputs import bars_of, parse_object, parse_time
from thunes_pipelines.cli.output import console

if TYPE_CHECKING:
    from thunes_core.domain.results import PortfolioResult


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("portfolio")(portfolio_command)


def portfolio_command(
    strategy: Annotated[str, typer.Option(help="Name of a strategy, the same for every symbol.")],
    bars: Annotated[
        list[Path] | None, typer.Option(help="Parquet or CSV file of one symbol; repeatable.")
    ] = None,
    symbols: Annotated[
        str | None, typer.Option(help="Instead of --bars: from the store, as BTCUSDT,ETHUSDT.")
    ] = None,
    interval: Annotated[
        str | None, typer.Option(help="Of the store, or of files with several.")
    ] = None,
    params: Annotated[
        str, typer.Option(help="JSON object of parameters, or one such object by symbol.")
    ] = "{}",
    weights: Annotated[
        str | None, typer.Option(help="JSON object: fraction by symbol. Default: equal parts.")
    ] = None,
    max_symbol_exposure: Annotated[
        float, o.number(min=0, max=1, help="Most of the equity in one symbol.")
    ] = 1.0,
    max_total_exposure: Annotated[
        float, o.number(min=0, max=1, help="Most of the equity in all of them.")
    ] = 1.0,
    max_positions: Annotated[int, typer.Option(min=0, help="At once; 0 is off.")] = 0,
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
    """Simulate a strategy over several symbols on shared cash, with limits for each and in all.

    Symbols are visited in alphabetical order at each open; limits bind increases alone.
    """
    span = parse_time(start, "--start"), parse_time(end, "--end")
    held = _bars(bars or [], symbols, interval, span)
    conditions = Conditions(
        cash,
        Costs(taker_fee, maker_fee, slippage),
        Protection(stop_loss, take_profit, trailing_stop, trailing_activation, cooldown_minutes),
        LotRules(step_size, min_quantity, min_notional),
    )
    limits = PortfolioLimits(max_symbol_exposure, max_total_exposure, max_positions)
    targets = _targets(strategy, parse_object(params, "--params"), held)
    result = _run(held, targets, parse_weights(weights), conditions, limits)
    if json is not None:
        write_json(_document(result), json)
    if json != "-":
        _print(result, f"{strategy} {', '.join(held)} {held[min(held)]['interval'][0]}")


def _bars(
    files: list[Path],
    symbols: str | None,
    interval: str | None,
    span: tuple[datetime | None, datetime | None],
) -> dict[str, pl.DataFrame]:
    """Return the bars by symbol; `BadInput` when none is given, both ways are, or one twice."""
    named = [part.strip() for part in (symbols or "").split(",") if part.strip()]
    if bool(files) == bool(named):
        raise BadInput(
            "bars: expected either --bars FILE, once for each symbol, or --symbols and --interval "
            "of the store; give one of them"
        )
    frames = [bars_of(file, None, interval, *span) for file in files]
    frames += [bars_of(None, symbol, interval, *span) for symbol in named]
    held = {str(frame["symbol"][0]): frame for frame in frames}
    if len(held) < len(frames):
        told = ", ".join(str(frame["symbol"][0]) for frame in frames)
        raise BadInput(
            f"bars: expected each symbol once; it was {told}; name it in a column `symbol`"
        )
    return held


def _targets(
    strategy: str, params: Mapping[str, Any], held: Mapping[str, pl.DataFrame]
) -> dict[str, pl.Series]:
    """Return the strategy's target exposure of each symbol, by its own parameters if it has any."""
    from thunes_core.strategies.base import build

    by_symbol = bool(params) and all(isinstance(value, dict) for value in params.values())
    if by_symbol and set(params) != set(held):
        raise BadInput(
            f"--params: expected parameters of exactly {', '.join(sorted(held))}; it was "
            f"{', '.join(sorted(params))}; give one object for each, or one for all"
        )
    return {
        symbol: build(strategy, params[symbol] if by_symbol else params).target_exposure(frame)
        for symbol, frame in held.items()
    }


def parse_weights(text: str | None) -> dict[str, float] | None:
    """Read a JSON object of fractions; `BadInput` where a value is no number."""
    if text is None:
        return None
    found = parse_object(text, "--weights")
    wrong = [name for name, value in found.items() if type(value) not in (int, float)]
    if wrong:
        raise BadInput(
            f"--weights: expected a fraction for each symbol; correct {', '.join(wrong)}"
        )
    return {name: float(value) for name, value in found.items()}


def _run(
    held: Mapping[str, pl.DataFrame],
    targets: Mapping[str, pl.Series],
    weights: Mapping[str, float] | None,
    conditions: Conditions,
    limits: PortfolioLimits,
) -> PortfolioResult:
    from thunes_core.backtest.portfolio import backtest_portfolio

    return backtest_portfolio(held, targets, weights=weights, conditions=conditions, limits=limits)


def _document(result: PortfolioResult) -> dict[str, Any]:
    return {
        "metrics": {**result.metrics, "trades": int(result.metrics["trades"])},
        "trades": result.trades.with_columns(iso("entry_time"), iso("exit_time")).to_dicts(),
        "equity": result.equity.with_columns(iso("open_time")).to_dict(as_series=False),
        "quantities": result.quantities.to_dict(as_series=False),
        "rejected_orders": result.rejected_orders,
    }


def _print(result: PortfolioResult, title: str) -> None:
    table = Table(title=title)
    table.add_column("")
    table.add_column("result", justify="right")
    for name, value in result.metrics.items():
        table.add_row(name, shown(name, value))
    console.print(table)
    parts = Table(title="by symbol")
    for head in ("symbol", "trades", "win rate", "PnL"):
        parts.add_column(head, justify="left" if head == "symbol" else "right")
    for row in by_symbol(result).iter_rows(named=True):
        wins = shown("win_rate", row["win_rate"])
        parts.add_row(row["symbol"], str(row["trades"]), wins, f"{row['pnl']:,.2f}")
    console.print(parts)
    console.print(f"{result.rejected_orders} rejected orders")


def by_symbol(result: PortfolioResult) -> pl.DataFrame:
    """Return symbol, closed trades, win rate (NaN without any) and their PnL, quote units."""
    closed = pl.col("exit_time").is_not_null()
    pnl = pl.col("pnl").filter(closed)
    found = result.trades.group_by("symbol").agg(
        trades=closed.sum(), win_rate=(pnl > 0).mean().fill_null(float("nan")), pnl=pnl.sum()
    )
    symbols = pl.DataFrame({"symbol": result.quantities.columns})
    return symbols.join(found, on="symbol", how="left", maintain_order="left").with_columns(
        pl.col("trades").fill_null(0),
        pl.col("pnl").fill_null(0.0),
        pl.col("win_rate").fill_null(float("nan")),
    )
