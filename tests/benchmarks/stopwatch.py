"""A stopwatch that splits one stretch of a thread by part: wall time and CPU, each counted once.

Add here: how time is split. Keep out: which functions are which part.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from time import perf_counter, thread_time
from typing import Any

Turn = tuple[str, float, float]
"""Whose time begins, and when: by the clock, and by the CPU of the thread."""

REST = "the rest of the tick's code"


@dataclass(frozen=True, slots=True)
class Split:
    """Seconds of each part of one stretch: wall time, and CPU of the thread."""

    wall: Counter[str] = field(default_factory=Counter)
    cpu: Counter[str] = field(default_factory=Counter)


class Stopwatch:
    """Charges the time between `start` and `stop` to the innermost part that runs.

    While it runs it only notes moments; they are added up at the end, so that it costs what it
    measures as little as may be. Asking for the CPU of a thread takes a microsecond all the same:
    while `only` is set, no other parts are told apart.
    """

    def __init__(self) -> None:
        self.splits: list[Split] = []
        self.only: Collection[str] | None = None
        self._turns: list[Turn] = []
        self._inside = [REST]
        self._is_running = False

    def start(self) -> None:
        """Begin a stretch; one that never stopped is forgotten."""
        self._is_running = True
        self._turns = [(self._inside[-1], perf_counter(), thread_time())]

    def stop(self) -> None:
        """End the stretch and keep it; without one nothing happens."""
        self._turns.append((REST, perf_counter(), thread_time()))
        if self._is_running:
            self.splits.append(_added(self._turns))
        self._is_running = False

    def part(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """Return `work`, its time charged to `name` except where a part within it runs."""

        @functools.wraps(work)
        def timed(*given: Any, **named: Any) -> Any:
            if not self._is_running or (self.only is not None and name not in self.only):
                return work(*given, **named)
            self._inside.append(name)
            self._turns.append((name, perf_counter(), thread_time()))
            try:
                return work(*given, **named)
            finally:
                self._inside.pop()
                self._turns.append((self._inside[-1], perf_counter(), thread_time()))

        return timed


@dataclass(frozen=True, slots=True)
class Taken:
    """Stretches undisturbed, with only what waits told apart; and as many split into all parts."""

    whole: Sequence[Split]
    split: Sequence[Split]


def taken(
    watch: Stopwatch, apart: Collection[str], count: int, warm_up: int, run: Callable[[], object]
) -> Taken:
    """Run until `warm_up` stretches were timed that are left out, then `count` each way."""
    watch.only = apart
    while len(watch.splits) < warm_up + count:
        run()
    whole, watch.only = watch.splits[warm_up : warm_up + count], None
    watch.splits.clear()
    while len(watch.splits) < count:
        run()
    return Taken(whole, watch.splits[:count])


def _added(turns: Sequence[Turn]) -> Split:
    """Add up what lies between the turns: each belongs to the part that its beginning names."""
    split = Split()
    for (name, wall, cpu), (_, next_wall, next_cpu) in pairwise(turns):
        split.wall[name] += next_wall - wall
        split.cpu[name] += next_cpu - cpu
    return split
