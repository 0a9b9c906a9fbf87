"""Houses for tests: the real resource with a market that stands still, on a temporary home."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from thunes_core.errors import ExchangeUnavailable
from thunes_pipelines.resources.house import House

NOON = datetime(2025, 3, 10, 12, 5, tzinfo=UTC)


class StillMarket:
    """An exchange whose clock stands still."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def server_time(self) -> datetime:
        return self.now


class DeadMarket:
    """An exchange that cannot be reached."""

    def server_time(self) -> datetime:
        raise ExchangeUnavailable("exchange: expected an answer; none came; start it")


def house_at(home: Path, market: Any = None, **settings: Any) -> House:
    """Return a house on `home` whose market is `market`; settings are those of the environment."""
    given = market or StillMarket()

    class Given(House):
        def market(self) -> Any:
            return given

    return Given(overrides={"home": str(home), **settings})
