"""The WebSocket API: the REST endpoints by other names, sessions, user data subscriptions.

Add here: a method of the API. Keep out: what an endpoint does, the socket itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import orjson

from thunes_core.testnet.parameters import Parameters
from thunes_core.testnet.refusals import Refused
from thunes_core.testnet.rest import Door, Fate, Request
from thunes_core.testnet.stream_forms import is_id
from thunes_core.testnet.time_units import TimeUnit, answer_in, event_in
from thunes_core.testnet.user_events import UserFeed

METHODS: Mapping[str, tuple[str, str]] = {
    "ping": ("GET", "ping"),
    "time": ("GET", "time"),
    "exchangeInfo": ("GET", "exchangeInfo"),
    "depth": ("GET", "depth"),
    "executionRules": ("GET", "executionRules"),
    "trades.recent": ("GET", "trades"),
    "trades.historical": ("GET", "historicalTrades"),
    "trades.aggregate": ("GET", "aggTrades"),
    "blockTrades.historical": ("GET", "historicalBlockTrades"),
    "referencePrice": ("GET", "referencePrice"),
    "referencePrice.calculation": ("GET", "referencePrice/calculation"),
    "ticker": ("GET", "ticker"),
    "ticker.tradingDay": ("GET", "ticker/tradingDay"),
    "klines": ("GET", "klines"),
    "uiKlines": ("GET", "uiKlines"),
    "avgPrice": ("GET", "avgPrice"),
    "ticker.24hr": ("GET", "ticker/24hr"),
    "ticker.price": ("GET", "ticker/price"),
    "ticker.book": ("GET", "ticker/bookTicker"),
    "order.place": ("POST", "order"),
    "order.test": ("POST", "order/test"),
    "order.status": ("GET", "order"),
    "order.cancel": ("DELETE", "order"),
    "order.cancelReplace": ("POST", "order/cancelReplace"),
    "order.amend.keepPriority": ("PUT", "order/amend/keepPriority"),
    "order.amendments": ("GET", "order/amendments"),
    "sor.order.place": ("POST", "sor/order"),
    "sor.order.test": ("POST", "sor/order/test"),
    "myPreventedMatches": ("GET", "myPreventedMatches"),
    "myAllocations": ("GET", "myAllocations"),
    "myFilters": ("GET", "myFilters"),
    "openOrders.status": ("GET", "openOrders"),
    "openOrders.cancelAll": ("DELETE", "openOrders"),
    "orderList.place": ("POST", "order/oco"),
    "orderList.place.oco": ("POST", "orderList/oco"),
    "orderList.place.oto": ("POST", "orderList/oto"),
    "orderList.place.otoco": ("POST", "orderList/otoco"),
    "orderList.place.opo": ("POST", "orderList/opo"),
    "orderList.place.opoco": ("POST", "orderList/opoco"),
    "orderList.status": ("GET", "orderList"),
    "orderList.cancel": ("DELETE", "orderList"),
    "openOrderLists.status": ("GET", "openOrderList"),
    "account.status": ("GET", "account"),
    "account.commission": ("GET", "account/commission"),
    "account.rateLimits.orders": ("GET", "rateLimit/order"),
    "allOrders": ("GET", "allOrders"),
    "allOrderLists": ("GET", "allOrderList"),
    "myTrades": ("GET", "myTrades"),
}


PLACING = frozenset(
    {
        "order.place",
        "order.cancelReplace",
        "sor.order.place",
        "orderList.place",
        "orderList.place.oco",
        "orderList.place.oto",
        "orderList.place.otoco",
        "orderList.place.opo",
        "orderList.place.opoco",
    }
)
"""Methods whose answers show the order counts besides the weight."""


OWN_WEIGHT = 2
"""What the methods about the connection itself weigh, subscribing among them."""
_WEIGHTLESS = frozenset({"session.status", "session.logout", "session.subscriptions"})


class ApiSession:
    """One connection's state: who is logged on, what is subscribed."""

    def __init__(
        self,
        door: Door,
        *,
        returns_limits: bool = True,
        unit: TimeUnit = TimeUnit.MILLISECOND,
    ) -> None:
        self._door = door
        self._unit = unit
        self._returns_limits = returns_limits
        self._key: str | None = None
        self._since_ms: int | None = None
        self._connected_ms = door.exchange.told_ms
        self._feeds: dict[int, UserFeed] = {}
        self._of_session: set[int] = set()
        self._ended: list[int] = []
        self._next_subscription = 0

    def answer(self, text: str) -> dict[str, Any] | None:
        """Return the answer to a request; empty: no answer, None: the connection is cut."""
        try:
            asked = orjson.loads(text)
            number, method = asked.get("id"), asked["method"]
            params = dict(asked.get("params") or {})
            if not isinstance(method, str) or not is_id(number):
                raise TypeError(method)
        except (orjson.JSONDecodeError, KeyError, AttributeError, TypeError, ValueError):
            return _failure(None, Refused(-1135, "Invalid JSON Request"))
        shows_limits = params.get("returnRateLimits", self._returns_limits)
        limits = self._door.exchange.limits
        with self._door.exchange.lock:
            answer = self._do(number, method, params)
            if answer and shows_limits and method in METHODS:
                orders = limits.order_counts() if method in PLACING else []
                answer["rateLimits"] = [*orders, limits.weight_status()]
        return answer

    def events(self) -> list[dict[str, Any]]:
        """Return what happened to the account, wrapped for each subscription."""
        ended = {"e": "eventStreamTerminated", "E": self._door.exchange.present_ms}
        last = [{"subscriptionId": number, "event": ended} for number in self._ended]
        self._ended.clear()
        told = last + [
            {"subscriptionId": number, "event": event}
            for number, feed in self._feeds.items()
            for event in feed.drain()
        ]
        return [one | {"event": event_in(self._unit, one["event"])} for one in told]

    def close(self) -> None:
        """End every subscription."""
        for feed in self._feeds.values():
            feed.close()
        self._feeds.clear()

    def _do(self, number: Any, method: str, params: dict[str, Any]) -> dict[str, Any] | None:
        if method in METHODS:
            answer = self._ask_door(number, METHODS[method], params)
            if answer and method == "sor.order.place" and "result" in answer:
                answer["result"] = [answer["result"]]
            return answer
        try:
            result = answer_in(self._unit, self._own(method, params))
            return {"id": number, "status": 200, "result": result}
        except Refused as refused:
            return _failure(number, refused)

    def _ask_door(
        self, number: Any, target: tuple[str, str], params: dict[str, Any]
    ) -> dict[str, Any] | None:
        request = self._request(target, params)
        answer = self._door.answer(request)
        if answer.fate is Fate.DROPPED:
            return None
        if answer.fate is Fate.HUNG:
            return {}
        body = orjson.loads(answer.body) if answer.body[:1] in b"{[" else {"code": -1000, "msg": ""}
        name = "result" if answer.status == 200 else "error"
        if "Retry-After" in answer.headers and body.get("code") == -1003:
            body["data"] = self._retry_times(int(answer.headers["Retry-After"]))
        return {"id": number, "status": answer.status, name: body}

    def _retry_times(self, seconds: int) -> dict[str, int]:
        """Return when a refused request may be sent again, in the exchange's time."""
        exchange = self._door.exchange
        pace = max(exchange.clock.multiple, 1.0)
        return {
            "serverTime": exchange.told_ms,
            "retryAfter": exchange.told_ms + round(seconds * 1000 * pace),
        }

    def _request(self, target: tuple[str, str], params: dict[str, Any]) -> Request:
        texts = {name: _text(value) for name, value in params.items() if value is not None}
        signature = texts.pop("signature", None)
        signed_text = "&".join(f"{name}={texts[name]}" for name in sorted(texts))
        texts.pop("returnRateLimits", None)
        key = texts.pop("apiKey", None)
        is_session = key is None and signature is None and self._key is not None
        return Request(
            target[0],
            f"/api/v3/{target[1]}",
            urlencode(texts),
            api_key=self._key if is_session else key,
            signed_text=signed_text,
            signature=signature,
            is_session=is_session,
            time_unit=self._unit,
        )

    def _own(self, method: str, params: dict[str, Any]) -> Any:
        if method not in _WEIGHTLESS:
            self._door.exchange.limits.use(OWN_WEIGHT)
        if method == "session.logon":
            self._key, self._since_ms = self._proven_key(params), self._door.exchange.told_ms
            return self._session_state()
        if method == "session.logout":
            self._key = self._since_ms = None
            self._end(sorted(self._of_session & self._feeds.keys()))
            return self._session_state()
        if method == "session.status":
            return self._session_state()
        if method == "session.subscriptions":
            return [{"subscriptionId": number} for number in self._feeds]
        if method == "userDataStream.subscribe.signature":
            self._proven_key(params)
            return self._subscribe()
        if method == "userDataStream.subscribe":
            if self._key is None:
                raise Refused(-1002, "You are not authorized to execute this request.", status=401)
            self._of_session.add(self._next_subscription)
            return self._subscribe()
        if method == "userDataStream.unsubscribe":
            return self._unsubscribe(params.get("subscriptionId"))
        raise Refused(-1020, "This operation is not supported.")

    def _proven_key(self, params: dict[str, Any]) -> str:
        request = self._request(("GET", "account"), params)
        self._door.require_signed(request, Parameters({k: _text(v) for k, v in params.items()}))
        return request.api_key or ""

    def _session_state(self) -> dict[str, Any]:
        return {
            "apiKey": self._key,
            "authorizedSince": self._since_ms,
            "connectedSince": self._connected_ms,
            "returnRateLimits": self._returns_limits,
            "serverTime": self._door.exchange.told_ms,
            "userDataStream": bool(self._feeds),
        }

    def _subscribe(self) -> dict[str, int]:
        number = self._next_subscription
        self._next_subscription += 1
        self._feeds[number] = UserFeed(self._door.exchange)
        return {"subscriptionId": number}

    def _unsubscribe(self, number: Any) -> dict[str, Any]:
        wanted = list(self._feeds) if number is None else [number]
        if not all(isinstance(one, int) and one in self._feeds for one in wanted):
            raise Refused(-2036, "User Data Stream subscription not active.")
        self._end(wanted)
        return {}

    def _end(self, numbers: list[int]) -> None:
        """End subscriptions; each is told so, as its last event."""
        for number in numbers:
            self._feeds.pop(number).close()
        self._ended += numbers


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return orjson.dumps(value).decode() if isinstance(value, list | dict) else str(value)


def _failure(number: Any, refused: Refused) -> dict[str, Any]:
    return {"id": number, "status": refused.status, "error": refused.document()}
