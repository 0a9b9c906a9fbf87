"""Keep the protective orders of a position at the exchange: place, move, release.

A lone stop is moved by one request that cancels and places. A pair is cancelled and placed anew.
What cannot be placed closes the position, with an alarm. Running it again is always safe.

Add here: a way to keep protection in place. Keep out: where it should stand (see `stops`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from thunes_core.domain.orders import (
    ApprovedOrder,
    Leg,
    Order,
    OrderRequest,
    OrderStatus,
    RefusedOrder,
)
from thunes_core.domain.portfolio import Position
from thunes_core.domain.records import OrderRecord
from thunes_core.errors import ExchangeRejected, ExchangeUnavailable, OutcomeUnknown
from thunes_core.trading import stops
from thunes_core.trading.coins import sellable, within
from thunes_core.trading.decide import exit_request
from thunes_core.trading.reconcile import Desk, book_new_fills
from thunes_core.trading.resolve import ALARM, NEVER_LEFT
from thunes_core.trading.send import deliver, intent_of, send

Judge = Callable[[OrderRequest], ApprovedOrder | RefusedOrder]


def resting_orders(desk: Desk, strategy: str, symbol: str) -> list[OrderRecord]:
    """Return the protective orders of a book that are not final."""
    return [
        record
        for record in desk.journal.open_orders()
        if (record.strategy, record.request.symbol) == (strategy, symbol)
        and record.request.rests
        and not record.status.is_final
    ]


def release(desk: Desk, strategy: str, symbol: str) -> list[str]:
    """Cancel the protective orders of a book, so that what they hold can be sold; book fills."""
    notes = [
        note
        for record in _one_of_each_list(resting_orders(desk, strategy, symbol))
        for note in _cancel(desk, record)
    ]
    book_new_fills(desk, [symbol])
    return notes


def guard(
    desk: Desk, strategy: str, symbol: str, protected: stops.Protected | None, judge: Judge
) -> list[str]:
    """Make what rests for a book equal to `protected` (None: nothing)."""
    records = resting_orders(desk, strategy, symbol)
    if any(record.status.is_in_flight for record in records):
        return []  # resolved first, by the next tick
    if stops.resting(records) == protected:
        return []
    book = desk.journal.position(strategy, symbol)
    if protected is None or book is None:
        return release(desk, strategy, symbol)
    bar = book.last_bar or desk.now
    attempt = len(desk.journal.orders_of(strategy, symbol, bar))
    requests = stops.requests_for(protected, book, bar, desk.instruments[symbol], attempt)
    verdicts = [judge(request) for request in requests]
    refused = [v for v in verdicts if isinstance(v, RefusedOrder)]
    if refused:
        return [f"{symbol}: not protected at the exchange, {refused[0].why}"]
    approved = [v for v in verdicts if isinstance(v, ApprovedOrder)]
    return _put(desk, book, bar, approved, records, judge)


def _put(
    desk: Desk,
    book: Position,
    bar: datetime,
    approved: Sequence[ApprovedOrder],
    records: Sequence[OrderRecord],
    judge: Judge,
) -> list[str]:
    lone = len(approved) == len(records) == 1 and approved[0].request.leg is Leg.STOP
    movable = lone and desk.instruments[book.symbol].replaces
    notes = [] if movable else release(desk, book.strategy, book.symbol)
    fresh = desk.journal.position(book.strategy, book.symbol)
    if fresh is None or fresh.quantity != book.quantity:
        return notes  # a stop went off meanwhile
    intents = [intent_of(one, book.strategy, bar, desk.now) for one in approved]
    desk.journal.record_intents(fresh, intents)
    moved = records[0].client_order_id if movable else ""
    note = deliver(desk.broker, desk.journal, approved, lambda: _request(desk, approved, moved))
    if movable:
        _refresh(desk, records[0])
    if not note:
        return notes
    return [*notes, note, *_unprotected(desk, book, bar, approved, judge)]


def _request(desk: Desk, approved: Sequence[ApprovedOrder], moved: str) -> Sequence[Order]:
    if len(approved) == 2:
        return desk.broker.submit_pair(approved[0], approved[1])
    if moved:
        return (desk.broker.replace(moved, approved[0]),)
    return (desk.broker.submit(approved[0]),)


def _unprotected(
    desk: Desk, book: Position, bar: datetime, approved: Sequence[ApprovedOrder], judge: Judge
) -> list[str]:
    """Close a position whose protection the exchange refused; leave unknown outcomes alone."""
    book_new_fills(desk, [book.symbol])
    fresh = desk.journal.position(book.strategy, book.symbol)
    tried = desk.journal.order(approved[0].request.client_order_id)
    if tried is None or tried.status is not OrderStatus.REJECTED or tried.code == NEVER_LEFT:
        return []
    if fresh is None or not fresh.is_open or resting_orders(desk, book.strategy, book.symbol):
        return []
    free = sellable(desk.journal.open_orders(), fresh)
    if free <= 0:
        return []  # a sale under way may have taken it all: asked after, never repeated
    attempt = len(desk.journal.orders_of(book.strategy, book.symbol, bar))
    instrument = desk.instruments[book.symbol]
    leave = exit_request(fresh, bar, instrument, approved[0].request.reason, attempt)
    verdict = judge(within(leave, free, instrument))
    desk.journal.record_intents(fresh, [intent_of(verdict, book.strategy, bar, desk.now)])
    notes = [f"{ALARM} {book.symbol}: protection was refused, the position is closed"]
    if isinstance(verdict, ApprovedOrder):
        note = send(desk.broker, desk.journal, verdict)
        notes += [note] if note else []
        book_new_fills(desk, [book.symbol])
    return notes


def _cancel(desk: Desk, record: OrderRecord) -> list[str]:
    symbol, client_order_id = record.request.symbol, record.client_order_id
    notes = []
    try:
        desk.broker.cancel(symbol, client_order_id)
    except (ExchangeRejected, ExchangeUnavailable, OutcomeUnknown) as error:
        notes.append(f"{client_order_id}: cancel, {error}")
    for one in resting_orders(desk, record.strategy, symbol):
        if one.request.list_id == record.request.list_id:
            _refresh(desk, one)
    return notes


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
    except ExchangeUnavailable:
        return  # the next tick asks again
    told = found and (found.status, found.quantity)
    if found is not None and told != (record.status, record.request.quantity):
        desk.journal.record_outcome(found, desk.now)


def _one_of_each_list(records: Sequence[OrderRecord]) -> list[OrderRecord]:
    named = {record.request.list_id or record.client_order_id: record for record in records}
    return list(named.values())
