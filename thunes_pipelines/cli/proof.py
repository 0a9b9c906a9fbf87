"""The commands `parity` and `soak`: what trading promises, shown to hold.

Add here: a command that proves something about trading. Keep out: how it is proved (services).
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.progress import Progress
from rich.table import Table

from thunes_core.domain.limits import Costs, Protection
from thunes_core.errors import BadInput
from thunes_pipelines.cli import options as o
from thunes_pipelines.cli.inputs import parse_object, parse_time, read_bars
from thunes_pipelines.cli.output import console, emit_json

SHOWN = 10
MOST_HOURS = 8760
BROKEN_PROMISES = (
    "lost",
    "doubled",
    "unknown_left",
    "discrepancies",
    "unexplained_errors",
    "unprotected_while_answered",
)


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    app.command("parity")(parity_command)
    app.command("soak")(soak_command)


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


def soak_command(
    hours: Annotated[float, typer.Option(min=1, help="Hours of the exchange's clock.")] = 168.0,
    seed: Annotated[int, typer.Option(help="Draws market, faults and kills.")] = 1,
    faults: Annotated[
        Path | None, typer.Option(help="JSON list of faults instead of the seed's.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Trade for days in minutes on a testnet that attacks, and compare ledger and exchange."""
    from thunes_pipelines.services.soak import run_soak
    from thunes_pipelines.services.soak_plan import SoakPlan

    if not hours <= MOST_HOURS:
        raise BadInput(f"--hours: expected 1 to {MOST_HOURS}; it was {hours:g}; 168 is a week")
    plan = SoakPlan(hours, seed, faults=_read_faults(faults) if faults else None)
    with Progress(console=console, disable=json, transient=True) as progress:
        task = progress.add_task("ticks", total=plan.ticks)
        found = run_soak(plan, lambda done, _of: progress.update(task, completed=done))
    if json:
        emit_json(found)
    else:
        _print_soak(found)
    if any(found[name] for name in BROKEN_PROMISES) or not found["audit_whole"]:
        raise typer.Exit(1)


def _read_faults(path: Path) -> list[Any]:
    from thunes_core.testnet.faults import read_faults

    try:
        return list(read_faults(orjson.loads(path.read_bytes())))
    except (OSError, orjson.JSONDecodeError) as error:
        raise BadInput(f"faults: {path} cannot be read ({error}); give a JSON list") from error


def _print_soak(found: dict[str, Any]) -> None:
    table = Table(title="soak", show_header=False, title_justify="left")
    for name, value in found.items():
        if name not in ("gates", "unprotected"):
            table.add_row(name.replace("_", " "), str(value))
    console.print(table)
    _print_unprotected(found["unprotected"])
    for gate in found["gates"].values():
        mark = "[green]pass[/]" if gate["passed"] else "[yellow]no[/]"
        console.print(f"{mark} {gate['name']}: {gate['sentence']}")


def _print_unprotected(intervals: list[dict[str, Any]]) -> None:
    """Show each interval without a stop: when, how long, how much of it was ours, and why."""
    if not intervals:
        return
    table = Table("symbol", "since", "seconds", "answered", "why", title="unprotected")
    for one in intervals:
        seconds, answered = f"{one['seconds']:g}", f"{one['answered_seconds']:g}"
        table.add_row(one["symbol"], one["since"], seconds, answered, one["why"])
    console.print(table)
