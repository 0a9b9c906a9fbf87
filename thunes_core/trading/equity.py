"""What the books are worth now, at 00:00 UTC and at most, and the trading state that follows.

Every figure is kept, so that the cost does not grow with the history.

Add here: a figure of the whole account that a limit needs. Keep out: the limits (see `risk`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from thunes_core.domain.bars import Interval
from thunes_core.domain.limits import RiskLimits
from thunes_core.domain.orders import ZERO
from thunes_core.domain.portfolio import Position
from thunes_core.domain.records import EquityMark, StateRecord
from thunes_core.errors import BadInput, ExchangeRejected, ExchangeUnavailable
from thunes_core.risk.losses import day_of, state_after, state_below_peak, undone
from thunes_core.trading.ports import Journal
from thunes_core.trading.reconcile import Desk

Prices = Mapping[str, Decimal]


def equity_of(journal: Journal, prices: Prices) -> Decimal:
    """Value all books at `prices`, quote units."""
    return sum((_value(book, prices) for book in journal.positions()), ZERO)


def mark_of(journal: Journal, prices: Prices, now: datetime) -> EquityMark:
    """Return cash, exposure and their sum at `prices`, quote units."""
    books = journal.positions()
    cash = sum((book.cash for book in books), ZERO)
    equity = sum((_value(book, prices) for book in books), ZERO)
    return EquityMark(now, equity, cash, equity - cash)


def valued(journal: Journal, prices: Prices) -> Prices:
    """Return `prices`, and of what is held but has none the last that is known."""
    unpriced = {book.symbol for book in journal.positions() if book.holding} - set(prices)
    if not unpriced:
        return prices
    known = last_prices(journal)
    return {**{symbol: known[symbol] for symbol in unpriced & set(known)}, **prices}


def last_prices(journal: Journal) -> Prices:
    """Return the prices that what is held was last valued at, by symbol."""
    report = journal.last_tick() or {}
    return {symbol: Decimal(price) for symbol, price in report.get("prices", {}).items()}


def held_at(journal: Journal, prices: Prices) -> Prices:
    """Return those of `prices` at which something is held."""
    held = {book.symbol for book in journal.positions() if book.holding}
    return {symbol: price for symbol, price in prices.items() if symbol in held}


def next_state(desk: Desk, limits: RiskLimits, prices: Prices) -> StateRecord:
    """Store the trading state that follows from equity; return what is in force.

    What a person sets meanwhile stays.
    """
    journal, now = desk.journal, desk.now
    record = journal.trading_state()
    equity = equity_of(journal, prices)
    following = state_after(record, _day_start(desk, prices), equity, limits, now)
    following = state_below_peak(following, _peak(journal, equity), equity, limits, now)
    if following == record:
        return record
    return journal.set_trading_state(
        following.state,
        reason=following.reason,
        author=following.author,
        since=following.since,
        instead_of=record,
    )


def allot(journal: Journal, fresh: Position, now: datetime) -> None:
    """Open a book; the cash it is given is no gain of the day, nor of the peak."""
    journal.save_position(fresh)
    day = day_of(now)
    start, peak = journal.day_start(day), journal.peak()
    if start is not None:
        journal.set_day_start(day, start + fresh.cash)
    if peak is not None:
        journal.set_peak(peak + fresh.cash)


def _value(book: Position, prices: Prices) -> Decimal:
    return book.equity(prices.get(book.symbol, book.average_price))


def _peak(journal: Journal, equity: Decimal) -> Decimal:
    known = journal.peak()
    if known is None or equity > known:
        journal.set_peak(equity)
        return equity
    return known


def _day_start(desk: Desk, prices: Prices) -> Decimal:
    """Return the equity of 00:00 UTC, working it out at the day's first tick (semantics §7)."""
    day = day_of(desk.now)
    start = desk.journal.day_start(day)
    if start is None:
        then = {**prices, **_prices_at(desk, day)}
        dealings = desk.journal.dealings_since(day)
        start = undone(equity_of(desk.journal, then), dealings, desk.instruments, then)
        desk.journal.set_day_start(day, start)
    return start


def _prices_at(desk: Desk, moment: datetime) -> dict[str, Decimal]:
    """Return the close of the bar that ended at `moment`, where something was or is held."""
    held = {book.symbol for book in desk.journal.positions() if book.holding}
    dealt = {one.symbol for one in desk.journal.dealings_since(moment)}
    asked = {symbol: _price_at(desk, symbol, moment) for symbol in sorted(held | dealt)}
    return {symbol: price for symbol, price in asked.items() if price is not None}


def _price_at(desk: Desk, symbol: str, moment: datetime) -> Decimal | None:
    """Return the price at `moment`; None where the exchange does not tell, which stops no tick."""
    known = (interval for (_, of), interval in desk.intervals.items() if of == symbol)
    interval = next(known, Interval.H1)
    try:
        bars = desk.market.klines(symbol, interval, moment - interval.duration, moment)
    except (BadInput, ExchangeRejected, ExchangeUnavailable):
        return None
    return None if bars.is_empty() else Decimal(repr(bars["close"][-1]))
