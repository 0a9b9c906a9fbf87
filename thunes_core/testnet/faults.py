"""What can go wrong on purpose: scripted one by one, or drawn from a seed.

Request faults strike the next requests they match, message faults the next messages of a stream;
condition faults hold for a time of the exchange's clock. Scripts are JSON: a list of objects with
the fields of `Fault`, or an object with such a list under `faults` and with `draws`.

Add here: another way in which an exchange fails. Keep out: which fault is next (`fault_queue`), how
it is carried out (`rest` for requests, `line` for messages, `conditions` for the rest).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
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
    CUT_STREAM = "cut_stream"
    STALL_STREAM = "stall_stream"
    LOSE_MESSAGE = "lose_message"
    DUPLICATE_MESSAGE = "duplicate_message"
    REORDER_MESSAGE = "reorder_message"
    DELAY_MESSAGE = "delay_message"


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
MESSAGE_KINDS = frozenset(
    {
        FaultKind.CUT_STREAM,
        FaultKind.STALL_STREAM,
        FaultKind.LOSE_MESSAGE,
        FaultKind.DUPLICATE_MESSAGE,
        FaultKind.REORDER_MESSAGE,
        FaultKind.DELAY_MESSAGE,
    }
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
    Message faults: `on` is the beginning of a stream's name (`btcusdt@kline`, `userData` for the
    account's events) or empty for every message; `skip`, `times` and `seconds` as above, in
    exchange seconds.
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

    def strikes_message(self, stream: str) -> bool:
        """True when a message of `stream` is one of those that `on` means."""
        return self.on == ORDER_REQUESTS or stream.startswith(self.on)


@dataclass(frozen=True, slots=True)
class Draw:
    """Faults drawn from a seed: each matching request or message is struck with chance `rate`."""

    seed: int
    rate: float
    kinds: tuple[FaultKind, ...] = DRAWN_KINDS
    on: str = ORDER_REQUESTS

    @property
    def strikes_messages(self) -> bool:
        """True when it is about messages of streams, not requests."""
        return self.kinds[0] in MESSAGE_KINDS

    def next_for(self, name: str, number: int) -> Fault | None:
        """Return the fault of the `number`-th request or message that was asked about, or None."""
        if not name.startswith(self.on):
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
    _require_range(given)
    return Fault(**given)


MOST_SECONDS = 1e9


def _require_range(given: Mapping[str, Any]) -> None:
    """Refuse figures that nothing can be done with; only a skew may be below zero."""
    for name, low, high in (
        ("skip", 0, 10**9),
        ("times", 0, 10**9),
        ("status", 500, 599),
        ("seconds", -MOST_SECONDS, MOST_SECONDS),
        ("at_seconds", 0, MOST_SECONDS),
        ("for_seconds", 0, MOST_SECONDS),
    ):
        lowest = 0 if name == "seconds" and given["kind"] is not FaultKind.SKEW else low
        if not lowest <= given.get(name, lowest) <= high:
            raise BadInput(
                f"fault: expected {name} from {lowest:g} to {high:g}; it was {given[name]!r}"
            )


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
    listed = document
    if isinstance(document, Mapping):
        listed = document.get("faults", [] if "draws" in document else None)
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        raise BadInput("faults: expected a list of faults; it was something else")
    return [read_fault(one) for one in listed]


def read_draws(document: Any) -> list[Draw]:
    """Return the draws of a script: what an object has under `draws`."""
    listed = document.get("draws", []) if isinstance(document, Mapping) else []
    if not isinstance(listed, list) or not all(isinstance(one, Mapping) for one in listed):
        raise BadInput("draws: expected a list of objects; it was something else")
    return [read_draw(one) for one in listed]


def read_draw(document: Mapping[str, Any]) -> Draw:
    """Return the draw that `{"seed": n, "rate": x, "kinds": [...], "on": "..."}` describes.

    The kinds are all of requests, or all of messages.
    """
    rate, kinds = document.get("rate", 0.05), document.get("kinds", DRAWN_KINDS)
    seed = document.get("seed", 1)
    fit = isinstance(rate, _NUMBER) and 0 <= rate <= 1 and isinstance(kinds, list | tuple)
    sorts = (REQUEST_KINDS, MESSAGE_KINDS)
    if not fit or not isinstance(seed, int) or not any(set(map(str, kinds)) <= s for s in sorts):
        raise BadInput(
            "draw: expected a rate in [0, 1], a whole seed and kinds of "
            f"{', '.join(sorted(REQUEST_KINDS))}, or of {', '.join(sorted(MESSAGE_KINDS))}; "
            f"it was {dict(document)!r}"
        )
    chosen = tuple(FaultKind(k) for k in kinds)
    about_messages = bool(chosen) and chosen[0] in MESSAGE_KINDS
    return Draw(
        seed,
        float(rate),
        chosen or DRAWN_KINDS,
        str(document.get("on", "" if about_messages else ORDER_REQUESTS)),
    )
