"""Whether a new order may enter: status, filters, client id, prices, quantity.

Add here: a check that needs the market or the open orders. Keep out: form (`order_forms`), money.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from thunes_core.domain.orders import OrderType, TimeInForce
from thunes_core.testnet.filters import Situation, require_filters
from thunes_core.testnet.listing import Listing
from thunes_core.testnet.orders import NewOrder, Prevention
from thunes_core.testnet.refusals import Refused, insufficient_balance, market_closed, rejected
from thunes_core.testnet.triggers import crosses, is_past_stop

if TYPE_CHECKING:
    from thunes_core.testnet.matching import Exchange


def require_admissible(
    exchange: Exchange, asked: NewOrder, coming: Sequence[NewOrder] = ()
) -> None:
    """Refuse an order that the symbol's status, its filters or its client id forbid.

    `coming` are the orders of the same list before it, which no filter has counted yet.
    """
    traded = exchange.market.find(asked.symbol)
    if not traded.is_trading:
        raise market_closed()
    require_supported(asked, traded.listing)
    require_within_filters(exchange, asked, coming)
    found = exchange.records.find(asked.symbol, None, asked.client_id)
    if found is not None and found.is_open:
        raise rejected("Duplicate order sent.")


def require_within_filters(
    exchange: Exchange, asked: NewOrder, coming: Sequence[NewOrder] = ()
) -> None:
    """Refuse with -1013 an order that a filter forbids as things stand now."""
    traded, now = exchange.market.find(asked.symbol), exchange.present_ms
    require_filters(
        asked,
        traded.listing,
        Situation(
            traded.average_price(now, traded.listing.average_minutes),
            traded.price(now),
            exchange.records.open_orders(asked.symbol),
            exchange.wallet.total(traded.listing.base),
            exchange.records.open_orders(),
            coming,
        ),
        (*exchange.options.exchange_filters, *exchange.options.asset_filters),
    )


_UNSUPPORTED = {
    "MARKET": "Market orders are",
    "STOP_LOSS": "Stop loss orders are",
    "STOP_LOSS_LIMIT": "Stop loss limit orders are",
    "TAKE_PROFIT": "Take profit orders are",
    "TAKE_PROFIT_LIMIT": "Take profit limit orders are",
    "LIMIT_MAKER": "Limit maker orders are",
    "LIMIT": "Limit orders are",
}


def require_supported(asked: NewOrder, listing: Listing) -> None:
    """Refuse what the listing of the symbol does not offer."""
    if asked.type not in listing.order_types:
        raise rejected(f"{_UNSUPPORTED[asked.type]} not supported for this symbol.")
    if asked.iceberg_quantity is not None:
        _require_iceberg(asked, listing)
    if asked.trailing_delta is not None and not listing.allows("allowTrailingStop"):
        raise rejected("Trailing stop orders are not supported for this symbol.")
    if asked.quote_quantity is not None and not listing.allows("quoteOrderQtyMarketAllowed"):
        raise rejected("Quote order qty market orders are not support for this symbol.")
    allowed = listing.document()["allowedSelfTradePreventionModes"]
    if asked.prevention is not None and asked.prevention not in allowed:
        raise Refused(-1013, "This symbol does not allow the specified self-trade prevention mode.")


def _require_iceberg(asked: NewOrder, listing: Listing) -> None:
    if not listing.allows("icebergAllowed"):
        raise rejected("Iceberg orders are not supported for this symbol.")
    if asked.time_in_force is not TimeInForce.GTC:
        raise rejected("Unsupported order combination")
    if (asked.iceberg_quantity or 0) > (asked.quantity or 0):
        raise rejected("IcebergQty exceeds QTY.")


def with_default_prevention(exchange: Exchange, asked: NewOrder) -> NewOrder:
    """Return `asked` with the symbol's own mode of self-trade prevention where none was sent."""
    if asked.prevention is not None:
        return asked
    document = exchange.market.listing(asked.symbol).document()
    return replace(asked, prevention=Prevention(document["defaultSelfTradePreventionMode"]))


def admitted(exchange: Exchange, asked: NewOrder, coming: Sequence[NewOrder] = ()) -> NewOrder:
    """Return `asked` with its quantity, or refuse it; places nothing."""
    require_admissible(exchange, asked, coming)
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
