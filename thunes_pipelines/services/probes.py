"""Does it answer? One question per kind of service: by HTTP, at a socket, of a file.

Add here: how one knows that a service is ready. Keep out: what follows from the answer.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import urllib.error
import urllib.request
from datetime import datetime
from pathlib import Path
from typing import Any

TIMEOUT_SECONDS = 2.0
_LOADED = "{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { "
_LOADED += "__typename ... on PythonError { message } } } } } }"
_DAEMONS = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"


def answers(url: str) -> bool:
    """True when a GET of `url` gives a 2xx."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:
            return bool(200 <= answer.status < 300)
    except (OSError, ValueError):
        return False


def listens(path: Path) -> bool:
    """True when somebody takes connections at a Unix socket."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(TIMEOUT_SECONDS)
        try:
            asking.connect(str(path))
        except OSError:
            return False
        return True


def code_answers(path: Path) -> bool:
    """True when Dagster's code server at a Unix socket answers, and the part that holds the code.

    Asked from a process of its own: a client of gRPC leaves threads behind where we start others.
    """
    from dagster._grpc.client import DagsterGrpcClient

    asking = os.fork()
    if not asking:
        signal.alarm(int(TIMEOUT_SECONDS))
        try:
            DagsterGrpcClient(socket=str(path)).ping("")
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(asking, 0)[1] == 0


def is_newer(path: Path, moment: datetime) -> bool:
    """True when the file was written after `moment` (aware, machine clock)."""
    try:
        return path.stat().st_mtime > moment.timestamp()
    except OSError:
        return False


def code_is_loaded(dagster_url: str) -> bool:
    """True when the webserver answers and has loaded every code location without an error."""
    answer = _graphql(dagster_url, _LOADED)
    entries = answer.get("workspaceOrError", {}).get("locationEntries", [])
    kinds = [(entry["locationOrLoadError"] or {}).get("__typename") for entry in entries]
    return bool(kinds) and all(kind == "RepositoryLocation" for kind in kinds)


def daemons_are_healthy(dagster_url: str) -> bool:
    """True when every daemon that is needed has sent a heartbeat."""
    answer = _graphql(dagster_url, _DAEMONS)
    statuses = answer.get("instance", {}).get("daemonHealth", {}).get("allDaemonStatuses", [])
    needed = [status["healthy"] for status in statuses if status["required"]]
    return bool(needed) and all(needed)


def _graphql(dagster_url: str, query: str) -> dict[str, Any]:
    """Return the data of a query; empty when it has no answer."""
    request = urllib.request.Request(
        f"{dagster_url}/graphql",
        data=json.dumps({"query": query}).encode(),
        headers={"content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            return json.load(answer).get("data") or {}
    except (OSError, ValueError):
        return {}
