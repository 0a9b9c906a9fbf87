"""How an order takes what the book offers: prevention first, then level after level.

Add here: another rule of taking. Keep out: what the book offers (`liquidity`, `routing`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from thunes_core.domain.orders import TimeInForce
from thunes_core.testnet.liquidity import Level, offers_to
from thunes_core.testnet.orders import ExchangeOrder
from thunes_core.testnet.prevention import prevent
from thunes_core.testnet.routing import routed_offers

if TYPE_CHECKING:
    from thunes_core.testnet.matching import Exchange


def take(exchange: Exchange, order: ExchangeOrder, price: Decimal, time_ms: int) -> None:
    """Take from the book up to the order's limit, all or nothing for FOK."""
    offers = _offers(exchange, order, price, time_ms)
    if offers:
        prevent(exchange, order, _reach(offers, order.remaining), time_ms)
    enough = sum(quantity for _, quantity in offers) >= order.remaining
    if order.asked.time_in_force is TimeInForce.FOK and not enough:
        return
    for level, quantity in offers:
        if not order.is_open:
            return
        part = min(quantity, order.remaining)
        exchange.fill(order, level, part, time_ms, is_maker=False)


def _offers(exchange: Exchange, order: ExchangeOrder, price: Decimal, time_ms: int) -> list[Level]:
    if order.asked.is_routed:
        return routed_offers(exchange, order, price, time_ms)
    traded = exchange.market.find(order.symbol)
    return offers_to(order, exchange.book, exchange.settlement, traded, price, time_ms)


def _reach(offers: list[Level], quantity: Decimal) -> Decimal:
    """Return the worst price that taking `quantity` of `offers` comes to."""
    for price, offered in offers:
        quantity -= offered
        if quantity <= 0:
            return price
    return offers[-1][0]
