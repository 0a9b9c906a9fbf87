"""One request budget for all processes: a small file counts weight by the minute, another orders.

The exchange's own count (`X-MBX-USED-WEIGHT-1M`) corrects ours, 429 makes everyone wait, 418 stops
everyone. What decides is pure (`Ration`); the file below it is locked for microseconds.

Add here: another limit that processes share. Keep out: which request weighs what, sending.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from fcntl import LOCK_EX, flock
from pathlib import Path

from thunes_core.clock import SystemClock, from_millis, to_millis
from thunes_core.errors import AskedToWait, StoreFailed

WEIGHT_PER_MINUTE = 6000
PATIENCE_SECONDS = 10.0
USED_HEADER = "X-MBX-USED-WEIGHT-1M"
ORDERS_HEADER = "X-MBX-ORDER-COUNT-10S"
ORDERS_PER_SPAN = 100
ORDERS_SPAN_MS = 10_000
RESERVE = 0.1
"""Share of weight and orders kept for what protects and leaves positions."""
WAIT_HEADER = "Retry-After"
WAIT_STATUS, BAN_STATUS = 429, 418
DEFAULT_WAIT_SECONDS = 60
_MINUTE_MS = 60_000
_EDGE_MS = 100
"""Past the turn of a minute, so that a clock a little ahead of the exchange's does no harm."""

_FORM = struct.Struct("<qqqqq")


@dataclass(frozen=True, slots=True)
class Ration:
    """What is used of the running minute, and until when nothing may be sent (ms since 1970)."""

    minute: int = 0
    used: int = 0
    limit: int = WEIGHT_PER_MINUTE
    blocked_until_ms: int = 0
    is_banned: bool = False

    def at(self, now_ms: int, span_ms: int = _MINUTE_MS) -> Ration:
        """Return the ration of the minute (or other span) of `now_ms`: a new one begins unused."""
        minute = now_ms // span_ms
        return self if minute == self.minute else replace(self, minute=minute, used=0)

    def delay_ms(self, now_ms: int, weight: int, share: float, span_ms: int = _MINUTE_MS) -> int:
        """Return how long a request of `weight` must wait that may use `share` of the limit."""
        if now_ms < self.blocked_until_ms:
            return self.blocked_until_ms - now_ms
        fits = self.used + weight <= self.limit * share or not self.used or not weight
        return 0 if fits else (self.minute + 1) * span_ms + _EDGE_MS - now_ms

    def taking(self, weight: int) -> Ration:
        """Return the ration after a request of `weight`."""
        return replace(self, used=self.used + weight)

    def corrected(self, used: int) -> Ration:
        """Return the ration when the exchange counted `used`: the larger count is believed."""
        return replace(self, used=max(self.used, used))

    def blocked(self, until_ms: int, *, banned: bool) -> Ration:
        """Return the ration in which nothing may be sent before `until_ms`."""
        if until_ms <= self.blocked_until_ms:
            return self
        return replace(self, blocked_until_ms=until_ms, is_banned=banned)


class WeightLimiter:
    """The budget of one exchange address, shared through the file `path` by every process.

    It begins anew every `span_ms`; `limit` binds until the exchange names another, and `header` is
    where its answers tell what it counted. `now_ms` and `sleep` are the machine's unless a test
    gives others.
    """

    def __init__(
        self,
        path: Path,
        *,
        now_ms: Callable[[], int] = lambda: to_millis(SystemClock().now()),
        sleep: Callable[[float], None] = time.sleep,
        span_ms: int = _MINUTE_MS,
        limit: int = WEIGHT_PER_MINUTE,
        header: str = USED_HEADER,
    ) -> None:
        self.path = path
        self._span_ms = span_ms
        self._fresh = Ration(limit=limit)
        self._header = header
        self._now_ms = now_ms
        self._sleep = sleep

    def of_orders(self) -> WeightLimiter:
        """Return the budget of orders placed at the same address: 100 in ten seconds."""
        return WeightLimiter(
            self.path.with_name(f"{self.path.name}-orders"),
            now_ms=self._now_ms,
            sleep=self._sleep,
            span_ms=ORDERS_SPAN_MS,
            limit=ORDERS_PER_SPAN,
            header=ORDERS_HEADER,
        )

    def wait(self, weight: int, share: float = 1.0, patience: float = PATIENCE_SECONDS) -> None:
        """Take `weight` of the budget, waiting for it; errors as `reserve`."""
        while delay := self.reserve(weight, share, patience):
            self._sleep(delay)

    def reserve(self, weight: int, share: float = 1.0, patience: float = PATIENCE_SECONDS) -> float:
        """Take `weight` now and return 0, or return the seconds to wait before asking again.

        `share` of the limit (0 to 1) leaves the rest to others. Raises `AskedToWait` while
        the exchange bans this address, or when the wait is longer than `patience` seconds.
        """
        now_ms = self._now_ms()
        delay_ms = 0

        def take(ration: Ration) -> Ration:
            nonlocal delay_ms
            delay_ms = ration.delay_ms(now_ms, weight, share, self._span_ms)
            return ration if delay_ms else ration.taking(weight)

        ration = self._change(now_ms, take)
        banned = ration.is_banned and now_ms < ration.blocked_until_ms
        if delay_ms and (banned or delay_ms > patience * 1000):
            raise _closed(now_ms + delay_ms, banned=banned)
        return delay_ms / 1000

    def heard(self, status: int, headers: Mapping[str, str]) -> None:
        """Learn from an answer: the exchange's count, and whether it asks to wait."""
        now_ms = self._now_ms()
        used, wait = headers.get(self._header, ""), headers.get(WAIT_HEADER, "")

        def learn(ration: Ration) -> Ration:
            if used.isdigit():
                ration = ration.corrected(int(used))
            if status in (WAIT_STATUS, BAN_STATUS):
                seconds = int(wait) if wait.isdigit() else DEFAULT_WAIT_SECONDS
                until = now_ms + seconds * 1000
                ration = ration.blocked(until, banned=status == BAN_STATUS)
            return ration

        with suppress(StoreFailed):  # the answer counts, whether it can be told to others or not
            self._change(now_ms, learn)

    def limit(self, per_minute: int) -> None:
        """Set the limit that the exchange names."""
        self._change(self._now_ms(), lambda ration: replace(ration, limit=per_minute))

    def ration(self) -> Ration:
        """Return what is used now."""
        return self._change(self._now_ms(), lambda ration: ration)

    def _change(self, now_ms: int, change: Callable[[Ration], Ration]) -> Ration:
        try:
            return self._written(now_ms, change)
        except OSError as error:
            raise StoreFailed(
                f"request budget: expected {self.path} to be writable; {error.strerror}; "
                "make room or give it the rights, then try again"
            ) from error

    def _written(self, now_ms: int, change: Callable[[Ration], Ration]) -> Ration:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        with os.fdopen(descriptor, "rb+", buffering=0) as file:
            flock(file, LOCK_EX)
            before = _read(file.read(), self._fresh).at(now_ms, self._span_ms)
            after = change(before)
            file.seek(0)
            file.write(_form(after))  # over what was there: a full disk must not forget a ban
            file.truncate()
        return after


def _read(content: bytes, fresh: Ration) -> Ration:
    if len(content) != _FORM.size:
        return fresh
    minute, used, limit, blocked_until_ms, banned = _FORM.unpack(content)
    return Ration(minute, used, limit, blocked_until_ms, bool(banned))


def _form(ration: Ration) -> bytes:
    return _FORM.pack(
        ration.minute, ration.used, ration.limit, ration.blocked_until_ms, ration.is_banned
    )


def _closed(until_ms: int, *, banned: bool) -> AskedToWait:
    until = f"{from_millis(until_ms):%Y-%m-%d %H:%M:%S} UTC"
    if banned:
        return AskedToWait(
            f"exchange: this address is banned until {until} (HTTP 418); nothing is sent before; "
            "find out which program ignored the limits"
        )
    return AskedToWait(
        f"exchange: the request budget is used up until {until}; nothing is sent before; "
        "repeat it then"
    )
