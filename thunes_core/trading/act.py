"""Send what the gate let through for one study, and book what came of it.

Add here: a step between verdict and booking. Keep out: deciding, what is asked of the gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain

from thunes_core.domain.orders import ApprovedOrder, OrderRequest, OrderStatus, RefusedOrder
from thunes_core.domain.portfolio import Position
from thunes_core.domain.records import OrderRecord
from thunes_core.domain.signal import Decision
from thunes_core.trading.coins import sellable, uncovered
from thunes_core.trading.portions import giving_way
from thunes_core.trading.reconcile import Desk, book_new_fills
from thunes_core.trading.release import doubt, end_all, refresh_all, take_back
from thunes_core.trading.resolve import NEVER_LEFT, NOT_EXECUTED, drop
from thunes_core.trading.resting import fills_in_parts, resting_among
from thunes_core.trading.send import deliver, send
from thunes_core.trading.sizes import is_too_large
from thunes_core.trading.world import Study

Verdict = ApprovedOrder | RefusedOrder
SOLD_ALREADY, HELD_BACK = "sold_already", "held_back"
NEVER_CAME = (NEVER_LEFT, NOT_EXECUTED, HELD_BACK)
"""Codes of orders that never reached the exchange, and never will."""
MOST_SWAPS = 2
"""How often an exit is asked for together with the cancel of what protects, before one by one."""


@dataclass(frozen=True, slots=True)
class Known:
    """A book as it was read before the intents that are sent: under the lease it is so still.

    `unsettled` are the orders that are not settled, `earlier` those of the same bar. A commit makes
    the ledger forget its answers, and no sale should wait until they are read anew.
    """

    book: Position
    unsettled: Sequence[OrderRecord]
    earlier: Sequence[OrderRecord] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one study did in one tick."""

    decision: Decision | None = None
    orders: tuple[OrderRecord, ...] = ()
    refused: tuple[RefusedOrder, ...] = ()
    notes: tuple[str, ...] = ()


def send_all(
    desk: Desk,
    study: Study,
    verdicts: Sequence[Verdict],
    known: Known,
    decision: Decision | None = None,
    kind: str = "",
) -> Outcome:
    """Send every approved order whose intent is durable; return what became of all.

    Orders that begin with a buy and share a list go as that list, of `kind` or the preferred one.
    """
    approved = [verdict for verdict in verdicts if isinstance(verdict, ApprovedOrder)]
    notes = list[str]()
    if len(approved) > 1:
        notes += _send_entry(
            desk, study, approved[0], approved[1:], kind or lists_for(desk, study.symbol)[0]
        )
    else:
        notes += [note for one in approved for note in _send_one(desk, study, one, known)]
    ids = [verdict.request.client_order_id for verdict in verdicts]
    records = [desk.journal.order(client_order_id) for client_order_id in ids]
    return Outcome(
        decision=decision,
        orders=tuple(record for record in records if record is not None),
        refused=tuple(v for v in verdicts if isinstance(v, RefusedOrder)),
        notes=tuple(notes),
    )


def _send_one(desk: Desk, study: Study, approved: ApprovedOrder, known: Known) -> list[str]:
    """Send one order; what protects the coins it sells is released before, or with, its sale."""
    request, notes = approved.request, list[str]()
    if request.reduces:
        resting = resting_among(known.unsettled, study.strategy, study.symbol)
        *before, last = giving_way(resting, _short(known, request)) or [()]
        swapped = _swappable(desk, approved, last, known.earlier) if last else None
        released = [*chain(*before), *(last if swapped is None else ())]
        if released or (resting and swapped is None):
            notes, code, why = _released(desk, study, request, released)
            if code:
                drop(desk.journal, request.client_order_id, desk.now, code, why)
                return [*notes, f"{request.client_order_id}: {why}"]
        if swapped is not None:
            return [*notes, *_swap(desk, study, approved, last, swapped)]
    note = send(desk.broker, desk.journal, approved)
    book_new_fills(desk, [study.symbol])
    return [*notes, note] if note else notes


def _released(
    desk: Desk, study: Study, request: OrderRequest, released: Sequence[OrderRecord]
) -> tuple[list[str], str, str]:
    """Release protection of a book for its sale; return notes, and why it must not be sent yet."""
    booked = len(desk.booked)
    notes = take_back(desk, released)
    if not released:
        book_new_fills(desk, [study.symbol])  # a stop may have sold already
        if len(desk.booked) == booked:
            return notes, "", ""
    book = desk.journal.position(study.strategy, study.symbol)
    unsettled, mine = desk.journal.open_orders(), request.client_order_id
    others = [one for one in unsettled if one.client_order_id != mine]
    if book is None or sellable(others, book) < request.quantity:
        return notes, SOLD_ALREADY, "its protection sold it first"
    left = Known(book, others)
    ids = {one.client_order_id for one in released}
    rests = resting_among(unsettled, study.strategy, study.symbol)
    if any(one.client_order_id in ids for one in rests) and _short(left, request) > 0:
        return notes, HELD_BACK, "its protection may still rest; it sells when that is known"
    return notes, "", ""


def _short(known: Known, request: OrderRequest) -> Decimal:
    """Return how much of what `request` sells other orders of the book speak for, or may."""
    return request.quantity - uncovered(known.unsettled, known.book)


def _swappable(
    desk: Desk,
    approved: ApprovedOrder,
    ending: Sequence[OrderRecord],
    earlier: Sequence[OrderRecord],
) -> OrderRecord | None:
    """Return the order that one request can cancel, with its list, and sell; None: one by one.

    Of the list `ending`, what is known to rest before what may rest: the sale of that request is
    made only where its cancel succeeds, so that nothing is sold while the coins are still
    another's. Not where some of it was sold already, nor after it was refused twice.
    """
    if not desk.instruments[approved.request.symbol].replaces:
        return None
    asked = fills_in_parts([one for one in ending if not one.status.is_in_flight] or ending)
    sales = [one for one in earlier if one.request.reduces and not one.request.rests]
    refused = [one for one in sales if one.status is OrderStatus.REJECTED]
    tried = sum(one.code not in NEVER_CAME and not is_too_large(one) for one in refused)
    untouched = asked.status is not OrderStatus.PARTIALLY_FILLED
    return asked if untouched and tried < MOST_SWAPS else None


def _swap(
    desk: Desk,
    study: Study,
    approved: ApprovedOrder,
    ending: Sequence[OrderRecord],
    swapped: OrderRecord,
) -> list[str]:
    """Cancel a list that protects and sell in one request, so that nothing stands bare in between.

    A sale that was made proves that the list is gone, untouched, though reads may lag behind.
    """
    note = deliver(
        desk.broker,
        desk.journal,
        [approved],
        lambda: [desk.broker.replace(swapped.client_order_id, approved, only_new=True)],
    )
    ids, sale = [one.client_order_id for one in ending], approved.request.client_order_id
    made = desk.journal.order(sale)
    if made is not None and not note:
        end_all(desk, ids, made.updated_at or desk.now)
    refresh_all(desk, ids)
    if made is not None and made.status.is_in_flight:
        doubt(desk, ids)
    book_new_fills(desk, [study.symbol])
    return [note] if note else []


def _send_entry(
    desk: Desk, study: Study, entry: ApprovedOrder, legs: Sequence[ApprovedOrder], kind: str
) -> list[str]:
    """Send a buy with its protection as one list; ask what its legs became when it ended."""
    note = deliver(
        desk.broker,
        desk.journal,
        [entry, *legs],
        lambda: desk.broker.submit_entry(entry, legs, kind),
    )
    sent = desk.journal.order(entry.request.client_order_id)
    if not note and sent is not None and sent.status.is_final:
        refresh_all(desk, [leg.request.client_order_id for leg in legs])
    book_new_fills(desk, [study.symbol])
    return [note] if note else []


def lists_for(desk: Desk, symbol: str) -> list[str]:
    """Return the kinds of entry list that both broker and exchange take, the preferred first."""
    offered = desk.instruments[symbol].list_types
    return [kind for kind in desk.broker.entry_lists if kind in offered]
