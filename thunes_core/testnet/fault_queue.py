"""The faults that wait for requests and messages, the draws, and what has happened.

Add here: another order in which faults come. Keep out: what they are (`faults`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from thunes_core.testnet.faults import MESSAGE_KINDS, Draw, Fault


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
