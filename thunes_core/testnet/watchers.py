"""Who is told what happens to the account.

Add here: something a watcher is told of. Keep out: what becomes of it (`user_events`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

from thunes_core.testnet.orders import Change, ExchangeOrder, Trade


class Watcher(Protocol):
    """Someone who is told what happens to the account."""

    def order_changed(self, order: ExchangeOrder, change: Change, trade: Trade | None) -> None:
        """Learn what happened to an order."""
        ...

    def money_came(self, asset: str, amount: Decimal) -> None:
        """Learn of a deposit, or of a withdrawal (below zero)."""
        ...
