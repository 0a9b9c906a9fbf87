"""The command `up`: the whole house in one terminal, until Ctrl-C.

Add here: how `thunes up` shows itself. Keep out: what runs (`services.up`), how it lives.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.table import Table

from thunes_core.clock import SystemClock
from thunes_core.serving import serving
from thunes_core.settings import Settings, load
from thunes_pipelines.cli.output import console, emit_json
from thunes_pipelines.services import processes
from thunes_pipelines.services.state_folder import (
    claim_ledger,
    only_one,
    prepare,
    put_ledger_aside,
)
from thunes_pipelines.services.supervisor import State, Supervisor
from thunes_pipelines.services.up import (
    Ports,
    account_of,
    runs_testnet,
    services,
    told_to_commands,
)

LOOK_SECONDS = 0.25
_COLOURS = {State.READY: "green", State.FAILED: "red", State.STARTING: "yellow"}


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    app.command("up")(up_command)


def up_command(
    port_dagster: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 3000,
    port_mlflow: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 5000,
    port_testnet: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8799,
    json: Annotated[bool, typer.Option("--json", help="One JSON document when ready.")] = False,
) -> None:
    """Start local testnet, MLflow, Dagster webserver and daemon on loopback; Ctrl-C stops all."""
    settings, now = load(), SystemClock().now()
    with only_one(settings), told_to_stop() as stop:
        prepare(settings)
        ports = Ports(port_dagster, port_mlflow, port_testnet).taken(settings)
        kept = put_ledger_aside(settings, now) if runs_testnet(settings) else None
        if kept and not json:
            console.print(f"The testnet's account begins anew; the earlier ledger is {kept}")
        told = told_to_commands(settings, ports)
        claim_ledger(settings.model_copy(update=account_of(told)))
        parts = services(settings, ports, now)
        processes.adopt_orphans()
        with serving(settings.home, told):
            run(Supervisor(parts, settings.home / "logs"), settings, stop, as_json=json)


@contextmanager
def told_to_stop() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C, SIGTERM and a closed terminal set.

    A script's `&` leaves SIGINT ignored; it is heard all the same, that whoever ends the script
    ends us too. `nohup` leaves SIGHUP ignored because we are to outlive the terminal: so we do.
    """
    stop = threading.Event()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = [signal.signal(number, lambda *_: stop.set()) for number in numbers]
    try:
        yield stop
    finally:
        for number, old in zip(numbers, before, strict=True):
            signal.signal(number, old)


def run(
    supervisor: Supervisor, settings: Settings, stop: threading.Event, *, as_json: bool
) -> None:
    """Keep the services running until `stop` is set or one fails; then stop them all."""
    with _live(as_json=as_json) as live:
        try:
            _watch(supervisor, settings, stop, live, as_json=as_json)
        finally:
            supervisor.stop()
        live.update(status_table(supervisor, settings), refresh=True)


def _watch(
    supervisor: Supervisor,
    settings: Settings,
    stop: threading.Event,
    live: Live,
    *,
    as_json: bool,
) -> None:
    told = False
    while not stop.is_set():
        supervisor.step()
        live.update(status_table(supervisor, settings), refresh=True)
        if supervisor.is_ready and not told:
            told = True
            _tell_ready(supervisor, settings, as_json=as_json)
        stop.wait(LOOK_SECONDS)
    if not as_json:
        console.print("stopping; a tick in flight may finish")


def _live(*, as_json: bool) -> Live:
    """A table that is redrawn in a terminal, and shown once at the end elsewhere."""
    quiet = type(console)(quiet=True)
    return Live(console=quiet if as_json else console, auto_refresh=False, transient=False)


def status_table(supervisor: Supervisor, settings: Settings) -> Table:
    """Return what runs, where it is opened and where it logs."""
    caption = f"state in {settings.home}, logs in {settings.home / 'logs'}; Ctrl-C stops all"
    table = Table(title="THUNES", title_justify="left", caption=caption, caption_justify="left")
    for column in ("service", "state", "open", "restarts"):
        table.add_column(column, no_wrap=True)
    for life in supervisor.lives:
        state = f"[{_COLOURS.get(life.state, 'dim')}]{life.state}"
        table.add_row(life.service.name, state, life.service.address, str(life.restarts))
    return table


def _tell_ready(supervisor: Supervisor, settings: Settings, *, as_json: bool) -> None:
    if as_json:
        emit_json(status_document(supervisor, settings))
    elif not console.is_terminal:
        console.print(status_table(supervisor, settings))


def status_document(supervisor: Supervisor, settings: Settings) -> dict[str, Any]:
    """Return what the table shows, and the process ids."""
    return {
        "ready": supervisor.is_ready,
        "home": settings.home,
        "services": [
            {
                "name": life.service.name,
                "state": life.state,
                "url": life.service.address or None,
                "pid": life.pid,
                "log": life.log,
                "restarts": life.restarts,
            }
            for life in supervisor.lives
        ],
    }
