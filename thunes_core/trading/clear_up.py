"""Wait, ask and protect again within one tick, until nothing is unclear or bare, or time is over.

Until an outcome and its fills are known, a position may be held that nothing protects. All books
wait together: none waits for another's turn.

Add here: a reason to look again within the tick. Keep out: asking (`resolve`), placing (`guard`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from thunes_core.domain.instrument import floor_to_step
from thunes_core.domain.orders import OrderStatus, RefusedOrder
from thunes_core.domain.portfolio import Position
from thunes_core.domain.records import OrderRecord
from thunes_core.errors import ExchangeUnavailable
from thunes_core.trading.coins import uncovered
from thunes_core.trading.exits import leave_again, must_leave_again
from thunes_core.trading.floor import Floor, judge_of, priced_anew
from thunes_core.trading.guard import placeable
from thunes_core.trading.leave import leave
from thunes_core.trading.parts import next_step
from thunes_core.trading.reconcile import book_new_fills
from thunes_core.trading.refused import stands_refused
from thunes_core.trading.resolve import drop_lost, resolve
from thunes_core.trading.resting import resting_among
from thunes_core.trading.stops import Protected, requests_for
from thunes_core.trading.trade import protect, wanted_now
from thunes_core.trading.world import Study

PAUSES = tuple(timedelta(seconds=s) for s in (1, 1, 2, 3, *[5] * 14))
"""Between the looks: soon at first, for over a minute in all."""
A_MOMENT = timedelta(seconds=1)
WITHIN = sum(PAUSES, timedelta(0))
"""What cannot be protected within this time is sold."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """What it took (`notes`), and the symbols of which something is open all the same."""

    notes: tuple[str, ...] = ()
    uncertain: tuple[str, ...] = ()


def clear_up(floor: Floor, studies: Sequence[Study]) -> Cleared:
    """Look again until nothing is open; a book that is still bare at the end is sold.

    Not while all that is open was refused for good: the next tick asks again. Without a pause to
    wait with, nothing is waited for.
    """
    pause, now, notes = floor.world.pause, floor.desk.now, list[str]()
    for length in PAUSES:
        unclear = _unclear(floor, studies)
        if not unclear:
            return Cleared(tuple(dict.fromkeys(notes)))
        if pause is None:
            return Cleared(uncertain=_symbols(unclear))
        unclear = [study for study in unclear if not _stands_refused(floor, study)]
        if not unclear:
            break
        pause(_until_certain(floor, length, now))
        try:
            now = floor.desk.market.server_time()
            floor = priced_anew(floor, _judged_by_price(floor, unclear))
            notes += _look_again(floor, unclear, now)
        except ExchangeUnavailable as error:
            notes.append(f"clearing up: {error}")
    notes += [note for study in studies for note in _give_up(floor, study)]
    return Cleared(tuple(dict.fromkeys(notes)), _symbols(_unclear(floor, studies)))


def _stands_refused(floor: Floor, study: Study) -> bool:
    """True when the exchange takes neither protection nor sale of what is bare in this tick."""
    desk = floor.desk
    book = desk.journal.position(study.strategy, study.symbol)
    if book is None or not book.is_open:
        return False
    asked = desk.journal.orders_of(book.strategy, book.symbol, book.last_bar or desk.now)
    return stands_refused(asked, desk.now)


def _judged_by_price(floor: Floor, studies: Sequence[Study]) -> set[str]:
    """Return the symbols whose price tells where a trail of the exchange's begins."""
    return {symbol for symbol in _symbols(studies) if floor.follows(symbol)}


def _symbols(studies: Sequence[Study]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(study.symbol for study in studies))


def _until_certain(floor: Floor, length: timedelta, now: datetime) -> timedelta:
    """Return `length`, or less where the fate of an order can be known sooner.

    An order that nobody knows is proved not to exist once the broker's settle time has passed.
    """
    desk = floor.desk
    left = [
        record.submitted_at + desk.broker.settle_time + A_MOMENT - now
        for record in desk.journal.open_orders()
        if record.status is OrderStatus.UNKNOWN and record.submitted_at is not None
    ]
    return min([length, *(one for one in left if one > timedelta(0))])


def _look_again(floor: Floor, studies: Sequence[Study], now: datetime) -> list[str]:
    desk = floor.desk
    notes = resolve(desk.broker, desk.journal, now)
    book_new_fills(desk, _symbols(studies))
    notes += drop_lost(desk.broker, desk.journal, now)
    notes += [note for study in studies for note in leave_again(floor, study)]
    return [*notes, *(note for study in studies for note in protect(floor, study))]


def _unclear(floor: Floor, studies: Sequence[Study]) -> list[Study]:
    """Return those of which an order's fate, fills or exit are open, or protection is missing."""
    records = floor.desk.journal.open_orders()
    waited_for = {
        (record.strategy, record.request.symbol)
        for record in records
        if record.status.is_in_flight or record.status.is_final
    }
    books = {(book.strategy, book.symbol): book for book in floor.desk.journal.positions()}
    return [
        study
        for study in studies
        if (key := (study.strategy, study.symbol)) in waited_for
        or (key in books and _is_open_end(floor, study, books[key], records))
    ]


def _is_open_end(
    floor: Floor, study: Study, book: Position, records: Sequence[OrderRecord]
) -> bool:
    """True when a book lacks the exit that was decided, or protection, or has it though flat."""
    resting = resting_among(records, book.strategy, book.symbol)
    if (resting and not book.is_open) or must_leave_again(floor, book):
        return True
    return _missing(floor, study, book, records) is not None


def _missing(
    floor: Floor, study: Study, book: Position, records: Sequence[OrderRecord]
) -> Protected | None:
    """Return what should rest for a book, of which a part is bare, if the gate would let it."""
    instrument = floor.desk.instruments[book.symbol]
    bare = floor_to_step(uncovered(records, book), instrument.step_size)
    protected = wanted_now(floor, book) if bare > 0 else None
    if protected is None:
        return None
    ask = judge_of(floor, study)
    protected = placeable(floor.desk, book, protected, ask)
    resting = resting_among(records, book.strategy, book.symbol)
    step = next_step(resting, protected, instrument)
    if step is None or step.part is None or step.old:
        return None
    bar = book.last_bar or floor.desk.now
    asked = [ask(one) for one in requests_for(step.part, book, bar, instrument, 0)]
    refused = any(isinstance(one, RefusedOrder) for one in asked)
    return None if refused or not asked else protected


def _give_up(floor: Floor, study: Study) -> list[str]:
    """Sell what could not be protected in time."""
    journal = floor.desk.journal
    book = journal.position(study.strategy, study.symbol)
    protected = _missing(floor, study, book, journal.open_orders()) if book is not None else None
    if book is None or protected is None or _stands_refused(floor, study):
        return []
    why = f"not protected within {WITHIN.total_seconds():g} s"
    return leave(floor.desk, book, protected, judge_of(floor, study), why)
