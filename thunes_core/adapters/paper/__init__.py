"""A paper account: our own matching on the exchange's real prices.

Add here: how paper orders fill. Keep out: decisions, the ledger.
"""

from __future__ import annotations

from thunes_core.adapters.paper.broker import PaperBroker

__all__ = ["PaperBroker"]
