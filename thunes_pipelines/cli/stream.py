"""The command `stream`: follow the market live, until Ctrl-C.

Add here: how the stream shows itself. Keep out: following it (core), what it fills (services).
"""

from __future__ import annotations

from typing import Annotated

import polars as pl
import typer

from thunes_core.settings import load
from thunes_pipelines.cli.output import console, emit_json


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    app.command("stream")(stream_command)


def stream_command(
    seconds: Annotated[
        float | None, typer.Option(min=0, help="Stop by itself after so long. Default: never.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="One JSON document at the end on stdout.")
    ] = False,
) -> None:
    """Follow all configured symbols live: closed bars into the lake, the newest on the board."""
    from thunes_pipelines.services.stream import follow

    settings = load()
    if not json:
        names = ", ".join(settings.symbols)
        console.print(f"following {names} {settings.interval}; Ctrl-C ends it")
    tally = follow(settings, (lambda _: None) if json else _show, seconds)
    document = {
        "connections": tally.connections,
        "bars": tally.bars,
        "by_rest": tally.by_rest,
        "repeated": tally.repeated,
        "ended": {str(reason): count for reason, count in tally.ended.items()},
    }
    if json:
        emit_json(document)
    else:
        console.print(", ".join(f"{name} {value}" for name, value in document.items()))


def _show(bars: pl.DataFrame) -> None:
    for row in bars.iter_rows(named=True):
        console.print(f"{row['symbol']} {row['open_time']:%Y-%m-%d %H:%M} closed at {row['close']}")
