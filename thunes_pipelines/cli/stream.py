"""The command `stream`: follow the market live, until Ctrl-C or SIGTERM.

Add here: how the stream shows itself. Keep out: following it (core), what it fills (services).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import polars as pl
import typer

from thunes_core.settings import Settings, load
from thunes_pipelines.cli import options as o
from thunes_pipelines.cli.output import console, emit_json

if TYPE_CHECKING:
    from thunes_pipelines.services.stream import Followed


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    app.command("stream")(stream_command)


def stream_command(
    seconds: Annotated[
        float | None, o.number(min=0, help="Stop by itself after so long. Default: never.")
    ] = None,
    trade: Annotated[
        bool, typer.Option(help="Run a tick as soon as a bar has closed, in this process.")
    ] = False,
    patient: Annotated[
        bool,
        typer.Option(help="Wait for an exchange that does not answer at first, and for the disk."),
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="One JSON document at the end on stdout.")
    ] = False,
) -> None:
    """Follow all configured symbols live: closed bars into the lake, the newest on the board.

    With broker `exchange`, what happens to the account wakes reconciliation as well. Told to end,
    it lets a tick in flight finish, and ends with exit code 0.
    """
    settings = load()
    if not json:
        names = ", ".join(settings.symbols)
        console.print(f"following {names} {settings.interval}; Ctrl-C ends it")
    followed = _follow(settings, seconds, patient=patient, trade=trade, quiet=json)
    tally, account = followed.market, followed.account
    document = {
        "connections": tally.connections,
        "bars": tally.bars,
        "by_rest": tally.by_rest,
        "repeated": tally.repeated,
        "ended": {str(reason): count for reason, count in tally.ended.items()},
        "account_connections": account.connections if account else 0,
        "account_events": account.events if account else 0,
        "wakes": account.wakes if account else 0,
    }
    if json:
        emit_json(document)
    else:
        console.print(", ".join(f"{name} {value}" for name, value in document.items()))


def _follow(
    settings: Settings, seconds: float | None, *, patient: bool, trade: bool, quiet: bool
) -> Followed:
    from thunes_core.adapters.stream.feed import Tally
    from thunes_pipelines.services.stream import Followed, follow
    from thunes_pipelines.services.stream_ticks import WokenTicks

    def show(bars: pl.DataFrame) -> None:
        if not quiet:
            _show(bars)

    def traded(ticks: WokenTicks) -> Followed:
        def told(bars: pl.DataFrame) -> None:
            ticks.wake()
            show(bars)

        return follow(settings, told, seconds, patient=patient, wake=ticks.wake)

    try:
        if not trade:
            return follow(settings, show, seconds, patient=patient)
        with WokenTicks(settings, (lambda _: None) if quiet else console.print) as ticks:
            return traded(ticks)
    except KeyboardInterrupt:
        return Followed(Tally())  # told to end before there was a connection


def _show(bars: pl.DataFrame) -> None:
    for row in bars.iter_rows(named=True):
        console.print(f"{row['symbol']} {row['open_time']:%Y-%m-%d %H:%M} closed at {row['close']}")
