"""The breaker: after repeated failures of the exchange, nothing new is begun for a while. Pure.

Closed until `FAILURES` in a row, or until the exchange asks to wait; then open for `OPEN_FOR`; then
half open: the next real tick is the probe, its success closes the breaker and its failure opens it
again. A tick that has something to look after is never held back by it.

Add here: a rule of the breaker. Keep out: storing it, counting requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

FAILURES = 5
OPEN_FOR = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Breaker:
    """Failures in a row, and when the breaker last opened (machine clock, UTC)."""

    failures: int = 0
    opened_at: datetime | None = None

    def is_open(self, now: datetime) -> bool:
        """True while nothing new is begun; False again once half open."""
        return self.opened_at is not None and now < self.opened_at + OPEN_FOR

    def failed(self, now: datetime) -> Breaker:
        """Return the breaker after one more failure."""
        failures = self.failures + 1
        return Breaker(failures, now if failures >= FAILURES else None)

    def asked_to_wait(self, now: datetime) -> Breaker:
        """Return the breaker after 429 or 418: open at once."""
        return Breaker(max(self.failures + 1, FAILURES), now)

    def succeeded(self) -> Breaker:
        """Return the closed breaker."""
        return Breaker()
