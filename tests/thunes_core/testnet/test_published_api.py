"""Every method of the WebSocket API that is served answers in the published shape."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from tests.shared_data import shared
from tests.thunes_core.testnet.calls import door_of, order, sign, signed
from tests.thunes_core.testnet.markets import RISING, exchange
from tests.thunes_core.testnet.shapes import differences
from thunes_core.testnet.matching import Exchange
from thunes_core.testnet.security import LOCAL_KEY
from thunes_core.testnet.socket_api import METHODS, ApiSession

MINE = {"symbol": "BTCUSDT"}
LIMIT = {**MINE, "side": "SELL", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.3"}
OCO = {
    **MINE,
    "side": "SELL",
    "quantity": "0.2",
    "aboveType": "LIMIT_MAKER",
    "abovePrice": "150.00",
    "belowType": "STOP_LOSS_LIMIT",
    "belowStopPrice": "90.00",
    "belowPrice": "89.00",
    "belowTimeInForce": "GTC",
}
WORKING = {
    **MINE,
    "workingType": "LIMIT",
    "workingSide": "BUY",
    "workingPrice": "99.00",
    "workingQuantity": "1",
    "workingTimeInForce": "GTC",
}
PENDING = {"pendingType": "MARKET", "pendingSide": "SELL"}
PAIR = {
    "pendingSide": "SELL",
    "pendingAboveType": "LIMIT_MAKER",
    "pendingAbovePrice": "109.00",
    "pendingBelowType": "STOP_LOSS",
    "pendingBelowStopPrice": "95.00",
}
OLD_OCO = {
    **MINE,
    "side": "SELL",
    "quantity": "0.2",
    "price": "150.00",
    "stopPrice": "90.00",
    "stopLimitPrice": "89.00",
    "stopLimitTimeInForce": "GTC",
}
PUBLIC: dict[str, dict[str, Any]] = {
    "ping": {},
    "time": {},
    "depth": {**MINE, "limit": 5},
    "klines": {**MINE, "interval": "1h"},
    "uiKlines": {**MINE, "interval": "1h"},
    "avgPrice": MINE,
    "ticker.24hr": MINE,
    "ticker.price": MINE,
    "ticker.book": MINE,
}
SIGNED: dict[str, dict[str, Any]] = {
    "order.place": {**LIMIT, "price": "150.00"},
    "order.test": {**LIMIT, "price": "150.00"},
    "order.status": {**MINE, "orderId": 2},
    "order.cancel": {**MINE, "orderId": 2},
    "order.cancelReplace": {
        **LIMIT,
        "price": "151.00",
        "cancelOrderId": 2,
        "cancelReplaceMode": "ALLOW_FAILURE",
        "newOrderRespType": "RESULT",
    },
    "openOrders.status": MINE,
    "openOrders.cancelAll": MINE,
    "orderList.place": OLD_OCO,
    "orderList.place.oco": OCO,
    "orderList.place.oto": {**WORKING, **PENDING, "pendingQuantity": "0.5"},
    "orderList.place.otoco": {**WORKING, **PAIR, "pendingQuantity": "0.5"},
    "orderList.place.opo": {**WORKING, **PENDING},
    "orderList.place.opoco": {**WORKING, **PAIR},
    "orderList.status": {"orderListId": 0},
    "orderList.cancel": {**MINE, "orderListId": 0},
    "openOrderLists.status": {},
    "account.status": {},
    "account.commission": MINE,
    "account.rateLimits.orders": {},
    "allOrders": MINE,
    "allOrderLists": {},
    "myTrades": MINE,
}
MAYBE = frozenset(
    {"icebergQty", "stopPrice", "trailingDelta", "trailingTime", "strategyId", "strategyType"}
    | {"workingTime", "origQty", "workingFloor", "usedSor", "preventedMatchId"}
    | {"preventedQuantity", "fills", "origClientOrderId"}
)


def published(method: str) -> list[Any]:
    """Return the results published after the example request of `method`."""
    documents = json.loads(shared("fixtures/spec/examples.json").read_text())
    entries = [d["json"] for d in documents if d["doc"] == "web-socket-api.md"]
    found: list[Any] = []
    for n, entry in enumerate(entries):
        if not isinstance(entry, dict) or entry.get("method") != method:
            continue
        for answer in entries[n + 1 :]:
            if "method" in answer:
                break
            if "result" in answer:
                found.append(answer["result"])
    return found


def prepared() -> Exchange:
    """Return an exchange with a fill, a resting order and an OCO."""
    on = exchange(RISING)
    order(on, "BUY", "MARKET", quantity="2")
    order(on, "SELL", "LIMIT", price="140.00", quantity="0.5", timeInForce="GTC")
    signed(on, "POST", "orderList/oco", **OCO)
    return on


def ask(on: Exchange, method: str, params: dict[str, Any], *, proved: bool) -> Any:
    """Ask through a session of the API, signed when `proved`."""
    sent = dict(params)
    if proved:
        sent |= {"apiKey": LOCAL_KEY, "timestamp": on.clock.now_ms()}
        sent["signature"] = sign("&".join(f"{k}={sent[k]}" for k in sorted(sent)))
    message = orjson.dumps({"id": "1", "method": method, "params": sent}).decode()
    answer = ApiSession(door_of(on)).answer(message)
    assert answer is not None
    assert answer["status"] == 200, answer
    return answer["result"]


@pytest.mark.parametrize("method", [*PUBLIC, *SIGNED])
def test_methods_answer_in_the_published_shape(method: str) -> None:
    """At least one of the published results has our keys and types."""
    ours = ask(prepared(), method, (PUBLIC | SIGNED)[method], proved=method in SIGNED)
    shapes = published(method)
    assert shapes, "no published answer"
    tried = [differences(ours, one, "", MAYBE) for one in shapes]
    assert [] in tried, min(tried, key=len)


def test_every_method_served_is_compared() -> None:
    """Except exchangeInfo, whose document has a test of its own."""
    assert METHODS.keys() - PUBLIC.keys() - SIGNED.keys() == {"exchangeInfo"}


def test_a_session_needs_no_socket_to_be_wrong() -> None:
    """Messages that are no request are answered, not dropped."""
    session = ApiSession(door_of(prepared()))
    for text in ("", "5", "[]", '{"method": 5}', '{"id": 1, "method": "ping", "params": 7}'):
        answer = session.answer(text)
        assert answer is not None
        assert answer["status"] == 400
