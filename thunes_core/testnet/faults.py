"""What can go wrong on purpose: scripted one by one, or drawn from a seed.

Request faults strike the next requests they match, message faults the next messages of a stream;
condition faults hold for a time of the exchange's clock. Scripts are JSON: a list of objects with
the fields of `Fault`, or an object with such a list under `faults` and with `draws`.

Add here: another way in which an exchange fails. Keep out: how the failure is carried out
(`rest` for requests, `line` for messages, `conditions` for the rest).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


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


class _Queue:
    """Faults of one sort (of requests, of messages): those that wait, and the draw."""

    def __init__(self) -> None:
        self.waiting: list[list[Any]] = []
        self.draw: Draw | None = None
        self._asked = 0

    def add(self, fault: Fault) -> None:
        """Let a fault wait."""
        self.waiting.append([fault, fault.skip, fault.times])

    def start(self, draw: Draw) -> None:
        """Draw from now on."""
        self.draw, self._asked = draw, 0

    def clear(self) -> None:
        """Forget what waits, and stop drawing."""
        self.waiting.clear()
        self.draw = None

    def next_for(self, name: str, strikes: Callable[[Fault], bool]) -> Fault | None:
        """Return the fault that strikes what is called `name`, or None."""
        for entry in self.waiting:
            fault: Fault = entry[0]
            if not strikes(fault):
                continue
            if entry[1] > 0:
                entry[1] -= 1
                continue
            entry[2] -= 1
            if entry[2] == 0:
                self.waiting.remove(entry)
            return fault
        if self.draw is None:
            return None
        self._asked += 1
        return self.draw.next_for(name, self._asked)


class Faults:
    """The faults that wait, and those that happened."""

    def __init__(self) -> None:
        self._requests = _Queue()
        self._messages = _Queue()
        self.happened: list[dict[str, Any]] = []

    def add(self, fault: Fault) -> None:
        """Let a fault wait for the requests or messages it matches."""
        (self._messages if fault.kind in MESSAGE_KINDS else self._requests).add(fault)

    def draw(self, draw: Draw) -> None:
        """Draw faults of requests, or of messages, from now on."""
        (self._messages if draw.strikes_messages else self._requests).start(draw)

    def clear(self) -> None:
        """Forget the faults that wait, and stop drawing."""
        self._requests.clear()
        self._messages.clear()

    def next_for(self, method: str, path: str) -> Fault | None:
        """Return the fault that strikes this request, or None."""
        return self._requests.next_for(f"{method} {path}", lambda f: f.matches(method, path))

    def next_message(self, stream: str) -> Fault | None:
        """Return the fault that strikes the next message of `stream`, or None."""
        return self._messages.next_for(stream, lambda f: f.strikes_message(stream))

    def note(self, fault: Fault, time_ms: int, **facts: Any) -> None:
        """Remember that `fault` happened."""
        self.happened.append({"time_ms": time_ms, "kind": str(fault.kind), **facts})

    def document(self) -> dict[str, Any]:
        """Return what waits, what is drawn and what happened."""
        return {
            "waiting": [
                asdict(entry[0])
                for queue in (self._requests, self._messages)
                for entry in queue.waiting
            ],
            "draw": _document(self._requests.draw),
            "message_draw": _document(self._messages.draw),
            "happened": self.happened,
        }


def _document(draw: Draw | None) -> dict[str, Any] | None:
    return asdict(draw) if draw else None
