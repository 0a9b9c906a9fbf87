"""Our ids of orders: trades carry only the exchange's, so an order may have to be asked for ours.

Add here: how an order's own id is found. Keep out: requests, reading answers.
"""

from __future__ import annotations

from collections.abc import Callable

from thunes_core.domain.orders import Order
from thunes_core.errors import ExchangeRejected, ExchangeUnavailable

NO_SUCH_ORDER = (-2013, -2011)


class OrderNames:
    """What is known of our ids, by symbol and the exchange's own id."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str] = {}

    def remember(self, order: Order) -> Order:
        """Keep an order's two names; return it."""
        self._known[order.symbol, order.exchange_order_id] = order.client_order_id
        return order

    def known(self, symbol: str, order_id: str) -> str:
        """Return our id of an order, empty where it is not known here: nothing is asked."""
        return self._known.get((symbol, order_id), "")

    def asked(self, symbol: str, order_id: str, ask: Callable[[], Order]) -> str:
        """Return our id of an order, which `ask` reads where it is not known.

        A trade whose order is not shown yet is a read that lags: `ExchangeUnavailable`.
        """
        if (symbol, order_id) not in self._known:
            try:
                self.remember(ask())
            except ExchangeRejected as error:
                if error.code not in NO_SUCH_ORDER:
                    raise
                raise ExchangeUnavailable(
                    f"order {order_id} of {symbol}: expected to be shown, as a trade of it is; it "
                    "is not yet; try again"
                ) from error
        return self._known[symbol, order_id]
