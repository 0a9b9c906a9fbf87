"""Self-trade prevention: what becomes of a taker that would meet the account's own resting orders.

The market's own offers come from the price path; an order of the account that rests at a price as
good as the worst the taker would pay stands before them. With the mode NONE nothing is prevented,
and the taker trades with the market, never with the resting order.

Add here: another mode. Keep out: matching itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from thunes_core.testnet.orders import ZERO, Change, ExchangeOrder, Prevention, Status

if TYPE_CHECKING:
    from thunes_core.testnet.matching import Exchange

_ENDS_MAKER = frozenset({Prevention.EXPIRE_MAKER, Prevention.EXPIRE_BOTH})
_ENDS_TAKER = frozenset({Prevention.EXPIRE_TAKER, Prevention.EXPIRE_BOTH})


@dataclass(frozen=True, slots=True)
class PreventedMatch:
    """A trade with oneself that did not happen. Quantities in base units, None where unaffected."""

    number: int
    symbol: str
    taker_id: int
    maker_id: int
    mode: Prevention
    price: Decimal
    taker_quantity: Decimal | None
    maker_quantity: Decimal | None
    time_ms: int


def prevent(exchange: Exchange, taker: ExchangeOrder, reach: Decimal, time_ms: int) -> None:
    """Let prevention happen before `taker` takes at prices up to (or down to) `reach`."""
    if taker.asked.prevention in (None, Prevention.NONE):
        return
    for maker in _makers(exchange, taker, reach):
        if not taker.is_open or taker.remaining <= 0:
            return
        if maker.is_open:
            _prevent_one(exchange, taker, maker, time_ms)


def _makers(exchange: Exchange, taker: ExchangeOrder, reach: Decimal) -> list[ExchangeOrder]:
    """Return the account's own resting orders that the taker would meet, best price first."""
    sign = 1 if taker.is_buy else -1
    met = [
        order
        for order in exchange.records.open_orders(taker.symbol)
        if order.is_buy is not taker.is_buy
        and order.is_limit
        and not order.waits
        and order.status is not Status.PENDING_NEW
        and (order.limit_price - reach) * sign <= 0
    ]
    return sorted(met, key=lambda order: (order.limit_price * sign, order.order_id))


def _prevent_one(
    exchange: Exchange, taker: ExchangeOrder, maker: ExchangeOrder, time_ms: int
) -> None:
    mode = taker.asked.prevention or Prevention.NONE
    if mode in _ENDS_MAKER | _ENDS_TAKER:
        taken = taker.remaining if mode in _ENDS_TAKER else None
        made = maker.remaining if mode in _ENDS_MAKER else None
    else:
        taken = made = min(taker.remaining, maker.remaining)
    match = PreventedMatch(
        len(exchange.records.prevented),
        taker.symbol,
        taker.order_id,
        maker.order_id,
        mode,
        maker.limit_price,
        taken,
        made,
        time_ms,
    )
    exchange.records.prevented.append(match)
    for order, quantity in ((maker, made), (taker, taken)):
        if quantity is not None:
            order.matches_prevented.append(match)
            _expire(exchange, order, quantity, time_ms)


def _expire(exchange: Exchange, order: ExchangeOrder, quantity: Decimal, time_ms: int) -> None:
    """Take `quantity` off an order, and end it when nothing is left."""
    exchange.settlement.release_share(order, quantity)
    order.prevented += quantity
    if order.remaining > ZERO:
        order.update_ms = time_ms
        exchange.tell(order, Change.TRADE_PREVENTION)
    else:
        exchange.lists.before_act(order, time_ms)
        exchange.end(order, Status.EXPIRED_IN_MATCH, time_ms)
