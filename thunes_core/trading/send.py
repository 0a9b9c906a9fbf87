"""Intent, claim, one request, outcome: the only path from approved orders to the exchange.

Add here: an outcome the exchange can have. Keep out: approving, booking.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from thunes_core.domain.orders import ApprovedOrder, Order, OrderStatus, RefusedOrder
from thunes_core.domain.records import OrderRecord
from thunes_core.errors import (
    AskedToWait,
    ExchangeRejected,
    ExchangeUnavailable,
    OutcomeUnknown,
    OutsideFailed,
)
from thunes_core.trading.ports import Broker, Journal
from thunes_core.trading.resolve import NEVER_LEFT

UNKNOWN = "unknown"


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


def intents_of(
    verdicts: Sequence[ApprovedOrder | RefusedOrder], strategy: str, bar: datetime, now: datetime
) -> list[OrderRecord]:
    """Return the record of each judged request."""
    return [intent_of(verdict, strategy, bar, now) for verdict in verdicts]


def send(broker: Broker, journal: Journal, approved: ApprovedOrder) -> str:
    """Send one order whose intent is durable, exactly once; return a note when it failed."""
    return deliver(broker, journal, (approved,), lambda: (broker.submit(approved),))


def deliver(
    broker: Broker,
    journal: Journal,
    approved: Sequence[ApprovedOrder],
    request: Callable[[], Sequence[Order]],
) -> str:
    """Claim the intents, make the one request that carries them, record its outcome.

    Returns the sentence that says what went wrong, or nothing. An intent that was not claimed
    because the exchange cannot be reached is dropped by the next tick.
    """
    ids = [one.request.client_order_id for one in approved]
    try:
        now = broker.ready()
    except (ExchangeUnavailable, ExchangeRejected) as error:
        heed(journal, error)
        return f"{', '.join(ids)}: not sent, {error}"
    journal.claim(ids, now)
    try:
        answered = request()
    except ExchangeRejected as error:
        return _failed(journal, ids, now, OrderStatus.REJECTED, str(error.code), error)
    except ExchangeUnavailable as error:
        heed(journal, error)
        return _failed(journal, ids, now, OrderStatus.REJECTED, NEVER_LEFT, error)
    except OutcomeUnknown as error:
        return _failed(journal, ids, now, OrderStatus.UNKNOWN, UNKNOWN, error)
    for order in answered:
        journal.record_outcome(order, now)
    return ""


def heed(journal: Journal, error: Exception) -> None:
    """Open the breaker of all processes where the exchange asked to wait (semantics §8)."""
    if isinstance(error, AskedToWait):
        journal.heard_exchange(answered=False, asked_to_wait=True)


def _failed(
    journal: Journal,
    ids: Sequence[str],
    now: datetime,
    status: OrderStatus,
    code: str,
    error: OutsideFailed,
) -> str:
    for client_order_id in ids:
        journal.change_order(
            client_order_id, now, status=status, code=code, why=str(error), updated_at=now
        )
    return f"{', '.join(ids)}: {status}, {error}"
