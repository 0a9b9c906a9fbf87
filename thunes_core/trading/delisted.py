"""Books of symbols that the exchange does not list any more: how a person ends them.

Nothing can be sold there, and no price is told. Until a person accepts that, such a book counts at
the last price that was known; then it is written off at that price, and its orders are ended.

Add here: what is left of a symbol that is gone. Keep out: finding that it is (`step`).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from thunes_core.domain.instrument import Instrument
from thunes_core.domain.orders import OrderStatus
from thunes_core.domain.portfolio import Position
from thunes_core.domain.records import OrderRecord
from thunes_core.trading.book import Terms, write_off
from thunes_core.trading.equity import last_prices
from thunes_core.trading.ports import Journal
from thunes_core.trading.reconcile import Desk, delisted_symbols

DELISTED = "delisted"
ITS_END = (
    "what it holds counts at the last price known and is not traded; when the exchange is done "
    "with it, `thunes reconcile --accept` writes it off at that price"
)


def write_off_delisted(desk: Desk) -> Iterator[str]:
    """End what is left of the symbols that are gone; say what it was. Repeating it does nothing.

    Not while an order of theirs rests at the exchange: then the symbol may come back.
    """
    gone = delisted_symbols(desk)
    resting = {order.client_order_id for order in desk.broker.open_orders()} if gone else set()
    for symbol in gone:
        orders = _orders(desk.journal, symbol)
        rests = next((one for one in orders if one.client_order_id in resting), None)
        if rests is not None:
            yield (
                f"{symbol}: {rests.client_order_id} still rests at the exchange, the book stays "
                "as it is; cancel it there, then accept again"
            )
            continue
        for record in orders:
            yield _end(desk, record)
        for book in _books(desk.journal, symbol):
            yield _write_off(desk, book)


def _books(journal: Journal, symbol: str) -> list[Position]:
    return [book for book in journal.positions() if book.symbol == symbol and book.holding]


def _orders(journal: Journal, symbol: str) -> list[OrderRecord]:
    return [record for record in journal.open_orders() if record.request.symbol == symbol]


def _end(desk: Desk, record: OrderRecord) -> str:
    """Take an order as ended: it cannot be asked for any more, nor can its fills."""
    unread = record.executed_quantity - record.booked_quantity
    why = f"{record.request.symbol} is not listed any more; accepted by a person"
    if unread:
        why += f"; {unread:f} were told as executed, and their fills cannot be read"
    desk.journal.change_order(
        record.client_order_id,
        desk.now,
        status=OrderStatus.EXPIRED,
        executed_quantity=record.booked_quantity,
        code=DELISTED,
        why=why,
        updated_at=desk.now,
    )
    return f"{record.client_order_id}: ended, {why}"


def _write_off(desk: Desk, book: Position) -> str:
    price = last_prices(desk.journal).get(book.symbol, book.average_price)
    terms = Terms(Instrument(book.symbol, book.symbol, ""), desk.cooldown)
    done = write_off(book, book.holding, price, desk.now, terms)
    desk.journal.save_position(done.position, done.trade)
    told = {"strategy": book.strategy, "symbol": book.symbol, "quantity": book.holding}
    desk.journal.note(desk.now, "written_off", {**told, "price": price, "why": DELISTED})
    return (
        f"{book.symbol}: not listed any more, {book.holding:f} left the book of {book.strategy} at "
        f"the last price known, {_plain(price)}; coins the account still holds are yours to see to"
    )


def _plain(price: Decimal) -> str:
    return format(price.normalize(), "f")
