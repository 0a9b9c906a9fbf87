"""Keep the protective orders of a position at the exchange: place, move, release.

A lone stop is moved by one request that cancels and places. A pair is cancelled and placed anew,
and only where that is worth the moment without. While the fate or the fills of another order of the
book are not known, what rests stays. What cannot be placed closes the position, with an alarm.
Running it again is always safe.

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
from thunes_core.trading.resolve import ALARM, NEVER_LEFT, NOT_EXECUTED
from thunes_core.trading.send import deliver, intent_of, send

CANCELS = 2
"""How often a cancel is sent at most, while no answer comes."""
Judge = Callable[[OrderRequest], ApprovedOrder | RefusedOrder]
TRIES = 2
"""How often protection that the exchange refuses is asked for before the position is closed."""
MOST_UNANSWERED = 3
"""How often it may have no answer: at Binance a minute, until each is known not to have come."""


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
        for records in _by_list(resting_orders(desk, strategy, symbol))
        for note in cancel(desk, records)
    ]
    book_new_fills(desk, [symbol])
    return notes


def in_doubt(desk: Desk, strategy: str, symbol: str) -> bool:
    """True when it is not known whether a protective order of a book rests."""
    return any(one.status.is_in_flight for one in resting_orders(desk, strategy, symbol))


def guard(
    desk: Desk, strategy: str, symbol: str, protected: stops.Protected | None, judge: Judge
) -> list[str]:
    """Make what rests for a book equal to `protected` (None: nothing)."""
    records = resting_orders(desk, strategy, symbol)
    if in_doubt(desk, strategy, symbol):
        return []  # resolved first
    if records and _is_unsettled(desk, strategy, symbol):
        return []  # how much is held is not known yet
    if stops.fits(stops.resting(records), protected, desk.instruments[symbol]):
        return []
    book = desk.journal.position(strategy, symbol)
    if protected is None or book is None:
        return release(desk, strategy, symbol)
    if not records and _unanswered(desk, book) >= MOST_UNANSWERED:
        why = f"protection was not answered {MOST_UNANSWERED} times"
        return leave(desk, book, protected.stop_reason, judge, why)
    return _place(desk, book, protected, judge)


def is_bare(records: Sequence[OrderRecord], book: Position) -> bool:
    """True when a book holds coins that no open order among `records` speaks for."""
    rests = any(
        (record.strategy, record.request.symbol) == (book.strategy, book.symbol)
        and record.request.rests
        and not record.status.is_final
        for record in records
    )
    return not rests and sellable(records, book) > 0


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


def _place(desk: Desk, book: Position, protected: stops.Protected, judge: Judge) -> list[str]:
    """Place `protected`, once more where it is refused; then the position is closed."""
    bar, notes = book.last_bar or desk.now, list[str]()
    for _ in range(TRIES):
        attempt = len(desk.journal.orders_of(book.strategy, book.symbol, bar))
        requests = stops.requests_for(protected, book, bar, desk.instruments[book.symbol], attempt)
        verdicts = [judge(request) for request in requests]
        refused = [v for v in verdicts if isinstance(v, RefusedOrder)]
        if refused:
            return [*notes, f"{book.symbol}: not protected at the exchange, {refused[0].why}"]
        approved = [v for v in verdicts if isinstance(v, ApprovedOrder)]
        records = resting_orders(desk, book.strategy, book.symbol)
        notes += _put(desk, book, bar, approved, records)
        if not _was_refused(desk, book, approved[0]):
            return notes
    reason = approved[0].request.reason
    return [*notes, *leave(desk, book, reason, judge, "protection was refused")]


def _was_refused(desk: Desk, book: Position, approved: ApprovedOrder) -> bool:
    """True when the exchange refused to protect a book, and nothing else rests for it."""
    tried = desk.journal.order(approved.request.client_order_id)
    if tried is None or tried.status is not OrderStatus.REJECTED or tried.code == NEVER_LEFT:
        return False
    book_new_fills(desk, [book.symbol])
    return not resting_orders(desk, book.strategy, book.symbol)


def _put(
    desk: Desk,
    book: Position,
    bar: datetime,
    approved: Sequence[ApprovedOrder],
    records: Sequence[OrderRecord],
) -> list[str]:
    lone = len(approved) == len(records) == 1 and approved[0].request.leg is Leg.STOP
    movable = lone and desk.instruments[book.symbol].replaces
    notes = [] if movable else release(desk, book.strategy, book.symbol)
    fresh = desk.journal.position(book.strategy, book.symbol)
    if fresh is None or fresh.quantity != book.quantity:
        return notes  # a stop went off meanwhile
    if in_doubt(desk, book.strategy, book.symbol):
        return notes  # the old one may still rest: asked after first
    intents = [intent_of(one, book.strategy, bar, desk.now) for one in approved]
    desk.journal.record_intents(fresh, intents)
    moved = records[0].client_order_id if movable else ""
    note = deliver(desk.broker, desk.journal, approved, lambda: _request(desk, approved, moved))
    if movable:
        _refresh(desk, records[0])
    return [*notes, note] if note else notes


def _request(desk: Desk, approved: Sequence[ApprovedOrder], moved: str) -> Sequence[Order]:
    if len(approved) == 2:
        return desk.broker.submit_pair(approved[0], approved[1])
    if moved:
        return (desk.broker.replace(moved, approved[0]),)
    return (desk.broker.submit(approved[0]),)


def leave(desk: Desk, book: Position, reason: str, judge: Judge, why: str) -> list[str]:
    """Sell at the market what a book holds and nothing protects, with an alarm that says `why`."""
    fresh = desk.journal.position(book.strategy, book.symbol)
    if fresh is None or not is_bare(desk.journal.open_orders(), fresh):
        return []  # a sale under way may have taken it all: asked after, never repeated
    bar, instrument = fresh.last_bar or desk.now, desk.instruments[book.symbol]
    attempt = len(desk.journal.orders_of(book.strategy, book.symbol, bar))
    free = sellable(desk.journal.open_orders(), fresh)
    verdict = judge(within(exit_request(fresh, bar, instrument, reason, attempt), free, instrument))
    desk.journal.record_intents(fresh, [intent_of(verdict, book.strategy, bar, desk.now)])
    if isinstance(verdict, RefusedOrder):
        return [f"{ALARM} {book.symbol}: {why}, and so is its sale: {verdict.why}"]
    notes = [f"{ALARM} {book.symbol}: {why}, the position is closed"]
    note = send(desk.broker, desk.journal, verdict)
    book_new_fills(desk, [book.symbol])
    return [*notes, note] if note else notes


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


def _by_list(records: Sequence[OrderRecord]) -> list[list[OrderRecord]]:
    lists: dict[str, list[OrderRecord]] = {}
    for record in records:
        lists.setdefault(record.request.list_id or record.client_order_id, []).append(record)
    return list(lists.values())
