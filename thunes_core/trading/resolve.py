"""What became of the orders that are not settled: ask by our own id, never send again.

An intent that was not claimed has provably never left. Anything else is asked for; "not found"
counts only after the broker's settle time and a second look.

Add here: a way to learn an order's fate. Keep out: booking fills, new orders.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from thunes_core.domain.orders import OrderStatus
from thunes_core.domain.records import OrderRecord
from thunes_core.trading.ports import Broker, Journal

NEVER_LEFT = "never_left"
NOT_EXECUTED = "not_executed"
LOOKS_NEEDED = 2


def resolve(broker: Broker, journal: Journal, now: datetime) -> list[str]:
    """Ask for every unsettled order and store what is learnt; return notes for people."""
    return [note for record in journal.open_orders() for note in _one(broker, journal, record, now)]


def _one(broker: Broker, journal: Journal, record: OrderRecord, now: datetime) -> Iterator[str]:
    if record.status is OrderStatus.INTENDED:
        _drop(journal, record, now, NEVER_LEFT, "the process ended before the order was sent")
        yield f"{record.client_order_id}: never left, dropped"
        return
    if record.status.is_final and record.booked_quantity <= record.executed_quantity:
        return  # only its fills are not all readable yet
    found = broker.order(record.request.symbol, record.client_order_id)
    if found is not None:
        if record.status.is_in_flight:
            yield f"{record.client_order_id}: found at the exchange as {found.status}"
        if record.status.is_final:
            yield f"ALARM {record.client_order_id}: arrived late, adopted as {found.status}"
        if found.status != record.status or found.executed_quantity != record.executed_quantity:
            journal.record_outcome(found, now)
        return
    yield from _not_found(broker, journal, record, now)


def _not_found(
    broker: Broker, journal: Journal, record: OrderRecord, now: datetime
) -> Iterator[str]:
    looks, sent = record.looks + 1, record.submitted_at or record.intended_at
    if looks >= LOOKS_NEEDED and now > sent + broker.settle_time:
        why = f"not found in {looks} looks, the last at {now.isoformat()}"
        _drop(journal, record, now, NOT_EXECUTED, why)
        yield f"{record.client_order_id}: not executed, dropped"
        return
    journal.change_order(record.client_order_id, now, status=OrderStatus.UNKNOWN, looks=looks)
    yield f"{record.client_order_id}: outcome unknown, looked {looks} times"


def _drop(journal: Journal, record: OrderRecord, now: datetime, code: str, why: str) -> None:
    journal.change_order(
        record.client_order_id,
        now,
        status=OrderStatus.REJECTED,
        code=code,
        why=why,
        updated_at=now,
    )
