"""Take orders of ours back, and store what the exchange says of those that end without our asking.

Add here: another way in which an order is taken back. Keep out: what takes its place (see `guard`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from thunes_core.domain.orders import Order, OrderStatus
from thunes_core.domain.records import OrderRecord
from thunes_core.errors import ExchangeRejected, ExchangeUnavailable, OutcomeUnknown
from thunes_core.trading.reconcile import Desk, book_new_fills
from thunes_core.trading.resting import of_one_list
from thunes_core.trading.send import heed

CANCELS = 2
"""How often a cancel is sent at most, while no answer comes."""


def take_back(desk: Desk, records: Sequence[OrderRecord]) -> list[str]:
    """Cancel orders, each with its whole list, and book what they did; return notes.

    An answer that is missing is noted; what is known afterwards stands in the journal.
    """
    named = {one.request.group: one for one in records}
    lists = [of_one_list(desk.journal, record) for record in named.values()]
    notes = [note for one in lists for note in cancel(desk, one)]
    book_new_fills(desk, {record.request.symbol for record in records})
    return notes


def refresh_list(desk: Desk, record: OrderRecord) -> None:
    """Store what the exchange says now of an order and of those that end with it."""
    for one in of_one_list(desk.journal, record):
        _refresh(desk, one)


def cancel(desk: Desk, records: Sequence[OrderRecord]) -> list[str]:
    """Cancel an order, or all of one list, and store what the exchange says of them then.

    Where no answer came it is asked for once more: our ids are used once, so a cancel may be
    repeated. What may still be cancelled late is UNKNOWN until it was asked after.
    """
    symbol, ids = records[0].request.symbol, [one.client_order_id for one in records]
    notes, unanswered = list[str](), False
    for _ in range(CANCELS):
        try:
            answered = desk.broker.cancel(symbol, ids[0])
        except OutcomeUnknown as error:
            unanswered = True
            notes.append(f"{ids[0]}: cancel, {error}")
            continue
        except ExchangeUnavailable as error:
            heed(desk.journal, error)
            notes.append(f"{ids[0]}: cancel, {error}")
            break
        except ExchangeRejected as error:
            notes.append(f"{ids[0]}: cancel, {error}")
        else:
            _store_ended(desk, ids, answered)
        unanswered = False
        break
    refresh_all(desk, ids)
    if unanswered:
        doubt(desk, ids)
    return notes


def _store_ended(desk: Desk, ids: Sequence[str], answered: Sequence[Order]) -> None:
    """Store what the answer to a cancel tells of orders that ended: reads may lag behind it."""
    for order in answered:
        if order.client_order_id in ids and order.status.is_final:
            desk.journal.record_outcome(order, desk.now)


def end_all(desk: Desk, ids: Sequence[str], at: datetime) -> None:
    """Store that orders were cancelled at `at` (exchange's clock), with nothing more executed."""
    for client_order_id in ids:
        cancelled = OrderStatus.CANCELED
        desk.journal.change_order(client_order_id, desk.now, status=cancelled, updated_at=at)


def doubt(desk: Desk, ids: Sequence[str]) -> None:
    """Store that orders which still rested may be cancelled yet."""
    for record in filter(None, map(desk.journal.order, ids)):
        if not record.status.is_final:
            why = "its cancel was not answered"
            unknown = OrderStatus.UNKNOWN
            desk.journal.change_order(record.client_order_id, desk.now, status=unknown, why=why)


def refresh_all(desk: Desk, client_order_ids: Sequence[str]) -> None:
    """Store what the exchange says now of orders that another order brought to rest."""
    known = [desk.journal.order(client_order_id) for client_order_id in client_order_ids]
    for record in known:
        if record is not None and not record.status.is_final:
            _refresh(desk, record)


def _refresh(desk: Desk, record: OrderRecord) -> None:
    """Store what the exchange says of an order now."""
    try:
        found = desk.broker.order(record.request.symbol, record.client_order_id)
    except (ExchangeUnavailable, ExchangeRejected):
        return  # the next tick asks again
    told = found and (found.status, found.quantity)
    if found is not None and told != (record.status, record.request.quantity):
        desk.journal.record_outcome(found, desk.now)
