"""The ledger: intents, orders, fills, books, audit and trading state, never lost.

Add here: how a ledger is opened. Keep out: everything it does (see `ledger`).
"""

from __future__ import annotations

from thunes_core.adapters.ledger.connect import connect
from thunes_core.adapters.ledger.ledger import Ledger
from thunes_core.clock import Clock

__all__ = ["Ledger", "open_ledger"]


def open_ledger(url: str, *, clock: Clock | None = None, synchronous: str = "FULL") -> Ledger:
    """Open the ledger at a SQLAlchemy `url`, creating or migrating its schema.

    `clock` is the machine's, for leases. `synchronous` other than FULL is for ledgers that need
    not outlive a power cut: tests and demonstrations.
    """
    return Ledger(connect(url, synchronous), clock=clock)
