"""The exchange itself: one account, its orders and fills, on a market and a clock.

Add here: how orders match. Keep out: HTTP, the shape of documents (`orders`).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from thunes_core.testnet.clock import ExchangeClock
from thunes_core.testnet.limits import RateLimits
from thunes_core.testnet.market import Market
from thunes_core.testnet.security import LOCAL_KEY, LOCAL_SECRET, Key


@dataclass(frozen=True, slots=True)
class Options:
    """How the exchange treats its account."""

    enforce_limits: bool = True


class Exchange:
    """One account on one market. Every public method is called with `lock` held."""

    def __init__(
        self,
        market: Market,
        clock: ExchangeClock,
        options: Options = Options(),
        keys: Mapping[str, Key] | None = None,
    ) -> None:
        self.lock = threading.RLock()
        self.market = market
        self.clock = clock
        self.options = options
        self.keys = dict(keys or {LOCAL_KEY: Key(secret=LOCAL_SECRET)})
        self.limits = RateLimits(clock, enforced=options.enforce_limits)

    def advance(self) -> None:
        """Let the market run up to the clock's present."""
