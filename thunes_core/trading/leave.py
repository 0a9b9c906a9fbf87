"""Sell at the market what nothing protects, with an alarm.

Add here: when a position that cannot be protected is closed. Keep out: protecting it (see `guard`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from thunes_core.domain.orders import ApprovedOrder, OrderRequest, RefusedOrder
from thunes_core.domain.portfolio import Position
from thunes_core.domain.records import OrderRecord
from thunes_core.trading.coins import sellable, within
from thunes_core.trading.decide import exit_request
from thunes_core.trading.reconcile import Desk, book_new_fills
from thunes_core.trading.resolve import ALARM
from thunes_core.trading.resting import waiting_entry
from thunes_core.trading.send import intent_of, send

Judge = Callable[[OrderRequest], ApprovedOrder | RefusedOrder]


def is_bare(records: Sequence[OrderRecord], book: Position) -> bool:
    """True when a book holds coins that no open order among `records` speaks for."""
    rests = any(
        (record.strategy, record.request.symbol) == (book.strategy, book.symbol)
        and record.request.rests
        and not record.status.is_final
        for record in records
    )
    return not rests and sellable(records, book) > 0


def leave(desk: Desk, book: Position, reason: str, judge: Judge, why: str) -> list[str]:
    """Sell at the market what a book holds and nothing protects, with an alarm that says `why`."""
    fresh = desk.journal.position(book.strategy, book.symbol)
    if fresh is None or not is_bare(desk.journal.open_orders(), fresh):
        return []  # a sale under way may have taken it all: asked after, never repeated
    bar = fresh.last_bar or desk.now
    verdict = judge(_sale(desk, fresh, reason))
    desk.journal.record_intents(fresh, [intent_of(verdict, book.strategy, bar, desk.now)])
    if isinstance(verdict, RefusedOrder):
        return [f"{ALARM} {book.symbol}: {why}, and so is its sale: {verdict.why}"]
    notes = [f"{ALARM} {book.symbol}: {why}, the position is closed"]
    note = send(desk.broker, desk.journal, verdict)
    book_new_fills(desk, [book.symbol])
    return [*notes, note] if note else notes


def leave_if_sold(desk: Desk, book: Position, reason: str, judge: Judge, why: str) -> list[str]:
    """Close what may not be protected, where its sale may be made and no more of it is bought."""
    if waiting_entry(desk.journal, book.strategy, book.symbol) is not None:
        return []
    if isinstance(judge(_sale(desk, book, reason)), RefusedOrder):
        return []
    return leave(desk, book, reason, judge, f"protection is refused, {why}")


def _sale(desk: Desk, book: Position, reason: str) -> OrderRequest:
    """Return the order that sells at the market what of a book no other order speaks for."""
    bar, instrument = book.last_bar or desk.now, desk.instruments[book.symbol]
    attempt = len(desk.journal.orders_of(book.strategy, book.symbol, bar))
    highest = Decimal(repr(book.high_water))
    sale = exit_request(book, bar, instrument, reason, highest, attempt)
    return within(sale, sellable(desk.journal.open_orders(), book), instrument)
