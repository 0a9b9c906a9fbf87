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
from datetime import UTC, datetime

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
from thunes_core.trading import stops
from thunes_core.trading.leave import MOST_STEPS, Judge, leave, leave_if_sold
from thunes_core.trading.parts import Step, next_step
from thunes_core.trading.ports import Broker
from thunes_core.trading.reconcile import Desk, book_new_fills
from thunes_core.trading.refused import is_one_too_many, is_refused_for_good
from thunes_core.trading.release import doubt, refresh_list, take_back
from thunes_core.trading.resolve import NEVER_LEFT, NOT_EXECUTED
from thunes_core.trading.resting import (
    entry_in_part,
    fills_in_parts,
    of_one_list,
    resting_orders,
)
from thunes_core.trading.send import deliver, intent_of
from thunes_core.trading.sizes import learn_size

Wish = Callable[[Position], stops.Protected | None]
ROUNDS = 3
TRIES = 2
"""How often protection that the exchange refuses is asked for before the position is closed."""
MOST_UNANSWERED = 3
"""How often it may have no answer: at Binance a minute, until each is known not to have come."""


@dataclass(frozen=True, slots=True)
class _Try:
    """One try to make what rests fit: what people should know, and whether to try again.

    `onward` is True when that is no repetition: a part was placed, or a smaller one may be taken.
    """

    notes: list[str]
    again: bool = False
    onward: bool = False


def guard(desk: Desk, strategy: str, symbol: str, wish: Wish, judge: Judge) -> list[str]:
    """Make what rests for a book what `wish` says of it (None: nothing).

    What an executed stop or a lost cancel changed meanwhile is seen to at once, a few times at
    most. The parts of what one order may not carry follow each other, until a few had no answer. An
    entry that was filled in part is taken back with the sells that wait for the whole.
    """
    notes, left = list[str](), ROUNDS
    for _ in range(MOST_STEPS):
        tried = _fit(desk, strategy, symbol, wish, judge)
        notes += tried.notes
        left -= not tried.onward
        if not tried.again or not left:
            break
    return notes


def _fit(desk: Desk, strategy: str, symbol: str, wish: Wish, judge: Judge) -> _Try:
    part = _in_part(desk, strategy, symbol)
    records = resting_orders(desk.journal, strategy, symbol)
    book = desk.journal.position(strategy, symbol)
    if book is None:
        return _Try([])
    instrument, moves = desk.instruments[symbol], not (records and _is_unsettled(desk, book))
    protected = wish(book)
    if protected is None or (part is not None and not moves):
        return _Try(take_back(desk, records) if records and moves else [])
    if part is None and next_step(records, protected, instrument, moves=moves) is None:
        return _Try([])
    protected = placeable(desk, book, protected, judge)
    step = next_step(records, protected, instrument, moves=moves)
    if part is not None:
        step = Step(protected.part(protected.quantity, instrument.step_size), (part,))
    if step is None:
        return _Try([])
    if not (records and step.old) and _unanswered(desk, book) >= MOST_UNANSWERED:
        why = f"protection was not answered {MOST_UNANSWERED} times"
        return _Try(leave(desk, book, protected, judge, why))
    return _take(desk, book, step, judge)


def _take(desk: Desk, book: Position, step: Step, judge: Judge) -> _Try:
    """Do one step; what takes the place of another does so in one request where that can be.

    That is why a stop goes without the trail that begins later, which takes its place then. So does
    a part: five stops and trails are what an exchange takes of a symbol, as a rule.
    """
    part = step.part
    if part is None:
        notes = take_back(desk, step.old)
        gone = not _still_resting(desk, book, step.old)
        return _Try(notes, again=gone, onward=gone)
    if part.stop and (step.old or not step.completes):
        part = part.without_activation()
    return _place(desk, book, step, part, judge)


def placeable(
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
    part = protected.part(protected.quantity, instrument.step_size)
    asked = map(judge, stops.requests_for(part, book, bar, instrument, 0))
    return next((one.why for one in asked if isinstance(one, RefusedOrder)), "")


def _in_part(desk: Desk, strategy: str, symbol: str) -> OrderRecord | None:
    """Return the entry that was filled in part, as the exchange knows it now."""
    found = entry_in_part(desk.journal, strategy, symbol)
    if found is None:
        return None
    refresh_list(desk, found)
    book_new_fills(desk, [symbol])
    return entry_in_part(desk.journal, strategy, symbol)


def _is_unsettled(desk: Desk, book: Position) -> bool:
    """True while an order of the book is in flight, or a buy or sale did more than is booked."""
    return any(
        record.status.is_in_flight
        or (not record.request.rests and record.executed_quantity > record.booked_quantity)
        for record in desk.journal.open_orders()
        if (record.strategy, record.request.symbol) == (book.strategy, book.symbol)
    )


def _unanswered(desk: Desk, book: Position) -> int:
    """Count the attempts to protect, since the last decision, that had no answer and never came.

    What was sent before it was known of another belongs to the same attempt.
    """
    records = desk.journal.orders_of(book.strategy, book.symbol, book.last_bar or desk.now)
    lost = (r for r in records if r.request.rests and r.code == NOT_EXECUTED)
    count, known = 0, datetime.min.replace(tzinfo=UTC)
    for sent in sorted({record.submitted_at or record.intended_at for record in lost}):
        if sent >= known:
            count, known = count + 1, sent + desk.broker.settle_time
    return count


def _place(desk: Desk, book: Position, step: Step, part: stops.Protected, judge: Judge) -> _Try:
    """Place `part`, once more where it is refused; then what nothing protects is sold.

    Where the exchange counts the old order beside the new one, and takes no more, the old one is
    cancelled before.
    """
    bar, notes, in_place = book.last_bar or desk.now, list[str](), True
    for _ in range(TRIES):
        attempt = len(desk.journal.orders_of(book.strategy, book.symbol, bar))
        requests = stops.requests_for(part, book, bar, desk.instruments[book.symbol], attempt)
        if not requests:
            return _Try(notes)
        verdicts = [judge(request) for request in requests]
        refused = [v for v in verdicts if isinstance(v, RefusedOrder)]
        if refused:
            why = refused[0].why
            notes.append(f"{book.symbol}: not protected at the exchange, {why}")
            return _Try([*notes, *leave_if_sold(desk, book, part, judge, why)])
        approved = [v for v in verdicts if isinstance(v, ApprovedOrder)]
        ids = [one.request.client_order_id for one in approved]
        tried = _put(desk, book, bar, approved, step.old, in_place=in_place)
        notes += tried.notes
        placed = desk.journal.order(ids[0])
        if part.beside and placed is not None and is_refused_for_good(placed):
            return _Try(notes, again=True, onward=True)  # it moves whole
        if in_place and step.old and is_one_too_many(placed):
            in_place = False
            continue
        if learn_size(desk, ids, part.lowest):
            return _Try(notes, again=True, onward=True)
        if tried.again or not _was_refused(desk, book, approved[0], step.old):
            rests = None if step.completes else _open_one(desk, approved[0])
            onward = rests is not None and not rests.status.is_in_flight
            return _Try(notes, tried.again or rests is not None, onward)
        part = part.without_activation()
    return _Try([*notes, *leave(desk, book, part, judge, "protection was refused")])


def _open_one(desk: Desk, approved: ApprovedOrder) -> OrderRecord | None:
    """Return an order that rests at the exchange, or may; None for one that does not."""
    placed = desk.journal.order(approved.request.client_order_id)
    return None if placed is None or placed.status.is_final else placed


def _was_refused(
    desk: Desk, book: Position, approved: ApprovedOrder, old: Sequence[OrderRecord]
) -> bool:
    """True when the exchange refused to protect a book, and what was there before is gone."""
    tried = desk.journal.order(approved.request.client_order_id)
    if tried is None or tried.status is not OrderStatus.REJECTED or tried.code == NEVER_LEFT:
        return False
    book_new_fills(desk, [book.symbol])
    return not _still_resting(desk, book, old)


def _still_resting(desk: Desk, book: Position, old: Sequence[OrderRecord]) -> list[OrderRecord]:
    """Return those of `old` that protect the book yet, as they are now."""
    ids = {one.client_order_id for one in old}
    now = resting_orders(desk.journal, book.strategy, book.symbol)
    return [one for one in now if one.client_order_id in ids]


def _put(
    desk: Desk,
    book: Position,
    bar: datetime,
    approved: Sequence[ApprovedOrder],
    replaced: Sequence[OrderRecord],
    *,
    in_place: bool,
) -> _Try:
    """Place protection in place of what rests, or of an entry that was filled in part; or beside.

    One request does both where the exchange has one. Two follow each other with nothing between
    them where a pair is placed: what must be durable is so before the first leaves.
    """
    part = entry_in_part(desk.journal, book.strategy, book.symbol)
    old = [part] if part else _still_resting(desk, book, replaced)
    replaces = in_place and desk.instruments[book.symbol].replaces
    moved = _movable(approved, old, replaces=replaces)
    notes = take_back(desk, old) if old and moved is None else []
    fresh = desk.journal.position(book.strategy, book.symbol)
    if fresh is None or fresh.quantity != book.quantity or _sold_some(desk, old):
        return _Try(notes, again=True)  # a stop went off meanwhile, or more was bought
    rests = _still_resting(desk, book, replaced)
    if any(moved is None or one.status.is_in_flight for one in rests):
        return _Try(notes)  # the old one rests, or may: nothing is put beside it
    intents = [intent_of(one, book.strategy, bar, desk.now) for one in approved]
    desk.journal.record_intents(fresh, intents)
    note = deliver(desk.broker, desk.journal, approved, _request(desk, approved, moved))
    if moved is not None:
        refresh_list(desk, moved)
        book_new_fills(desk, [book.symbol])
        if len(approved) == 2 and _never_left(desk, approved):
            doubt(desk, [one.client_order_id for one in of_one_list(desk.journal, moved)])
    notes += [note] if note else []
    bare = moved is not None and _left_bare(desk, book, approved, replaced)
    return _Try(notes, again=_has_changed(desk, book) or bare)


def _sold_some(desk: Desk, old: Sequence[OrderRecord]) -> bool:
    """True when what was cancelled had sold more than can be booked yet."""
    ended = filter(None, (desk.journal.order(one.client_order_id) for one in old))
    return any(
        one.request.rests and one.status.is_final and one.executed_quantity > one.booked_quantity
        for one in ended
    )


def _movable(
    approved: Sequence[ApprovedOrder], old: Sequence[OrderRecord], *, replaces: bool
) -> OrderRecord | None:
    """Return the order whose place, with its list, the new ones can take; None: release first."""
    lists = {one.request.group for one in old}
    if len(lists) != 1:
        return None
    moved = fills_in_parts(old)
    if len(approved) == 2:
        return moved
    is_sold = moved.request.side is Side.SELL and moved.status is OrderStatus.PARTIALLY_FILLED
    at_once = replaces and not is_sold and approved[0].request.leg is Leg.STOP
    return moved if at_once else None


def _left_bare(
    desk: Desk, book: Position, approved: Sequence[ApprovedOrder], old: Sequence[OrderRecord]
) -> bool:
    """True when what was moved is gone, and what was to follow it never left."""
    return _never_left(desk, approved) and not _still_resting(desk, book, old)


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
    if moved is None:
        return placing(broker, approved)
    if len(approved) == 1:
        sells = moved.request.side is Side.SELL
        return lambda: (broker.replace(moved.client_order_id, first, only_new=sells),)
    beside = of_one_list(desk.journal, moved)
    done = sum((one.executed_quantity for one in beside), ZERO)
    return lambda: broker.replace_by_pair(moved.client_order_id, done, first, approved[1])


def placing(broker: Broker, approved: Sequence[ApprovedOrder]) -> Callable[[], Sequence[Order]]:
    """Return the request that places a stop, or a pair, beside what rests."""
    if len(approved) == 2:
        return lambda: broker.submit_pair(approved[0], approved[1])
    return lambda: (broker.submit(approved[0]),)
