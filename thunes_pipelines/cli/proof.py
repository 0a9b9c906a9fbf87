"""The command `parity`: the live path gives the backtest's orders, one for one.

Add here: a command that proves something about trading. Keep out: how it is proved (services).
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from thunes_core.domain.limits import Costs, Protection
from thunes_pipelines.cli import options as o
from thunes_pipelines.cli.inputs import parse_object, parse_time, read_bars
from thunes_pipelines.cli.output import console, emit_json

SHOWN = 10


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    app.command("parity")(parity_command)


def parity_command(
    bars: Annotated[Path, typer.Option(help="Parquet or CSV file of bars.")],
    strategy: Annotated[str, typer.Option(help="Name of a strategy.")],
    params: Annotated[str, typer.Option(help="JSON object of its parameters.")] = "{}",
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
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Trade bars on a local testnet, a tick at every open, and compare with the backtest."""
    from thunes_pipelines.services.parity import ParityCase, run_parity

    case = ParityCase(
        read_bars(bars, parse_time(start, "--start"), parse_time(end, "--end")),
        strategy,
        parse_object(params, "--params"),
        Decimal(str(cash)),
        Costs(taker_fee, maker_fee, slippage),
        Protection(stop_loss, take_profit, trailing_stop, trailing_activation, cooldown_minutes),
    )
    with Progress(console=console, disable=json, transient=True) as progress:
        task = progress.add_task("ticks", total=None)
        result = run_parity(case, lambda done, of: progress.update(task, completed=done, total=of))
    if json:
        emit_json(result.as_dict())
    else:
        _print(result.ticks, result.orders, result.differences)
    if result.differences:
        raise typer.Exit(1)


def _print(ticks: int, orders: int, differences: tuple[dict[str, object], ...]) -> None:
    console.print(f"{ticks} ticks, {orders} orders, {len(differences)} differences")
    for difference in differences[:SHOWN]:
        console.print(difference)
    if not differences:
        console.print("[green]the live path gives the orders of the backtest[/]")
