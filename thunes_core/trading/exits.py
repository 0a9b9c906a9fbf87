"""Leave a book for good: where protection asks for it between bars, and again until it is left.

An exit may be more than one order may carry, be refused, or never come: what is left is sold by the
next one, within the tick. Two at once are never sent.

Add here: a reason to leave without a new decision. Keep out: deciding (`decide`), what cannot be
protected (`leave`), sending (`act`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from thunes_core.domain.limits import Protection
from thunes_core.domain.orders import Leg, OrderStatus, RefusedOrder
from thunes_core.domain.portfolio import Position
from thunes_core.domain.records import OrderRecord
from thunes_core.risk.gate import judge
from thunes_core.trading.act import NEVER_CAME, Known, Outcome, Verdict, send_all
from thunes_core.trading.coins import is_spoken_for, sellable, within
from thunes_core.trading.decide import exit_request
from thunes_core.trading.floor import Floor, facts_of
from thunes_core.trading.leave import MOST_STEPS
from thunes_core.trading.portions import portion
from thunes_core.trading.protect import NO_EXIT, watch_price
from thunes_core.trading.reconcile import Desk
from thunes_core.trading.refused import may_pass, refused_alike
from thunes_core.trading.release import take_back
from thunes_core.trading.resolve import NEVER_LEFT
from thunes_core.trading.resting import resting_orders, waiting_entry
from thunes_core.trading.send import intents_of
from thunes_core.trading.sizes import forget_size, is_too_large, learn_size
from thunes_core.trading.stops import is_too_small
from thunes_core.trading.world import Study


def exit_again(floor: Floor, study: Study, done: Outcome) -> Outcome:
    """Go on with an exit of which something is left, and ask once more for one that was refused.

    One that was too large is made smaller until it is taken. What protects rests meanwhile.
    """
    left = 1
    for _ in range(MOST_STEPS):
        last = done.orders[-1] if done.orders else None
        book = floor.desk.journal.position(study.strategy, study.symbol) if last else None
        if last is None or book is None or not book.is_open:
            break
        if _failed(last):
            if not _is_made_smaller(floor, last):
                if not left or is_too_large(last) or _stays_refused(floor.desk, last):
                    break
                left -= 1
        elif not _is_done_in_part(floor, book, last):
            break
        then = between_bars(floor, study, book, last.bar, last.request.reason)
        done = replace(
            done,
            orders=(*done.orders, *then.orders),
            refused=(*done.refused, *then.refused),
            notes=(*done.notes, *then.notes),
        )
        if not then.orders:
            break
    return done


def _is_made_smaller(floor: Floor, last: OrderRecord) -> bool:
    """True when an exit was too large and the next is smaller; where none can be, all is unlearnt.

    For what may rest whole should.
    """
    symbol = last.request.symbol
    smaller = learn_size(floor.desk, [last.client_order_id], floor.prices[symbol])
    if not smaller and is_too_large(last):
        forget_size(floor.desk, symbol)
    return smaller


def leave_again(floor: Floor, study: Study) -> Sequence[str]:
    """Go on with an exit of which something is left, or that provably never came."""
    book = floor.desk.journal.position(study.strategy, study.symbol)
    if book is None or book.last_bar is None or not must_leave_again(floor, book):
        return ()
    done = exit_again(floor, study, between_bars(floor, study, book, book.last_bar))
    return [f"{one.client_order_id}: sold anew" for one in done.orders] + [*done.notes]


def must_leave_again(floor: Floor, book: Position) -> bool:
    """True when the newest exit of the last decided bar never came, or left something to sell.

    Or when it was refused in this tick for what may pass by itself.
    """
    if not book.is_open or book.last_bar is None:
        return False
    asked = floor.desk.journal.orders_of(book.strategy, book.symbol, book.last_bar)
    last = next((one for one in reversed(asked) if not one.request.rests), None)
    if last is None or last.request.level != 0.0:
        return False
    again = last.code in NEVER_CAME or may_pass(asked, floor.desk.now)
    return again or _is_done_in_part(floor, book, last)


def _is_done_in_part(floor: Floor, book: Position, last: OrderRecord) -> bool:
    """True when an exit sold a part, or may have, and what is left beside it can be sold."""
    done = last.status is OrderStatus.FILLED or last.status.is_in_flight
    if not last.request.leaves or not done:
        return False
    rest = sellable(floor.desk.journal.open_orders(), book)
    instrument = floor.desk.instruments[book.symbol]
    return not is_too_small(rest, floor.prices[book.symbol], instrument)


def _stays_refused(desk: Desk, last: OrderRecord) -> bool:
    """True when an exit was refused for good, as the one before it was: the next tick asks."""
    return refused_alike(desk.journal.orders_of(last.strategy, last.request.symbol, last.bar))


def _failed(last: OrderRecord) -> bool:
    """True when an exit was refused, or held back, and may be asked for once more at once."""
    is_rejected = last.status is OrderStatus.REJECTED
    return last.request.leaves and is_rejected and last.code != NEVER_LEFT


def between_bars(
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
    price = floor.prices[study.symbol]
    unsettled = desk.journal.open_orders()
    taken = portion(unsettled, book, instrument, price)
    if taken <= 0 or is_spoken_for(unsettled, book, instrument):
        return Outcome()
    request = exit_request(book, bar, instrument, reason, price, attempt=len(records))
    verdict = judge(within(request, taken, instrument), facts_of(floor, study, unsettled))
    if _is_known(verdict, at_once):
        return Outcome()
    desk.journal.record_intents(book, intents_of([verdict], study.strategy, bar, desk.now))
    return send_all(desk, study, [verdict], Known(book, unsettled, records))


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
