"""Rate limits: request weight a minute, orders per ten seconds and per day, 429 and then 418.

Windows are aligned with the calendar of the exchange's clock.

Add here: another limit the exchange publishes. Keep out: what a request weighs (rest).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from thunes_core.testnet.clock import ExchangeClock
from thunes_core.testnet.refusals import Refused

MINUTE_MS = 60_000
BAN_AFTER_REFUSALS = 30
BAN_MS = 120_000
LONGEST_BAN_MS = 3 * 86_400_000
_TOO_MANY = "Too many requests queued."


@dataclass(slots=True)
class Window:
    """A counter that starts again at each multiple of `length_ms`."""

    length_ms: int
    limit: int
    index: int = -1
    count: int = 0

    def add(self, now_ms: int, amount: int) -> int:
        """Count `amount` at `now_ms` and return the window's total."""
        if now_ms // self.length_ms != self.index:
            self.index, self.count = now_ms // self.length_ms, 0
        self.count += amount
        return self.count

    def ends_ms(self, now_ms: int) -> int:
        """Return when the running window ends."""
        return (now_ms // self.length_ms + 1) * self.length_ms


class RateLimits:
    """Counts what one address uses. `enforced` False only counts and shows."""

    def __init__(
        self,
        clock: ExchangeClock,
        *,
        enforced: bool = True,
        weight: int = 6000,
        raw: int = 61_000,
        orders_10s: int = 100,
        orders_day: int = 200_000,
    ) -> None:
        self._clock = clock
        self._enforced = enforced
        self._weight = Window(MINUTE_MS, weight)
        self._raw = Window(5 * MINUTE_MS, raw)
        self._short = Window(10_000, orders_10s)
        self._day = Window(86_400_000, orders_day)
        self._refusals = 0
        self._bans = 0
        self._banned_until_ms = 0

    def documents(self) -> list[dict[str, Any]]:
        """Return `rateLimits` as exchangeInfo shows them."""
        return [
            _document("REQUEST_WEIGHT", "MINUTE", 1, self._weight.limit),
            _document("ORDERS", "SECOND", 10, self._short.limit),
            _document("ORDERS", "DAY", 1, self._day.limit),
            _document("RAW_REQUESTS", "MINUTE", 5, self._raw.limit),
        ]

    def order_counts(self) -> list[dict[str, Any]]:
        """Return the unfilled order counts with their limits."""
        now = self._clock.now_ms()
        return [
            {
                **_document("ORDERS", "SECOND", 10, self._short.limit),
                "count": self._short.add(now, 0),
            },
            {**_document("ORDERS", "DAY", 1, self._day.limit), "count": self._day.add(now, 0)},
        ]

    def weight_status(self) -> dict[str, Any]:
        """Return the weight limit with what is used of it."""
        used = self._weight.add(self._clock.now_ms(), 0)
        return {**_document("REQUEST_WEIGHT", "MINUTE", 1, self._weight.limit), "count": used}

    def headers(self) -> dict[str, str]:
        """Return the headers that tell the weight used."""
        used = str(self._weight.add(self._clock.now_ms(), 0))
        return {"x-mbx-used-weight": used, "x-mbx-used-weight-1m": used}

    def order_headers(self) -> dict[str, str]:
        """Return the headers that tell the orders counted."""
        now = self._clock.now_ms()
        return {
            "x-mbx-order-count-10s": str(self._short.add(now, 0)),
            "x-mbx-order-count-1d": str(self._day.add(now, 0)),
        }

    def use(self, weight: int) -> None:
        """Count a request; refuse with 429 beyond the limit, with 418 when that is ignored.

        Each ban lasts twice as long as the one before, from two minutes to three days.
        """
        now = self._clock.now_ms()
        if now < self._banned_until_ms:
            raise self._ban(now)
        used, sent = self._weight.add(now, weight), self._raw.add(now, 1)
        is_light = used <= self._weight.limit
        if not self._enforced or (is_light and sent <= self._raw.limit):
            self._refusals = 0
            return
        self._refusals += 1
        if self._refusals > BAN_AFTER_REFUSALS:
            self._banned_until_ms = now + min(BAN_MS * 2**self._bans, LONGEST_BAN_MS)
            self._bans, self._refusals = self._bans + 1, 0
            raise self._ban(now)
        window, text = (self._raw, _TOO_MANY) if is_light else (self._weight, self._too_heavy)
        wait = self._retry_after(window.ends_ms(now) - now)
        raise Refused(-1003, text, status=429, headers=wait)

    @property
    def _too_heavy(self) -> str:
        return (
            f"Too much request weight used; current limit is {self._weight.limit} request weight "
            "per 1 MINUTE. Please use WebSocket Streams for live updates to avoid polling the API."
        )

    def refund(self, weight: int) -> None:
        """Take back weight: placing and cancelling orders weighs nothing when it succeeds."""
        self._weight.add(self._clock.now_ms(), -weight)

    def require_room(self, count: int = 1) -> None:
        """Refuse new orders with -1015 when they would go beyond a limit."""
        now = self._clock.now_ms()
        for window, name in ((self._short, "10 SECOND"), (self._day, "1 DAY")):
            if self._enforced and window.add(now, 0) + count > window.limit:
                raise Refused(
                    -1015,
                    f"Too many new orders; current limit is {window.limit} orders per {name}.",
                    status=429,
                    headers=self._retry_after(window.ends_ms(now) - now),
                )

    def use_order(self, count: int = 1) -> None:
        """Count new orders; refuse them beyond a limit."""
        self.require_room(count)
        now = self._clock.now_ms()
        self._short.add(now, count)
        self._day.add(now, count)

    def forgive_order(self) -> None:
        """Take back one unfilled order: a fill lowers the count."""
        now = self._clock.now_ms()
        for window in (self._short, self._day):
            if window.add(now, 0) > 0:
                window.add(now, -1)

    def ban_for(self, milliseconds: int) -> None:
        """Ban the address for exchange `milliseconds` (418)."""
        self._banned_until_ms = self._clock.now_ms() + milliseconds

    def _ban(self, now_ms: int) -> Refused:
        return Refused(
            -1003,
            f"Way too much request weight used; IP banned until {self._banned_until_ms}. "
            "Please use WebSocket Streams for live updates to avoid bans.",
            status=418,
            headers=self._retry_after(self._banned_until_ms - now_ms),
        )

    def _retry_after(self, milliseconds: int) -> dict[str, str]:
        """Say how long to wait in the client's own seconds."""
        seconds = milliseconds / 1000 / max(self._clock.multiple, 1.0)
        return {"Retry-After": str(max(1, math.ceil(seconds)))}


def _document(kind: str, interval: str, count: int, limit: int) -> dict[str, Any]:
    return {
        "rateLimitType": kind,
        "interval": interval,
        "intervalNum": count,
        "limit": limit,
    }
