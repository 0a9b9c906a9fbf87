"""Keep the protective orders of a position at the exchange: place, move, release.

A lone stop is moved by one request that cancels and places, a pair by two with nothing between
them. What cannot be placed closes the position, with an alarm. Running it again is always safe.

Add here: a way to keep protection in place. Keep out: where it should stand (see `stops`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from thunes_core.domain.orders import (
    ZERO,
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
from thunes_core.trading.resting import entry_in_part, of_one_list, resting_orders
from thunes_core.trading.send import deliver, intent_of, send

Judge = Callable[[OrderRequest], ApprovedOrder | RefusedOrder]
Wish = Callable[[Position], stops.Protected | None]
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class _Try:
    """One try to make what rests fit: what people should know, and whether to try again."""

    notes: list[str]
    again: bool = False


def take_back(desk: Desk, records: Sequence[OrderRecord]) -> list[str]:
    """Cancel orders, each with its whole list, and book what they did; return notes.

    An answer that is missing is noted; what is known afterwards stands in the journal.
    """
    named = {one.request.list_id or one.client_order_id: one for one in records}
    notes = [note for record in named.values() for note in _cancel(desk, record)]
    book_new_fills(desk, {record.request.symbol for record in records})
    return notes


def guard(desk: Desk, strategy: str, symbol: str, wish: Wish, judge: Judge) -> list[str]:
    """Make what rests for a book what `wish` says of it (None: nothing).

    What an executed stop or a lost cancel changed meanwhile is seen to at once, a few times at
    most. An entry that was filled in part is taken back with the sells that wait for the whole.
    """
    notes = list[str]()
    for _ in range(ROUNDS):
        tried = _fit(desk, strategy, symbol, wish, judge)
        notes += tried.notes
        if not tried.again:
            break
    return notes


def _fit(desk: Desk, strategy: str, symbol: str, wish: Wish, judge: Judge) -> _Try:
    journal = desk.journal
    part = _in_part(desk, strategy, symbol)
    records = resting_orders(journal, strategy, symbol)
    book = journal.position(strategy, symbol)
    if book is None or any(record.status.is_in_flight for record in records):
        return _Try([])  # resolved first, by the next tick
    free = replace(book, quantity=sellable(journal.open_orders(), book))
    protected = wish(free)
    rests = stops.resting(records)
    if part is None and (rests == protected or (protected and protected.fits(rests))):
        return _Try([])
    if protected is None:
        return _Try(take_back(desk, records))
    bar = book.last_bar or desk.now
    attempt = len(journal.orders_of(strategy, symbol, bar))
    requests = stops.requests_for(protected, book, bar, desk.instruments[symbol], attempt)
    verdicts = [judge(request) for request in requests]
    refused = [v for v in verdicts if isinstance(v, RefusedOrder)]
    if refused:
        return _Try([f"{symbol}: not protected at the exchange, {refused[0].why}"])
    approved = [v for v in verdicts if isinstance(v, ApprovedOrder)]
    return _put(desk, book, bar, approved, [part] if part else records, judge)


def _in_part(desk: Desk, strategy: str, symbol: str) -> OrderRecord | None:
    """Return the entry that was filled in part, as the exchange knows it now."""
    found = entry_in_part(desk.journal, strategy, symbol)
    if found is None:
        return None
    _refresh_list(desk, found)
    book_new_fills(desk, [symbol])
    return entry_in_part(desk.journal, strategy, symbol)


def _put(
    desk: Desk,
    book: Position,
    bar: datetime,
    approved: Sequence[ApprovedOrder],
    old: Sequence[OrderRecord],
    judge: Judge,
) -> _Try:
    """Place protection in place of the `old` orders.

    One request does both where the exchange has one. Two follow each other with nothing between
    them where a pair is placed: what must be durable is so before the first leaves.
    """
    instrument = desk.instruments[book.symbol]
    moved = _movable(approved, old, replaces=instrument.replaces)
    notes = take_back(desk, old) if old and moved is None else []
    fresh = desk.journal.position(book.strategy, book.symbol)
    if fresh is None or fresh.quantity != book.quantity:
        return _Try(notes, again=True)  # a stop went off meanwhile, or more was bought
    intents = [intent_of(one, book.strategy, bar, desk.now) for one in approved]
    desk.journal.record_intents(fresh, intents)
    note = deliver(desk.broker, desk.journal, approved, _request(desk, approved, moved))
    if moved is not None:
        _refresh_list(desk, moved)
        book_new_fills(desk, [book.symbol])
    if note:
        notes += [note, *_unprotected(desk, book, bar, approved, judge)]
    return _Try(notes, again=_has_changed(desk, book) or _left_bare(desk, book, approved, moved))


def _movable(
    approved: Sequence[ApprovedOrder], old: Sequence[OrderRecord], *, replaces: bool
) -> OrderRecord | None:
    """Return the order whose place, with its list, the new ones can take; None: release first."""
    lists = {one.request.list_id or one.client_order_id for one in old}
    if len(lists) != 1:
        return None
    if len(approved) == 2:
        return old[0]
    lone = replaces and len(old) == 1 and approved[0].request.leg is Leg.STOP
    return old[0] if lone else None


def _left_bare(
    desk: Desk, book: Position, approved: Sequence[ApprovedOrder], moved: OrderRecord | None
) -> bool:
    """True when what was moved is gone, and what was to follow it never left."""
    tried = desk.journal.order(approved[0].request.client_order_id)
    never_left = tried is not None and tried.code == NEVER_LEFT
    resting = resting_orders(desk.journal, book.strategy, book.symbol)
    return moved is not None and never_left and not resting


def _has_changed(desk: Desk, book: Position) -> bool:
    """True when something is held, but not what was held before."""
    fresh = desk.journal.position(book.strategy, book.symbol)
    return fresh is not None and fresh.is_open and fresh.quantity != book.quantity


def _request(
    desk: Desk, approved: Sequence[ApprovedOrder], moved: OrderRecord | None
) -> Callable[[], Sequence[Order]]:
    """Return the request that places `approved`, in place of `moved` where there is one."""
    broker, first = desk.broker, approved[0]
    if moved is None and len(approved) == 2:
        return lambda: broker.submit_pair(first, approved[1])
    if moved is None:
        return lambda: (broker.submit(first),)
    if len(approved) == 1:
        return lambda: (broker.replace(moved.client_order_id, first),)
    beside = of_one_list(desk.journal, moved)
    done = sum((one.executed_quantity for one in beside), ZERO)
    return lambda: broker.replace_by_pair(moved.client_order_id, done, first, approved[1])


def _unprotected(
    desk: Desk, book: Position, bar: datetime, approved: Sequence[ApprovedOrder], judge: Judge
) -> list[str]:
    """Close a position whose protection the exchange refused; leave unknown outcomes alone."""
    book_new_fills(desk, [book.symbol])
    fresh = desk.journal.position(book.strategy, book.symbol)
    tried = desk.journal.order(approved[0].request.client_order_id)
    if tried is None or tried.status is not OrderStatus.REJECTED or tried.code == NEVER_LEFT:
        return []
    if fresh is None or not fresh.is_open or fresh.quantity != book.quantity:
        return []  # tried again with what is held now
    if resting_orders(desk.journal, book.strategy, book.symbol):
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
    _refresh_list(desk, record)
    return notes


def _refresh_list(desk: Desk, record: OrderRecord) -> None:
    """Store what the exchange says now of an order and of those that end with it."""
    for one in of_one_list(desk.journal, record):
        _refresh(desk, one)


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
