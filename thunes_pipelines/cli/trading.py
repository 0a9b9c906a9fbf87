"""The commands `tick`, `reconcile`, `status`, `halt`, `reduce`, `resume`.

Add here: a command about the account. Keep out: order logic (core), adapters (wiring).
"""

from __future__ import annotations

from contextlib import closing
from typing import Annotated, Any

import typer

from thunes_core.domain.portfolio import TradingState
from thunes_core.errors import BadInput
from thunes_core.settings import Settings, load
from thunes_pipelines.cli import trading_view
from thunes_pipelines.cli.interrupts import parked
from thunes_pipelines.cli.output import console, emit_json
from thunes_pipelines.cli.person import author
from thunes_pipelines.resources import arming, wiring
from thunes_pipelines.resources.venue import require_no_other_venue

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Reason = Annotated[str, typer.Option(help="Why; kept in the ledger and shown to everyone.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    app.command("tick")(tick_command)
    app.command("reconcile")(reconcile_command)
    app.command("status")(status_command)
    app.command("halt")(halt_command)
    app.command("reduce")(reduce_command)
    app.command("resume")(resume_command)


def tick_command(json: Json = False) -> None:
    """Run one tick by the settings: reconcile, decide, trade, audit."""
    with parked("tick"):
        report = wiring.tick(load()).as_dict()
    if json:
        emit_json(report)
        return
    trading_view.print_tick(report)


def reconcile_command(
    accept: Annotated[
        bool,
        typer.Option("--accept", help="Take balances and orders that are not ours as they are."),
    ] = False,
    json: Json = False,
) -> None:
    """Bring the ledger to what the exchange says, without trading."""
    with parked("reconcile"):
        found = wiring.reconcile(load(), accept=accept)
    if json:
        emit_json(found)
    else:
        trading_view.print_reconciliation(found)
    if trading_view.is_open(found) and not accept:
        raise typer.Exit(1)


def status_command(json: Json = False) -> None:
    """Show trading state, positions, open orders, equity, last tick and champions."""
    facts = status_facts(load())
    if json:
        emit_json(facts)
        return
    trading_view.print_status(facts)


def halt_command(reason: Reason, json: Json = False) -> None:
    """Stop all orders; cancels only, protective stops stay."""
    _set_state(TradingState.HALTED, reason, json)


def reduce_command(reason: Reason, json: Json = False) -> None:
    """Let only orders through that reduce a position."""
    _set_state(TradingState.REDUCING, reason, json)


def resume_command(reason: Reason, json: Json = False) -> None:
    """Let all orders through again."""
    _set_state(TradingState.ACTIVE, reason, json)


def _set_state(state: TradingState, reason: str, json: bool) -> None:
    """Set it. What slows trading is taken whatever account is named: the ledger's is meant."""
    if not reason.strip():
        raise BadInput("--reason: expected a sentence; it was empty; say why")
    settings = load()
    with closing(wiring.ledger(settings)) as ledger:
        if state is TradingState.ACTIVE:
            require_no_other_venue(settings, ledger)
        record = ledger.set_trading_state(state, reason=reason, author=author())
    shown = {
        "state": str(record.state),
        "reason": record.reason,
        "author": record.author,
        "since": record.since,
    }
    if json:
        emit_json(shown)
        return
    console.print(f"[bold]{record.state}[/] by {record.author}: {record.reason}")


def status_facts(settings: Settings) -> dict[str, Any]:
    """Return what `thunes status` shows; from the ledger alone, so that it always answers."""
    with closing(wiring.ledger(settings)) as ledger:
        record = ledger.trading_state()
        studies = wiring.plan(settings).studies
        equity = trading_view.equity_facts(ledger.equity())
        return {
            "state": str(record.state),
            "reason": record.reason,
            "author": record.author,
            "since": record.since,
            "breaker_open": ledger.breaker_open(),
            "arming": {
                "needed": arming.is_needed(settings),
                "armed": arming.describe(ledger.arming()),
            },
            "equity": equity,
            "positions": [trading_view.position_facts(p) for p in ledger.positions()],
            "protection": trading_view.cover_facts(ledger, equity["time"] if equity else None),
            "open_orders": [trading_view.order_facts(o) for o in ledger.open_orders()],
            "last_tick": ledger.last_tick(),
            "champions": {
                study: trading_view.champion_facts(ledger.remembered_champion(study))
                for study in studies
            },
        }
