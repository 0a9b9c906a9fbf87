"""The arithmetic of semantics §3, one rule a function: scalars in, scalars out.

The backtest kernel compiles these very functions and the live path calls them as they are, so a
rule has one definition. Each is a leaf (none calls another) and uses floats, bools and ints only:
that is what lets numba compile them. Prices in quote units, rates as fractions, times in
microseconds since 1970 UTC.

Add here: a rule of trading one symbol. Keep out: state, loops, Decimal, numba.
"""

from __future__ import annotations

import math

NO_STOP = 0.0
NO_TARGET = math.inf
NO_HIT, STOP_HIT, TARGET_HIT = 0, 1, 2

SIGNAL, STOP_LOSS, TRAILING_STOP, TAKE_PROFIT, OPEN = 0, 1, 2, 3, 4
REASONS = ("signal", "stop_loss", "trailing_stop", "take_profit", "open")
"""Why a trade ended, by code; `open` for one that has not."""


def floor_step(value: float, step: float) -> float:
    """Round down to a multiple of `step`, forgiving 1e-9 of a step; a step of 0 leaves `value`.

    >>> floor_step(0.3, 0.1), floor_step(0.37, 0.1), floor_step(0.37, 0.0)
    (0.30000000000000004, 0.30000000000000004, 0.37)
    """
    if step <= 0.0:
        return value
    return math.floor(value / step + 1e-9) * step


def stays_blocked(blocked: bool, target: float, previous_target: float) -> bool:
    """Keep the block of a protective exit until the target changes."""
    return blocked and target == previous_target


def desired_exposure(target: float, level: float, blocked: bool, cooling: bool) -> float:
    """Return the exposure to establish: 0 while blocked, no increase while cooling down.

    >>> desired_exposure(1.0, 0.0, blocked=False, cooling=True)
    0.0
    """
    desired = 0.0 if blocked else target
    return min(desired, level) if cooling else desired


def is_cooling(open_time: int, cooldown_until: int) -> bool:
    """True while a loss still forbids increases; the end itself is free again."""
    return open_time < cooldown_until


def buy_price(price: float, slippage: float) -> float:
    """Return what a market buy pays."""
    return price * (1.0 + slippage)


def sell_price(price: float, slippage: float) -> float:
    """Return what a market sell receives."""
    return price * (1.0 - slippage)


def wanted_buy(
    desired: float, equity: float, held_value: float, price: float, fee_rate: float
) -> float:
    """Return base units that raise the position to `desired` × equity, fee included; not rounded.

    `held_value` is quantity × open, `equity` is cash + `held_value`, `price` what the buy pays.
    """
    return (desired * equity - held_value) / (price * (1.0 + fee_rate))


def wanted_sell(desired: float, equity: float, quantity: float, open_price: float) -> float:
    """Return base units that lower the position to `desired` × equity; not rounded."""
    return quantity - desired * equity / open_price


def passes_filters(quantity: float, price: float, min_quantity: float, min_notional: float) -> bool:
    """True when there is something to trade and it is not below the instrument's minima.

    `price` is open × (1 + slippage) for buys and reductions alike (semantics §3, step 5).
    """
    return quantity > 0.0 and quantity >= min_quantity and quantity * price >= min_notional


def average_entry(entry: float, quantity: float, price: float, bought: float) -> float:
    """Return the average entry price after `bought` units at `price` join `quantity` units."""
    return (entry * quantity + price * bought) / (quantity + bought)


def stop_level(
    entry: float,
    high_water: float,
    stop_loss: float,
    trailing_stop: float,
    trailing_activation: float,
) -> tuple[float, bool]:
    """Return the stop price (`NO_STOP` when there is none) and whether the trail sets it.

    The trail counts once `high_water` has reached entry × (1 + activation), within 1e-12 relative.

    >>> stop_level(100.0, 110.0, 0.05, 0.02, 0.0)
    (107.8, True)
    """
    stop = entry * (1.0 - stop_loss) if stop_loss > 0.0 else NO_STOP
    reached = high_water >= entry * (1.0 + trailing_activation) * (1.0 - 1e-12)
    if trailing_stop > 0.0 and reached:
        trail = high_water * (1.0 - trailing_stop)
        if trail > stop:
            return trail, True
    return stop, False


def target_level(entry: float, take_profit: float) -> float:
    """Return the take-profit price; `NO_TARGET` when there is none."""
    return entry * (1.0 + take_profit) if take_profit > 0.0 else NO_TARGET


def protective_exit(
    open_price: float, high: float, low: float, stop: float, target: float, entry_bar: bool
) -> tuple[int, float, bool]:
    """Return (hit, price before slippage, at the open): what protection does inside one bar.

    A gap counts on any bar but that of the entry; inside the bar the stop comes before the target
    (the pessimistic order) and never fills better than the open.

    >>> protective_exit(4800.0, 4900.0, 4700.0, 4850.0, NO_TARGET, entry_bar=False)
    (1, 4800.0, True)
    """
    if not entry_bar and open_price <= stop:
        return STOP_HIT, open_price, True
    if not entry_bar and open_price >= target:
        return TARGET_HIT, open_price, True
    if low <= stop:
        return STOP_HIT, min(stop, open_price), False
    if high >= target:
        return TARGET_HIT, target, False
    return NO_HIT, 0.0, False
