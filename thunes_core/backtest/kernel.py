"""Semantics §3, bar by bar: the plain path, compiled. What is fast elsewhere must equal this.

State is one immutable `Book`; a step takes it and returns the next. The rules themselves are the
scalar functions of `trading/rules.py`, compiled here and called uncompiled by the live path.

Add here: a step of the simulated bar. Keep out: frames, metrics, formulas of single rules.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from thunes_core.backtest.compiled import compiled
from thunes_core.trading import rules

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]

floor_step = compiled(rules.floor_step)
stays_blocked = compiled(rules.stays_blocked)
desired_exposure = compiled(rules.desired_exposure)
is_cooling = compiled(rules.is_cooling)
buy_price = compiled(rules.buy_price)
sell_price = compiled(rules.sell_price)
wanted_buy = compiled(rules.wanted_buy)
wanted_sell = compiled(rules.wanted_sell)
passes_filters = compiled(rules.passes_filters)
average_entry = compiled(rules.average_entry)
stop_level = compiled(rules.stop_level)
target_level = compiled(rules.target_level)
protective_exit = compiled(rules.protective_exit)

FOREVER_US = 1e18
"""Longer than any history, and still a whole number of 64 bits after any time."""

NOTHING, CHANGED, SOLD_OUT, REJECTED = 0, 1, 2, 3
ENTRY_TIME, EXIT_TIME, BOUGHT, SPENT, SOLD, RECEIVED, FEES, PNL, REASON = range(9)
"""Columns of the table of trades: times in microseconds, quantities in base, the rest in quote
units. SPENT and RECEIVED are traded values without fees."""


class Terms(NamedTuple):
    """Costs, protection and lot rules of one run, all floats; 0 switches a rule off."""

    taker_fee: float
    maker_fee: float
    slippage: float
    stop_loss: float
    take_profit: float
    trailing_stop: float
    trailing_activation: float
    cooldown_us: float
    step_size: float
    min_quantity: float
    min_notional: float


class Book(NamedTuple):
    """All that is known between two bars: money, position, protection state, the trade so far."""

    cash: float
    quantity: float
    entry: float
    high_water: float
    level: float
    blocked: bool
    cooldown_until: int
    entry_time: int
    bought: float
    spent: float
    sold: float
    received: float
    fees: float


class Bar(NamedTuple):
    """One bar; `time` is its open time in microseconds."""

    time: int
    open: float
    high: float
    low: float


@compiled
def row_terms(r: Floats) -> Terms:
    """Return the terms that stand in a row of floats, in the order of the fields."""
    return Terms(r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10])


@compiled
def flat_book(cash: float) -> Book:
    """Return the book before the first bar."""
    return Book(cash, 0.0, 0.0, 0.0, 0.0, False, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0)


@compiled
def with_block(b: Book, blocked: bool) -> Book:
    """Return the book with another block."""
    return Book(
        b.cash,
        b.quantity,
        b.entry,
        b.high_water,
        b.level,
        blocked,
        b.cooldown_until,
        b.entry_time,
        b.bought,
        b.spent,
        b.sold,
        b.received,
        b.fees,
    )


@compiled
def buy(b: Book, quantity: float, price: float, fee_rate: float, level: float, time: int) -> Book:
    """Return the book after a buy of `quantity` at `price`, fee on top."""
    flat = b.quantity == 0.0
    value = quantity * price
    fee = value * fee_rate
    return Book(
        b.cash - value - fee,
        b.quantity + quantity,
        price if flat else average_entry(b.entry, b.quantity, price, quantity),
        price if flat else b.high_water,
        level,
        b.blocked,
        b.cooldown_until,
        time if flat else b.entry_time,
        b.bought + quantity,
        b.spent + value,
        b.sold,
        b.received,
        b.fees + fee,
    )


@compiled
def sell(b: Book, quantity: float, price: float, fee_rate: float, level: float) -> Book:
    """Return the book after a sell of `quantity` at `price`, fee taken off."""
    value = quantity * price
    fee = value * fee_rate
    return Book(
        b.cash + value - fee,
        b.quantity - quantity,
        b.entry,
        b.high_water,
        level,
        b.blocked,
        b.cooldown_until,
        b.entry_time,
        b.bought,
        b.spent,
        b.sold + quantity,
        b.received + value,
        b.fees + fee,
    )


@compiled
def close_trade(b: Book, exit_time: int, blocked: bool, t: Terms) -> Book:
    """Return the flat book after the last sell; a loss starts the cool-down."""
    lost = b.received - b.spent - b.fees < 0.0
    until = exit_time + int(min(t.cooldown_us, FOREVER_US)) if lost else b.cooldown_until
    return Book(b.cash, 0.0, 0.0, 0.0, 0.0, blocked, until, 0, 0.0, 0.0, 0.0, 0.0, 0.0)


@compiled
def write_trade(trades: Floats, row: int, b: Book, exit_time: int, reason: int) -> None:
    """Write the trade that the book holds, just sold out, into `trades[row]`."""
    trades[row, ENTRY_TIME] = b.entry_time
    trades[row, EXIT_TIME] = exit_time
    trades[row, BOUGHT] = b.bought
    trades[row, SPENT] = b.spent
    trades[row, SOLD] = b.sold
    trades[row, RECEIVED] = b.received
    trades[row, FEES] = b.fees
    trades[row, PNL] = b.received - b.spent - b.fees
    trades[row, REASON] = reason


@compiled
def rebalance(b: Book, bar: Bar, target: float, previous: float, t: Terms) -> tuple[Book, int]:
    """Do steps 1 to 5 at the open of `bar`; return the book and what was done.

    After `SOLD_OUT` the caller writes the trade and closes it.
    """
    b, desired = intend(b, bar, target, previous)
    return establish(b, bar, desired, desired, b.cash + b.quantity * bar.open, t)


@compiled
def intend(b: Book, bar: Bar, target: float, previous: float) -> tuple[Book, float]:
    """Do step 1: return the book, unblocked if the target changed, and the exposure desired."""
    b = with_block(b, stays_blocked(b.blocked, target, previous))
    cooling = is_cooling(bar.time, b.cooldown_until)
    return b, desired_exposure(target, b.level, b.blocked, cooling)


@compiled
def establish(
    b: Book, bar: Bar, desired: float, share: float, equity: float, t: Terms
) -> tuple[Book, int]:
    """Do steps 2 to 5: bring the position to `share` of `equity` and its level to `desired`."""
    if desired == b.level:
        return b, NOTHING
    if desired == 0.0:
        price = sell_price(bar.open, t.slippage)
        return sell(b, b.quantity, price, t.taker_fee, 0.0), SOLD_OUT
    return resize(b, bar, desired, share, equity, t)


@compiled
def resize(
    b: Book, bar: Bar, desired: float, share: float, equity: float, t: Terms
) -> tuple[Book, int]:
    """Raise or lower the position (`desired` is not 0) when the filters allow it."""
    paid = buy_price(bar.open, t.slippage)
    if desired > b.level:
        wanted = wanted_buy(share, equity, b.quantity * bar.open, paid, t.taker_fee)
    else:
        wanted = wanted_sell(share, equity, b.quantity, bar.open)
    quantity = floor_step(wanted, t.step_size)
    if not passes_filters(quantity, paid, t.min_quantity, t.min_notional):
        return b, REJECTED
    if desired > b.level:
        return buy(b, quantity, paid, t.taker_fee, desired, bar.time), CHANGED
    received = sell_price(bar.open, t.slippage)
    if quantity >= b.quantity:
        return sell(b, b.quantity, received, t.taker_fee, 0.0), SOLD_OUT
    return sell(b, quantity, received, t.taker_fee, desired), CHANGED


@compiled
def protect(b: Book, bar: Bar, entry_bar: bool, t: Terms) -> tuple[Book, int, bool]:
    """Do protection inside `bar` for a held position; return book, reason (or -1), at the open.

    The caller writes the trade and closes it when there is a reason.
    """
    stop, trailing = stop_level(
        b.entry, b.high_water, t.stop_loss, t.trailing_stop, t.trailing_activation
    )
    target = target_level(b.entry, t.take_profit)
    hit, price, at_open = protective_exit(bar.open, bar.high, bar.low, stop, target, entry_bar)
    if hit == rules.STOP_HIT:
        price = sell_price(price, t.slippage)
        reason = rules.TRAILING_STOP if trailing else rules.STOP_LOSS
        return sell(b, b.quantity, price, t.taker_fee, 0.0), reason, at_open
    if hit == rules.TARGET_HIT:
        return sell(b, b.quantity, price, t.maker_fee, 0.0), rules.TAKE_PROFIT, at_open
    return raise_high_water(b, bar.high), -1, False


@compiled
def raise_high_water(b: Book, high: float) -> Book:
    """Return the book with the high of a bar that protection let pass."""
    return Book(
        b.cash,
        b.quantity,
        b.entry,
        max(b.high_water, high),
        b.level,
        b.blocked,
        b.cooldown_until,
        b.entry_time,
        b.bought,
        b.spent,
        b.sold,
        b.received,
        b.fees,
    )


@compiled
def visit(
    b: Book, bar: Bar, target: float, previous: float, interval_us: int, t: Terms
) -> tuple[Book, int, int, int]:
    """Do one whole bar; return book, reason of an exit (or -1), its time, what the open did.

    With a reason the book still holds the finished trade: note it, then `close_trade`.
    """
    was_flat = b.quantity == 0.0
    b, done = rebalance(b, bar, target, previous, t)
    if done == SOLD_OUT:
        return b, rules.SIGNAL, bar.time, done
    if b.quantity == 0.0:
        return b, -1, 0, done
    b, reason, at_open = protect(b, bar, was_flat, t)
    return b, reason, bar.time if at_open else bar.time + interval_us, done


@compiled
def run_bars(
    time: Times,
    open_: Floats,
    high: Floats,
    low: Floats,
    close: Floats,
    target: Floats,
    interval_us: int,
    start_cash: float,
    t: Terms,
    cash: Floats,
    quantity: Floats,
    equity: Floats,
    trades: Floats,
) -> tuple[int, int, bool]:
    """Run all bars; fill `cash`, `quantity`, `equity` per bar close and `trades` per trade.

    Return (closed trades, rejected orders, whether a trade is still open: it stands in the row
    after the closed ones, marked at the last close). `trades` needs len(time) + 1 rows.
    """
    b = flat_book(start_cash)
    count = rejected = 0
    previous = 0.0
    for u in range(len(time)):
        if u > 0:
            bar = Bar(time[u], open_[u], high[u], low[u])
            b, reason, exit_time, done = visit(b, bar, target[u - 1], previous, interval_us, t)
            if reason >= 0:
                write_trade(trades, count, b, exit_time, reason)
                b = close_trade(b, exit_time, reason != rules.SIGNAL or b.blocked, t)
                count += 1
            rejected += done == REJECTED
            previous = target[u - 1]
        cash[u] = b.cash
        quantity[u] = b.quantity
        equity[u] = b.cash + b.quantity * close[u]
    still_open = b.quantity > 0.0
    if still_open:
        write_trade(trades, count, b, 0, rules.OPEN)
        trades[count, PNL] += b.quantity * close[-1]
    return count, rejected, still_open
