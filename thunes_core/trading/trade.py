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

from thunes_core.domain.limits import Protection
from thunes_core.domain.orders import (
    ZERO,
    Leg,
    OrderRequest,
    OrderStatus,
    RefusedOrder,
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
from thunes_core.risk.gate import judge
from thunes_core.trading.act import NEVER_CAME, Outcome, Verdict, send_all
from thunes_core.trading.coins import sellable, within
from thunes_core.trading.decide import View, decide, exit_request
from thunes_core.trading.enter import ended_unfilled, enter_again, go_on, judged
from thunes_core.trading.floor import Floor, entry_facts, facts_of, judge_of
from thunes_core.trading.guard import guard
from thunes_core.trading.leave import MOST_STEPS
from thunes_core.trading.look import Sight, look
from thunes_core.trading.protect import AT_OPEN, LATE, NO_EXIT, Watch, watch_bars, watch_price
from thunes_core.trading.release import take_back
from thunes_core.trading.resolve import NEVER_LEFT
from thunes_core.trading.resting import (
    entry_in_part,
    resting_among,
    resting_orders,
    waiting_among,
    waiting_entry,
)
from thunes_core.trading.send import heed, intents_of
from thunes_core.trading.sizes import learn_size
from thunes_core.trading.stops import Protected, is_too_small, wanted
from thunes_core.trading.waiting import Waits, at_new_bar, entered
from thunes_core.trading.world import Study

MAX_WATCHED_BARS = 1000


def trade(floor: Floor, study: Study, book: Position) -> Outcome:
    """Decide on the newest closed bar of `study` if that was not done, act on it, protect."""
    notes = list[str]()
    try:
        book = _while_active(floor, study, book)
        if entry_in_part(floor.desk.journal, study.strategy, study.symbol) is not None:
            notes += protect(floor, study)  # before anything that takes time
            book = floor.desk.journal.position(study.strategy, study.symbol) or book
        done = _exit_again(floor, study, _look_and_act(floor, study, book))
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
        done = _between_bars(floor, study, book, book.last_bar)
    else:
        done = _new_bar(floor, study, book, sight, sight.bar, unsettled)
    return replace(done, notes=(*said, *done.notes))


def protect(floor: Floor, study: Study) -> list[str]:
    """Make what rests at the exchange fit the book as it is now.

    The rest of an entry whose list was taken back for that goes on waiting alone.
    """
    part = entry_in_part(floor.desk.journal, study.strategy, study.symbol)
    ask, wish = judge_of(floor, study), partial(wanted_now, floor)
    notes = guard(floor.desk, study.strategy, study.symbol, wish, ask)
    notes += _unfollowed(floor, study)
    return notes if part is None else [*notes, *go_on(floor, study, part)]


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
    free = replace(book, quantity=sellable(floor.desk.journal.open_orders(), book))
    instrument = floor.desk.instruments[book.symbol]
    price = floor.prices.get(book.symbol, ZERO)
    native = floor.native_trail
    return wanted(free, floor.plan.protection, instrument, native=native, price=price)


def _exit_again(floor: Floor, study: Study, done: Outcome) -> Outcome:
    """Go on with an exit of which something is left, and ask once more for one that was refused.

    One that was too large is made smaller until it is taken. What protects rests meanwhile.
    """
    desk, left = floor.desk, 1
    for _ in range(MOST_STEPS):
        last = done.orders[-1] if done.orders else None
        book = desk.journal.position(study.strategy, study.symbol)
        if last is None or book is None or not book.is_open:
            break
        if _is_refused_exit(last):
            price = floor.prices[study.symbol]
            left -= not learn_size(desk, [last.client_order_id], price)
        elif not _is_done_in_part(floor, book, last):
            break
        then = _between_bars(floor, study, book, last.bar, last.request.reason)
        done = replace(
            done,
            orders=(*done.orders, *then.orders),
            refused=(*done.refused, *then.refused),
            notes=(*done.notes, *then.notes),
        )
        if not then.orders or left <= 0:
            break
    return done


def leave_again(floor: Floor, study: Study) -> Sequence[str]:
    """Go on with an exit of which something is left, or that provably never came."""
    book = floor.desk.journal.position(study.strategy, study.symbol)
    if book is None or book.last_bar is None or not must_leave_again(floor, book):
        return ()
    done = _exit_again(floor, study, _between_bars(floor, study, book, book.last_bar))
    return [f"{one.client_order_id}: sold anew" for one in done.orders] + [*done.notes]


def must_leave_again(floor: Floor, book: Position) -> bool:
    """True when the newest exit of the last decided bar never came, or left something to sell."""
    if not book.is_open or book.last_bar is None:
        return False
    asked = floor.desk.journal.orders_of(book.strategy, book.symbol, book.last_bar)
    last = next((one for one in reversed(asked) if not one.request.rests), None)
    if last is None or last.request.level != 0.0:
        return False
    return last.code in NEVER_CAME or _is_done_in_part(floor, book, last)


def _is_done_in_part(floor: Floor, book: Position, last: OrderRecord) -> bool:
    """True when an exit was executed that one order could not carry, and the rest can be sold."""
    request = last.request
    leaves = request.reduces and request.level == 0.0 and not request.rests
    if not leaves or last.status is not OrderStatus.FILLED:
        return False
    rest = sellable(floor.desk.journal.open_orders(), book)
    instrument = floor.desk.instruments[book.symbol]
    return not is_too_small(rest, floor.prices[book.symbol], instrument)


def _is_refused_exit(order: OrderRecord) -> bool:
    leaves = order.request.reduces and order.request.level == 0.0 and not order.request.rests
    return leaves and order.status is OrderStatus.REJECTED and order.code != NEVER_LEFT


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
    free = sellable(unsettled, book)
    if any(request.side is Side.SELL for request in decision.orders) and free <= 0:
        said = f"{study.key}: a sale is not settled yet; decided when it is"
        return Outcome(notes=(*notes, said))
    asked = [_cut(request, free, floor) for request in decision.orders]
    increases = any(not request.reduces for request in asked)
    more = entry_facts(floor, study, sight, bar) if increases else {}
    facts = facts_of(floor, study, unsettled, **more)
    verdicts = judged(floor, study, asked, decision.position, bar, facts)
    decision = replace(decision, orders=tuple(verdict.request for verdict in verdicts))
    context = _context(study, sight, floor.desk.now)
    records = intents_of(verdicts, study.strategy, bar, floor.desk.now)
    if not journal.record_decision(decision, context, records):
        return Outcome(notes=(*notes, f"{study.key}: {bar.isoformat()} was decided before"))
    protecting = resting_among(unsettled, study.strategy, study.symbol)
    done = send_all(floor.desk, study, verdicts, decision, resting=protecting)
    done = replace(done, notes=(*notes, *done.notes))
    if not any(ended_unfilled(order) for order in done.orders):
        return done
    return enter_again(floor, study, watch.position, bar, done)


def _cut(request: OrderRequest, free: Decimal, floor: Floor) -> OrderRequest:
    """Sell no coins that a sale under way may have taken already."""
    if request.side is not Side.SELL:
        return request
    return within(request, free, floor.desk.instruments[request.symbol])


def _watch(floor: Floor, study: Study, book: Position) -> Outcome:
    """Leave where protection asks for it, though nothing can be decided."""
    if not book.is_open or book.last_bar is None:
        return Outcome()
    watch = _watched(floor, study, book, book.last_bar)
    if watch.position != book:
        floor.desk.journal.save_position(watch.position)
    return _between_bars(floor, study, watch.position, book.last_bar, watch.reason)


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


def _between_bars(
    floor: Floor, study: Study, book: Position, bar: datetime, seen: str = NO_EXIT
) -> Outcome:
    """Leave where protection asks for it now (or `seen` says why), or where an exit failed."""
    desk, instrument = floor.desk, floor.desk.instruments[study.symbol]
    records = desk.journal.orders_of(study.strategy, study.symbol, bar)
    at_once = [record for record in records if not record.request.rests]
    reason = _exit_due(floor, study, book, at_once) or seen
    if not reason:
        return Outcome()
    resting = waiting_entry(desk.journal, study.strategy, study.symbol)
    if resting is not None:
        take_back(desk, [resting])
        book = desk.journal.position(study.strategy, study.symbol) or book
    free = sellable(desk.journal.open_orders(), book)
    if free <= 0:
        return Outcome()
    price = floor.prices[study.symbol]
    request = exit_request(book, bar, instrument, reason, price, attempt=len(records))
    verdict = judge(within(request, free, instrument), facts_of(floor, study))
    if _is_known(verdict, at_once):
        return Outcome()
    desk.journal.record_intents(book, intents_of([verdict], study.strategy, bar, desk.now))
    return send_all(desk, study, [verdict])


def _is_known(verdict: Verdict, at_once: Sequence[OrderRecord]) -> bool:
    """True when the gate refuses what it refused before: that is not told at every tick."""
    if not isinstance(verdict, RefusedOrder) or not at_once:
        return False
    return at_once[-1].code == str(verdict.code)


def _exit_due(floor: Floor, study: Study, book: Position, at_once: Sequence[OrderRecord]) -> str:
    if not book.is_open:
        return NO_EXIT
    exits = [record.request for record in at_once if record.request.level == 0.0]
    if exits:
        return exits[-1].reason
    protection = floor.plan.protection
    resting = resting_orders(floor.desk.journal, study.strategy, study.symbol)
    if any(one.request.leg is Leg.TARGET for one in resting):
        return NO_EXIT  # the exchange watches the price
    if resting:  # it watches the stop alone
        protection = Protection(take_profit=protection.take_profit)
    return watch_price(book, float(floor.prices[study.symbol]), protection)


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
