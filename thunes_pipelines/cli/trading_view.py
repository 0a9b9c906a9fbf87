"""How ticks, reconciliations and the status of the account look, for people and as JSON.

Add here: a way to show the account. Keep out: reading it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from rich.table import Table

from thunes_core.domain.parameters import Champion
from thunes_core.domain.portfolio import Position
from thunes_core.domain.records import OrderRecord
from thunes_pipelines.cli.output import console

_POSITION = ("strategy", "symbol", "quantity", "average_price", "cash", "realised", "level")
_ORDER = ("client_order_id", "symbol", "side", "type", "quantity", "status", "why")
_DECISION = ("strategy", "symbol", "bar", "target", "why")
_REFUSED = ("symbol", "side", "quantity", "code", "why")
_COLOURS = {"ACTIVE": "green", "REDUCING": "yellow", "HALTED": "red"}


def position_facts(position: Position) -> dict[str, Any]:
    """Return one book as plain values; money as exact text."""
    return {
        "strategy": position.strategy,
        "symbol": position.symbol,
        "quantity": format(position.quantity, "f"),
        "dust": format(position.dust, "f"),
        "average_price": format(position.average_price, "f"),
        "cash": format(position.cash, "f"),
        "realised": format(position.realised, "f"),
        "level": position.level,
        "blocked": position.blocked,
        "entry_time": position.entry_time,
        "last_bar": position.last_bar,
        "cooldown_until": position.cooldown_until,
        "parameters": position.parameters,
    }


def order_facts(record: OrderRecord) -> dict[str, Any]:
    """Return one order as plain values; money as exact text."""
    return {
        "client_order_id": record.client_order_id,
        "strategy": record.strategy,
        "symbol": record.request.symbol,
        "side": str(record.request.side),
        "type": str(record.request.type),
        "quantity": format(record.request.quantity, "f"),
        "executed_quantity": format(record.executed_quantity, "f"),
        "status": str(record.status),
        "why": record.why,
        "intended_at": record.intended_at,
    }


def champion_facts(champion: Champion | None) -> dict[str, Any] | None:
    """Return the remembered champion as plain values, or None."""
    if champion is None:
        return None
    return {
        "version": champion.version,
        "run_id": champion.run_id,
        "fingerprint": champion.parameters.fingerprint,
        "parameters": dict(champion.parameters.values),
    }


def equity_facts(marks: pl.DataFrame) -> dict[str, Any] | None:
    """Return the newest equity mark, or None before the first tick."""
    if marks.is_empty():
        return None
    newest = marks.row(-1, named=True)
    return {
        "time": newest["time"],
        "equity": newest["equity_text"],
        "cash": newest["cash_text"],
        "exposure": newest["exposure_text"],
    }


def print_status(facts: Mapping[str, Any]) -> None:
    """Print the status of the account."""
    state, equity = facts["state"], facts["equity"]
    console.print(
        f"[bold {_COLOURS[state]}]{state}[/] by {facts['author']}: {facts['reason']} "
        f"(since {facts['since']:%Y-%m-%d %H:%M} UTC)"
    )
    if equity is None:
        console.print("no tick yet: run `thunes tick`, or switch the schedule on")
    else:
        console.print(
            f"equity [bold]{equity['equity']}[/] = cash {equity['cash']} + "
            f"exposure {equity['exposure']} at {equity['time']:%Y-%m-%d %H:%M:%S} UTC"
        )
    print_rows("positions", facts["positions"], _POSITION)
    print_rows("unsettled orders", facts["open_orders"], _ORDER)
    champions = [
        {"study": study, **(champion or {"version": "none", "parameters": "", "run_id": ""})}
        for study, champion in facts["champions"].items()
    ]
    print_rows("champions", champions, ("study", "version", "parameters", "run_id"))
    for note in (facts["last_tick"] or {}).get("notes", []):
        console.print(f"last tick: {note}")


def print_tick(report: Mapping[str, Any]) -> None:
    """Print what one tick saw and did."""
    console.print(
        f"[bold {_COLOURS[report['state']]}]{report['state']}[/] at {report['server_time']}, "
        f"equity [bold]{report['equity']}[/]"
    )
    print_rows("decisions", report["decisions"], _DECISION)
    print_rows("orders", report["orders"], _ORDER)
    print_rows("refused", report["refused"], _REFUSED)
    for note in report["notes"]:
        console.print(f"- {note}")


def print_reconciliation(found: Mapping[str, Any]) -> None:
    """Print what reconciling found."""
    console.print(f"{len(found['fills'])} new fills booked")
    for note in found["notes"]:
        console.print(f"- {note}")
    if not found["discrepancies"] and not found["foreign_orders"]:
        console.print("[green]ledger and exchange agree[/]")


def print_rows(title: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print rows as a table, or nothing when there are none."""
    if not rows:
        return
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(str(row.get(column, "")) for column in columns))
    console.print(table)
