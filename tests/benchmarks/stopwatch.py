"""A stopwatch that splits one stretch of a thread by part: wall time and CPU, each counted once.

Add here: how time is split. Keep out: which functions are which part.
"""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

REST = "the rest of the tick's code"


@dataclass(frozen=True, slots=True)
class Split:
    """Seconds of each part of one stretch: wall time, and CPU of the thread."""

    wall: Counter[str] = field(default_factory=Counter)
    cpu: Counter[str] = field(default_factory=Counter)


class Stopwatch:
    """Charges the time between `start` and `stop` to the innermost part that runs."""

    def __init__(self) -> None:
        self.splits: list[Split] = []
        self._running: Split | None = None
        self._inside: list[str] = []
        self._at = (0.0, 0.0)

    def start(self) -> None:
        """Begin a stretch; one that never stopped is forgotten."""
        self._running, self._at = Split(), _now()

    def stop(self) -> None:
        """End the stretch and keep it; without one nothing happens."""
        self._charge()
        if self._running is not None:
            self.splits.append(self._running)
        self._running = None

    def part(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """Return `work`, its time charged to `name` except where a part within it runs."""

        @functools.wraps(work)
        def timed(*given: Any, **named: Any) -> Any:
            self._charge()
            self._inside.append(name)
            try:
                return work(*given, **named)
            finally:
                self._charge()
                self._inside.pop()

        return timed

    def _charge(self) -> None:
        now = _now()
        if self._running is not None:
            name = self._inside[-1] if self._inside else REST
            self._running.wall[name] += now[0] - self._at[0]
            self._running.cpu[name] += now[1] - self._at[1]
        self._at = now


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.thread_time()
