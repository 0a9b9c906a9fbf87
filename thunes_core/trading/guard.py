"""Keep the protective orders of a position at the exchange: place, move, release.

A lone stop takes the place of what rests by one request that cancels and places, a pair by two
with nothing between them, and only where that is worth the moment without. While the fate or the
fills of another order of the book are not known, what rests stays. What cannot be placed closes the
position, with an alarm. Running it again is always safe.

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
    OrderStatus,
    RefusedOrder,
    Side,
)
from thunes_core.domain.portfolio import Position
from thunes_core.domain.records import OrderRecord
from thunes_core.errors import ExchangeRejected, ExchangeUnavailable, OutcomeUnknown
from thunes_core.trading import stops
from thunes_core.trading.leave import Judge, leave, leave_if_sold
from thunes_core.trading.reconcile import Desk, book_new_fills
from thunes_core.trading.resolve import NEVER_LEFT, NOT_EXECUTED
from thunes_core.trading.resting import (
    entry_in_part,
    fills_in_parts,
    of_one_list,
    resting_orders,
)
from thunes_core.trading.send import deliver, heed, intent_of

CANCELS = 2
"""How often a cancel is sent at most, while no answer comes."""
Wish = Callable[[Position], stops.Protected | None]
ROUNDS = 3
TRIES = 2
"""How often protection that the exchange refuses is asked for before the position is closed."""
MOST_UNANSWERED = 3
"""How often it may have no answer: at Binance a minute, until each is known not to have come."""


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
    lists = [of_one_list(desk.journal, record) for record in named.values()]
    notes = [note for one in lists for note in cancel(desk, one)]
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
    part = _in_part(desk, strategy, symbol)
    records = resting_orders(desk.journal, strategy, symbol)
    book = desk.journal.position(strategy, symbol)
    if book is None or any(record.status.is_in_flight for record in records):
        return _Try([])  # resolved first
    if records and _is_unsettled(desk, strategy, symbol):
        return _Try([])  # how much is held is not known yet
    rests, instrument = stops.resting(records), desk.instruments[symbol]
    protected = wish(book)
    if part is None and stops.fits(rests, protected, instrument):
        return _Try([])
    if protected is None:
        return _Try(take_back(desk, records))
    protected = _placeable(desk, book, protected, judge)
    if part is None and stops.fits(rests, protected, instrument):
        return _Try([])
    if not records and _unanswered(desk, book) >= MOST_UNANSWERED:
        why = f"protection was not answered {MOST_UNANSWERED} times"
        return _Try(leave(desk, book, protected.stop_reason, judge, why))
    if (part or records) and protected.stop:
        protected = protected.without_activation()  # one request: the trail takes its place later
    return _place(desk, book, protected, judge)


def _placeable(
    desk: Desk, book: Position, protected: stops.Protected, judge: Judge
) -> stops.Protected:
    """Return `protected` without a target that the gate does not let be placed: the stop counts."""
    if protected.stop is None or protected.target is None:
        return protected
    alone = replace(protected, target=None)
    refused = _refusal(desk, book, protected, judge)
    return protected if not refused or _refusal(desk, book, alone, judge) else alone


def _refusal(desk: Desk, book: Position, protected: stops.Protected, judge: Judge) -> str:
    """Return why the gate does not let `protected` be placed, or nothing."""
    bar, instrument = book.last_bar or desk.now, desk.instruments[book.symbol]
    asked = map(judge, stops.requests_for(protected, book, bar, instrument, 0))
    return next((one.why for one in asked if isinstance(one, RefusedOrder)), "")


def _in_part(desk: Desk, strategy: str, symbol: str) -> OrderRecord | None:
    """Return the entry that was filled in part, as the exchange knows it now."""
    found = entry_in_part(desk.journal, strategy, symbol)
    if found is None:
        return None
    _refresh_list(desk, found)
    book_new_fills(desk, [symbol])
    return entry_in_part(desk.journal, strategy, symbol)


def _is_unsettled(desk: Desk, strategy: str, symbol: str) -> bool:
    """True while a buy or sale of the book is in flight, or executed more than is booked."""
    return any(
        record.status.is_in_flight or record.executed_quantity > record.booked_quantity
        for record in desk.journal.open_orders()
        if (record.strategy, record.request.symbol) == (strategy, symbol)
        and not record.request.rests
    )


def _unanswered(desk: Desk, book: Position) -> int:
    """Count the attempts to protect, since the last decision, that had no answer and never came."""
    records = desk.journal.orders_of(book.strategy, book.symbol, book.last_bar or desk.now)
    lost = (r for r in records if r.request.rests and r.code == NOT_EXECUTED)
    return len({record.request.list_id or record.client_order_id for record in lost})


def _place(desk: Desk, book: Position, protected: stops.Protected, judge: Judge) -> _Try:
    """Place `protected`, once more where it is refused; then the position is closed."""
    bar, notes = book.last_bar or desk.now, list[str]()
    for _ in range(TRIES):
        attempt = len(desk.journal.orders_of(book.strategy, book.symbol, bar))
        requests = stops.requests_for(protected, book, bar, desk.instruments[book.symbol], attempt)
        if not requests:
            return _Try(notes)
        verdicts = [judge(request) for request in requests]
        refused = [v for v in verdicts if isinstance(v, RefusedOrder)]
        if refused:
            why = refused[0].why
            notes.append(f"{book.symbol}: not protected at the exchange, {why}")
            return _Try([*notes, *leave_if_sold(desk, book, requests[0].reason, judge, why)])
        approved = [v for v in verdicts if isinstance(v, ApprovedOrder)]
        tried = _put(desk, book, bar, approved)
        notes += tried.notes
        if tried.again or not _was_refused(desk, book, approved[0]):
            return _Try(notes, tried.again)
        protected = protected.without_activation()
    reason = approved[0].request.reason
    return _Try([*notes, *leave(desk, book, reason, judge, "protection was refused")])


def _was_refused(desk: Desk, book: Position, approved: ApprovedOrder) -> bool:
    """True when the exchange refused to protect a book, and nothing else rests for it."""
    tried = desk.journal.order(approved.request.client_order_id)
    if tried is None or tried.status is not OrderStatus.REJECTED or tried.code == NEVER_LEFT:
        return False
    book_new_fills(desk, [book.symbol])
    return not resting_orders(desk.journal, book.strategy, book.symbol)


def _put(
    desk: Desk,
    book: Position,
    bar: datetime,
    approved: Sequence[ApprovedOrder],
) -> _Try:
    """Place protection in place of what rests, or of an entry that was filled in part.

    One request does both where the exchange has one. Two follow each other with nothing between
    them where a pair is placed: what must be durable is so before the first leaves.
    """
    part = entry_in_part(desk.journal, book.strategy, book.symbol)
    old = [part] if part else resting_orders(desk.journal, book.strategy, book.symbol)
    instrument = desk.instruments[book.symbol]
    moved = _movable(approved, old, replaces=instrument.replaces)
    notes = take_back(desk, old) if old and moved is None else []
    fresh = desk.journal.position(book.strategy, book.symbol)
    if fresh is None or fresh.quantity != book.quantity:
        return _Try(notes, again=True)  # a stop went off meanwhile, or more was bought
    rests = resting_orders(desk.journal, book.strategy, book.symbol)
    if any(moved is None or one.status.is_in_flight for one in rests):
        return _Try(notes)  # the old one rests, or may: nothing is put beside it
    intents = [intent_of(one, book.strategy, bar, desk.now) for one in approved]
    desk.journal.record_intents(fresh, intents)
    note = deliver(desk.broker, desk.journal, approved, _request(desk, approved, moved))
    if moved is not None:
        _refresh_list(desk, moved)
        book_new_fills(desk, [book.symbol])
        if len(approved) == 2 and _never_left(desk, approved):
            _doubt(desk, [one.client_order_id for one in of_one_list(desk.journal, moved)])
    notes += [note] if note else []
    return _Try(notes, again=_has_changed(desk, book) or _left_bare(desk, book, approved, moved))


def _movable(
    approved: Sequence[ApprovedOrder], old: Sequence[OrderRecord], *, replaces: bool
) -> OrderRecord | None:
    """Return the order whose place, with its list, the new ones can take; None: release first."""
    lists = {one.request.list_id or one.client_order_id for one in old}
    if len(lists) != 1:
        return None
    moved = fills_in_parts(old)
    if len(approved) == 2:
        return moved
    is_sold = moved.request.side is Side.SELL and moved.status is OrderStatus.PARTIALLY_FILLED
    at_once = replaces and not is_sold and approved[0].request.leg is Leg.STOP
    return moved if at_once else None


def _left_bare(
    desk: Desk, book: Position, approved: Sequence[ApprovedOrder], moved: OrderRecord | None
) -> bool:
    """True when what was moved is gone, and what was to follow it never left."""
    resting = resting_orders(desk.journal, book.strategy, book.symbol)
    return moved is not None and _never_left(desk, approved) and not resting


def _never_left(desk: Desk, approved: Sequence[ApprovedOrder]) -> bool:
    tried = desk.journal.order(approved[0].request.client_order_id)
    return tried is not None and tried.code == NEVER_LEFT


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
        sells = moved.request.side is Side.SELL
        return lambda: (broker.replace(moved.client_order_id, first, only_new=sells),)
    beside = of_one_list(desk.journal, moved)
    done = sum((one.executed_quantity for one in beside), ZERO)
    return lambda: broker.replace_by_pair(moved.client_order_id, done, first, approved[1])


def _refresh_list(desk: Desk, record: OrderRecord) -> None:
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
            desk.broker.cancel(symbol, ids[0])
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
        unanswered = False
        break
    refresh_all(desk, ids)
    if unanswered:
        _doubt(desk, ids)
    return notes


def _doubt(desk: Desk, ids: Sequence[str]) -> None:
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
