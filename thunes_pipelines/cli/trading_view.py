"""How ticks, reconciliations and the status of the account look, for people and as JSON.

Add here: a way to show the account. Keep out: reading it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
from rich.table import Table

from thunes_core.domain.parameters import Champion
from thunes_core.domain.portfolio import Position, TradingState
from thunes_core.domain.records import OrderRecord
from thunes_core.reporting.words import number
from thunes_core.trading.cover import Held, covers
from thunes_pipelines.cli.output import console

if TYPE_CHECKING:
    from thunes_core.adapters.ledger import Ledger

COVERED = timedelta(days=7)
A_MOMENT = timedelta(minutes=5)
"""An intent is older than the fill it comes to rest by."""

_POSITION = ("strategy", "symbol", "quantity", "average_price", "cash", "realised", "level")
_ORDER = ("client_order_id", "symbol", "side", "type", "quantity", "status", "why")
_FILL = ("symbol", "side", "quantity", "price", "fee", "fee_asset", "client_order_id")
_DECISION = ("strategy", "symbol", "bar", "target", "why")
_REFUSED = ("symbol", "side", "quantity", "code", "why")
_AMOUNTS = frozenset({"quantity", "average_price", "cash", "realised", "price", "fee"})
_OPEN = ("discrepancies", "foreign_orders", "foreign_trades", "delisted")
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
        "parameters": champion.parameters.shown,
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
    coloured = f"[bold {_COLOURS[state]}]{state}[/]"
    if facts["since"].timestamp():
        console.print(
            f"{coloured} by {facts['author']}: {facts['reason']} "
            f"(since {facts['since']:%Y-%m-%d %H:%M} UTC)"
        )
    else:
        console.print(f"{coloured}: {facts['reason']}")
    _print_leave(facts)
    if equity is None:
        console.print("no tick yet: run `thunes tick`, or switch the schedule on")
    else:
        console.print(
            f"equity [bold]{_amount(equity['equity'])}[/] = cash {_amount(equity['cash'])} + "
            f"exposure {_amount(equity['exposure'])} at {equity['time']:%Y-%m-%d %H:%M:%S} UTC"
        )
    print_rows("positions", facts["positions"], _POSITION)
    cover = facts["protection"]
    if cover["positions"]:
        console.print(
            f"{cover['positions']} protected positions of the last week stood "
            f"{cover['unprotected_seconds']:g} s in all without a stop at the exchange, "
            f"{cover['longest_unprotected_seconds']:g} s at most; "
            f"{cover['moving_unprotected_seconds']:g} s of it through {cover['moves']} moves"
        )
    print_rows("unsettled orders", facts["open_orders"], _ORDER)
    champions = [
        {"study": study, **(champion or {"version": "none", "parameters": "", "run_id": ""})}
        for study, champion in facts["champions"].items()
    ]
    print_rows("champions", champions, ("study", "version", "parameters", "run_id"))
    for note in (facts["last_tick"] or {}).get("notes", []):
        console.print(f"last tick: {note}")


def _print_leave(facts: Mapping[str, Any]) -> None:
    """Print what holds entries back beside the state: the breaker, and arming if it is needed."""
    if facts["breaker_open"]:
        console.print("[yellow]breaker open[/]: the exchange failed, or asked to wait; no entries")
    armed = facts["arming"]["armed"]
    if armed is not None:
        until = f"{armed['until']:%Y-%m-%d %H:%M} UTC"
        console.print(f"[bold red]armed[/] until {until}, up to {armed['max_notional']} in all")
    elif facts["arming"]["needed"]:
        console.print("[yellow]not armed[/]: positions can only be reduced; `thunes arm` lets in")


def print_tick(report: Mapping[str, Any]) -> None:
    """Print what one tick saw and did."""
    console.print(
        f"[bold {_COLOURS[report['state']]}]{report['state']}[/] at {report['server_time']}, "
        f"equity [bold]{_amount(report['equity'])}[/]"
    )
    print_rows("decisions", report["decisions"], _DECISION)
    print_rows("orders", report["orders"], _ORDER)
    print_rows("fills", report["fills"], _FILL)
    print_rows("refused", report["refused"], _REFUSED)
    for note in report["notes"]:
        console.print(f"- {note}")


def cover_facts(ledger: Ledger, now: datetime | None) -> dict[str, Any]:
    """Say how long the positions of the week before `now` stood without a stop at the exchange.

    `now` is the newest moment the exchange was seen at; None before the first tick.
    """
    held = [] if now is None else _held(ledger, now)
    first = min((one.opened for one in held), default=None)
    found = covers(held, ledger.stops_since(first - A_MOMENT), now) if first and now else []
    seconds = [one.bare_seconds for one in found]
    return {
        "positions": len(seconds),
        "unprotected_seconds": sum(seconds, 0.0),
        "longest_unprotected_seconds": max(seconds, default=0.0),
        "moves": sum(one.moves for one in found),
        "moving_unprotected_seconds": sum((one.moving_seconds for one in found), 0.0),
    }


def _held(ledger: Ledger, now: datetime) -> list[Held]:
    """Return the positions that were open within the week before `now`."""
    held = [
        Held(row["strategy"], row["symbol"], row["entry_time"], row["exit_time"])
        for row in ledger.trades(since=now - COVERED).iter_rows(named=True)
    ]
    held += [
        Held(book.strategy, book.symbol, book.entry_time, max(now, book.entry_time))
        for book in ledger.positions()
        if book.is_open and book.entry_time is not None
    ]
    return held


def is_open(found: Mapping[str, Any]) -> bool:
    """True when reconciling found something that a person must look at."""
    return any(found[name] for name in _OPEN)


def print_reconciliation(found: Mapping[str, Any]) -> None:
    """Print what reconciling found."""
    console.print(f"{len(found['fills'])} new fills booked")
    for note in found["notes"]:
        console.print(f"- {note}")
    for sentence in found["accepted"]:
        console.print(f"[green]accepted[/] {sentence}")
    if not is_open(found):
        console.print("[green]ledger and exchange agree[/]")
    if found["state"] != TradingState.ACTIVE:
        console.print(f"trading is {found['state']}; `thunes resume` when it is explained")


def print_rows(title: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print rows as a table, or nothing when there are none."""
    if not rows:
        return
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(_cell(column, row.get(column, "")) for column in columns))
    console.print(table)


def _cell(column: str, value: object) -> str:
    return _amount(value) if column in _AMOUNTS and value not in ("", None) else str(value)


def _amount(text: object) -> str:
    """Return an exact amount without the zeros that a database fills it up with."""
    return number(Decimal(str(text)))
