"""Which protective orders should rest at the exchange for a position, and which do. Pure.

Prices follow semantics §3 (`rules`), rounded down to the tick: on prices that are multiples of the
tick, such a stop goes off exactly when the unrounded one would.

Add here: another kind of resting protection. Keep out: placing it (see `guard`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from thunes_core.domain.instrument import Instrument, TrailingDelta, floor_to_step, largest
from thunes_core.domain.limits import Protection
from thunes_core.domain.orders import (
    ZERO,
    Leg,
    OrderRequest,
    OrderType,
    Side,
    TimeInForce,
    client_order_id,
)
from thunes_core.domain.portfolio import Position
from thunes_core.domain.records import OrderRecord
from thunes_core.trading import rules
from thunes_core.trading.protect import levels

BASIS_POINTS = 10_000
LIMIT_ROOM = Decimal("0.05")
"""How far below its stop a stop-limit order may still sell, where stop-market is not taken."""
PAIR_ROOM = Decimal("0.001")
"""By how much of its prices a pair may be off before it is cancelled and placed anew."""
_TRAILS = rules.REASONS[rules.TRAILING_STOP]


@dataclass(frozen=True, slots=True)
class Protected:
    """What rests: quantity in base units, prices in quote units; None where there is no such leg.

    `trail` is the distance, in basis points, at which the exchange itself lets the stop follow.
    Two are equal when quantity, prices and trail are; the stop's reason is only told.
    """

    quantity: Decimal
    stop: Decimal | None
    target: Decimal | None
    stop_reason: str = field(default="stop_loss", compare=False)
    trail: int | None = None


def trail_of(protection: Protection, instrument: Instrument) -> int | None:
    """Return the trail's distance in basis points; None where the exchange cannot follow with it.

    It cannot where it takes no trailing stops, or none of that distance (TRAILING_DELTA).
    """
    distance = round(protection.trailing_stop * BASIS_POINTS)
    rule = instrument.find(TrailingDelta)
    taken = rule is None or rule.min_below <= distance <= rule.max_below
    return distance if distance and taken and instrument.follows_price else None


def wanted(
    position: Position, protection: Protection, instrument: Instrument, *, native: bool = False
) -> Protected | None:
    """Return what should rest for `position`; None when it is flat or nothing is switched on.

    `native`: once the trail sets the stop, the exchange itself follows with it, where it can.
    """
    stop, is_trail, target = levels(position, protection)
    legs = (_price(stop, instrument), _price(target, instrument))
    highest = max(Decimal(repr(position.high_water)), legs[1] or ZERO)
    most = min([position.quantity, *largest(instrument, highest)])
    quantity = floor_to_step(most, instrument.step_size)
    if quantity <= 0 or legs == (None, None):
        return None
    reason = rules.REASONS[rules.TRAILING_STOP if is_trail else rules.STOP_LOSS]
    trail = trail_of(protection, instrument) if native and is_trail else None
    return Protected(quantity, *legs, reason, trail)


def resting(records: Iterable[OrderRecord]) -> Protected | None:
    """Return what the open protective orders among `records` amount to, or None."""
    legs = {record.request.leg: record for record in records}
    if not legs:
        return None
    stop, target = legs.get(Leg.STOP), legs.get(Leg.TARGET)
    quantity = min(record.request.quantity - record.executed_quantity for record in legs.values())
    return Protected(
        quantity,
        stop.request.stop_price if stop else None,
        target.request.price if target else None,
        trail=stop.request.trailing_delta if stop else None,
    )


def fits(rests: Protected | None, desired: Protected | None, instrument: Instrument) -> bool:
    """True when what `rests` may stay where it is.

    A pair cannot be moved in one request. So one that came with an entry, and stands where the
    expected price had it instead of the price really paid, stays within `PAIR_ROOM`; and so does
    one that leaves out less than an order of its own could sell. What trails is moved, but for a
    trail of the exchange's own, which stands where it likes.
    """
    if rests == desired:
        return True
    if rests is None or desired is None:
        return False
    if desired.trail is not None:
        return replace(rests, stop=None) == replace(desired, stop=None)
    if desired.stop_reason == _TRAILS:
        return False
    if not (rests.stop and rests.target and desired.stop and desired.target):
        return False
    near = abs(rests.stop - desired.stop) <= PAIR_ROOM * desired.stop
    near = near and abs(rests.target - desired.target) <= PAIR_ROOM * desired.target
    left_out = desired.quantity - rests.quantity
    return near and left_out >= ZERO and _is_too_small(left_out, desired.stop, instrument)


def _is_too_small(quantity: Decimal, price: Decimal, instrument: Instrument) -> bool:
    """True when nobody could sell `quantity` by itself."""
    return quantity < instrument.min_quantity or quantity * price < instrument.min_notional


def requests_for(
    protected: Protected, position: Position, bar: datetime, instrument: Instrument, attempt: int
) -> tuple[OrderRequest, ...]:
    """Return the orders that make up `protected`: a stop, a target, or a pair of both."""
    stop = _stop(protected, position, bar, instrument, attempt) if protected.stop else None
    target = _target(protected, position, bar, attempt) if protected.target else None
    if stop is None or target is None:
        return tuple(request for request in (stop, target) if request is not None)
    pair = client_order_id(position.strategy, position.symbol, bar, Leg.TARGET, attempt)
    return tuple(_in_list(request, f"{pair}-l") for request in (stop, target))


def _stop(
    protected: Protected, position: Position, bar: datetime, instrument: Instrument, attempt: int
) -> OrderRequest:
    at_market = instrument.takes(OrderType.STOP_LOSS)
    room = (protected.stop or ZERO) * (1 - LIMIT_ROOM)
    return OrderRequest(
        symbol=position.symbol,
        side=Side.SELL,
        type=OrderType.STOP_LOSS if at_market else OrderType.STOP_LOSS_LIMIT,
        quantity=protected.quantity,
        client_order_id=client_order_id(position.strategy, position.symbol, bar, Leg.STOP, attempt),
        leg=Leg.STOP,
        reason=protected.stop_reason,
        price=None if at_market else floor_to_step(room, instrument.tick_size),
        stop_price=protected.stop if protected.trail is None else None,
        trailing_delta=protected.trail,
        time_in_force=None if at_market else TimeInForce.GTC,
        reduces=True,
    )


def _target(protected: Protected, position: Position, bar: datetime, attempt: int) -> OrderRequest:
    return OrderRequest(
        symbol=position.symbol,
        side=Side.SELL,
        type=OrderType.LIMIT_MAKER,
        quantity=protected.quantity,
        client_order_id=client_order_id(
            position.strategy, position.symbol, bar, Leg.TARGET, attempt
        ),
        leg=Leg.TARGET,
        reason=rules.REASONS[rules.TAKE_PROFIT],
        price=protected.target,
        reduces=True,
    )


def _in_list(request: OrderRequest, list_id: str) -> OrderRequest:
    return replace(request, list_id=list_id)


def _price(level: float, instrument: Instrument) -> Decimal | None:
    if level <= 0.0 or math.isinf(level):
        return None
    return floor_to_step(Decimal(repr(level)), instrument.tick_size or Decimal("1e-8"))
