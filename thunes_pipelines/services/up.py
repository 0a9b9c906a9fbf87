"""What `thunes up` runs, and in which order: local testnet, MLflow, stream, Dagster's services.

Everything listens on loopback only: neither MLflow nor Dagster's webserver asks who is calling.

Add here: a service of the whole house. Keep out: how services live together (`supervisor`),
where they keep their state (`state_folder`).
"""

from __future__ import annotations

import random
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from thunes_core.errors import BadInput
from thunes_core.settings import Settings
from thunes_pipelines.services import run_server, state_folder
from thunes_pipelines.services.probes import (
    answers,
    code_answers,
    code_is_loaded,
    daemons_are_healthy,
    is_newer,
    listens,
)
from thunes_pipelines.services.state_folder import (
    CODE_LOCATION,
    CODE_SOCKET,
    MODULE,
    RUNS_SOCKET,
    dagster_home,
    market_origin,
    socket_in,
)
from thunes_pipelines.services.supervisor import Service

HOST = "127.0.0.1"
TESTNET, MLFLOW, STREAM = "testnet", "mlflow", "stream"
CODE, RUNS = "dagster-code", "dagster-runs"
WEBSERVER, DAEMON = "dagster-webserver", "dagster-daemon"
PATIENCE_SECONDS = 30.0
"""What a stopped service of Dagster has started may finish for so long."""

OWN_PORTS = range(10_000, 32_768)
"""Where free ports are sought: below those that Linux gives to connections, of which one may be
taken in the seconds until its server listens."""

_QUIET = {
    "PYTHONUNBUFFERED": "1",
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


@dataclass(frozen=True, slots=True)
class Ports:
    """The loopback ports of the three servers; 0 means any free one."""

    dagster: int = 3000
    mlflow: int = 5000
    testnet: int = 8799

    def taken(self, settings: Settings) -> Ports:
        """Return the ports of what will run, every 0 replaced; `BadInput` when one is in use."""
        mlflow, testnet = self.mlflow, self.testnet
        return Ports(
            dagster=free_port(self.dagster, "--port-dagster"),
            mlflow=free_port(mlflow, "--port-mlflow") if runs_mlflow(settings) else mlflow,
            testnet=free_port(testnet, "--port-testnet") if runs_testnet(settings) else testnet,
        )


def free_port(port: int, option: str) -> int:
    """Return `port`, or any free one for 0; `BadInput` when something listens there already."""
    if not port:
        return next(one for one in random.sample(OWN_PORTS, len(OWN_PORTS)) if not _in_use(one))
    if why := _in_use(port):
        raise BadInput(
            f"up: expected port {port} of {HOST} to be free; it was not ({why}); "
            f"stop what listens there, or give another {option}"
        )
    return port


def _in_use(port: int) -> str:
    """Return why nothing can listen on a loopback port, or nothing."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return error.strerror or "in use"
    return ""


def services(settings: Settings, ports: Ports, now: datetime) -> list[Service]:
    """Return what must run for these settings, in the order of starting.

    The local testnet runs when the exchange is `local` and no other host is given; MLflow runs
    unless the settings name a server of their own; the stream where the exchange has one.
    """
    environment = environment_of(settings, ports)
    dagster = f"http://{HOST}:{ports.dagster}"
    local = [_testnet(settings, ports, now, environment)] if runs_testnet(settings) else []
    registry = [_mlflow(settings, ports, environment)] if runs_mlflow(settings) else []
    stream = [] if settings.ccxt_id else [_stream(settings, now, local, environment)]
    workspace = ("-w", str(state_folder.workspace(settings)))
    shared = _shared(settings, environment)
    return [
        *local,
        *registry,
        *stream,
        *shared,
        Service(
            name=WEBSERVER,
            command=_module("dagster_webserver", "-h", HOST, "-p", str(ports.dagster), *workspace),
            is_ready=partial(code_is_loaded, dagster),
            address=dagster,
            environment=environment,
            after=tuple(service.name for service in shared if service.name == CODE),
        ),
        Service(
            name=DAEMON,
            command=_module("dagster._daemon", "run", *workspace),
            is_ready=partial(daemons_are_healthy, dagster),
            environment=environment,
            after=(*(service.name for service in (*local, *registry, *shared)), WEBSERVER),
            patience_seconds=PATIENCE_SECONDS,
        ),
    ]


def runs_testnet(settings: Settings) -> bool:
    """True when the exchange is the local testnet and nobody else serves it."""
    return settings.exchange == "local" and settings.binance_rest_url is None


def runs_mlflow(settings: Settings) -> bool:
    """True unless the settings name an MLflow server."""
    return not settings.tracking_uri.startswith("http")


def environment_of(settings: Settings, ports: Ports) -> dict[str, str]:
    """Return what every service must know beyond our own environment; no secret is among it.

    On the local testnet the exchange's own account is traded and the schedules are on; anywhere
    else both stay what the settings say.
    """
    known = {
        **_QUIET,
        "THUNES_HOME": str(settings.home),
        "DAGSTER_HOME": str(dagster_home(settings)),
    }
    if runs_mlflow(settings):
        known["THUNES_MLFLOW_TRACKING_URI"] = f"http://{HOST}:{ports.mlflow}"
    if runs_testnet(settings):
        known["THUNES_BINANCE_REST_URL"] = f"http://{HOST}:{ports.testnet}"
        known["THUNES_BROKER"] = "exchange"
        known["THUNES_SCHEDULES_RUNNING"] = "true"
        known["THUNES_PROMOTION"] = "bootstrap"
    return known


def told_to_commands(settings: Settings, ports: Ports) -> dict[str, str]:
    """Return, by field name, the settings that commands in the same home need to meet the services.

    A ledger belongs to one account: a command that reached another would halt trading.
    """
    shared = ("broker", "binance_rest_url", "mlflow_tracking_uri", "promotion")
    known = environment_of(settings, ports)
    values = {name: known.get(f"THUNES_{name.upper()}") for name in shared}
    return {"exchange": settings.exchange, **{k: v for k, v in values.items() if v is not None}}


def account_of(told: Mapping[str, str]) -> dict[str, str]:
    """Return which of the told settings say whose ledger it is."""
    return {name: told[name] for name in ("broker", "binance_rest_url") if name in told}


def _testnet(
    settings: Settings, ports: Ports, now: datetime, environment: Mapping[str, str]
) -> Service:
    url = f"http://{HOST}:{ports.testnet}"
    market = ("--symbols", ",".join(settings.symbols), "--interval", str(settings.interval))
    history = ("--history-days", str((now.date() - market_origin(settings, now)).days))
    return Service(
        name=TESTNET,
        command=_module(
            "thunes_pipelines.cli.main",
            *("testnet", "--port", str(ports.testnet), "--clock", "real"),
            *market,
            *history,
        ),
        is_ready=partial(answers, f"{url}/api/v3/ping"),
        address=url,
        environment=environment,
        max_restarts=0,
    )


def _stream(
    settings: Settings, now: datetime, local: Sequence[Service], environment: Mapping[str, str]
) -> Service:
    """Follow the market; it waits for an exchange out of reach, and nothing waits for it."""
    return Service(
        name=STREAM,
        command=_module("thunes_pipelines.cli.main", "stream", "--patient"),
        is_ready=partial(is_newer, settings.board_path, now),
        environment=environment,
        after=tuple(service.name for service in local),
    )


def _shared(settings: Settings, environment: Mapping[str, str]) -> list[Service]:
    """What webserver, daemon and runs share: the loaded code, and a warm process to fork runs from.

    Neither is where its socket's path would be too long; each then loads the code for itself.
    """
    home = dagster_home(settings)
    code = socket_in(home, CODE_SOCKET)
    runs = socket_in(home, RUNS_SOCKET) if sys.platform == "linux" else None
    loading = (
        "-m",
        MODULE,
        "--location-name",
        CODE_LOCATION,
        "--use-python-environment-entry-point",
    )
    serving = _module("dagster", "code-server", "start", "--socket", str(code), *loading)
    parts = {
        CODE: (code, serving, code_answers),
        RUNS: (runs, _module(run_server.MODULE, str(home)), run_server.is_well),
    }
    return [
        Service(
            name=name,
            command=command,
            is_ready=partial(listens, path),
            environment=environment,
            patience_seconds=PATIENCE_SECONDS,
            is_well=partial(is_well, path),
        )
        for name, (path, command, is_well) in parts.items()
        if path is not None
    ]


def _mlflow(settings: Settings, ports: Ports, environment: Mapping[str, str]) -> Service:
    """Its database may be told with a password: not among arguments, which everybody can list."""
    url = f"http://{HOST}:{ports.mlflow}"
    hosts = ",".join(f"{name}:{ports.mlflow}" for name in (HOST, "localhost"))
    origins = ",".join(f"http://{host}" for host in hosts.split(","))
    return Service(
        name=MLFLOW,
        command=_module(
            "mlflow",
            *("server", "--host", HOST, "--port", str(ports.mlflow), "--workers", "1"),
            *("--artifacts-destination", settings.artifact_root),
            *("--allowed-hosts", hosts, "--cors-allowed-origins", origins),
        ),
        is_ready=partial(answers, f"{url}/health"),
        address=url,
        environment={**environment, "MLFLOW_BACKEND_STORE_URI": settings.tracking_uri},
    )


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *arguments)
