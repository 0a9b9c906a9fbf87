"""What lies between the exchange and one subscriber of a stream: it may lose, double or hold.

Times are the exchange's, in milliseconds: a message held for five seconds arrives when the clock
has moved on by five seconds.

Add here: another thing that happens to messages on their way. Keep out: sockets, what events say.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from thunes_core.testnet.fault_queue import Faults
from thunes_core.testnet.faults import Fault, FaultKind

Named = tuple[str, Any]


class Line:
    """One subscriber's line. `is_cut` turns true when the connection is to end without a word."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._coming: list[tuple[int, int, Any]] = []
        self._behind: tuple[int, Any] | None = None
        self._sent = 0
        self._stalled_until_ms = 0
        self.is_cut = False

    def carry(self, messages: Iterable[Named], now_ms: int) -> list[Any]:
        """Send (stream name, document) pairs at `now_ms`; return the documents that arrive now."""
        for name, document in messages:
            if self.is_cut:
                break
            fault = self._faults.next_message(name)
            if fault is None:
                self._send(document, now_ms, now_ms)
            else:
                self._faults.note(fault, now_ms, stream=name)
                _STRIKES[fault.kind](self, fault, document, now_ms)
        return self._arrived(now_ms)

    def _send(self, document: Any, due_ms: int, now_ms: int) -> None:
        """Let a message arrive at `due_ms`, and the one that was to come behind it right after."""
        self._push(document, due_ms)
        if self._behind is not None:
            behind, self._behind = self._behind[1], None
            self._push(behind, max(due_ms, now_ms))

    def _push(self, document: Any, due_ms: int) -> None:
        self._sent += 1
        heapq.heappush(self._coming, (due_ms, self._sent, document))

    def _arrived(self, now_ms: int) -> list[Any]:
        if self._behind is not None and self._behind[0] <= now_ms:
            due_ms, behind = self._behind
            self._behind = None
            self._push(behind, due_ms)
        if now_ms < self._stalled_until_ms:
            return []
        found = []
        while self._coming and self._coming[0][0] <= now_ms:
            found.append(heapq.heappop(self._coming)[2])
        return found

    def lose(self, _: Fault, __: Any, ___: int) -> None:
        """Let the message never arrive."""

    def duplicate(self, _: Fault, document: Any, now_ms: int) -> None:
        """Let the message arrive twice."""
        self._send(document, now_ms, now_ms)
        self._push(document, now_ms)

    def delay(self, fault: Fault, document: Any, now_ms: int) -> None:
        """Let the message arrive later; those after it do not wait."""
        self._push(document, now_ms + _milliseconds(fault))

    def reorder(self, fault: Fault, document: Any, now_ms: int) -> None:
        """Let the message arrive behind the next one, or alone after the fault's seconds."""
        held, self._behind = self._behind, (now_ms + _milliseconds(fault), document)
        if held is not None:
            self._push(held[1], now_ms)

    def stall(self, fault: Fault, document: Any, now_ms: int) -> None:
        """Let nothing arrive for the fault's seconds, then everything at once."""
        self._stalled_until_ms = max(self._stalled_until_ms, now_ms + _milliseconds(fault))
        self._send(document, now_ms, now_ms)

    def cut(self, _: Fault, __: Any, ___: int) -> None:
        """End the connection before the message."""
        self.is_cut = True


def _milliseconds(fault: Fault) -> int:
    return round(fault.seconds * 1000)


_STRIKES: Mapping[FaultKind, Callable[[Line, Fault, Any, int], None]] = {
    FaultKind.LOSE_MESSAGE: Line.lose,
    FaultKind.DUPLICATE_MESSAGE: Line.duplicate,
    FaultKind.DELAY_MESSAGE: Line.delay,
    FaultKind.REORDER_MESSAGE: Line.reorder,
    FaultKind.STALL_STREAM: Line.stall,
    FaultKind.CUT_STREAM: Line.cut,
}
