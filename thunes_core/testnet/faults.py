"""What can go wrong on purpose: scripted one by one, or drawn from a seed.

Request faults strike the next requests they match; condition faults hold for a time of the
exchange's clock. Scripts are JSON: a list of objects with the fields of `Fault`.

Add here: another way in which an exchange fails. Keep out: how the failure is carried out
(`rest` for requests, `conditions` for the rest).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from thunes_core.errors import BadInput


class FaultKind(StrEnum):
    """A way to fail. `…_after`: the request was executed first."""

    ERROR = "error"
    ERROR_AFTER = "error_after"
    DROP = "drop"
    DROP_AFTER = "drop_after"
    HANG = "hang"
    HANG_AFTER = "hang_after"
    LATE = "late"
    GARBAGE = "garbage"
    THROTTLE = "throttle"
    REFUSE = "refuse"
    BAN = "ban"
    LAG = "lag"
    SKEW = "skew"
    MAINTENANCE = "maintenance"
    STATUS = "status"
    DROP_STREAMS = "drop_streams"
    SILENT_STREAMS = "silent_streams"


REQUEST_KINDS = frozenset(
    {
        FaultKind.ERROR,
        FaultKind.ERROR_AFTER,
        FaultKind.DROP,
        FaultKind.DROP_AFTER,
        FaultKind.HANG,
        FaultKind.HANG_AFTER,
        FaultKind.LATE,
        FaultKind.GARBAGE,
        FaultKind.THROTTLE,
        FaultKind.REFUSE,
    }
)
DRAWN_KINDS = (
    FaultKind.ERROR,
    FaultKind.ERROR_AFTER,
    FaultKind.DROP,
    FaultKind.DROP_AFTER,
    FaultKind.LATE,
    FaultKind.GARBAGE,
)
ORDER_REQUESTS = "POST /api/v3/order"
STATUSES = (500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Request faults: `on` is a method and the beginning of a path (`POST /api/v3/order`) or empty
    for every request; `skip` matching requests pass first, then `times` are struck. `status` is
    the HTTP status of errors. `seconds`: how long a hang lasts (real seconds), how late a late
    request is executed, how long a ban, how far reads lag, the skew (exchange seconds).
    `code` and `message` are what a refusal says.
    Condition faults: begin `at_seconds` after they are given, end after `for_seconds` (0: never).
    `symbol` and `symbol_status` (HALT, BREAK, CANCEL_ONLY) are for the kind `status`.
    """

    kind: FaultKind
    on: str = ORDER_REQUESTS
    skip: int = 0
    times: int = 1
    status: int = 502
    seconds: float = 5.0
    at_seconds: float = 0.0
    for_seconds: float = 0.0
    symbol: str = ""
    symbol_status: str = "HALT"
    code: int = -2010
    message: str = "Account has insufficient balance for requested action."

    def matches(self, method: str, path: str) -> bool:
        """True when a request is one of those that `on` means."""
        return f"{method} {path}".startswith(self.on)


@dataclass(frozen=True, slots=True)
class Draw:
    """Faults drawn from a seed: each matching request is struck with probability `rate`."""

    seed: int
    rate: float
    kinds: tuple[FaultKind, ...] = DRAWN_KINDS
    on: str = ORDER_REQUESTS

    def next_for(self, method: str, path: str, number: int) -> Fault | None:
        """Return the fault of the `number`-th request that was asked about, or None."""
        if not f"{method} {path}".startswith(self.on):
            return None
        chance = random.Random(f"{self.seed}|{number}")
        if chance.random() >= self.rate:
            return None
        return Fault(
            chance.choice(self.kinds),
            self.on,
            status=chance.choice(STATUSES),
            seconds=round(chance.uniform(0.5, 8.0), 3),
        )


@dataclass(slots=True)
class Conditions:
    """What holds at the moment. `stream_drops` counts how often every socket was cut."""

    lag_ms: int = 0
    skew_ms: int = 0
    in_maintenance: bool = False
    streams_silent: bool = False
    stream_drops: int = 0

    def drop_streams(self) -> None:
        """Let every socket be cut."""
        self.stream_drops += 1


class Faults:
    """The faults that wait, and those that happened."""

    def __init__(self) -> None:
        self._waiting: list[list[Any]] = []
        self._draw: Draw | None = None
        self._asked = 0
        self.happened: list[dict[str, Any]] = []

    def add(self, fault: Fault) -> None:
        """Let a request fault wait for the requests it matches."""
        self._waiting.append([fault, fault.skip, fault.times])

    def draw(self, draw: Draw | None) -> None:
        """Draw faults from now on, or stop drawing with None."""
        self._draw, self._asked = draw, 0

    def clear(self) -> None:
        """Forget the faults that wait, and stop drawing."""
        self._waiting.clear()
        self._draw = None

    def next_for(self, method: str, path: str) -> Fault | None:
        """Return the fault that strikes this request, or None."""
        for entry in self._waiting:
            fault: Fault = entry[0]
            if not fault.matches(method, path):
                continue
            if entry[1] > 0:
                entry[1] -= 1
                continue
            entry[2] -= 1
            if entry[2] == 0:
                self._waiting.remove(entry)
            return fault
        if self._draw is None:
            return None
        self._asked += 1
        return self._draw.next_for(method, path, self._asked)

    def note(self, fault: Fault, time_ms: int, **facts: Any) -> None:
        """Remember that `fault` happened."""
        self.happened.append({"time_ms": time_ms, "kind": str(fault.kind), **facts})

    def document(self) -> dict[str, Any]:
        """Return what waits, what is drawn and what happened."""
        return {
            "waiting": [asdict(entry[0]) for entry in self._waiting],
            "draw": asdict(self._draw) if self._draw else None,
            "happened": self.happened,
        }


def read_fault(document: Any) -> Fault:
    """Return the fault that a JSON object describes; `BadInput` names what is wrong with it."""
    if not isinstance(document, Mapping):
        raise BadInput(f"fault: expected an object; it was {type(document).__name__}")
    known = {f.name: f for f in fields(Fault)}
    strange = sorted(document.keys() - known.keys())
    if strange:
        raise BadInput(f"fault: expected fields {', '.join(known)}; {strange} are not among them")
    given = dict(document)
    if given.get("kind") not in list(FaultKind):
        kinds = ", ".join(FaultKind)
        raise BadInput(f"fault: expected a kind of {kinds}; it was {given.get('kind')!r}")
    given["kind"] = FaultKind(given["kind"])
    wrong = [n for n, v in given.items() if not isinstance(v, _TYPES[n])]
    if wrong:
        raise BadInput(f"fault: expected numbers and texts in their places; wrong are {wrong}")
    return Fault(**given)


_NUMBER = (int, float)
_TYPES: Mapping[str, Any] = {
    "kind": str,
    "on": str,
    "skip": int,
    "times": int,
    "status": int,
    "seconds": _NUMBER,
    "at_seconds": _NUMBER,
    "for_seconds": _NUMBER,
    "symbol": str,
    "symbol_status": str,
    "code": int,
    "message": str,
}


def read_faults(document: Any) -> list[Fault]:
    """Return the faults of a script: a list, or an object with a list under `faults`."""
    listed = document.get("faults") if isinstance(document, Mapping) else document
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        raise BadInput("faults: expected a list of faults; it was something else")
    return [read_fault(one) for one in listed]


def read_draw(document: Mapping[str, Any]) -> Draw:
    """Return the draw that `{"seed": n, "rate": x, "kinds": [...], "on": "..."}` describes."""
    rate, kinds = document.get("rate", 0.05), document.get("kinds", DRAWN_KINDS)
    fit = isinstance(rate, _NUMBER) and 0 <= rate <= 1 and isinstance(kinds, Sequence)
    if not fit or any(k not in list(REQUEST_KINDS) for k in kinds):
        raise BadInput(
            f"draw: expected a rate in [0, 1] and kinds of {', '.join(sorted(REQUEST_KINDS))}; "
            f"it was {document!r}"
        )
    return Draw(
        int(document.get("seed", 1)),
        float(rate),
        tuple(FaultKind(k) for k in kinds),
        str(document.get("on", ORDER_REQUESTS)),
    )
