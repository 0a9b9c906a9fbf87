"""Enter as one list with the protection; by another kind of list, or alone, where one is refused.

Add here: another way in where one was refused. Keep out: what a protected entry is made of
(`entry`), sending (`act`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from thunes_core.domain.orders import (
    Leg,
    OrderRequest,
    OrderStatus,
    OrderType,
    RefusedOrder,
    TimeInForce,
    client_order_id,
)
from thunes_core.domain.portfolio import Position
from thunes_core.domain.records import OrderRecord
from thunes_core.risk.facts import RiskFacts
from thunes_core.risk.gate import judge
from thunes_core.trading.act import Known, Outcome, Verdict, lists_for, send_all
from thunes_core.trading.entry import EntryTerms, protected_entry
from thunes_core.trading.floor import Floor, facts_of, judge_of
from thunes_core.trading.resolve import NEVER_LEFT
from thunes_core.trading.send import intents_of
from thunes_core.trading.waiting import rest_of
from thunes_core.trading.world import Study


def judged(
    floor: Floor,
    study: Study,
    asked: Sequence[OrderRequest],
    book: Position,
    bar: datetime,
    facts: RiskFacts,
) -> list[Verdict]:
    """Judge the first orders of a bar; an entry with its protection as one list where that may be.

    A target that may not be placed is left out of the list: the stop counts. `book` is what the
    position is until they are filled.
    """
    alone = [judge(request, facts) for request in asked]
    if len(alone) != 1 or isinstance(alone[0], RefusedOrder) or alone[0].request.reduces:
        return alone
    for takes_profit in (True, False):
        parts = _parts(floor, study, asked[0], book, bar, takes_profit=takes_profit)
        together = [judge(one, facts) for one in parts] if len(parts) > 1 else alone
        if not any(isinstance(one, RefusedOrder) for one in together):
            return together
    return alone


def _parts(
    floor: Floor,
    study: Study,
    request: OrderRequest,
    book: Position,
    bar: datetime,
    attempt: int = 0,
    *,
    takes_profit: bool = True,
) -> Sequence[OrderRequest]:
    """Return an entry with its protection as one list, or alone where no list may be."""
    instrument, protection = floor.desk.instruments[study.symbol], floor.plan.protection
    terms = EntryTerms(
        bar=bar,
        price=floor.prices[study.symbol],
        free=floor.account.free(instrument.quote_asset),
        instrument=instrument,
        costs=floor.plan.costs,
        protection=protection if takes_profit else replace(protection, take_profit=0.0),
        lists=lists_for(floor.desk, study.symbol),
        native=floor.native_trail,
        attempt=attempt,
    )
    return protected_entry(request, book, terms)


def ended_unfilled(order: OrderRecord) -> bool:
    """True for an entry whose list was refused, or that had to fill whole at once and could not."""
    buys = order.request.leg is Leg.ENTRY and bool(order.request.list_id)
    ended = order.status in {OrderStatus.EXPIRED, OrderStatus.REJECTED}
    return buys and ended and not order.executed_quantity and order.code != NEVER_LEFT


def enter_again(
    floor: Floor, study: Study, book: Position, bar: datetime, done: Outcome
) -> Outcome:
    """Enter after all: by the next kind of list where one was refused, at last alone."""
    for kind in lists_for(floor.desk, study.symbol)[1:]:
        if done.orders[-1].status is not OrderStatus.REJECTED:
            break
        request, attempt = _anew(floor, study, bar, done), _attempts(floor, study, bar)
        has_target = any(one.request.leg is Leg.TARGET for one in done.orders)
        parts = _parts(floor, study, request, book, bar, attempt, takes_profit=has_target)
        if len(parts) < 2:
            break
        verdicts = [*map(judge_of(floor, study), parts)]
        done = _sent_too(floor, study, book, bar, done, verdicts, kind)
        if not any(ended_unfilled(order) for order in done.orders[-len(verdicts) :]):
            return done
    verdict = judge(_anew(floor, study, bar, done), facts_of(floor, study))
    return _sent_too(floor, study, book, bar, done, [verdict])


def _attempts(floor: Floor, study: Study, bar: datetime) -> int:
    """Return how many orders of that bar there are; their ids count from it."""
    return len(floor.desk.journal.orders_of(study.strategy, study.symbol, bar))


def _anew(floor: Floor, study: Study, bar: datetime, done: Outcome) -> OrderRequest:
    """Return the entry that was tried first as an order of its own, with an id of its own.

    One that was to fill at once becomes a market order, one that was to rest keeps its limit.
    """
    asked = done.orders[0].request
    attempt = _attempts(floor, study, bar)
    rests = asked.time_in_force is TimeInForce.GTC
    return replace(
        asked,
        type=OrderType.LIMIT if rests else OrderType.MARKET,
        price=asked.price if rests else None,
        time_in_force=asked.time_in_force if rests else None,
        list_id="",
        client_order_id=client_order_id(study.strategy, study.symbol, bar, asked.leg, attempt),
    )


def _sent_too(
    floor: Floor,
    study: Study,
    book: Position,
    bar: datetime,
    done: Outcome,
    verdicts: Sequence[Verdict],
    kind: str = "",
) -> Outcome:
    """Make further intents durable, send them, and add what came of them."""
    desk = floor.desk
    fresh = desk.journal.position(study.strategy, study.symbol) or book
    known = Known(fresh, desk.journal.open_orders(), done.orders)
    desk.journal.record_intents(fresh, intents_of(verdicts, study.strategy, bar, desk.now))
    then = send_all(desk, study, verdicts, known, kind=kind)
    return replace(
        done,
        orders=(*done.orders, *then.orders),
        refused=(*done.refused, *then.refused),
        notes=(*done.notes, *then.notes),
    )


def go_on(floor: Floor, study: Study, part: OrderRecord) -> Sequence[str]:
    """Send the rest of an entry that was taken back, where that is sure, once."""
    journal = floor.desk.journal
    record = journal.order(part.client_order_id) or part
    book = journal.position(study.strategy, study.symbol)
    rest = rest_of(record, _attempts(floor, study, part.bar))
    if rest is None or book is None or not book.is_open:
        return ()
    fresh = replace(floor, account=floor.desk.broker.account())
    unsettled = journal.open_orders()
    verdict = judge(rest, facts_of(fresh, study, unsettled))
    intents = intents_of([verdict], study.strategy, part.bar, floor.desk.now)
    journal.record_intents(book, intents)
    return send_all(floor.desk, study, [verdict], Known(book, unsettled)).notes
