"""The admin's door, /testnet/…: the clock, faults, deposits. Not a part of Binance's protocol.

Add here: something whoever holds the testnet may do to it. Keep out: what a client may do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, TypeGuard

from thunes_core.errors import BadInput
from thunes_core.testnet.clock import TEN_YEARS_MS
from thunes_core.testnet.conditions import give
from thunes_core.testnet.faults import read_draw, read_draws, read_faults
from thunes_core.testnet.matching import Exchange

Body = Mapping[str, Any]
Call = Callable[[Exchange, Body], Any]


def show_clock(exchange: Exchange, _: Body) -> dict[str, Any]:
    """Tell where the clock stands."""
    clock = exchange.clock
    return {"now_ms": clock.now_ms(), "multiple": clock.multiple, "stepped": clock.is_stepped}


def move_clock(exchange: Exchange, body: Body) -> dict[str, Any]:
    """Move the clock by `advance_seconds` or to `to_ms`, and let the market run."""
    exchange.clock.move_to(_target_ms(body, exchange.clock.now_ms()))
    exchange.advance()
    return show_clock(exchange, body)


def _target_ms(body: Body, now_ms: int) -> int:
    to_ms, seconds = body.get("to_ms"), body.get("advance_seconds")
    if _is_number(seconds) and abs(seconds) < MOST_STEP_SECONDS:
        to_ms = now_ms + round(seconds * 1000)
    if not _is_number(to_ms):
        raise BadInput('clock: expected {"advance_seconds": n} or {"to_ms": n}; it was neither')
    if to_ms - now_ms > MOST_STEP_SECONDS * 1000:
        raise BadInput(f"clock: expected a step of at most ten years; it was to {to_ms}")
    return int(to_ms)


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


MOST_STEP_SECONDS = TEN_YEARS_MS // 1000
MOST_DEPOSIT = Decimal(10) ** 15


def show_faults(exchange: Exchange, _: Body) -> dict[str, Any]:
    """Tell what waits and what happened."""
    return exchange.faults.document()


def add_faults(exchange: Exchange, body: Body) -> dict[str, Any]:
    """Add scripted faults (`faults`), or draw them (`draws`; or `seed`, `rate`, `kinds`, `on`)."""
    if "faults" in body or "draws" in body:
        plan(exchange, body)
    elif "rate" in body:
        exchange.faults.draw(read_draw(body))
    else:
        raise BadInput(
            'faults: expected {"faults": [...]} or {"seed": n, "rate": x}; it was neither'
        )
    return exchange.faults.document()


def plan(exchange: Exchange, script: Any) -> None:
    """Give the exchange a script's faults and draws; none of them when one cannot be read."""
    faults = read_faults(script)
    draws = read_draws(script)
    for fault in faults:
        give(exchange, fault)
    for draw in draws:
        exchange.faults.draw(draw)


def clear_faults(exchange: Exchange, _: Body) -> dict[str, Any]:
    """Forget the request faults that wait, and stop drawing."""
    exchange.faults.clear()
    return exchange.faults.document()


def deposit(exchange: Exchange, body: Body) -> dict[str, Any]:
    """Add `amount` (text) of `asset` from outside; below zero is a withdrawal."""
    asset = body.get("asset")
    try:
        amount = Decimal(str(body.get("amount")))
    except InvalidOperation:
        amount = Decimal("NaN")
    is_amount = amount.is_finite() and abs(amount) <= MOST_DEPOSIT
    if not isinstance(asset, str) or not asset.isalnum() or not is_amount:
        raise BadInput(
            'deposit: expected {"asset": "USDT", "amount": "100"}, at most '
            f"{MOST_DEPOSIT:f}; it was {asset!r} and {str(body.get('amount'))[:40]!r}"
        )
    if exchange.wallet.free(asset) + amount < 0:
        raise BadInput(
            f"deposit: expected to take at most the {exchange.wallet.free(asset):f} {asset} that "
            f"are free; it was {-amount:f}; take less"
        )
    exchange.deposit(asset, amount)
    return {"asset": asset, "free": str(exchange.wallet.free(asset))}


ADMIN_CALLS: Mapping[tuple[str, str], Call] = {
    ("GET", "clock"): show_clock,
    ("POST", "clock"): move_clock,
    ("GET", "faults"): show_faults,
    ("POST", "faults"): add_faults,
    ("DELETE", "faults"): clear_faults,
    ("POST", "deposit"): deposit,
}
