"""Semantics §4: several symbols on shared cash, compiled. Each symbol is a `Book` of the kernel.

At each open time the symbols are visited in order: first every open, then every bar's protection.
A book's cash is the shared cash while it is visited.

Add here: a step that needs more than one symbol. Keep out: what one symbol needs (`kernel`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from thunes_core.backtest.compiled import compiled
from thunes_core.backtest.kernel import (
    PNL,
    REASON,
    REJECTED,
    SOLD_OUT,
    Bar,
    Book,
    Floats,
    Times,
    close_trade,
    establish,
    intend,
    protect,
    row_terms,
    write_trade,
)
from thunes_core.trading import rules

Indices = npt.NDArray[np.int64]
SYMBOL = REASON + 1
"""Column of the table of trades beside those of `kernel`: which symbol."""

QUANTITY = Book._fields.index("quantity")
OPEN, HIGH, LOW, CLOSE = range(4)
"""Rows of `Board.prices` of a symbol."""


class Board(NamedTuple):
    """All symbols of one run. What does not change, then the state.

    `places[s, k]` is the column of symbol s in `prices` (symbols, 4, bars) and `targets` at time k,
    −1 where it has no bar. `caps`: most of one symbol and most in total, fractions of equity.
    `books` (symbols, fields of `Book`) begin as zeros; `marks` are the last prices; `entered` says
    which symbols were flat before the open; `trades` has the columns of `kernel` and SYMBOL.
    """

    places: Indices
    prices: Floats
    targets: Floats
    weights: Floats
    terms: Floats
    caps: Floats
    max_positions: int
    interval_us: int
    books: Floats
    marks: Floats
    entered: Floats
    trades: Floats


@compiled
def load(books: Floats, s: int, cash: float) -> Book:
    """Return the book of symbol `s` with the shared cash."""
    r = books[s]  # in the order of the fields of Book
    return Book(
        cash,
        r[1],
        r[2],
        r[3],
        r[4],
        r[5] != 0.0,
        int(r[6]),
        int(r[7]),
        r[8],
        r[9],
        r[10],
        r[11],
        r[12],
    )


@compiled
def store(books: Floats, s: int, b: Book) -> float:
    """Keep the book of symbol `s`; return the shared cash."""
    r = books[s]
    r[0], r[1], r[2], r[3], r[4] = b.cash, b.quantity, b.entry, b.high_water, b.level
    r[5], r[6], r[7] = (1.0 if b.blocked else 0.0), float(b.cooldown_until), float(b.entry_time)
    r[8], r[9], r[10], r[11], r[12] = b.bought, b.spent, b.sold, b.received, b.fees
    return b.cash


@compiled
def held_value(books: Floats, prices: Floats) -> float:
    """Return the value of all positions at `prices`."""
    total = 0.0
    for s in range(len(books)):
        total += books[s, QUANTITY] * prices[s]
    return total


@compiled
def open_positions(books: Floats) -> int:
    """Count the symbols held."""
    count = 0
    for s in range(len(books)):
        count += books[s, QUANTITY] > 0.0
    return count


@compiled
def allowed_share(
    b: Book, share: float, equity: float, price: float, all_held: float, caps: Floats
) -> float:
    """Return what an increase to `share` of `equity` may reach: limits, then the cash there is.

    `caps`: most of one symbol, most in total, as fractions of equity.
    """
    held = b.quantity * price
    share = min(share, caps[0])
    if share * equity - held > caps[1] * equity - all_held:  # equal for one symbol, to the bit
        share = (held + caps[1] * equity - all_held) / equity
    return min(share, (held + b.cash) / equity)


@compiled
def open_symbol(
    y: Board, s: int, b: Book, bar: Bar, target: float, previous: float
) -> tuple[Book, int]:
    """Do the open of one symbol; increases within the limits, reductions always."""
    all_held = held_value(y.books, y.marks)
    equity = b.cash + all_held
    b, desired = intend(b, bar, target, previous)
    share = desired * y.weights[s]
    if desired > b.level:
        if b.quantity == 0.0 and open_positions(y.books) >= y.max_positions:
            return b, REJECTED
        share = allowed_share(b, share, equity, bar.open, all_held, y.caps)
    return establish(b, bar, desired, share, equity, row_terms(y.terms[s]))


@compiled
def bar_of(y: Board, s: int, i: int, time: int) -> Bar:
    """Return bar `i` of symbol `s`."""
    return Bar(time, y.prices[s, OPEN, i], y.prices[s, HIGH, i], y.prices[s, LOW, i])


@compiled
def finish(y: Board, s: int, b: Book, count: int, exit_time: int, reason: int) -> Book:
    """Write the trade just sold out and return the flat book."""
    write_trade(y.trades, count, b, exit_time, reason)
    y.trades[count, SYMBOL] = s
    blocked = reason != rules.SIGNAL or b.blocked
    return close_trade(b, exit_time, blocked, row_terms(y.terms[s]))


@compiled
def mark(y: Board, column: int, k: int) -> None:
    """Value every symbol that has a bar at time `k` at its open or close."""
    for s in range(len(y.places)):
        if y.places[s, k] >= 0:
            y.marks[s] = y.prices[s, column, y.places[s, k]]


@compiled
def fill_opens(y: Board, time: int, k: int, cash: float, count: int) -> tuple[float, int, int]:
    """Visit every open of time `k`; return shared cash, closed trades and rejected orders."""
    rejected = 0
    for s in range(len(y.places)):
        i = y.places[s, k]
        y.entered[s] = y.books[s, QUANTITY] == 0.0
        if i < 1:
            continue
        previous = y.targets[s, i - 2] if i > 1 else 0.0
        b = load(y.books, s, cash)
        b, done = open_symbol(y, s, b, bar_of(y, s, i, time), y.targets[s, i - 1], previous)
        rejected += done == REJECTED
        if done == SOLD_OUT:
            b = finish(y, s, b, count, time, rules.SIGNAL)
            count += 1
        cash = store(y.books, s, b)
    return cash, count, rejected


@compiled
def fill_insides(y: Board, time: int, k: int, cash: float, count: int) -> tuple[float, int]:
    """Protect every position inside its bar of time `k`; return shared cash and closed trades."""
    for s in range(len(y.places)):
        i = y.places[s, k]
        if i < 1 or y.books[s, QUANTITY] == 0.0:
            continue
        b = load(y.books, s, cash)
        entry_bar = y.entered[s] != 0.0
        b, reason, at_open = protect(b, bar_of(y, s, i, time), entry_bar, row_terms(y.terms[s]))
        if reason >= 0:
            b = finish(y, s, b, count, time if at_open else time + y.interval_us, reason)
            count += 1
        cash = store(y.books, s, b)
    return cash, count


@compiled
def run_portfolio(
    y: Board, time: Times, cash: float, held_cash: Floats, quantity: Floats, equity: Floats
) -> tuple[int, int, int]:
    """Run all times; fill shared cash, quantity (symbols, times) and equity at each time's close.

    Return closed trades, rejected orders, and open trades, which stand after the closed ones.
    """
    count = rejected = still_open = 0
    for k in range(len(time)):
        mark(y, OPEN, k)
        cash, count, refused = fill_opens(y, time[k], k, cash, count)
        cash, count = fill_insides(y, time[k], k, cash, count)
        mark(y, CLOSE, k)
        rejected += refused
        for s in range(len(y.places)):
            quantity[s, k] = y.books[s, QUANTITY]
        held_cash[k] = cash
        equity[k] = cash + held_value(y.books, y.marks)
    for s in range(len(y.places)):
        if y.books[s, QUANTITY] > 0.0:
            row = count + still_open
            write_trade(y.trades, row, load(y.books, s, cash), 0, rules.OPEN)
            y.trades[row, SYMBOL] = s
            y.trades[row, PNL] += y.books[s, QUANTITY] * y.marks[s]
            still_open += 1
    return count, rejected, still_open
