"""One study in one tick: look, decide, ask the gate, make the intent durable, send, protect.

Add here: a step between looking and sending. Keep out: what the whole account shares (`step`),
sending and booking (`act`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import partial

from thunes_core.domain.filters import Open, too_many
from thunes_core.domain.orders import (
    ZERO,
    ApprovedOrder,
    Leg,
    OrderRequest,
    Side,
)
from thunes_core.domain.portfolio import Position
from thunes_core.domain.records import DecisionContext, OrderRecord
from thunes_core.errors import (
    BadInput,
    ExchangeRejected,
    ExchangeUnavailable,
    NoChampion,
)
from thunes_core.indicators.columns import Columns, columns_of
from thunes_core.trading.act import Known, Outcome, Verdict, send_all
from thunes_core.trading.coins import is_spoken_for, sellable, within
from thunes_core.trading.decide import View, decide
from thunes_core.trading.enter import ended_unfilled, enter_again, go_on, judged
from thunes_core.trading.exits import between_bars, exit_again, must_leave_again
from thunes_core.trading.floor import Floor, entry_facts, facts_of, judge_of, standing_of
from thunes_core.trading.guard import guard
from thunes_core.trading.in_doubt import protect_doubtful
from thunes_core.trading.look import Sight, look
from thunes_core.trading.portions import portion
from thunes_core.trading.protect import AT_OPEN, LATE, Watch, watch_bars, watch_price
from thunes_core.trading.refused import is_refused_for_good
from thunes_core.trading.release import take_back
from thunes_core.trading.resting import (
    entry_in_part,
    waiting_among,
    waiting_entry,
)
from thunes_core.trading.send import heed, intents_of
from thunes_core.trading.stops import Protected, wanted
from thunes_core.trading.waiting import Waits, at_new_bar, entered
from thunes_core.trading.world import Study

MAX_WATCHED_BARS = 1000
ONE_PAIR = Open(orders=2, algo_orders=1, lists=1)


def trade(floor: Floor, study: Study, book: Position) -> Outcome:
    """Decide on the newest closed bar of `study` if that was not done, act on it, protect."""
    notes = list[str]()
    try:
        book = _while_active(floor, study, book)
        if entry_in_part(floor.desk.journal, study.strategy, study.symbol) is not None:
            notes += protect(floor, study)  # before anything that takes time
            book = floor.desk.journal.position(study.strategy, study.symbol) or book
        done = exit_again(floor, study, _look_and_act(floor, study, book))
    except (BadInput, ExchangeRejected, ExchangeUnavailable) as error:
        heed(floor.desk.journal, error)
        done = Outcome(notes=(f"{study.key}: {error}",))
    return replace(done, notes=(*notes, *done.notes, *protect(floor, study)))


def keep(floor: Floor, study: Study, book: Position) -> Outcome:
    """Look after a book that no study trades any more: its protection stays in force."""
    try:
        book = _while_active(floor, study, book, traded=False)
        done = _watch(floor, study, book)
    except (BadInput, ExchangeRejected, ExchangeUnavailable) as error:
        heed(floor.desk.journal, error)
        done = Outcome(notes=(f"{study.symbol}: {error}",))
    said = (
        f"{study.strategy} holds {study.symbol}, but no study trades it any more; its protection "
        "is kept; configure it again, or sell it"
    )
    return replace(done, notes=(said, *done.notes, *protect(floor, study)))


def _while_active(floor: Floor, study: Study, book: Position, *, traded: bool = True) -> Position:
    """Withdraw a resting entry that nobody may fill any more; return the book with its fills."""
    journal = floor.desk.journal
    resting = waiting_entry(journal, study.strategy, study.symbol)
    if resting is None or (traded and floor.may_enter):
        return book
    take_back(floor.desk, [resting])
    return journal.position(study.strategy, study.symbol) or book


def _look_and_act(floor: Floor, study: Study, book: Position) -> Outcome:
    desk = floor.desk
    unsettled = desk.journal.open_orders()
    try:
        sight = look(floor.world, desk.journal, study, book, desk.now, floor.plan.takeover)
    except (NoChampion, BadInput, ExchangeRejected, ExchangeUnavailable) as error:
        heed(desk.journal, error)
        done = _watch(floor, study, book)
        return replace(done, notes=(f"{study.key}: {error}", *done.notes))
    said = (sight.note,) if sight.note else ()
    if sight.bar is None:
        return Outcome(notes=(*said, f"{study.key}: no closed bars"))
    if book.last_bar is not None and sight.bar <= book.last_bar:
        done = between_bars(floor, study, book, book.last_bar)
    else:
        done = _new_bar(floor, study, book, sight, sight.bar, unsettled)
    return replace(done, notes=(*said, *done.notes))


def protect(floor: Floor, study: Study) -> list[str]:
    """Make what rests at the exchange fit the book as it is now.

    The rest of an entry whose list was taken back for that goes on waiting alone, unless what it
    bought could not be protected and is being sold.
    """
    journal = floor.desk.journal
    part = entry_in_part(journal, study.strategy, study.symbol)
    ask, wish = judge_of(floor, study), partial(wanted_now, floor)
    notes = guard(floor.desk, study.strategy, study.symbol, wish, ask)
    notes += protect_doubtful(floor, study)
    notes += _unfollowed(floor, study)
    book = journal.position(study.strategy, study.symbol) if part is not None else None
    if part is None or book is None or must_leave_again(floor, book):
        return notes
    return [*notes, *go_on(floor, study, part)]


def _unfollowed(floor: Floor, study: Study) -> list[str]:
    """Say that a position's trail goes by closed bars, where the exchange was to follow."""
    plan, book = floor.plan, floor.desk.journal.position(study.strategy, study.symbol)
    asked = plan.native_trail and plan.protection.trailing_stop > 0
    if not asked or floor.follows(study.symbol) or book is None or not book.is_open:
        return []
    trail = f"{plan.protection.trailing_stop:.4%}"
    return [f"{study.symbol}: no native trail of {trail} is taken; it follows closed bars"]


def wanted_now(floor: Floor, book: Position) -> Protected | None:
    """Return what should rest for a book, as far as no sale under way may have taken it."""
    unsettled = floor.desk.journal.open_orders()
    free = replace(book, quantity=sellable(unsettled, book))
    instrument = floor.desk.instruments[book.symbol]
    price = floor.prices.get(book.symbol, ZERO)
    native = floor.native_trail
    found = wanted(free, floor.plan.protection, instrument, native=native, price=price)
    if found is None or not found.is_pair:
        return found
    return replace(found, beside=_has_room(floor, book, unsettled))


def _has_room(floor: Floor, book: Position, unsettled: Sequence[OrderRecord]) -> bool:
    """True when another stop, alone or with a target, may rest beside what protects a book.

    The exchange may know of orders that we do not, or of other limits: what it refused at this bar
    says so.
    """
    instrument = floor.desk.instruments[book.symbol]
    standing = standing_of(floor, book.symbol, unsettled)
    if not instrument.replaces or too_many(ONE_PAIR, instrument, standing):
        return False
    bar = book.last_bar or floor.desk.now
    asked = floor.desk.journal.orders_of(book.strategy, book.symbol, bar)
    return not any(one.request.rests and is_refused_for_good(one) for one in asked)


def _new_bar(
    floor: Floor,
    study: Study,
    book: Position,
    sight: Sight,
    bar: datetime,
    unsettled: Sequence[OrderRecord],
) -> Outcome:
    journal, instrument = floor.desk.journal, floor.desk.instruments[study.symbol]
    watch = _walk(floor, book, sight.columns)
    changed = sight.targets[-1] != book.last_target or bool(watch.reason)
    resting = waiting_among(unsettled, study.strategy, study.symbol)
    waits, notes = at_new_bar(floor.desk, study, bar, floor.plan.entry, resting, ends=changed)
    if waits.freed:
        floor = replace(floor, account=floor.desk.broker.account())
    if waits is not Waits.NOT:
        book = journal.position(study.strategy, study.symbol) or book
        watch, unsettled = _walk(floor, book, sight.columns), journal.open_orders()
    price = floor.prices[study.symbol]
    reason = watch.reason or watch_price(watch.position, float(price), floor.plan.protection)
    costs, parameters = floor.plan.costs, sight.parameters
    view = View(study.interval, bar, sight.targets, price, instrument, costs, reason, parameters)
    decision = entered(decide(watch.position, view), view, sight.close, floor.plan.entry, waits)
    sells = any(request.side is Side.SELL for request in decision.orders)
    if sells and is_spoken_for(unsettled, book, instrument):
        said = f"{study.key}: a sale is not settled yet; decided when it is"
        return Outcome(notes=(*notes, said))
    asked = [_cut(request, unsettled, book, floor) for request in decision.orders]
    increases = any(not request.reduces for request in asked)
    more = entry_facts(floor, study, sight, bar) if increases else {}
    facts = facts_of(floor, study, unsettled, **more)
    verdicts = judged(floor, study, asked, decision.position, bar, facts)
    if given_up := _given_up(verdicts):
        notes += _let_go(floor, study, given_up)
        unsettled = journal.open_orders()
        if (journal.position(study.strategy, study.symbol) or book).quantity != book.quantity:
            return Outcome(notes=(*notes, f"{study.key}: its stop went off meanwhile"))
    decision = replace(decision, orders=tuple(verdict.request for verdict in verdicts))
    context = _context(study, sight, floor.desk.now)
    records = intents_of(verdicts, study.strategy, bar, floor.desk.now)
    if not journal.record_decision(decision, context, records):
        return Outcome(notes=(*notes, f"{study.key}: {bar.isoformat()} was decided before"))
    done = send_all(floor.desk, study, verdicts, Known(book, unsettled), decision)
    done = replace(done, notes=(*notes, *done.notes))
    if not any(ended_unfilled(order) for order in done.orders):
        return done
    return enter_again(floor, study, watch.position, bar, done)


def _cut(
    request: OrderRequest, unsettled: Sequence[OrderRecord], book: Position, floor: Floor
) -> OrderRequest:
    """Sell no coins that a sale under way may have taken already, and leave by portions."""
    if request.side is not Side.SELL:
        return request
    instrument, price = floor.desk.instruments[request.symbol], floor.prices[request.symbol]
    free = sellable(unsettled, book)
    taken = portion(unsettled, book, instrument, price) if request.leaves else free
    return within(request, taken, instrument)


def _given_up(verdicts: Sequence[Verdict]) -> Decimal:
    """Return how much is sold by what reduces a position without leaving it, base units."""
    approved = (one.request for one in verdicts if isinstance(one, ApprovedOrder))
    return sum((one.quantity for one in approved if one.leg is Leg.REDUCE), ZERO)


def _let_go(floor: Floor, study: Study, quantity: Decimal) -> list[str]:
    """Make what rests fit what a sale of `quantity` leaves, so that the sale takes no stop away."""

    def remaining(book: Position) -> Protected | None:
        return wanted_now(floor, replace(book, quantity=max(book.quantity - quantity, ZERO)))

    judge = judge_of(floor, study)
    return guard(floor.desk, study.strategy, study.symbol, remaining, judge)


def _watch(floor: Floor, study: Study, book: Position) -> Outcome:
    """Leave where protection asks for it, though nothing can be decided."""
    if not book.is_open or book.last_bar is None:
        return Outcome()
    watch = _watched(floor, study, book, book.last_bar)
    if watch.position != book:
        floor.desk.journal.save_position(watch.position)
    return between_bars(floor, study, watch.position, book.last_bar, watch.reason)


def _watched(floor: Floor, study: Study, book: Position, last_bar: datetime) -> Watch:
    """Walk the bars since the last decision; where they cannot be read, the price must do."""
    step, end = study.interval.duration, study.interval.floor(floor.desk.now)
    start = max(last_bar - step, end - MAX_WATCHED_BARS * step)
    try:
        bars = floor.desk.market.klines(study.symbol, study.interval, start, end)
    except (BadInput, ExchangeRejected, ExchangeUnavailable):
        return Watch(book)
    return _walk(floor, book, columns_of(bars))


def _walk(floor: Floor, book: Position, bars: Columns) -> Watch:
    late = LATE if floor.plan.entry is None else AT_OPEN
    return watch_bars(book, bars, floor.plan.protection, late)


def _context(study: Study, sight: Sight, now: datetime) -> DecisionContext:
    champion = sight.champion
    return DecisionContext(
        interval=str(study.interval),
        parameters=sight.parameters,
        version=champion.version,
        run_id=champion.run_id,
        bars_fingerprint=sight.fingerprint,
        decided_at=now,
    )
