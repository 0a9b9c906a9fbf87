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

    def lead_ms(self) -> int:
        """Return how far a clock at the machine's pace, set right once, may have fallen behind."""
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
        self._began_ms = start_ms
        self.multiple = multiple

    def now_ms(self) -> int:
        """Return the present, UTC milliseconds."""
        return self._start_ms + int((self._elapsed() - self._origin) * 1000 * self.multiple)

    def lead_ms(self) -> int:
        """Return what the pace has gained on the machine's since the beginning; 0 at its pace."""
        if self.multiple <= 1:
            return 0
        return int((self.now_ms() - self._began_ms) * (1 - 1 / self.multiple))

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

    def lead_ms(self) -> int:
        """Return ten years: time stands here and jumps while the client's runs."""
        return TEN_YEARS_MS

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


def late_tolerance_ms(clock: ExchangeClock, window_ms: int) -> int:
    """Return how old a timestamp may be: the window at the clock's pace, and the clock's lead."""
    return int(window_ms * max(clock.multiple, 1.0)) + clock.lead_ms()


def early_tolerance_ms(clock: ExchangeClock, window_ms: int) -> int:
    """Return how far in the future a timestamp may be; ten years more on a stepped clock."""
    stepped = TEN_YEARS_MS if clock.is_stepped else 0
    return int(window_ms * max(clock.multiple, 1.0)) + stepped
