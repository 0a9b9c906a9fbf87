"""Intent, claim, one request, outcome: the only path from an approved order to the exchange.

Add here: an outcome the exchange can have. Keep out: approving, booking.
"""

from __future__ import annotations

from datetime import datetime

from thunes_core.domain.orders import (
    ApprovedOrder,
    OrderRequest,
    OrderStatus,
    RefusedOrder,
)
from thunes_core.domain.records import OrderRecord
from thunes_core.errors import ExchangeRejected, ExchangeUnavailable, OutcomeUnknown
from thunes_core.trading.ports import Broker, Journal
from thunes_core.trading.resolve import NEVER_LEFT


def intent_of(
    verdict: ApprovedOrder | RefusedOrder, strategy: str, bar: datetime, now: datetime
) -> OrderRecord:
    """Return the record of a judged request: intended, or refused with its reason."""
    if isinstance(verdict, ApprovedOrder):
        return OrderRecord(verdict.request, strategy, bar, OrderStatus.INTENDED, now)
    return OrderRecord(
        verdict.request,
        strategy,
        bar,
        OrderStatus.REFUSED,
        now,
        updated_at=now,
        settled=True,
        code=str(verdict.code),
        why=verdict.why,
    )


def send(broker: Broker, journal: Journal, approved: ApprovedOrder, now: datetime) -> str | None:
    """Send an order whose intent is durable, exactly once; return a note when it failed."""
    request = approved.request
    journal.claim(request.client_order_id, now)
    try:
        order = broker.submit(approved)
    except ExchangeRejected as error:
        return _failed(journal, request, now, OrderStatus.REJECTED, str(error.code), str(error))
    except ExchangeUnavailable as error:
        return _failed(journal, request, now, OrderStatus.REJECTED, NEVER_LEFT, str(error))
    except OutcomeUnknown as error:
        return _failed(journal, request, now, OrderStatus.UNKNOWN, "unknown", str(error))
    journal.record_outcome(order, now)
    return None


def _failed(
    journal: Journal,
    request: OrderRequest,
    now: datetime,
    status: OrderStatus,
    code: str,
    why: str,
) -> str:
    journal.change_order(
        request.client_order_id, now, status=status, code=code, why=why, updated_at=now
    )
    return f"{request.client_order_id}: {status}, {why}"
