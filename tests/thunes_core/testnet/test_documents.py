"""Every document has the keys and types of the exchange's published examples."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.shared_data import shared
from tests.thunes_core.testnet.calls import get, order, signed
from tests.thunes_core.testnet.markets import RISING, exchange
from tests.thunes_core.testnet.shapes import differences, example
from thunes_core.testnet.matching import Exchange
from thunes_core.testnet.options import Options

LIMIT = {"timeInForce": "GTC", "quantity": "0.5"}
MINE = {"symbol": "BTCUSDT"}


def with_orders() -> Exchange:
    """An exchange with a filled and a resting order."""
    on = exchange(RISING, Options(cash=Decimal(10_000)))
    order(on, "BUY", "MARKET", quantity="1")
    order(on, "SELL", "LIMIT", price="150.00", **LIMIT)
    return on


PUBLIC: list[tuple[str, str, int, dict[str, Any]]] = [
    ("ping", "Test connectivity > Response", 0, {}),
    ("time", "Check server time > Response", 0, {}),
    ("depth", "Order book > Response", 0, {**MINE, "limit": 1}),
    ("klines", "Kline/Candlestick data > Response", 0, {**MINE, "interval": "1h"}),
    ("uiKlines", "UIKlines > Response", 0, {**MINE, "interval": "1h"}),
    ("avgPrice", "Current average price > Response", 0, MINE),
    ("ticker/24hr", "24hr ticker price change statistics > Response - FULL", 0, MINE),
    ("ticker/24hr", "24hr ticker price change statistics > Response - FULL", 1, {}),
    ("ticker/24hr", "change statistics > Response - MINI", 0, {**MINE, "type": "MINI"}),
    ("ticker/24hr", "change statistics > Response - MINI", 1, {"type": "MINI"}),
    ("ticker/price", "Symbol price ticker > Response", 0, MINE),
    ("ticker/price", "Symbol price ticker > Response", 1, {}),
    ("ticker/bookTicker", "Symbol order book ticker > Response", 0, MINE),
    ("ticker/bookTicker", "Symbol order book ticker > Response", 1, {}),
]


@pytest.mark.parametrize(("path", "heading", "nth", "parameters"), PUBLIC)
def test_public_documents_have_the_published_shape(
    path: str, heading: str, nth: int, parameters: dict[str, Any]
) -> None:
    """Same keys, same types, one document or a list as asked."""
    ours = get(exchange(RISING), path, **parameters)
    assert differences(ours, example(heading, nth)) == []


def test_exchange_info_has_the_published_shape() -> None:
    """The document, its symbols and each filter."""
    ours = get(exchange(RISING), "exchangeInfo", symbol="BTCUSDT")
    theirs = example("Exchange information > Response")
    assert differences(ours | {"sors": [], "rateLimits": [{}]}, theirs | {"sors": []}) == []
    for document in ours["symbols"][0]["filters"]:
        name = document["filterType"]
        published = [
            e for e in _filter_examples() if isinstance(e, dict) and e.get("filterType") == name
        ]
        assert differences(document, published[0]) == [], name


def _filter_examples() -> list[Any]:
    """Return the published filters."""
    documents = json.loads(shared("fixtures/spec/examples.json").read_text())
    return [d["json"] for d in documents if d["doc"] == "filters.md"]


SIGNED: list[tuple[str, str, str, dict[str, Any]]] = [
    ("GET", "account", "Account information (USER_DATA) > Response", {}),
    ("GET", "order", "Query order (USER_DATA) > Response", {**MINE, "orderId": 2}),
    ("GET", "openOrders", "Current open orders (USER_DATA) > Response", MINE),
    ("GET", "allOrders", "All orders (USER_DATA) > Response", MINE),
    ("GET", "myTrades", "Account trade list (USER_DATA) > Response", MINE),
    ("DELETE", "order", "Cancel order (TRADE) > Response", {**MINE, "orderId": 2}),
    ("GET", "rateLimit/order", "Query Unfilled Order Count (USER_DATA) > Response", {}),
    ("GET", "account/commission", "Query Commission Rates (USER_DATA) > Response", MINE),
]


@pytest.mark.parametrize(("method", "path", "heading", "parameters"), SIGNED)
def test_signed_documents_have_the_published_shape(
    method: str, path: str, heading: str, parameters: dict[str, Any]
) -> None:
    """Same keys, same types."""
    assert differences(signed(with_orders(), method, path, **parameters), example(heading)) == []


def test_canceled_orders_are_a_list_of_the_published_shape() -> None:
    """Cancelling all answers with one document an order."""
    ours = signed(with_orders(), "DELETE", "openOrders", **MINE)
    theirs = example("Cancel All Open Orders on a Symbol (TRADE) > Response")
    assert differences(ours[0], theirs[0]) == []


@pytest.mark.parametrize("kind", ["ACK", "RESULT", "FULL"])
def test_new_order_answers_have_the_published_shape(kind: str) -> None:
    """ACK, RESULT and FULL, the last with its fills."""
    ours = order(exchange(RISING), "BUY", "MARKET", quantity="1", newOrderRespType=kind)
    assert differences(ours, example(f"New order (TRADE) > Response - {kind}")) == []


def test_rehearsed_orders_have_the_published_shape() -> None:
    """Empty, or with the rates when they are asked for."""
    on = exchange(RISING)
    form = {**MINE, "side": "BUY", "type": "MARKET", "quantity": "1"}
    plain = signed(on, "POST", "order/test", **form)
    assert plain == example("Test new order (TRADE) > Response", 0)
    rates = signed(on, "POST", "order/test", **form, computeCommissionRates="true")
    assert differences(rates, example("Test new order (TRADE) > Response", 1)) == []
    assert signed(on, "GET", "allOrders", **MINE) == []


def test_markets_and_limits_answer_full_and_the_rest_acknowledge() -> None:
    """As the exchange: FULL for MARKET and LIMIT, ACK for the others."""
    on = with_orders()
    assert "fills" in order(on, "BUY", "LIMIT", price="50.00", **LIMIT)
    stop = order(
        on,
        "SELL",
        "STOP_LOSS_LIMIT",
        price="90.00",
        stopPrice="91.00",
        quantity="0.4",
        timeInForce="GTC",
    )
    assert differences(stop, example("New order (TRADE) > Response - ACK")) == []
