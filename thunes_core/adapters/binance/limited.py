"""Every request of a client passes here last: the shared budget, and whether it is not too late.

Add here: the weight of an endpoint, as the exchange documents it. Keep out: the budget itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

from thunes_core.adapters.limiter import RESERVE, WeightLimiter
from thunes_core.errors import ExchangeUnavailable

KLINES_WEIGHT = 2
WEIGHTS = {
    "account": 20,
    "allOrderList": 20,
    "allOrders": 20,
    "avgPrice": 2,
    "exchangeInfo": 20,
    "klines": KLINES_WEIGHT,
    "myFilters": 40,
    "myTrades": 20,
    "openOrderList": 6,
    "openOrders": 6,
    "order": 4,
    "orderList": 4,
    "ticker/bookTicker": 2,
    "ticker/price": 2,
    "trades": 25,
}
_ORDERS = {
    "order": 1,
    "order/cancelReplace": 1,
    "orderList/oco": 2,
    "orderList/oto": 2,
    "orderList/opo": 2,
    "orderList/otoco": 3,
    "orderList/opoco": 3,
}
_TIMESTAMP = re.compile(r"&timestamp=(\d+)&")
WITHOUT_SYMBOL = {"openOrders": 80, "ticker/bookTicker": 4, "ticker/price": 4}


class LimitedAdapter(HTTPAdapter):
    """Takes each request's weight before it is sent, and learns from each answer.

    Raises `ExchangeUnavailable` before anything is sent when the budget is closed, or when a
    request that changes orders carries a timestamp later than `latest_ms` tells (a process that
    was stopped in between must not send what others already count as lost).
    """

    def __init__(
        self, limiter: WeightLimiter | None, latest_ms: Callable[[], int | None] | None = None
    ) -> None:
        super().__init__()
        self._limiter = limiter
        self._orders = limiter.of_orders() if limiter is not None else None
        self._latest_ms = latest_ms

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        """Send within the budget and in time."""
        self._take(request)
        require_in_time(request, self._latest_ms() if self._latest_ms else None)
        response = super().send(request, *args, **options)
        for budget in (self._limiter, self._orders):
            if budget is not None:
                budget.heard(response.status_code, response.headers)
        return response

    def _take(self, request: PreparedRequest) -> None:
        """Take weight and count of orders; only what protects or leaves may use the reserve."""
        if self._limiter is None or self._orders is None:
            return
        asked = parameters_of(request)
        signed = "&signature=" in asked
        buys = "&side=BUY&" in asked or "&workingSide=BUY&" in asked
        weight = weight_of(str(request.method), str(request.url))
        self._limiter.wait(weight, 1.0 if signed else 1.0 - RESERVE)
        if orders := orders_in(str(request.method), str(request.url)):
            self._orders.wait(orders, 1.0 - RESERVE if buys else 1.0)


def require_in_time(request: PreparedRequest, latest: int | None) -> None:
    """Raise `ExchangeUnavailable` for an order request stamped later than `latest` (ms)."""
    stamped = timestamp_of(request) if latest is not None and request.method != "GET" else None
    if latest is None or stamped is None or stamped <= latest:
        return
    raise ExchangeUnavailable(
        f"order request: expected to leave in time; it is {stamped - latest} ms too late; "
        "nothing was sent, the next tick decides anew"
    )


def timestamp_of(request: PreparedRequest) -> int | None:
    """Return the signed timestamp of a request, ms since 1970; None where it carries none."""
    found = _TIMESTAMP.search(parameters_of(request))
    return int(found[1]) if found else None


def parameters_of(request: PreparedRequest) -> str:
    """Return the parameters of a request, from its address and its body: `&name=value&…&`.

    Values are encoded, so that a name between `&` and `=` is no part of one.
    """
    body = request.body if isinstance(request.body, str) else (request.body or b"").decode()
    return f"&{urlsplit(str(request.url)).query}&{body}&"


def orders_in(method: str, url: str) -> int:
    """Return how many orders a request places, as the exchange counts them.

    >>> orders_in("POST", "https://x/api/v3/orderList/otoco"), orders_in("GET", "https://x/")
    (3, 0)
    """
    name = urlsplit(url).path.split("/v3/", 1)[-1]
    return _ORDERS.get(name, 0) if method == "POST" else 0


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
