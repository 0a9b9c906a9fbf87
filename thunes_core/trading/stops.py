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
from decimal import ROUND_CEILING, Decimal
from functools import partial

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

    `trail` is the distance, in basis points, at which the exchange itself lets a stop follow. Where
    there is an `activation` that is another order, above the market: it follows once the price has
    been there, and until it goes off the stop stays beside it. Two are equal when quantity, prices
    and trail are; the stop's reason is only told, and so is what one order of it may carry at
    `most` (base units in whole lots; None: any quantity), and that there is room for orders
    `beside` it, so that it may move by halves.
    """

    quantity: Decimal
    stop: Decimal | None
    target: Decimal | None
    stop_reason: str = field(default="stop_loss", compare=False)
    trail: int | None = None
    activation: Decimal | None = None
    most: Decimal | None = field(default=None, compare=False)
    beside: bool = field(default=False, compare=False)

    def part(self, quantity: Decimal, lot: Decimal) -> Protected:
        """Return one of the fewest equal parts of `quantity` that an order each may carry.

        Equal ones, in whole lots, so that none is too small for an order of its own.
        """
        if not self.most or quantity <= self.most:
            return replace(self, quantity=quantity)
        count = _ceiling(quantity / self.most)
        return replace(self, quantity=floor_to_step(quantity / count, lot))

    @property
    def count(self) -> int:
        """How many parts cover all of it at least."""
        return int(_ceiling(self.quantity / self.most)) if self.most else 1

    @property
    def is_pair(self) -> bool:
        """True for a stop with a target, which no one request moves."""
        return self.stop is not None and self.target is not None

    @property
    def upper(self) -> Decimal | None:
        """What stands above the market: the target, or where a trail begins."""
        return self.target or self.activation

    @property
    def lowest(self) -> Decimal:
        """The lowest price at which it may be worth something; 0 where none is known."""
        return self.stop or self.upper or ZERO

    def without_activation(self) -> Protected:
        """Return what does without a trail that begins later: the stop, else the trail at once."""
        if self.activation is None:
            return self
        if self.stop is None:
            return replace(self, stop=self.activation, activation=None)
        return self.without_trail()

    def without_trail(self) -> Protected:
        """Return what rests while no trail of the exchange's does."""
        return replace(self, trail=None, activation=None)


def trail_of(protection: Protection, instrument: Instrument) -> int | None:
    """Return the trail's distance in basis points; None where the exchange cannot follow with it.

    It cannot where it takes no trailing stops, or none of that distance (TRAILING_DELTA).
    """
    distance = round(protection.trailing_stop * BASIS_POINTS)
    rule = instrument.find(TrailingDelta)
    taken = rule is None or rule.min_below <= distance <= rule.max_below
    return distance if distance and taken and instrument.follows_price else None


def wanted(
    position: Position,
    protection: Protection,
    instrument: Instrument,
    *,
    native: bool = False,
    price: Decimal = ZERO,
) -> Protected | None:
    """Return what should rest for `position`; None when it is flat or nothing is switched on.

    `native`: the exchange itself follows with the trail, where it can. It follows each trade from
    the latest traded `price` on, so it takes the place of the fixed stop only from where it is not
    below it (the `activation`): until then the fixed stop rests, the trail beside it where it may.
    By the latest price, too, it is told what one order may carry.
    """
    if protection.is_off:
        return None
    trail = trail_of(protection, instrument) if native else None
    judged = protection if trail is None else replace(protection, trailing_stop=0.0)
    stop, is_trail, target = levels(position, judged)
    legs = (_price(stop, instrument), _price(target, instrument))
    quantity = floor_to_step(position.quantity, instrument.step_size)
    if quantity <= 0 or (legs == (None, None) and trail is None):
        return None
    highest = max(Decimal(repr(position.high_water)), legs[1] or ZERO)
    reason = _TRAILS if is_trail else rules.REASONS[rules.STOP_LOSS]
    found = Protected(quantity, *legs, reason)
    if trail is not None:
        begins = _activation(position, protection, trail, price, instrument)
        found = replace(found, trail=trail, activation=begins)
        if price >= begins:
            found = Protected(quantity, legs[0] or highest, legs[1], _TRAILS, trail)
    value_price = max(price or Decimal(repr(position.high_water)), found.upper or ZERO)
    most = min(largest(instrument, value_price), default=None)
    return replace(found, most=most and floor_to_step(most, instrument.step_size))


def _activation(
    position: Position, protection: Protection, trail: int, price: Decimal, instrument: Instrument
) -> Decimal:
    """Return the price from which a trail of the exchange's sets the stop; 0 for any price.

    It is the first at which the trail is armed and not below the fixed stop, up to the next tick.
    """
    entry, seen = float(position.average_price), max(position.high_water, float(price))
    activation = protection.trailing_activation
    _, is_armed = rules.stop_level(entry, seen, 0.0, protection.trailing_stop, activation)
    armed = 0.0 if is_armed else entry * (1.0 + activation)
    fixed = entry * (1.0 - protection.stop_loss) if protection.stop_loss else 0.0
    begins = max(armed, fixed / (1.0 - trail / BASIS_POINTS))
    tick = instrument.tick_size or Decimal("1e-8")
    return _ceiling(Decimal(repr(begins)) / tick) * tick


def _waits_above(protected: Protected, instrument: Instrument) -> bool:
    """True when the exchange takes a trail that begins above the market, and nothing else rests."""
    trail, rule = protected.trail or 0, instrument.find(TrailingDelta)
    taken = rule is None or rule.min_above <= trail <= rule.max_above
    return taken and protected.target is None and instrument.takes(OrderType.TAKE_PROFIT)


def resting(records: Iterable[OrderRecord]) -> Protected | None:
    """Return what the open protective orders among `records` amount to, or None."""
    legs = {record.request.leg: record for record in records}
    if not legs:
        return None
    stop, target = legs.get(Leg.STOP), legs.get(Leg.TARGET)
    quantity = min(record.request.quantity - record.executed_quantity for record in legs.values())
    deltas = [record.request.trailing_delta for record in legs.values()]
    return Protected(
        quantity,
        stop.request.stop_price if stop else None,
        target.request.price if target else None,
        trail=next((delta for delta in deltas if delta is not None), None),
        activation=target.request.stop_price if target else None,
    )


def fits(rests: Protected | None, desired: Protected | None, instrument: Instrument) -> bool:
    """True when what `rests` may stay where it is.

    A pair cannot be moved in one request. So one that came with an entry, and stands where the
    expected price had it instead of the price really paid, stays within `PAIR_ROOM`; and so does
    one that leaves out less than an order of its own could sell. What trails is moved, but for a
    trail of the exchange's own, which stands where it likes. A fixed stop is not taken away for one
    that begins later: it is replaced, in one request, once the trail sets the stop.
    """
    if rests == desired:
        return True
    if rests is None or desired is None:
        return False
    if rests.activation and desired.activation and rests.trail == desired.trail:
        return _stands_near(rests, desired, instrument)
    if desired.trail is not None and rests.trail is not None:
        return _anywhere(rests) == _anywhere(desired)
    if desired.activation is not None:
        return fits(rests, desired.without_trail(), instrument)
    if desired.stop_reason == _TRAILS or not (rests.stop and rests.target and desired.target):
        return False
    return _stands_near(rests, desired, instrument)


def _stands_near(rests: Protected, desired: Protected, instrument: Instrument) -> bool:
    """True when the orders of one list stand within `PAIR_ROOM` of where they should."""
    pairs = ((rests.stop, desired.stop), (rests.upper, desired.upper))
    left_out = desired.quantity - rests.quantity
    return (
        all(_is_near(*pair) for pair in pairs)
        and left_out >= ZERO
        and (not left_out or is_too_small(left_out, desired.lowest, instrument))
    )


def _anywhere(trail: Protected) -> Protected:
    """Return a trail of the exchange's without where it stands."""
    return replace(trail, stop=None, activation=None)


def _is_near(stands: Decimal | None, should: Decimal | None) -> bool:
    if stands is None or should is None:
        return stands is should
    return abs(stands - should) <= PAIR_ROOM * should


def is_too_small(quantity: Decimal, price: Decimal, instrument: Instrument) -> bool:
    """True when nobody could sell `quantity` by itself."""
    return quantity < instrument.min_quantity or quantity * price < instrument.min_notional


def least(price: Decimal, instrument: Instrument) -> Decimal:
    """Return the smallest quantity that may be sold by itself at `price`; in whole lots."""
    quantity, step = instrument.min_quantity, instrument.step_size
    if price > 0:
        quantity = max(quantity, instrument.min_notional / price)
    return _ceiling(quantity / step) * step if step else quantity


def requests_for(
    protected: Protected,
    position: Position,
    bar: datetime,
    instrument: Instrument,
    attempt: int,
    list_id: str = "",
) -> tuple[OrderRequest, ...]:
    """Return the orders that make up `protected`: a stop, what stands above, or a pair of both.

    None where that is a trail alone which the exchange does not let wait. They belong to the list
    `list_id`; a pair without one makes a list of its own.
    """
    if protected.activation is not None and not _waits_above(protected, instrument):
        protected = protected.without_trail()
    named = partial(client_order_id, position.strategy, position.symbol, bar, attempt=attempt)
    if protected.stop and protected.upper and not list_id:
        list_id = f"{named(Leg.TARGET)}-l"
    found = list[OrderRequest]()
    if protected.stop:
        found.append(_stop(protected, instrument, named(Leg.STOP), list_id))
    if protected.upper:
        found.append(_above(protected, instrument, named(Leg.TARGET), list_id))
    return tuple(found)


def _stop(protected: Protected, instrument: Instrument, name: str, list_id: str) -> OrderRequest:
    at_market = instrument.takes(OrderType.STOP_LOSS)
    trail = protected.trail if protected.activation is None else None
    room = (protected.stop or ZERO) * (1 - LIMIT_ROOM)
    return OrderRequest(
        symbol=instrument.symbol,
        side=Side.SELL,
        type=OrderType.STOP_LOSS if at_market else OrderType.STOP_LOSS_LIMIT,
        quantity=protected.quantity,
        client_order_id=name,
        leg=Leg.STOP,
        reason=protected.stop_reason,
        price=None if at_market else floor_to_step(room, instrument.tick_size),
        stop_price=protected.stop if trail is None else None,
        trailing_delta=trail,
        time_in_force=None if at_market else TimeInForce.GTC,
        reduces=True,
        list_id=list_id,
    )


def _above(protected: Protected, instrument: Instrument, name: str, list_id: str) -> OrderRequest:
    """Return the target, or the trail that begins at its activation."""
    trails = protected.activation is not None
    return OrderRequest(
        symbol=instrument.symbol,
        side=Side.SELL,
        type=OrderType.TAKE_PROFIT if trails else OrderType.LIMIT_MAKER,
        quantity=protected.quantity,
        client_order_id=name,
        leg=Leg.TARGET,
        reason=_TRAILS if trails else rules.REASONS[rules.TAKE_PROFIT],
        price=protected.target,
        stop_price=protected.activation,
        trailing_delta=protected.trail if trails else None,
        reduces=True,
        list_id=list_id,
    )


def _ceiling(value: Decimal) -> Decimal:
    return value.to_integral_value(ROUND_CEILING)


def _price(level: float, instrument: Instrument) -> Decimal | None:
    if level <= 0.0 or math.isinf(level):
        return None
    return floor_to_step(Decimal(repr(level)), instrument.tick_size or Decimal("1e-8"))
