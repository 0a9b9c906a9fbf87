"""When the price path next reaches an order: its limit, its stop, its trailing level.

Add here: another way the path can reach an order. Keep out: what happens then.
"""

from __future__ import annotations

from decimal import Decimal

from thunes_core.testnet.market import Traded
from thunes_core.testnet.orders import NEVER_MS, ExchangeOrder, NewOrder, Status
from thunes_core.testnet.series import Crossing

BASIS_POINT = Decimal("0.0001")


def next_crossing(order: ExchangeOrder, traded: Traded, until_ms: int) -> Crossing | None:
    """Return the order's next event after what was searched, up to `until_ms`, or None.

    Keeps in the order what was learnt on the way: the extreme of a trailing stop.
    """
    if order.status is Status.PENDING_NEW or not traded.is_trading:
        return None
    if order.resume_ms != NEVER_MS:
        return _resumed(order, traded, until_ms)
    if order.checked_ms >= until_ms:
        return None
    if order.waits and order.asked.trailing_delta is not None:
        return _trailed(order, traded, until_ms)
    level = order.asked.stop_price if order.waits else order.asked.price
    if level is None:
        return None
    falling = order.asked.triggers_falling if order.waits else order.is_buy
    return traded.first_crossing(
        order.checked_ms, until_ms, level, falling=falling, touch=order.waits
    )


def _resumed(order: ExchangeOrder, traded: Traded, until_ms: int) -> Crossing | None:
    """Let a thinly filled order fill again if the price is still through its limit."""
    if order.resume_ms > until_ms:
        return None
    at, order.resume_ms = order.resume_ms, NEVER_MS
    order.checked_ms = at
    if crosses(order.asked, traded.price(at)):
        return Crossing(at, None)
    return next_crossing(order, traded, until_ms)


def _trailed(order: ExchangeOrder, traded: Traded, until_ms: int) -> Crossing | None:
    """Find where a trailing stop begins, by its stop price; then where it goes off.

    A sell trails the highest price and goes off below it, a buy the lowest, whatever the type:
    https://github.com/binance/binance-spot-api-docs/blob/master/faqs/trailing-stop-faq.md
    """
    asked = order.asked
    if order.trail_extreme is None:
        return traded.first_crossing(
            order.checked_ms,
            until_ms,
            asked.stop_price or Decimal(0),
            falling=asked.triggers_falling,
            touch=True,
        )
    found, extreme = traded.series_until(until_ms).trail(
        order.checked_ms,
        until_ms,
        float(order.trail_extreme),
        float((asked.trailing_delta or 0) * BASIS_POINT),
        falling=not order.is_buy,
    )
    order.trail_extreme = Decimal(str(round(extreme, 8)))
    return found


def crosses(asked: NewOrder, last: Decimal) -> bool:
    """True when a limit order would take at once while the last price is `last`."""
    if asked.price is None:
        return False
    return asked.price > last if asked.side == "BUY" else asked.price < last


def is_past_stop(asked: NewOrder, last: Decimal) -> bool:
    """True when a stop would go off, or begin to trail, at once while the last price is `last`."""
    if asked.stop_price is None:
        return False
    return last <= asked.stop_price if asked.triggers_falling else last >= asked.stop_price
