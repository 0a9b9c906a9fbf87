"""Sell what of a book nothing protects, with an alarm: in parts where one order may not carry it.

Add here: another way out of a position that cannot be protected. Keep out: trying to protect it
(see `guard`), exits that were decided (`exits`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from thunes_core.domain.orders import ZERO, ApprovedOrder, OrderRequest, OrderStatus, RefusedOrder
from thunes_core.domain.portfolio import Position
from thunes_core.trading import stops
from thunes_core.trading.coins import uncovered, within
from thunes_core.trading.decide import exit_request
from thunes_core.trading.reconcile import Desk, book_new_fills
from thunes_core.trading.refused import is_refused_for_good
from thunes_core.trading.resolve import ALARM
from thunes_core.trading.resting import waiting_entry
from thunes_core.trading.send import intent_of, send
from thunes_core.trading.sizes import learn_size

MOST_STEPS = 20
"""Parts of a book that one look may place, move, sell or find too large."""
Judge = Callable[[OrderRequest], ApprovedOrder | RefusedOrder]


def leave(
    desk: Desk, book: Position, protected: stops.Protected, judge: Judge, why: str
) -> list[str]:
    """Sell at the market what of a book nothing protects, with an alarm that says `why`.

    In parts where one order may not carry it all; what is protected yet follows as any exit does
    that was done in part. A sale under way may have taken it: that is asked after, never repeated.
    """
    notes, alarm = list[str](), f"{ALARM} {book.symbol}: {why}"
    sales = list[str]()
    for _ in range(MOST_STEPS):
        fresh, free = _bare_of(desk, book)
        instrument = desk.instruments[book.symbol]
        is_dust = stops.is_too_small(free, protected.lowest, instrument)
        if fresh is None or free <= 0 or (sales and is_dust):
            break
        verdict = judge(_sale(desk, fresh, free, protected))
        bar = fresh.last_bar or desk.now
        desk.journal.record_intents(fresh, [intent_of(verdict, book.strategy, bar, desk.now)])
        if isinstance(verdict, RefusedOrder):
            return [*notes, f"{alarm}, and so is its sale: {verdict.why}"]
        sales.append(verdict.request.client_order_id)
        note = send(desk.broker, desk.journal, verdict)
        book_new_fills(desk, [book.symbol])
        notes += [note] if note else []
        if not _goes_on(desk, verdict, protected.lowest):
            break
    return [f"{alarm}, {_ending(desk, sales)}", *notes] if sales else []


def _ending(desk: Desk, sales: Sequence[str]) -> str:
    """Say what became of a position that is sold: whether the exchange takes its sale at all."""
    known = [one for one in map(desk.journal.order, sales) if one is not None]
    refused = all(map(is_refused_for_good, known))
    return "and so is its sale; the next tick tries again" if refused else "the position is closed"


def leave_if_sold(
    desk: Desk, book: Position, protected: stops.Protected, judge: Judge, why: str
) -> list[str]:
    """Close what may not be protected, where its sale may be made and no more of it is bought."""
    fresh, free = _bare_of(desk, book)
    if fresh is None or waiting_entry(desk.journal, book.strategy, book.symbol) is not None:
        return []
    if isinstance(judge(_sale(desk, fresh, free, protected)), RefusedOrder):
        return []
    return leave(desk, book, protected, judge, f"protection is refused, {why}")


def _bare_of(desk: Desk, book: Position) -> tuple[Position | None, Decimal]:
    """Return the book as it is now, and how much of it nothing protects."""
    fresh = desk.journal.position(book.strategy, book.symbol)
    return fresh, ZERO if fresh is None else uncovered(desk.journal.open_orders(), fresh)


def _sale(desk: Desk, book: Position, free: Decimal, protected: stops.Protected) -> OrderRequest:
    """Return the sale of `free`, or of as much as one order may carry."""
    bar, instrument = book.last_bar or desk.now, desk.instruments[book.symbol]
    attempt = len(desk.journal.orders_of(book.strategy, book.symbol, bar))
    sale = exit_request(book, bar, instrument, protected.stop_reason, ZERO, attempt)
    return within(sale, min(free, protected.most or free), instrument)


def _goes_on(desk: Desk, sale: ApprovedOrder, price: Decimal) -> bool:
    """True when a sale was executed, or was too large: what is left is sold as well."""
    done = desk.journal.order(sale.request.client_order_id)
    filled = done is not None and done.status is OrderStatus.FILLED
    return filled or learn_size(desk, [sale.request.client_order_id], price)
