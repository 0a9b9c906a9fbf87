"""When and at what price a resting paper order executes. Pure.

Stops go off when the price touches them and fill at the worse of stop and open. Limit orders fill
when the price goes through them, at the limit or a better open. In a pair the stop comes first.

Add here: a resting order type. Keep out: money, stores.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from thunes_core.domain.orders import ZERO, Order, OrderStatus, OrderType, Side

STOPS = (OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT)
LIMITS = (OrderType.LIMIT, OrderType.LIMIT_MAKER)


@dataclass(frozen=True, slots=True)
class Move:
    """A move of the price: a bar, or one moment (all three equal). `start` and `end` UTC."""

    open: Decimal
    high: Decimal
    low: Decimal
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Hit:
    """An execution: price before slippage, moment, and whether we were the maker."""

    price: Decimal
    at: datetime
    is_maker: bool


def hit(order: Order, move: Move) -> Hit | None:
    """Return how `order` executes in `move`, or None; a sell that waits for its buy never does."""
    if order.status is OrderStatus.PENDING_NEW:
        return None
    if order.type in STOPS:
        return _stop(order, move)
    return _limit(order, move) if order.type in LIMITS else None


def first_stops(order: Order) -> bool:
    """Sort key: stops before limits."""
    return order.type not in STOPS


def _stop(order: Order, move: Move) -> Hit | None:
    stop, sells = order.stop_price or ZERO, order.side is Side.SELL
    leapt = move.open <= stop if sells else move.open >= stop
    touched = move.low <= stop if sells else move.high >= stop
    if not touched and not leapt:
        return None
    price = move.open if leapt else stop
    if order.price is not None and (price < order.price if sells else price > order.price):
        return None  # its limit is out of reach: it goes on resting
    return Hit(price, move.start if leapt else move.end, False)


def _limit(order: Order, move: Move) -> Hit | None:
    limit, sells = order.price or ZERO, order.side is Side.SELL
    leapt = move.open > limit if sells else move.open < limit
    through = move.high > limit if sells else move.low < limit
    if not through:
        return None
    return Hit(move.open if leapt else limit, move.start if leapt else move.end, True)
