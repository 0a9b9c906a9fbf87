"""Smart order routing: an order may take from the books of symbols whose quotes are worth the same.

Symbols with one base and quotes pegged to the dollar form a group. What such an order takes is an
allocation in its own quote, not a trade; what is left of a limit order rests on its own book.

Add here: another rule of routing. Keep out: documents, matching of other orders.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from thunes_core.testnet.liquidity import Level, offers_to
from thunes_core.testnet.market import Market
from thunes_core.testnet.orders import ExchangeOrder

if TYPE_CHECKING:
    from thunes_core.testnet.matching import Exchange

PEGGED = frozenset({"USDT", "USDC", "FDUSD", "TUSD", "BUSD"})


def routing_groups(market: Market) -> dict[str, list[str]]:
    """Return the groups by base asset, each with at least two symbols."""
    groups: dict[str, list[str]] = {}
    for symbol in market.symbols:
        listing = market.listing(symbol)
        if listing.quote in PEGGED:
            groups.setdefault(listing.base, []).append(symbol)
    return {base: symbols for base, symbols in groups.items() if len(symbols) > 1}


def routed_offers(
    exchange: Exchange, order: ExchangeOrder, price: Decimal, time_ms: int
) -> list[Level]:
    """Return what the order may take on every book of its group, best first.

    `price` is the last price on its own book.
    """
    base = exchange.market.listing(order.symbol).base
    found: list[Level] = []
    for symbol in routing_groups(exchange.market).get(base, [order.symbol]):
        traded = exchange.market.find(symbol)
        if not traded.is_trading:
            continue
        last = price if symbol == order.symbol else traded.price(time_ms)
        if _is_reached(order, last):
            found += offers_to(order, exchange.book, exchange.settlement, traded, last, time_ms)
    return sorted(found, key=lambda level: level[0] if order.is_buy else -level[0])


def _is_reached(order: ExchangeOrder, last: Decimal) -> bool:
    if not order.is_limit:
        return True
    return last < order.limit_price if order.is_buy else last > order.limit_price
