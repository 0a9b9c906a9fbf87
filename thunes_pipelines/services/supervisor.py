"""Services that live together: started in order, watched, restarted, stopped in reverse order.

Add here: a rule of living together. Keep out: which services there are (`up`), processes.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from thunes_core.clock import monotonic_seconds
from thunes_core.errors import OutsideFailed
from thunes_pipelines.services import processes

READY_SECONDS = 180.0
"""A service that does not answer for so long after its start has failed."""

LOOK_SECONDS, UNWELL_LOOKS = 5.0, 5
"""How often one looks whether a service is well; after so many looks without, one after the other,
it is started again. A busy machine may answer late now and then."""

MENDED_SECONDS = 3600.0
"""After so long a life the starts before it count no more: a house that runs for months may see a
service die now and then."""

_LOG_TAIL_LINES, _LOG_TAIL_BYTES = 8, 4_000


class State(StrEnum):
    """Where a service is in its life."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Service:
    """A long-lived program: how it is started, how one knows that it answers, how it ends.

    `after` names the services that must be ready before. `address` is what a person opens; empty
    when there is nothing to open. A service whose death loses facts has `max_restarts` 0; that many
    starts follow each other within `MENDED_SECONDS` of the one before.
    `patience_seconds`: how long what it started may finish by itself when it is stopped. `is_well`
    is asked of one that was ready: a service can hang, or lose what it lives by.
    """

    name: str
    command: tuple[str, ...]
    is_ready: Callable[[], bool]
    address: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    max_restarts: int = 3
    stop_seconds: float = 20.0
    patience_seconds: float = 0.0
    is_well: Callable[[], bool] = lambda: True


@dataclass(slots=True)
class Life:
    """The present life of one service."""

    service: Service
    log: Path
    state: State = State.WAITING
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    restarts: int = 0
    looked: float = 0.0
    unwell_looks: int = 0

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self.process.pid if self.process and self.process.returncode is None else None


class Supervisor:
    """Keeps services running until it is told to stop."""

    def __init__(self, services: Sequence[Service], logs: Path) -> None:
        self.lives = [Life(service, logs / f"{service.name}.log") for service in services]

    @property
    def is_ready(self) -> bool:
        """True when every service answers."""
        return all(life.state is State.READY for life in self.lives)

    def step(self) -> None:
        """Look at every service once: start, restart, note that it answers.

        Raises `OutsideFailed` when one has failed for good; the caller then stops the rest.
        """
        for life in self.lives:
            if life.state is State.WAITING:
                self._start_when_due(life)
            elif life.process is not None and life.process.poll() is not None:
                self._restart(life, f"ended with code {life.process.returncode}")
            elif life.state is State.READY and _is_lost(life):
                self._restart(life, "lives but is not well")
            elif life.state is State.STARTING:
                _look_if_ready(life)

    def stop(self) -> None:
        """Stop every service, the last one started first; nothing of them is left."""
        for life in reversed(self.lives):
            _stop(life)

    def _start_when_due(self, life: Life) -> None:
        ready = {other.service.name for other in self.lives if other.state is State.READY}
        if ready.issuperset(life.service.after):
            _start(life)

    def _restart(self, life: Life, why: str) -> None:
        if monotonic_seconds() - life.started > MENDED_SECONDS:
            life.restarts = 0
        _stop(life)
        if life.restarts >= life.service.max_restarts:
            raise _failed(life, f"{why} and is not started again")
        life.restarts += 1
        _start(life)


def _start(life: Life) -> None:
    try:
        life.process = processes.start(life.service.command, life.service.environment, life.log)
    except OSError as error:
        raise _failed(life, f"cannot be started ({error})") from error
    life.started = monotonic_seconds()
    life.state = State.STARTING


def _look_if_ready(life: Life) -> None:
    if life.service.is_ready():
        life.state, life.unwell_looks = State.READY, 0
    elif monotonic_seconds() - life.started > READY_SECONDS:
        raise _failed(life, f"did not answer within {READY_SECONDS:g} s")


def _is_lost(life: Life) -> bool:
    if monotonic_seconds() - life.looked >= LOOK_SECONDS:
        life.unwell_looks = 0 if life.service.is_well() else life.unwell_looks + 1
        life.looked = monotonic_seconds()
    return life.unwell_looks >= UNWELL_LOOKS


def _stop(life: Life) -> None:
    if life.process is not None:
        processes.stop(
            life.process,
            seconds=life.service.stop_seconds,
            patience_seconds=life.service.patience_seconds,
        )
    life.state = State.STOPPED


def _failed(life: Life, what: str) -> OutsideFailed:
    life.state = State.FAILED
    tail = "\n".join(f"  | {line}" for line in last_lines(life.log))
    return OutsideFailed(f"{life.service.name} {what}; see {life.log}, which ends with:\n{tail}")


def last_lines(log: Path) -> list[str]:
    """Return the last lines of a log; empty when there is none."""
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _LOG_TAIL_BYTES))
        return file.read().decode("utf-8", "replace").splitlines()[-_LOG_TAIL_LINES:]
