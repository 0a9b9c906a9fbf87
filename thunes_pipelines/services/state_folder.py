"""The state folder of a running house: Dagster's instance, the lock, what a testnet leaves.

Add here: what must stand in `THUNES_HOME` before the services start. Keep out: the services.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path

import thunes_pipelines
from thunes_core.errors import BadInput, SettingsInvalid
from thunes_core.settings import Settings
from thunes_pipelines.resources import wiring
from thunes_pipelines.resources.places import audit_folder
from thunes_pipelines.resources.venue import require_own_venue

PROJECT = Path(thunes_pipelines.__file__).resolve().parents[1]
"""Where `workspace.yaml` and `dagster_home` lie: THUNES runs from its clone."""

MODULE, CODE_LOCATION = "thunes_pipelines.definitions", "thunes_pipelines"
CODE_SOCKET, RUNS_SOCKET = "code", "runs"
"""Where the code server and the run server listen, in Dagster's home."""

_LONGEST_SOCKET = 100
"""Bytes in the path of a Unix socket: 104 on some systems, 108 on others."""

_SPARE_DAYS = 30
_SQLITE_PARTS = ("", "-wal", "-shm")


def dagster_home(settings: Settings) -> Path:
    """Return the folder of Dagster's instance."""
    return settings.home / "dagster"


def socket_in(home: Path, name: str) -> Path | None:
    """Return where a service of a Dagster home listens; None when its path is too long for that."""
    path = home.resolve() / f"{name}.sock"
    return path if len(os.fsencode(path)) <= _LONGEST_SOCKET else None


def workspace(settings: Settings) -> Path:
    """Return the workspace of Dagster's services: with a code server of its own where it can be."""
    home = dagster_home(settings)
    return (home if socket_in(home, CODE_SOCKET) else PROJECT) / "workspace.yaml"


def prepare(settings: Settings) -> None:
    """Make the state folder and Dagster's instance in it; `SettingsInvalid` when that fails."""
    home = dagster_home(settings)
    code = {"socket": str(socket_in(home, CODE_SOCKET)), "location_name": CODE_LOCATION}
    try:
        home.mkdir(parents=True, exist_ok=True)
        home.chmod(0o700)  # who reaches a socket in it can start runs
        shutil.copyfile(PROJECT / "dagster_home" / "dagster.yaml", home / "dagster.yaml")
        shared = {"load_from": [{"grpc_server": code}]}
        (home / "workspace.yaml").write_text(json.dumps(shared))  # JSON is YAML
    except OSError as error:
        raise SettingsInvalid(
            f"up: {home} cannot be prepared ({error}); correct THUNES_HOME or its permissions, "
            "and start THUNES from its clone"
        ) from error


@contextmanager
def only_one(settings: Settings) -> Iterator[None]:
    """Hold the state folder for this process; `BadInput` when another `thunes up` holds it."""
    with _lock_file(settings).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BadInput(
                f"up: expected nobody else to run in {settings.home}; another `thunes up` does; "
                "stop that one, or set another THUNES_HOME"
            ) from None
        yield


def _lock_file(settings: Settings) -> Path:
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsInvalid(
            f"up: {settings.home} cannot be made ({error}); correct THUNES_HOME"
        ) from error
    return settings.home / "up.lock"


def market_origin(settings: Settings, now: datetime) -> date:
    """Return the first day of the invented market; the same at every start in this state folder.

    Candles are drawn from the origin on, so that a later start goes on where the market was.
    """
    kept = settings.home / "local-market.json"
    if not kept.exists():
        origin = now.date() - timedelta(days=settings.history_days + _SPARE_DAYS)
        kept.write_text(json.dumps({"origin": origin.isoformat()}))
    return date.fromisoformat(json.loads(kept.read_text())["origin"])


def put_ledger_aside(settings: Settings, now: datetime) -> Path | None:
    """Move the ledger of an earlier local testnet away and return where it is kept, or None.

    Its exported audit goes with it: the trail of the next ledger is another, in files of its own.
    The testnet's account lives as long as its process: a new one holds its starting balance and
    counts its trades anew, and an old ledger would rightly halt trading on it.
    """
    ledger = settings.home / "ledger.db"
    if settings.ledger_url is not None or not ledger.exists():
        return None
    stamp = f"{now:%Y%m%dT%H%M%S}"
    kept = settings.home / f"ledger-until-{stamp}.db"
    for part in _SQLITE_PARTS:
        written = ledger.with_name(ledger.name + part)
        if written.exists():
            written.rename(kept.with_name(kept.name + part))
    exported = audit_folder(settings)
    if exported.exists():
        exported.rename(exported.with_name(f"audit-until-{stamp}"))
    return kept


def claim_ledger(settings: Settings) -> None:
    """Begin the ledger with the account of these settings; `SettingsInvalid` if it has another."""
    with closing(wiring.ledger(settings)) as journal:
        require_own_venue(settings, journal)
