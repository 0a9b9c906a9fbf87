"""The command `arm`: leave to trade with real money, typed at a terminal, ending by itself.

Add here: what a person must confirm. Keep out: what arming caps and checks (`resources/arming`).
"""

from __future__ import annotations

import math
import sys
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

import typer

from thunes_core.clock import SystemClock
from thunes_core.domain.records import Arming
from thunes_core.errors import AnswerIsNo, BadInput
from thunes_core.settings import Settings, load
from thunes_pipelines.cli.output import console, emit_json
from thunes_pipelines.cli.person import author
from thunes_pipelines.resources import arming, wiring
from thunes_pipelines.resources.venue import require_no_other_venue

MOST_MINUTES = 7 * 24 * 60


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("arm")(arm_command)


def arm_command(
    minutes: Annotated[
        int, typer.Option(min=0, max=MOST_MINUTES, help="How long; it ends by itself.")
    ] = 0,
    max_notional: Annotated[
        float, typer.Option(min=0, help="Most that may be held in all, quote units.")
    ] = 0.0,
    off: Annotated[bool, typer.Option("--off", help="End it now.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Let orders that increase a position go to a real exchange, for a time and up to a sum."""
    settings = load()
    with closing(wiring.ledger(settings)) as ledger:
        if not off:
            require_no_other_venue(settings, ledger)
        given = None if off else _ask(settings, minutes, max_notional)
        ledger.arm(given)
    if json:
        emit_json({"armed": arming.describe(given)})
    elif given is None:
        console.print("disarmed: positions can only be reduced")
    else:
        console.print(f"[bold red]armed[/] until {given.until:%Y-%m-%d %H:%M} UTC")


def _ask(settings: Settings, minutes: int, max_notional: float) -> Arming:
    """Check key and account, and have a person at a terminal type the account's name."""
    if not arming.is_needed(settings):
        raise BadInput("arm: expected an exchange's own account; paper and local need no arming")
    if minutes < 1 or not 0 < max_notional < math.inf:
        raise BadInput(
            f"arm: expected --minutes and --max-notional above 0; they were {minutes} and "
            f"{max_notional:g}; give both"
        )
    if not sys.stdin.isatty():
        raise AnswerIsNo("arm: expected a person at a terminal; type the command yourself")
    with closing(wiring.account(settings)) as broker:
        for doubt in arming.require_safe_key(broker):
            console.print(f"[yellow]not checked:[/] {doubt}")
        identity = broker.account().identity
    if not identity:
        raise AnswerIsNo("arm: expected the exchange to name the account; it named none")
    typed = typer.prompt(
        f"Real money at {settings.rest_url or settings.exchange}: {minutes} minutes, up to "
        f"{max_notional:g} in all.\n"
        f"Type the account's number {identity} to arm it",
        default="",
        show_default=False,
    )
    if typed.strip() != identity:
        raise AnswerIsNo("arm: what was typed is not the account's number; nothing is armed")
    until = SystemClock().now() + timedelta(minutes=minutes)
    return Arming(identity, until, Decimal(str(max_notional)), author())
