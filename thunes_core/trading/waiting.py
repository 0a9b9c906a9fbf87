"""Limit entries that wait at the exchange: made, left resting, withdrawn (semantics §3, last part).

A change of target, an exit, a state that is not ACTIVE and its time withdraw one, with the sells
that wait for its whole fill. One that was filled in part gives up its list for the protection of
what it bought; the rest of it waits on alone, at the same price and until the same time.

Add here: a step in the life of a resting entry. Keep out: the list (`entry`), protection (`guard`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from thunes_core.domain.instrument import floor_to_step
from thunes_core.domain.limits import LimitEntry
from thunes_core.domain.orders import (
    Leg,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
    client_order_id,
)
from thunes_core.domain.portfolio import Position
from thunes_core.domain.records import OrderRecord
from thunes_core.domain.signal import Decision
from thunes_core.trading import rules
from thunes_core.trading.decide import View, lots
from thunes_core.trading.journal import Journal
from thunes_core.trading.reconcile import Desk
from thunes_core.trading.release import take_back
from thunes_core.trading.resting import waiting_entry
from thunes_core.trading.world import Study


class Waits(StrEnum):
    """What of a limit entry is left at a new bar."""

    NOT = "not"
    RESTS = "rests"
    ENDED = "ended"
    OVERDUE = "overdue"

    @property
    def freed(self) -> bool:
        """True when it was withdrawn, and its money is free again."""
        return self in {Waits.ENDED, Waits.OVERDUE}


def at_new_bar(
    desk: Desk,
    study: Study,
    bar: datetime,
    entry: LimitEntry | None,
    resting: OrderRecord | None,
    *,
    ends: bool,
) -> tuple[Waits, list[str]]:
    """Withdraw the `resting` entry where it `ends`, or its time passed by the close of `bar`."""
    timeout = entry.timeout_bars if entry is not None else 0
    sent_by = bar - timeout * study.interval.duration
    if resting is None:
        over = not ends and entry is not None and _was_withdrawn(desk.journal, study, sent_by)
        return (Waits.OVERDUE if over else Waits.NOT), []
    if not ends and resting.bar > sent_by:
        return Waits.RESTS, []
    notes = take_back(desk, [resting])
    if waiting_entry(desk.journal, study.strategy, study.symbol) is not None:
        return Waits.RESTS, notes
    return Waits.ENDED if ends else Waits.OVERDUE, notes


def _was_withdrawn(journal: Journal, study: Study, bar: datetime) -> bool:
    """True when the limit entry of that bar was cancelled: its time was over before a restart."""
    asked = journal.orders_of(study.strategy, study.symbol, bar)
    entries = [one for one in asked if one.request.leg is Leg.ENTRY]
    waited = [one for one in entries if one.request.time_in_force is TimeInForce.GTC]
    return any(one.status is OrderStatus.CANCELED and not one.executed_quantity for one in waited)


def entered(
    decision: Decision, view: View, close: Decimal, entry: LimitEntry | None, waits: Waits
) -> Decision:
    """Return the decision with its buy as the plan's `entry` wants it, given what rests."""
    if not any(request.side is Side.BUY for request in decision.orders):
        return decision
    if waits is Waits.RESTS:
        return _let_pass(decision, "its limit entry rests")
    if entry is None or (waits is Waits.OVERDUE and entry.then_market):
        return decision
    if waits is Waits.OVERDUE:
        return _let_pass(decision, "its limit entry was not filled in time", blocks=True)
    orders = tuple(_limit(one, decision.position, view, close, entry) for one in decision.orders)
    return replace(decision, orders=orders)


def _let_pass(decision: Decision, why: str, *, blocks: bool = False) -> Decision:
    """Return the decision without its buy; `blocks` holds entries until the target changes."""
    orders = tuple(one for one in decision.orders if one.side is not Side.BUY)
    blocked = decision.position.blocked or (blocks and not decision.position.is_open)
    return replace(
        decision, orders=orders, why=why, position=replace(decision.position, blocked=blocked)
    )


def _limit(
    request: OrderRequest, book: Position, view: View, close: Decimal, entry: LimitEntry
) -> OrderRequest:
    if request.side is not Side.BUY:
        return request
    wanted_price = close * (1 - Decimal(repr(entry.offset)))
    price = floor_to_step(wanted_price, view.instrument.tick_size or Decimal("1e-8"))
    latest, held = float(view.price), float(book.holding)
    wanted = rules.wanted_buy(
        request.level,
        float(book.cash) + held * latest,
        held * latest,
        float(price),
        view.costs.maker_fee,
    )
    return replace(
        request,
        type=OrderType.LIMIT,
        quantity=max(lots(wanted, view.instrument), Decimal(0)),
        price=price,
        time_in_force=TimeInForce.GTC,
    )


def rest_of(taken_back: OrderRecord, attempt: int) -> OrderRequest | None:
    """Return what an entry still wanted when its list was taken back; None where that is not sure.

    Sure is an order that was cancelled and all of whose fills are booked.
    """
    asked, done = taken_back.request, taken_back.status is OrderStatus.CANCELED
    left = asked.quantity - taken_back.executed_quantity
    if not done or not taken_back.settled or left <= 0:
        return None
    name = (taken_back.strategy, asked.symbol, taken_back.bar, asked.leg, attempt)
    return replace(asked, quantity=left, list_id="", client_order_id=client_order_id(*name))
