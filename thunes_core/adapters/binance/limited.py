"""Every request of a client goes through the shared budget: weights, and the place they are taken.

Add here: the weight of an endpoint, as the exchange documents it. Keep out: the budget itself.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

from thunes_core.adapters.limiter import WeightLimiter

KLINES_WEIGHT = 2
WEIGHTS = {
    "account": 20,
    "allOrderList": 20,
    "allOrders": 20,
    "avgPrice": 2,
    "exchangeInfo": 20,
    "klines": KLINES_WEIGHT,
    "myTrades": 20,
    "openOrderList": 6,
    "openOrders": 6,
    "order": 4,
    "orderList": 4,
    "ticker/bookTicker": 2,
    "ticker/price": 2,
    "trades": 25,
}
WITHOUT_SYMBOL = {"openOrders": 80, "ticker/bookTicker": 4, "ticker/price": 4}


class LimitedAdapter(HTTPAdapter):
    """Takes each request's weight before it is sent, and learns from each answer.

    Raises `ExchangeUnavailable` before anything is sent when the budget is closed.
    """

    def __init__(self, limiter: WeightLimiter) -> None:
        super().__init__()
        self._limiter = limiter

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        """Send within the budget."""
        self._limiter.wait(weight_of(str(request.method), str(request.url)))
        response = super().send(request, *args, **options)
        self._limiter.heard(response.status_code, response.headers)
        return response


def weight_of(method: str, url: str) -> int:
    """Return the request weight of an endpoint; placing and cancelling orders weigh nothing.

    >>> weight_of("GET", "http://127.0.0.1/api/v3/klines?symbol=BTCUSDT")
    2
    """
    if method != "GET":
        return 0
    parts = urlsplit(url)
    name = parts.path.split("/v3/", 1)[-1]
    if name in WITHOUT_SYMBOL and "symbol" not in parse_qs(parts.query):
        return WITHOUT_SYMBOL[name]
    return WEIGHTS.get(name, 1)
