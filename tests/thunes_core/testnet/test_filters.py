"""Every filter, on both sides of its edge."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.thunes_core.testnet.calls import order
from tests.thunes_core.testnet.markets import RISING, exchange
from thunes_core.testnet.options import Options

GTC = {"timeInForce": "GTC"}
EDGES = [  # filter, side, type, passes, breaks
    ("LOT_SIZE", "BUY", {"quantity": "0.06000"}, {"quantity": "0.060001"}),
    ("MARKET_LOT_SIZE", "BUY", {"quantity": "120"}, {"quantity": "120.00001"}),
    ("NOTIONAL", "BUY", {"quantity": "0.0502"}, {"quantity": "0.0497"}),
]
LIMIT_EDGES = [
    ("PRICE_FILTER", {"price": "99.01"}, {"price": "99.015"}),
    ("PERCENT_PRICE_BY_SIDE", {"price": "20.10"}, {"price": "19.90"}),
    ("NOTIONAL", {"price": "50.00", "quantity": "0.1"}, {"price": "49.99", "quantity": "0.1"}),
    ("LOT_SIZE", {"quantity": "0.07"}, {"quantity": "900000.00001"}),
    ("ICEBERG_PARTS", {"icebergQty": "0.1"}, {"icebergQty": "0.09"}),
    (
        "ICEBERG_PARTS",
        {"icebergQty": "0.1", "quantity": "0.99999"},
        {"icebergQty": "0.1", "quantity": "1.00001"},
    ),
]


@pytest.mark.parametrize(("name", "side", "passes", "breaks"), EDGES)
def test_market_orders_meet_each_filter_at_its_edge(
    name: str, side: str, passes: dict[str, str], breaks: dict[str, str]
) -> None:
    """One step inside passes, one outside is refused by the filter's name."""
    rich = Options(cash=Decimal(10**9))
    assert "orderId" in order(exchange(RISING, rich), side, "MARKET", **passes)
    refused = order(exchange(RISING, rich), side, "MARKET", **breaks)
    assert refused == {"code": -1013, "msg": f"Filter failure: {name}"}


@pytest.mark.parametrize(("name", "passes", "breaks"), LIMIT_EDGES)
def test_limit_orders_meet_each_filter_at_its_edge(
    name: str, passes: dict[str, str], breaks: dict[str, str]
) -> None:
    """Price, distance from the average, value, quantity, iceberg parts."""
    form = {"quantity": "1", "price": "99.00", **GTC}
    assert "orderId" in order(exchange(RISING), "BUY", "LIMIT", **{**form, **passes})
    refused = order(exchange(RISING), "BUY", "LIMIT", **{**form, **breaks})
    assert refused == {"code": -1013, "msg": f"Filter failure: {name}"}


def test_open_orders_are_counted() -> None:
    """The 201st resting order and the sixth stop are refused."""
    on = exchange(RISING)
    for _ in range(5):
        order(on, "BUY", "STOP_LOSS", stopPrice="120.00", quantity="0.1")
    sixth = order(on, "BUY", "STOP_LOSS", stopPrice="120.00", quantity="0.1")
    assert sixth["msg"] == "Filter failure: MAX_NUM_ALGO_ORDERS"
    for _ in range(195):
        order(on, "BUY", "LIMIT", price="90.00", quantity="0.1", **GTC)
    last = order(on, "BUY", "LIMIT", price="90.00", quantity="0.1", **GTC)
    assert last["msg"] == "Filter failure: MAX_NUM_ORDERS"


def test_icebergs_are_counted_apart_from_other_orders() -> None:
    """MAX_NUM_ICEBERG_ORDERS: the third is refused, an order without parts is not."""
    on = exchange(RISING)
    rule = {"filterType": "MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders": 2}
    on.market.listing("BTCUSDT").filters["MAX_NUM_ICEBERG_ORDERS"] = rule
    form = {"price": "90.00", "quantity": "1", **GTC}
    for _ in range(2):
        assert "orderId" in order(on, "BUY", "LIMIT", icebergQty="0.5", **form)
    third = order(on, "BUY", "LIMIT", icebergQty="0.5", **form)
    assert third == {"code": -1013, "msg": "Filter failure: MAX_NUM_ICEBERG_ORDERS"}
    assert "orderId" in order(on, "BUY", "LIMIT", **form)


def test_position_limit_counts_what_is_held_and_ordered() -> None:
    """MAX_POSITION sums the base held, open buys and the new order."""
    on = exchange(RISING)
    rule = {"filterType": "MAX_POSITION", "maxPosition": "2"}
    on.market.listing("BTCUSDT").filters["MAX_POSITION"] = rule
    order(on, "BUY", "LIMIT", price="90.00", quantity="1.5", **GTC)
    assert "orderId" in order(on, "BUY", "MARKET", quantity="0.5")
    assert order(on, "BUY", "MARKET", quantity="0.5")["msg"] == "Filter failure: MAX_POSITION"


@pytest.mark.parametrize(
    ("side", "kind", "delta", "ok"),
    [
        ("SELL", "STOP_LOSS", 10, True),
        ("SELL", "STOP_LOSS", 9, False),
        ("SELL", "STOP_LOSS", 2000, True),
        ("SELL", "STOP_LOSS", 2001, False),
    ],
)
def test_trailing_delta_has_bounds(side: str, kind: str, delta: int, ok: bool) -> None:
    """From 10 to 2,000 basis points."""
    on = exchange(RISING)
    order(on, "BUY", "MARKET", quantity="1")
    answer = order(on, side, kind, trailingDelta=delta, quantity="0.5")
    assert ("orderId" in answer) is ok
    if not ok:
        assert answer["msg"] == "Filter failure: TRAILING_DELTA"
