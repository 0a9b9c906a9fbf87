"""Ticks of one host on the shared ledger and account, a tick a line that it is given.

Arguments: the hub's address, the call of the journal before which a tick waits for one more line
("" for none), how many seconds its lease runs. Says a line when it is ready, when a tick waits, and
what a tick did.
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from decimal import Decimal
from typing import Any

from tests.hosts.hub import DATABASE_PORT, EXCHANGE_PORT
from tests.worlds import NO_PROTECTION, STUDY, WIDE, Champions
from thunes_core.adapters.binance.broker import BinanceBroker
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.adapters.ledger import open_ledger
from thunes_core.adapters.ledger.holders import this_process
from thunes_core.errors import ThunesError
from thunes_core.settings import LOCAL_KEY, LOCAL_SECRET
from thunes_core.trading.step import tick
from thunes_core.trading.world import TradingPlan, World


class Waiting:
    """Stands before the journal and waits for a line before one of its calls."""

    def __init__(self, inner: Any, call: str) -> None:
        self._inner, self._call = inner, call

    def under(self, lease: Any) -> Waiting:
        return Waiting(self._inner.under(lease), self._call)

    def __getattr__(self, name: str) -> Any:
        if name == self._call:
            tell("waiting")
            next(sys.stdin)
        return getattr(self._inner, name)


def main() -> None:
    """Tick as this host, once a line."""
    hub, call, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    exchange = f"http://{hub}:{EXCHANGE_PORT}"
    ledger = open_ledger(f"postgresql+psycopg2://postgres@{hub}:{DATABASE_PORT}/ledger")
    world = World(
        BinanceMarket(exchange),
        BinanceBroker(exchange, LOCAL_KEY, LOCAL_SECRET),
        Waiting(ledger, call),
        Champions(),
        holder=this_process(),
        lease_ttl=timedelta(seconds=seconds),
    )
    tell("ready")
    for _ in sys.stdin:
        tell(ticked(world))


def ticked(world: World) -> dict[str, Any]:
    """Run one tick; return what it did, or why it did nothing."""
    try:
        report = tick(world, TradingPlan((STUDY,), Decimal(1000), WIDE, NO_PROTECTION))
    except ThunesError as error:
        return {"error": type(error).__name__, "told": str(error)}
    placed = [(o.client_order_id, str(o.status)) for o in report.orders]
    return {"error": "", "orders": placed, "audit_whole": world.journal.verify_audit().whole}


def tell(what: Any) -> None:
    """Say one line."""
    print(json.dumps(what), flush=True)  # noqa: T201 - this is how it is heard


if __name__ == "__main__":
    main()
