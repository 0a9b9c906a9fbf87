"""What became of the orders that are not settled: ask by our own id, never send again.

An intent that was not claimed has provably never left. Anything else is asked for. That an order
was not executed takes three witnesses, after the broker's settle time and on a second look: the
exchange does not know its id, the list of orders of that time does not show it, and no trade
belongs to it. One that arrives later all the same is adopted, with an alarm.

Add here: a way to learn an order's fate. Keep out: booking fills, new orders.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from thunes_core.domain.orders import Order, OrderStatus
from thunes_core.domain.records import OrderRecord
from thunes_core.errors import BadInput, ExchangeRejected
from thunes_core.trading.ports import Broker, Journal

NEVER_LEFT = "never_left"
NOT_EXECUTED = "not_executed"
LOOKS_NEEDED = 2
ALARM = "ALARM"
_EARLIER = timedelta(minutes=1)


def resolve(broker: Broker, journal: Journal, now: datetime) -> list[str]:
    """Ask for every unsettled order and store what is learnt; return notes for people."""
    records = journal.open_orders()
    if not records:
        return []
    showing = {order.client_order_id: order for order in broker.open_orders()}
    return [note for record in records for note in _one(broker, journal, record, now, showing)]


def drop_lost(broker: Broker, journal: Journal, now: datetime) -> list[str]:
    """Count as not executed what three witnesses do not know; to be called after booking fills."""
    lost = [r for r in journal.open_orders() if _is_lost(r, broker, now)]
    return [_drop_or_adopt(broker, journal, record, now) for record in lost]


def _one(
    broker: Broker,
    journal: Journal,
    record: OrderRecord,
    now: datetime,
    showing: dict[str, Order],
) -> Iterator[str]:
    if record.status is OrderStatus.INTENDED:
        why = "the process ended before the order was sent"
        drop(journal, record.client_order_id, now, NEVER_LEFT, why)
        yield f"{record.client_order_id}: never left, dropped"
        return
    if record.status.is_final and record.booked_quantity <= record.executed_quantity:
        return  # only its fills are not all readable yet
    try:
        found = showing.get(record.client_order_id) or broker.order(
            record.request.symbol, record.client_order_id
        )
    except (BadInput, ExchangeRejected) as error:
        yield f"{record.client_order_id}: cannot be asked for, {error}"
        return
    if found is None:
        yield from _not_found(journal, record, now)
        return
    if record.status.is_in_flight:
        yield f"{record.client_order_id}: found at the exchange as {found.status}"
    _adopt(journal, record, found, now)
    if record.status.is_final:
        yield f"{ALARM} {record.client_order_id}: arrived late, adopted as {found.status}"


def _adopt(journal: Journal, record: OrderRecord, found: Order, now: datetime) -> None:
    if found.status != record.status or found.executed_quantity != record.executed_quantity:
        journal.record_outcome(found, now)


def _not_found(journal: Journal, record: OrderRecord, now: datetime) -> Iterator[str]:
    if record.status.is_final:
        return
    looks = record.looks + 1
    journal.change_order(record.client_order_id, now, status=OrderStatus.UNKNOWN, looks=looks)
    yield f"{record.client_order_id}: outcome unknown, looked {looks} times"


def _is_lost(record: OrderRecord, broker: Broker, now: datetime) -> bool:
    sent = record.submitted_at or record.intended_at
    return (
        record.status is OrderStatus.UNKNOWN
        and record.looks >= LOOKS_NEEDED
        and now > sent + broker.settle_time
        and not record.booked_quantity
    )


def _drop_or_adopt(broker: Broker, journal: Journal, record: OrderRecord, now: datetime) -> str:
    sent = record.submitted_at or record.intended_at
    try:
        known = broker.orders_since(record.request.symbol, sent - _EARLIER)
    except (BadInput, ExchangeRejected) as error:
        return f"{record.client_order_id}: cannot be asked for, {error}"
    found = [order for order in known if order.client_order_id == record.client_order_id]
    if found:
        journal.record_outcome(found[-1], now)
        return f"{record.client_order_id}: found in the list of orders as {found[-1].status}"
    why = f"not found in {record.looks} looks, the last at {now.isoformat()}"
    drop(journal, record.client_order_id, now, NOT_EXECUTED, why)
    return f"{record.client_order_id}: not executed, dropped"


def drop(journal: Journal, client_order_id: str, now: datetime, code: str, why: str) -> None:
    """Store that an order does not exist and never will."""
    journal.change_order(
        client_order_id,
        now,
        status=OrderStatus.REJECTED,
        code=code,
        why=why,
        updated_at=now,
    )
