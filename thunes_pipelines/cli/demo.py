"""The command `demo`: the whole loop in a few minutes, shown as it goes.

Add here: how the demo is shown. Keep out: what it does (`services/demo.py`).
"""

from __future__ import annotations

import dataclasses
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from thunes_core.clock import monotonic_seconds
from thunes_pipelines.cli.output import console, emit_json

if TYPE_CHECKING:
    from thunes_pipelines.services.demo_result import DemoResult

_CENT = Decimal("0.01")


def add_to(app: typer.Typer) -> None:
    """Register `thunes demo`."""
    app.command("demo")(demo)


def demo(
    bars: Annotated[
        Path | None, typer.Option(help="Candles to replay: Parquet, CSV or archive zip.")
    ] = None,
    home: Annotated[Path, typer.Option(help="State folder; made anew.")] = Path(".thunes-demo"),
    days: Annotated[int, typer.Option(min=1, max=60, help="Days to trade.")] = 7,
    history_days: Annotated[int, typer.Option(min=180, max=2000, help="Days to search on.")] = 365,
    seed: Annotated[int, typer.Option(help="Seed of the market and of the search.")] = 7,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Ingest, search, promote, trade a simulated week on the local testnet, and report."""
    from thunes_pipelines.services.demo import DemoPlan, run

    plan = DemoPlan(home.resolve(), bars, days, history_days, seed)
    began = monotonic_seconds()
    with _progress(quiet=as_json) as progress:
        result = run(plan, _teller(progress))
    if as_json:
        emit_json(dataclasses.asdict(result))
        return
    _show(result, monotonic_seconds() - began)


def _progress(*, quiet: bool) -> Progress:
    return Progress(
        TextColumn("{task.description:<38}"),
        BarColumn(bar_width=30),
        TextColumn("{task.completed:>4.0f} of {task.total:.0f}"),
        TimeElapsedColumn(),
        console=console,
        disable=quiet,
    )


def _teller(progress: Progress) -> Any:
    tasks: dict[str, TaskID] = {}

    def tell(name: str, done: int, total: int) -> None:
        if name not in tasks:
            tasks[name] = progress.add_task(name, total=total)
        progress.update(tasks[name], completed=done, total=total)

    return tell


def _show(result: DemoResult, seconds: float) -> None:
    console.print(_champions(result))
    console.print(_trades(result))
    console.print(_totals(result, seconds))
    console.rule("where to look", style="cyan")
    console.print(_where(result), soft_wrap=True, highlight=False)


def _champions(result: DemoResult) -> Table:
    table = Table("study", "version", "parameters", "Sharpe", "DSR", "PBO", title="champions")
    for study, version in result.champions.items():
        figures = version["evidence"]
        shown = [_figure(figures.get(name)) for name in ("sharpe", "dsr", "pbo")]
        values = ", ".join(f"{k}={v}" for k, v in version["parameters"].items())
        table.add_row(study, str(version["version"]), values, *shown)
    return table


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _trades(result: DemoResult) -> Table:
    table = Table("study", "entry", "exit", "in at", "out at", "PnL", "reason", title="trades")
    for trade in result.trades:
        table.add_row(
            _study(trade),
            _hour(trade["entry_time"]),
            _hour(trade["exit_time"]),
            _price(trade["entry_price_text"]),
            _price(trade["exit_price_text"]),
            _pnl(trade["pnl_text"]),
            trade["reason"],
        )
    for held in result.held:
        edges = _price(held["entry_price"]), _price(held["price"])
        entry = _hour(held["entry_time"])
        table.add_row(_study(held), entry, "", *edges, _pnl(held["pnl"]), "open")
    return table


def _study(row: dict[str, Any]) -> str:
    return f"{row['strategy']} {row['symbol']}"


def _hour(moment: datetime | None) -> str:
    return f"{moment:%d %H:%M}" if moment else ""


def _price(value: str | Decimal) -> str:
    return f"{Decimal(value):,.2f}"


def _pnl(value: str | Decimal) -> str:
    amount = Decimal(value)
    return f"[{'green' if amount > 0 else 'red'}]{amount.quantize(_CENT):+,}[/]"


def _totals(result: DemoResult, seconds: float) -> Table:
    table = Table(title="what it did", show_header=False)
    exact = "[green]exact[/]" if not result.trades_difference else "[red]differs[/]"
    cash = "[green]exact[/]" if not result.cash_difference else "[red]differs[/]"
    rows = {
        "simulated": f"{result.start:%Y-%m-%d %H:%M} to {result.end:%Y-%m-%d %H:%M} UTC",
        "bars ingested": f"{result.bars:,}",
        "ticks, orders, fills": f"{result.ticks}, {result.orders}, {result.fills}",
        "closed trades": str(len(result.trades)),
        "realised PnL": f"{result.realised} (sum of the trades: {exact})",
        "equity": f"{result.equity.quantize(_CENT):,}",
        "cash: ledger against exchange": cash,
        "trading state": result.state,
        "orders' fingerprint": result.orders_fingerprint,
        "took": f"{seconds:.0f} s",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _where(result: DemoResult) -> str:
    newest = str(result.reports[-1]) if result.reports else "none"
    home = f"THUNES_HOME={result.home}"
    return "\n".join(
        [
            f"daily report   {newest}",
            f"Dagster        {home} DAGSTER_HOME={result.home / 'dagster'} "
            ".venv/bin/dagster dev -w workspace.yaml",
            f"MLflow         .venv/bin/mlflow ui --backend-store-uri {result.tracking_uri}",
            f"tables         {_query(result.home / 'warehouse.duckdb')}",
            f"status         {home} .venv/bin/thunes status",
            "running house  make up",
        ]
    )


def _query(warehouse: Path) -> str:
    """Return one line that shows the trades of the warehouse."""
    opened = f"duckdb.connect({str(warehouse)!r}, read_only=True)"
    shown = f"import duckdb; {opened}.sql('FROM trades').show()"
    return f'.venv/bin/python -c "{shown}"'
