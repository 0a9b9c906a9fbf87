"""Every filter on both sides of each of its edges, in Decimal."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from thunes_core.domain.filters import Open, Standing, broken_filter
from thunes_core.domain.instrument import (
    Instrument,
    LotSize,
    MarketLotSize,
    MaxAsset,
    MaxOpen,
    MaxPosition,
    Notional,
    PercentPrice,
    PriceFilter,
    TrailingDelta,
    largest,
)
from thunes_core.domain.orders import Leg, OrderRequest, OrderType, Side

D = Decimal
PRICES = PriceFilter(D("0.01"), D(1000), D("0.01"))
LOTS = LotSize(D("0.001"), D(9), D("0.001"))
MARKET_LOTS = MarketLotSize(D("0.01"), D(5), D(0))
NOTIONAL = Notional(D(5), D(900), apply_min_to_market=True, apply_max_to_market=False)
BANDS = PercentPrice(D("1.2"), D("0.8"), D(2), D("0.5"), name="PERCENT_PRICE_BY_SIDE")
DELTAS = TrailingDelta(10, 2000, 20, 1000)
LIMIT, MARKET, STOP = OrderType.LIMIT, OrderType.MARKET, OrderType.STOP_LOSS
SELL, BUY = Side.SELL, Side.BUY

CASES: list[tuple[Any, dict[str, Any], dict[str, Any], str]] = [
    (PRICES, {"price": D("0.01")}, {"price": D("0.00")}, "PRICE_FILTER"),
    (PRICES, {"price": D(1000)}, {"price": D("1000.01")}, "PRICE_FILTER"),
    (PRICES, {"price": D("5.01")}, {"price": D("5.015")}, "PRICE_FILTER"),
    (
        PRICES,
        {"type": STOP, "stop_price": D("99.99")},
        {"type": STOP, "stop_price": D("99.999")},
        "PRICE_FILTER",
    ),
    (LOTS, {"quantity": D("0.001")}, {"quantity": D("0.0009")}, "LOT_SIZE"),
    (LOTS, {"quantity": D(9)}, {"quantity": D("9.001")}, "LOT_SIZE"),
    (LOTS, {"quantity": D("0.002")}, {"quantity": D("0.0025")}, "LOT_SIZE"),
    (
        MARKET_LOTS,
        {"type": MARKET, "quantity": D("0.01")},
        {"type": MARKET, "quantity": D("0.009")},
        "MARKET_LOT_SIZE",
    ),
    (
        MARKET_LOTS,
        {"type": MARKET, "quantity": D(5)},
        {"type": STOP, "quantity": D("5.01")},
        "MARKET_LOT_SIZE",
    ),
    (
        MARKET_LOTS,
        {"type": LIMIT, "quantity": D("5.01")},
        {"type": MARKET, "quantity": D("5.01")},
        "MARKET_LOT_SIZE",
    ),
    (
        NOTIONAL,
        {"price": D(5), "quantity": D(1)},
        {"price": D("4.99"), "quantity": D(1)},
        "NOTIONAL",
    ),
    (
        NOTIONAL,
        {"price": D(100), "quantity": D(9)},
        {"price": D("100.01"), "quantity": D(9)},
        "NOTIONAL",
    ),
    (
        NOTIONAL,
        {"type": MARKET, "quantity": D("0.05")},
        {"type": MARKET, "quantity": D("0.0499")},
        "NOTIONAL",
    ),
    (
        NOTIONAL,
        {"type": MARKET, "quantity": D(10)},
        {"type": LIMIT, "price": D(100), "quantity": D(10)},
        "NOTIONAL",
    ),
    (
        Notional(D(5), apply_min_to_market=False, name="MIN_NOTIONAL"),
        {"type": MARKET, "quantity": D("0.01")},
        {"price": D(100), "quantity": D("0.01")},
        "MIN_NOTIONAL",
    ),
    (BANDS, {"price": D(120)}, {"price": D("120.01")}, "PERCENT_PRICE_BY_SIDE"),
    (BANDS, {"price": D(80)}, {"price": D("79.99")}, "PERCENT_PRICE_BY_SIDE"),
    (
        BANDS,
        {"side": SELL, "price": D(200)},
        {"side": SELL, "price": D("200.01")},
        "PERCENT_PRICE_BY_SIDE",
    ),
    (
        BANDS,
        {"side": SELL, "price": D(50)},
        {"side": SELL, "price": D("49.99")},
        "PERCENT_PRICE_BY_SIDE",
    ),
    (MaxAsset("A", D(2)), {"quantity": D(2)}, {"quantity": D("2.001")}, "MAX_ASSET"),
    (MaxAsset("B", D(200)), {"quantity": D(2)}, {"quantity": D("2.001")}, "MAX_ASSET"),
    (
        MaxAsset("B", D(200)),
        {"side": SELL, "type": MARKET, "quantity": D(2)},
        {"side": SELL, "type": MARKET, "quantity": D("2.001")},
        "MAX_ASSET",
    ),
    (
        MaxAsset("B", D(200)),
        {"price": D(10), "quantity": D(20)},
        {"price": D("10.01"), "quantity": D(20)},
        "MAX_ASSET",
    ),
    (
        DELTAS,
        {"side": SELL, "type": OrderType.TAKE_PROFIT, "trailing_delta": 2000},
        {"side": SELL, "type": OrderType.TAKE_PROFIT, "trailing_delta": 2001},
        "TRAILING_DELTA",
    ),
    (
        DELTAS,
        {"side": SELL, "type": STOP, "trailing_delta": 20},
        {"side": SELL, "type": STOP, "trailing_delta": 19},
        "TRAILING_DELTA",
    ),
    (
        DELTAS,
        {"side": SELL, "type": STOP, "trailing_delta": 1000},
        {"side": SELL, "type": STOP, "trailing_delta": 1001},
        "TRAILING_DELTA",
    ),
    (
        DELTAS,
        {"side": BUY, "type": STOP, "trailing_delta": 2000},
        {"side": BUY, "type": STOP, "trailing_delta": 9},
        "TRAILING_DELTA",
    ),
]


def asked(**changed: Any) -> OrderRequest:
    """Return a limit buy of one at 100, changed."""
    given: dict[str, Any] = {"type": LIMIT, "side": BUY, "quantity": D(1), "price": D(100)}
    given |= changed
    if given["type"] in (MARKET, STOP, OrderType.TAKE_PROFIT):
        given["price"] = None
    kind, side, quantity = (given.pop(name) for name in ("type", "side", "quantity"))
    return OrderRequest("X", side, kind, quantity, "id", Leg.ENTRY, **given)


def listed(rule: Any) -> Instrument:
    """Return an instrument with that one filter."""
    return Instrument("X", "A", "B", filters=(rule,))


@pytest.mark.parametrize(("rule", "passes", "breaks", "name"), CASES)
def test_a_filter_lets_its_edge_pass_and_refuses_the_next_value(rule, passes, breaks, name):
    """On the edge it passes, a step beyond it is refused by the filter's name."""
    assert broken_filter(asked(**passes), listed(rule), D(100)) is None
    why = broken_filter(asked(**breaks), listed(rule), D(100))
    assert why is not None
    assert why.split(":")[0] == name


@pytest.mark.parametrize(
    ("rule", "changed", "passes", "breaks", "name"),
    [
        (MaxPosition(D(3)), {}, Standing(base=D(2)), Standing(base=D("2.1")), "MAX_POSITION"),
    ],
)
def test_what_is_open_already_counts(rule, changed, passes, breaks, name):
    """The last one that fits passes, the next is refused."""
    request = asked(**changed)
    assert broken_filter(request, listed(rule), D(100), passes) is None
    why = broken_filter(request, listed(rule), D(100), breaks)
    assert why is not None
    assert why.split(":")[0] == name


@pytest.mark.parametrize(("scope", "where"), [("", "symbol"), ("EXCHANGE_", "account")])
@pytest.mark.parametrize(
    ("name", "counted", "changed"),
    [
        ("MAX_NUM_ORDERS", "orders", {}),
        ("MAX_NUM_ALGO_ORDERS", "algo_orders", {"type": STOP}),
        ("MAX_NUM_ORDER_LISTS", "lists", {"list_id": "l"}),
    ],
)
def test_as_many_may_be_open_as_the_exchange_says(scope, where, name, counted, changed):
    """On the symbol, or on all of them; the last one that fits passes, the next is refused."""
    rule, request = MaxOpen(scope + name, 3), asked(**changed)
    other = "account" if where == "symbol" else "symbol"
    room = Standing(**{where: Open(**{counted: 2}), other: Open(99, 99, 99)})
    assert broken_filter(request, listed(rule), D(100), room) is None
    full = Standing(**{where: Open(**{counted: 3})})
    why = broken_filter(request, listed(rule), D(100), full)
    assert why == f"{scope}{name}: 3 are open, 3 are allowed"


@pytest.mark.parametrize("scope", ["", "EXCHANGE_"])
def test_counts_of_stops_and_lists_bind_only_those(scope):
    """A plain order passes however many stops and lists are open; a sell any position."""
    crowded = Standing(Open(0, 99, 99), Open(0, 99, 99), base=D(99))
    for name in ("MAX_NUM_ALGO_ORDERS", "MAX_NUM_ORDER_LISTS"):
        assert broken_filter(asked(), listed(MaxOpen(scope + name, 1)), D(100), crowded) is None
    assert broken_filter(asked(side=SELL), listed(MaxPosition(D(1))), D(100), crowded) is None


def test_a_limit_of_another_asset_binds_no_order():
    """MAX_ASSET is of an asset, not of a symbol; each of two binds by itself."""
    assert broken_filter(asked(), listed(MaxAsset("C", D(0))), D(100)) is None
    both = Instrument("X", "A", "B", filters=(MaxAsset("A", D(1)), MaxAsset("B", D(99))))
    assert broken_filter(asked(), both, D(100)) == ("MAX_ASSET: 100 B is above the 99 of one order")


def test_what_reduces_is_not_refused_for_what_it_might_be_worth():
    """Its value is a guess here and the exchange's own there; its quantity is sure, and binds."""
    dear = Instrument("X", "A", "B", filters=(MaxAsset("B", D(99)),))
    assert broken_filter(asked(side=SELL, reduces=True), dear, D(100)) is None
    large = Instrument("X", "A", "B", filters=(MaxAsset("A", D("0.9")),))
    why = broken_filter(asked(side=SELL, reduces=True), large, D(100))
    assert why == "MAX_ASSET: 1 A is above the 0.9 of one order"


@pytest.mark.parametrize(
    ("rules", "most"),
    [
        ((), []),
        ((MaxAsset("A", D(3)), LOTS), [D(9), D(3)]),
        ((MaxAsset("B", D(303)),), [D(3)]),
        ((MaxAsset("C", D(1)),), []),
        ((Notional(D(5), D(404), apply_max_to_market=True),), [D(4)]),
        ((Notional(D(5), D(404)),), []),
    ],
)
def test_the_largest_order_keeps_room_where_its_value_is_limited(rules, most):
    """Of a limit on its value one per cent is kept, for a price that moves before it arrives."""
    assert largest(Instrument("X", "A", "B", filters=rules), D(100)) == most


@pytest.mark.parametrize(
    "rule",
    [
        PriceFilter(D(0), D(0), D(0)),
        LotSize(D(0), D(0), D(0)),
        MarketLotSize(D(0), D(0), D(0)),
        Notional(D(0)),
    ],
)
def test_a_zero_switches_a_rule_off(rule):
    """As the exchange documents it."""
    odd = asked(price=D("0.123456789"), quantity=D("123456789.123"))
    assert broken_filter(odd, listed(rule), D(100)) is None
