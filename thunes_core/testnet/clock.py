"""The exchange's clock: real, a multiple of real, or stepped by whoever holds it.

Add here: another way for the exchange's time to pass. Keep out: what happens as it passes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from thunes_core.clock import SystemClock, monotonic_seconds, to_millis
from thunes_core.errors import BadInput

TEN_YEARS_MS = 10 * 365 * 86_400_000


class ExchangeClock(Protocol):
    """Tells the exchange's time, in milliseconds since 1970 UTC."""

    @property
    def is_stepped(self) -> bool:
        """True when time stands still until it is moved."""
        ...

    @property
    def multiple(self) -> float:
        """Exchange seconds per real second; 0 when stepped."""
        ...

    def now_ms(self) -> int:
        """Return the present."""
        ...

    def move_to(self, to_ms: int) -> None:
        """Set the present to `to_ms`, which must not be earlier than now."""
        ...


class RunningClock:
    """Runs from `start_ms` at `multiple` times the pace of the machine's monotonic clock."""

    is_stepped = False

    def __init__(
        self,
        start_ms: int,
        multiple: float = 1.0,
        elapsed_seconds: Callable[[], float] = monotonic_seconds,
    ) -> None:
        self._elapsed = elapsed_seconds
        self._origin = elapsed_seconds()
        self._start_ms = start_ms
        self.multiple = multiple

    def now_ms(self) -> int:
        """Return the present, UTC milliseconds."""
        return self._start_ms + int((self._elapsed() - self._origin) * 1000 * self.multiple)

    def move_to(self, to_ms: int) -> None:
        """Jump forward to `to_ms` and run on from there."""
        _require_forward(self.now_ms(), to_ms)
        self._origin = self._elapsed()
        self._start_ms = to_ms


class SteppedClock:
    """Stands still until it is moved."""

    is_stepped = True
    multiple = 0.0

    def __init__(self, start_ms: int) -> None:
        self._now_ms = start_ms

    def now_ms(self) -> int:
        """Return the present, UTC milliseconds."""
        return self._now_ms

    def move_to(self, to_ms: int) -> None:
        """Set the present to `to_ms`."""
        _require_forward(self._now_ms, to_ms)
        self._now_ms = to_ms


def _require_forward(now_ms: int, to_ms: int) -> None:
    if to_ms < now_ms:
        raise BadInput(f"clock: expected a time not before {now_ms}; it was {to_ms}; only step on")


def make_clock(kind: str, start: datetime | None) -> ExchangeClock:
    """Return the clock called `kind`: `real`, `stepped`, or `x60` for sixty times real.

    `start` is where it begins; None means the machine's present. `BadInput` for another name.
    """
    start_ms = to_millis(start or SystemClock().now())
    if kind == "stepped":
        return SteppedClock(start_ms)
    if kind == "real":
        return RunningClock(start_ms)
    match = re.fullmatch(r"x(\d+(?:\.\d+)?)", kind)
    if match and float(match[1]) > 0:
        return RunningClock(start_ms, float(match[1]))
    raise BadInput(f"clock: expected real, stepped or xN such as x60; it was {kind!r}")


def time_tolerance(clock: ExchangeClock, milliseconds: int) -> int:
    """Return how far a client's timestamp may be off, for a window of real `milliseconds`.

    A client synchronises once and then runs at the real pace, so a faster exchange grants it the
    multiple; on a stepped clock ten years, since the client's clock runs while ours stands.
    """
    if clock.is_stepped:
        return TEN_YEARS_MS
    return int(milliseconds * max(clock.multiple, 1.0))
