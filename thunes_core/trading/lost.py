"""Coins that the books hold and the account does not leave the books, at the latest price.

A person sold them or took them away and accepted that, or the exchange took the fees of other
trades out of them: what they brought there, or paid, is not known here, or is charged already.

Add here: which book such coins leave. Keep out: finding what does not fit (`reconcile`).
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from decimal import Decimal

from thunes_core.domain.orders import ZERO
from thunes_core.domain.portfolio import Account, Position
from thunes_core.errors import BadInput, ExchangeRejected, ExchangeUnavailable
from thunes_core.trading.book import write_off
from thunes_core.trading.reconcile import Desk


def lost_coins(desk: Desk, account: Account, doubted: Container[str] = ()) -> Iterator[str]:
    """Take out of the books what they hold of each asset beyond the `account`; say what it was.

    Nothing where all are there, nor of a `doubted` asset. Coins of a book with an order that is not
    settled stay in it.
    """
    for asset, books in sorted(_books_by_asset(desk).items()):
        if asset in doubted:
            continue
        lost = sum((book.holding for book in books), ZERO) - account.total(asset)
        if lost > ZERO and _is_unsettled(desk, books):
            yield f"{asset}: an order is not settled, the books stay as they are; reconcile again"
            continue
        for book in books:
            gone = min(book.holding, lost)
            if gone > ZERO:
                yield _without(desk, book, gone)
            lost -= gone


def _books_by_asset(desk: Desk) -> dict[str, list[Position]]:
    """Return the books that hold something, by its asset, the largest first."""
    found: dict[str, list[Position]] = {}
    for book in sorted(desk.journal.positions(), key=lambda one: -one.holding):
        if book.holding and book.symbol in desk.instruments:
            found.setdefault(desk.instruments[book.symbol].base_asset, []).append(book)
    return found


def _is_unsettled(desk: Desk, books: list[Position]) -> bool:
    """True while an order of those symbols may have done more than is booked."""
    symbols = {book.symbol for book in books}
    return any(
        record.status.is_in_flight or record.executed_quantity != record.booked_quantity
        for record in desk.journal.open_orders()
        if record.request.symbol in symbols
    )


def _without(desk: Desk, book: Position, gone: Decimal) -> str:
    price = _price(desk, book)
    done = write_off(book, gone, price, desk.now, desk.terms(book.strategy, book.symbol))
    desk.journal.save_position(done.position, done.trade)
    told = {"strategy": book.strategy, "symbol": book.symbol, "quantity": gone, "price": price}
    desk.journal.note(desk.now, "written_off", told)
    return (
        f"{book.symbol}: {gone:f} that the account does not hold left the book of "
        f"{book.strategy}, at the latest price {price:f}"
    )


def _price(desk: Desk, book: Position) -> Decimal:
    """Return the latest price; what was paid where it cannot be asked."""
    try:
        return desk.market.price(book.symbol)
    except (BadInput, ExchangeRejected, ExchangeUnavailable):
        return book.average_price
