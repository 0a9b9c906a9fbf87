"""Limit entries that wait at the exchange: made, left resting, withdrawn (semantics §3, last part).

A change of target, an exit, a state that is not ACTIVE and its time withdraw one. What a person
must know: it is protected by the tick that sees its fill, not by the fill itself.

Add here: a step in the life of a resting entry. Keep out: market entries (`entry`), protection.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from thunes_core.domain.instrument import floor_to_step
from thunes_core.domain.limits import LimitEntry
from thunes_core.domain.orders import Leg, OrderRequest, OrderType, Side, TimeInForce
from thunes_core.domain.portfolio import Position
from thunes_core.domain.records import OrderRecord
from thunes_core.domain.signal import Decision
from thunes_core.trading import rules
from thunes_core.trading.decide import View, lots
from thunes_core.trading.guard import cancel
from thunes_core.trading.journal import Journal
from thunes_core.trading.reconcile import Desk, book_new_fills
from thunes_core.trading.world import Study


def waiting_entry(journal: Journal, strategy: str, symbol: str) -> OrderRecord | None:
    """Return the limit entry of a book that rests, or may rest, at the exchange."""
    for record in journal.open_orders():
        request = record.request
        mine = (record.strategy, request.symbol) == (strategy, symbol)
        rests = request.leg is Leg.ENTRY and request.time_in_force is TimeInForce.GTC
        if mine and rests and not record.status.is_final:
            return record
    return None


def withdraw(desk: Desk, record: OrderRecord) -> list[str]:
    """Cancel a resting entry and book what it bought; an answer that is missing is noted."""
    notes = cancel(desk, [record])
    book_new_fills(desk, [record.request.symbol])
    return notes


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
    desk: Desk, study: Study, bar: datetime, entry: LimitEntry | None, *, ends: bool
) -> tuple[Waits, list[str]]:
    """Withdraw a resting entry that `ends` or whose time passed by the close of `bar`."""
    resting = waiting_entry(desk.journal, study.strategy, study.symbol)
    if resting is None:
        return Waits.NOT, []
    timeout = entry.timeout_bars if entry is not None else 0
    if not ends and bar < resting.bar + timeout * study.interval.duration:
        return Waits.RESTS, []
    notes = withdraw(desk, resting)
    if waiting_entry(desk.journal, study.strategy, study.symbol) is not None:
        return Waits.RESTS, notes
    return Waits.ENDED if ends else Waits.OVERDUE, notes


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
