"""Whether a new order may enter: status, filters, client id, prices, quantity.

Add here: a check that needs the market or the open orders. Keep out: form (`order_forms`), money.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from thunes_core.domain.orders import OrderType
from thunes_core.testnet.filters import Situation, require_filters
from thunes_core.testnet.orders import NewOrder
from thunes_core.testnet.refusals import insufficient_balance, market_closed, rejected
from thunes_core.testnet.triggers import crosses, is_past_stop

if TYPE_CHECKING:
    from thunes_core.testnet.matching import Exchange


def require_admissible(exchange: Exchange, asked: NewOrder) -> None:
    """Refuse an order that the symbol's status, its filters or its client id forbid."""
    traded = exchange.market.find(asked.symbol)
    if not traded.is_trading:
        raise market_closed()
    now = exchange.present_ms
    require_filters(
        asked,
        traded.listing,
        Situation(
            traded.average_price(now),
            traded.price(now),
            exchange.records.open_orders(asked.symbol),
            exchange.wallet.total(traded.listing.base),
        ),
    )
    found = exchange.records.find(asked.symbol, None, asked.client_id)
    if found is not None and found.is_open:
        raise rejected("Duplicate order sent.")


def admitted(exchange: Exchange, asked: NewOrder) -> NewOrder:
    """Return `asked` with its quantity, or refuse it; places nothing."""
    require_admissible(exchange, asked)
    last = exchange.market.price(asked.symbol, exchange.present_ms)
    if is_past_stop(asked, last):
        raise rejected("Order would trigger immediately.")
    if asked.type is OrderType.LIMIT_MAKER and crosses(asked, last):
        raise rejected("Order would immediately match and take.")
    if asked.quote_quantity is None:
        return asked
    step = exchange.market.listing(asked.symbol).step
    price = exchange.settlement.taker_price(asked.symbol, asked.side, last)
    quantity = asked.quote_quantity // (price * step) * step
    if quantity <= 0:
        raise insufficient_balance()
    return replace(asked, quantity=quantity)
