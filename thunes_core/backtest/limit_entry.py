"""Semantics §3 with limit entries: increases rest as a limit order, everything else is as before.

An order decided on at the close of bar t rests from bar t + 1 on, sized at that bar's open for its
limit and the maker fee. It fills when a bar trades through it (low < limit), at the limit or at a
better open. A change of target cancels it; so does any exit. Within the bar of a fill that came
after the open, what happened before is unknown: its high neither reaches the take profit nor lifts
the high water, and a position held before meets its own stop first when that lies above the limit.

Add here: a step of a resting entry. Keep out: what market entries share (`kernel`).
"""

from __future__ import annotations

from typing import NamedTuple

from thunes_core.backtest.compiled import compiled
from thunes_core.backtest.kernel import (
    CHANGED,
    NOTHING,
    PNL,
    REJECTED,
    SOLD_OUT,
    Bar,
    Book,
    Floats,
    Terms,
    Times,
    buy,
    close_trade,
    establish,
    flat_book,
    floor_step,
    intend,
    passes_filters,
    protect,
    sell,
    sell_price,
    stop_level,
    wanted_buy,
    write_trade,
)
from thunes_core.trading import rules


class Resting(NamedTuple):
    """The limit order that rests; `bars_left` 0 when there is none.

    `overdue`: its time passed unfilled. Until the target changes nothing rests again; with
    `then_market` the next open buys at the market.
    """

    price: float
    quantity: float
    level: float
    bars_left: int
    overdue: bool


@compiled
def nothing_rests(overdue: bool) -> Resting:
    """Return the absence of a resting order."""
    return Resting(0.0, 0.0, 0.0, 0, overdue)


@compiled
def place(
    b: Book, bar: Bar, desired: float, limit: float, timeout: int, t: Terms
) -> tuple[Resting, int]:
    """Return the limit order that raises to `desired`, or none where the filters refuse it."""
    held_value = b.quantity * bar.open
    wanted = wanted_buy(desired, b.cash + held_value, held_value, limit, t.maker_fee)
    quantity = floor_step(wanted, t.step_size)
    if not passes_filters(quantity, limit, t.min_quantity, t.min_notional):
        return nothing_rests(False), REJECTED
    return Resting(limit, quantity, desired, timeout, False), NOTHING


@compiled
def open_with_limits(
    b: Book,
    r: Resting,
    bar: Bar,
    limit: float,
    target: float,
    previous: float,
    timeout: int,
    then_market: bool,
    t: Terms,
) -> tuple[Book, Resting, int]:
    """Do the open: exits and reductions at the market, increases by a limit order."""
    if target != previous:
        r = nothing_rests(False)
    b, desired = intend(b, bar, target, previous)
    if desired <= b.level or (r.overdue and then_market):
        b, done = establish(b, bar, desired, desired, b.cash + b.quantity * bar.open, t)
        return b, nothing_rests(r.overdue and done != CHANGED), done
    if r.bars_left > 0 or r.overdue:
        return b, r, NOTHING
    r, done = place(b, bar, desired, limit, timeout, t)
    return b, r, done


@compiled
def fill_limit(b: Book, r: Resting, bar: Bar, t: Terms) -> Book:
    """Return the book after the resting order filled at the limit or a better open."""
    return buy(b, r.quantity, min(r.price, bar.open), t.maker_fee, r.level, bar.time)


@compiled
def stop_above_limit(b: Book, r: Resting, bar: Bar, t: Terms) -> bool:
    """True when a falling price meets the stop of what is held before the limit."""
    stop = stop_level(b.entry, b.high_water, t.stop_loss, t.trailing_stop, t.trailing_activation)[0]
    return stop >= r.price or bar.open <= stop


@compiled
def protect_after_fill(b: Book, bar: Bar, t: Terms) -> tuple[Book, int]:
    """Do protection after a fill inside the bar: the stop alone, and the high is not believed."""
    stop, trailing = stop_level(
        b.entry, b.high_water, t.stop_loss, t.trailing_stop, t.trailing_activation
    )
    if bar.low > stop:
        return b, -1
    price = sell_price(min(stop, bar.open), t.slippage)
    reason = rules.TRAILING_STOP if trailing else rules.STOP_LOSS
    return sell(b, b.quantity, price, t.taker_fee, 0.0), reason


@compiled
def inside(
    b: Book, r: Resting, bar: Bar, was_flat: bool, t: Terms
) -> tuple[Book, Resting, int, bool]:
    """Do the bar after its open: fill the resting order, protect; return reason (or −1) too."""
    if r.bars_left > 0 and bar.open < r.price:
        b, r = fill_limit(b, r, bar, t), nothing_rests(False)
    touched = r.bars_left > 0 and bar.low < r.price
    if touched and (b.quantity == 0.0 or not stop_above_limit(b, r, bar, t)):
        b = fill_limit(b, r, bar, t)
        b, reason = protect_after_fill(b, bar, t)
        return b, nothing_rests(False), reason, False
    if b.quantity == 0.0:
        return b, r, -1, False
    b, reason, at_open = protect(b, bar, was_flat, t)
    if reason >= 0:
        r = nothing_rests(False)
    return b, r, reason, at_open


@compiled
def visit_with_limits(
    b: Book,
    r: Resting,
    bar: Bar,
    limit: float,
    target: float,
    previous: float,
    timeout: int,
    then_market: bool,
    interval_us: int,
    t: Terms,
) -> tuple[Book, Resting, int, int, int]:
    """Do one whole bar; return book, order, reason of an exit (or −1), its time, the open's."""
    was_flat = b.quantity == 0.0
    b, r, done = open_with_limits(b, r, bar, limit, target, previous, timeout, then_market, t)
    if done == SOLD_OUT:
        return b, r, rules.SIGNAL, bar.time, done
    b, r, reason, at_open = inside(b, r, bar, was_flat, t)
    if r.bars_left > 0:
        left = r.bars_left - 1
        r = Resting(r.price, r.quantity, r.level, left, left == 0)
    return b, r, reason, bar.time if at_open else bar.time + interval_us, done


@compiled
def run_limit_bars(
    time: Times,
    open_: Floats,
    high: Floats,
    low: Floats,
    close: Floats,
    target: Floats,
    offset: float,
    timeout: int,
    then_market: bool,
    interval_us: int,
    start_cash: float,
    t: Terms,
    cash: Floats,
    quantity: Floats,
    equity: Floats,
    trades: Floats,
) -> tuple[int, int, bool]:
    """Run all bars; as `kernel.run_bars`, with increases by limit orders."""
    b = flat_book(start_cash)
    r = nothing_rests(False)
    count = rejected = 0
    previous = 0.0
    for u in range(len(time)):
        if u > 0:
            b, r, reason, exit_time, done = visit_with_limits(
                b,
                r,
                Bar(time[u], open_[u], high[u], low[u]),
                close[u - 1] * (1.0 - offset),
                target[u - 1],
                previous,
                timeout,
                then_market,
                interval_us,
                t,
            )
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
