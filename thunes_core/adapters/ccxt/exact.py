"""CCXT rounds what it sends: what it would change is refused before anything leaves.

Add here: a figure of a request that must arrive as it is. Keep out: sending.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from thunes_core.domain.orders import OrderRequest
from thunes_core.errors import ExchangeRejected

BAD_PRECISION = -1111


def require_exact(exchange: Any, unified: str, request: OrderRequest, what: str) -> None:
    """Raise `ExchangeRejected` where CCXT would send another quantity or price."""
    from ccxt import InvalidOrder

    prices = [price for price in (request.price, request.stop_price) if price is not None]
    try:
        sent = [exchange.amount_to_precision(unified, str(request.quantity))]
        sent += [exchange.price_to_precision(unified, str(price)) for price in prices]
    except InvalidOrder as error:
        raise ExchangeRejected(f"{what}: not sent, {error}", BAD_PRECISION) from error
    if [Decimal(text) for text in sent] != [request.quantity, *prices]:
        raise ExchangeRejected(
            f"{what}: not sent, CCXT would make {', '.join(sent)} of "
            f"{', '.join(str(v) for v in (request.quantity, *prices))}; round to the steps",
            BAD_PRECISION,
        )
