"""How an entry goes to the exchange: as one list with its protection, or alone after all.

Add here: a way in which an entry is sent, or sent in another form. Keep out: whether and how much
is bought (`decide`), the orders of a list (`entry`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from thunes_core.domain.orders import (
    Leg,
    OrderStatus,
    OrderType,
    RefusedOrder,
    TimeInForce,
    client_order_id,
)
from thunes_core.domain.portfolio import Position
from thunes_core.domain.records import OrderRecord
from thunes_core.domain.signal import Decision
from thunes_core.risk.facts import RiskFacts
from thunes_core.risk.gate import judge
from thunes_core.trading.act import Outcome, Verdict, lists_for, send_all
from thunes_core.trading.entry import EntryTerms, protected_entry
from thunes_core.trading.floor import Floor, facts_of
from thunes_core.trading.resolve import NEVER_LEFT
from thunes_core.trading.send import intent_of
from thunes_core.trading.waiting import rest_of
from thunes_core.trading.world import Study


def judged(
    floor: Floor, study: Study, decision: Decision, bar: datetime, facts: RiskFacts
) -> list[Verdict]:
    """Judge the decision's order; an entry with its protection as one list where that may be."""
    alone = [judge(request, facts) for request in decision.orders]
    if len(alone) != 1 or isinstance(alone[0], RefusedOrder):
        return alone
    instrument = floor.desk.instruments[study.symbol]
    terms = EntryTerms(
        bar=bar,
        price=facts.price,
        free=floor.account.free(instrument.quote_asset),
        instrument=instrument,
        costs=floor.plan.costs,
        protection=floor.plan.protection,
        lists=lists_for(floor.desk, study.symbol),
        native=floor.native_trail,
    )
    together = [
        judge(one, facts) for one in protected_entry(decision.orders[0], decision.position, terms)
    ]
    return alone if any(isinstance(one, RefusedOrder) for one in together) else together


def ended_unfilled(order: OrderRecord) -> bool:
    """True for an entry whose list was refused, or that had to fill whole at once and could not."""
    buys = order.request.leg is Leg.ENTRY and bool(order.request.list_id)
    ended = order.status in {OrderStatus.EXPIRED, OrderStatus.REJECTED}
    return buys and ended and not order.executed_quantity and order.code != NEVER_LEFT


def alone(floor: Floor, study: Study, book: Position, bar: datetime, done: Outcome) -> Outcome:
    """Enter without a list after all, at the market or by the same limit, when nothing filled."""
    desk = floor.desk
    attempt = len(desk.journal.orders_of(study.strategy, study.symbol, bar))
    asked = done.orders[0].request
    rests = asked.time_in_force is TimeInForce.GTC
    again = replace(
        asked,
        type=OrderType.LIMIT if rests else OrderType.MARKET,
        price=asked.price if rests else None,
        time_in_force=asked.time_in_force if rests else None,
        list_id="",
        client_order_id=client_order_id(study.strategy, study.symbol, bar, asked.leg, attempt),
    )
    verdict = judge(again, facts_of(floor, study))
    fresh = desk.journal.position(study.strategy, study.symbol) or book
    desk.journal.record_intents(fresh, records_of([verdict], study, bar, desk.now))
    then = send_all(desk, study, [verdict])
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
    attempt = len(journal.orders_of(study.strategy, study.symbol, part.bar))
    rest = rest_of(record, attempt)
    if rest is None or book is None or not book.is_open:
        return ()
    fresh = replace(floor, account=floor.desk.broker.account())
    verdict = judge(rest, facts_of(fresh, study))
    journal.record_intents(book, records_of([verdict], study, part.bar, floor.desk.now))
    return send_all(floor.desk, study, [verdict]).notes


def records_of(
    verdicts: Sequence[Verdict], study: Study, bar: datetime, now: datetime
) -> list[OrderRecord]:
    """Return the records of judged requests, as they are before anything is sent."""
    return [intent_of(verdict, study.strategy, bar, now) for verdict in verdicts]
