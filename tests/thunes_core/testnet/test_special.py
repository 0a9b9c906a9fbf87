"""Amending, self-trade prevention, smart order routing, icebergs; what a symbol may not offer."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.thunes_core.testnet.calls import get, order, signed
from tests.thunes_core.testnet.markets import RISING, exchange, step
from tests.thunes_core.testnet.prepared import MINE, OCO, PENDING, SIZED, WORKING, two_markets
from thunes_core.testnet.conditions import give
from thunes_core.testnet.faults import Fault, FaultKind
from thunes_core.testnet.liquidity import Depth
from thunes_core.testnet.matching import Exchange
from thunes_core.testnet.options import Options
from thunes_core.testnet.user_events import UserFeed

GTC = {"timeInForce": "GTC"}
AMEND = "order/amend/keepPriority"


def holding(amount: str = "2", **options: Any) -> Exchange:
    """Return an exchange whose account has bought some of the base."""
    on = exchange(RISING, Options(**options))
    order(on, "BUY", "MARKET", quantity=amount)
    return on


def amend(on: Exchange, order_id: int, quantity: str, **more: Any) -> Any:
    """Amend an order of BTCUSDT."""
    return signed(on, "PUT", AMEND, **MINE, orderId=order_id, newQty=quantity, **more)


def shown(on: Exchange, order_id: int) -> Any:
    """Return an order as a query shows it."""
    return signed(on, "GET", "order", **MINE, orderId=order_id)


def test_amending_shrinks_an_order_in_place() -> None:
    """The same id, another client id, a smaller hold; it fills with the new quantity."""
    on = holding()
    order(on, "SELL", "LIMIT", price="109.00", quantity="1.5", newClientOrderId="first", **GTC)
    done = amend(on, 2, "1")
    assert done["amendedOrder"]["origClientOrderId"] == "first"
    new_id = done["amendedOrder"]["clientOrderId"]
    assert on.wallet.held("BTC") == 1
    found = signed(on, "GET", "order", **MINE, origClientOrderId=new_id)
    assert (found["orderId"], found["origQty"]) == (2, "1.00000000")
    assert signed(on, "GET", "order", **MINE, origClientOrderId="first")["code"] == -2013
    kept = amend(on, 2, "0.9", newClientOrderId=new_id)
    assert kept["amendedOrder"]["clientOrderId"] == new_id
    history = signed(on, "GET", "order/amendments", **MINE, orderId=2)
    assert [(a["origQty"], a["newQty"]) for a in history] == [
        ("1.50000000", "1.00000000"),
        ("1.00000000", "0.90000000"),
    ]
    step(on, 3)
    assert (shown(on, 2)["status"], shown(on, 2)["executedQty"]) == ("FILLED", "0.90000000")
    assert on.wallet.held("BTC") == 0


@pytest.mark.parametrize(
    ("order_id", "quantity", "message"),
    [
        (2, "2", "Order amend (quantity increase) is not supported."),
        (2, "1.5", "The requested action would change no state; rejecting"),
        (2, "1.000001", "Filter failure: LOT_SIZE"),
        (1, "0.1", "Unknown order sent."),
        (77, "0.1", "Unknown order sent."),
    ],
)
def test_amendments_that_cannot_be_change_nothing(
    order_id: int, quantity: str, message: str
) -> None:
    """-2038 with the reason; the order stays as it was."""
    on = holding()
    order(on, "SELL", "LIMIT", price="109.00", quantity="1.5", **GTC)
    assert amend(on, order_id, quantity) == {"code": -2038, "msg": message}
    assert shown(on, 2)["origQty"] == "1.50000000"


def test_an_order_is_amended_ten_times_at_most() -> None:
    """MAX_NUM_ORDER_AMENDS."""
    on = holding()
    order(on, "SELL", "LIMIT", price="109.00", quantity="1.5", **GTC)
    for n in range(10):
        assert "amendedOrder" in amend(on, 2, str(Decimal("1.4") - n * Decimal("0.1")))
    assert amend(on, 2, "0.1")["msg"] == "Filter failure: MAX_NUM_ORDER_AMENDS"


def test_amending_a_leg_amends_its_pair_and_tells_the_list() -> None:
    """Both legs of an OCO shrink, the hold once; a pending order alone."""
    on = holding()
    feed = UserFeed(on)
    signed(on, "POST", "orderList/oco", **OCO)
    feed.drain()
    done = amend(on, 2, "0.1")
    assert done["listStatus"]["contingencyType"] == "OCO"
    assert [shown(on, n)["origQty"] for n in (2, 3)] == ["0.10000000"] * 2
    assert on.wallet.held("BTC") == Decimal("0.1")
    events = feed.drain()
    assert {e["x"] for e in events if e["e"] == "executionReport"} == {"REPLACED"}
    assert {e["l"] for e in events if e["e"] == "listStatus"} == {"UPDATED"}
    signed(on, "POST", "orderList/oto", **WORKING, **PENDING, **SIZED)
    assert amend(on, 5, "0.3")["amendedOrder"]["status"] == "PENDING_NEW"
    assert shown(on, 4)["origQty"] == "1.00000000"


def test_pending_orders_that_a_fill_will_size_are_not_amended() -> None:
    """OPO legs have no quantity of their own."""
    on = holding()
    signed(on, "POST", "orderList/opo", **WORKING, **PENDING)
    answer = amend(on, 3, "0.3")
    assert answer["msg"] == "Order amend (pending OPO order) is not supported."


def met(mode: str) -> Exchange:
    """Return an exchange where a market buy of 1 met the account's own resting 0.4 and 0.9."""
    on = holding()
    for quantity in ("0.4", "0.9"):
        order(on, "SELL", "LIMIT", price="100.02", quantity=quantity, **GTC)
    order(on, "BUY", "MARKET", quantity="1", selfTradePreventionMode=mode)
    return on


@pytest.mark.parametrize(
    ("mode", "taker", "makers", "prevented"),
    [
        ("NONE", "FILLED", ["NEW", "NEW"], []),
        ("EXPIRE_TAKER", "EXPIRED_IN_MATCH", ["NEW", "NEW"], ["1.00000000"]),
        ("EXPIRE_MAKER", "FILLED", ["EXPIRED_IN_MATCH"] * 2, ["0.40000000", "0.90000000"]),
        ("EXPIRE_BOTH", "EXPIRED_IN_MATCH", ["EXPIRED_IN_MATCH", "NEW"], ["1.00000000"]),
        ("DECREMENT", "EXPIRED_IN_MATCH", ["EXPIRED_IN_MATCH", "NEW"], ["0.40000000"] * 2),
        ("TRANSFER", "EXPIRED_IN_MATCH", ["EXPIRED_IN_MATCH", "NEW"], ["0.40000000"] * 2),
    ],
)
def test_an_order_does_not_trade_with_its_own_account(
    mode: str, taker: str, makers: list[str], prevented: list[str]
) -> None:
    """Each mode ends what it says; the money of what ended is free again."""
    on = met(mode)
    assert shown(on, 4)["status"] == taker
    assert [shown(on, n)["status"] for n in (2, 3)] == makers
    found = signed(on, "GET", "myPreventedMatches", **MINE, orderId=4)
    side = "maker" if mode == "EXPIRE_MAKER" else "taker"
    shown_first = [m[f"{side}PreventedQuantity"] for m in found][: len(prevented)]
    assert shown_first[:1] == prevented[:1]
    resting = sum((o.remaining for o in on.records.open_orders()), Decimal(0))
    assert on.wallet.held("BTC") == resting
    assert on.wallet.held("USDT") == 0


def test_decrement_takes_the_smaller_off_both() -> None:
    """0.4 off taker and first maker, 0.6 off taker and second, of which 0.3 stay."""
    on = met("DECREMENT")
    first, second = on.records.prevented
    assert (first.taker_quantity, second.taker_quantity) == (Decimal("0.4"), Decimal("0.6"))
    assert on.records.get("BTCUSDT", 3).remaining == Decimal("0.3")
    assert shown(on, 3)["preventedQuantity"] == "0.60000000"
    assert (
        signed(on, "GET", "myPreventedMatches", **MINE, preventedMatchId=1)[0]["makerOrderId"] == 3
    )


def test_prevention_is_told_on_the_user_stream() -> None:
    """TRADE_PREVENTION with the match, the order on the other side and the quantities."""
    on = holding()
    order(on, "SELL", "LIMIT", price="100.02", quantity="0.4", **GTC)
    feed = UserFeed(on)
    order(on, "BUY", "MARKET", quantity="1", selfTradePreventionMode="EXPIRE_MAKER")
    told = [e for e in feed.drain() if e.get("x") == "TRADE_PREVENTION"]
    assert [(e["i"], e["X"], e["v"], e["U"], e["A"], e["B"]) for e in told] == [
        (2, "EXPIRED_IN_MATCH", 0, 3, "0.40000000", "0.40000000")
    ]


def test_a_leg_that_prevention_ends_ends_its_pair() -> None:
    """The stop of an OCO does not outlive its limit."""
    on = holding()
    signed(on, "POST", "orderList/oco", **{**OCO, "abovePrice": "100.02"})
    order(on, "BUY", "MARKET", quantity="1", selfTradePreventionMode="EXPIRE_MAKER")
    assert [shown(on, n)["status"] for n in (2, 3)] == ["EXPIRED_IN_MATCH", "EXPIRED"] or [
        shown(on, n)["status"] for n in (2, 3)
    ] == ["EXPIRED", "EXPIRED_IN_MATCH"]
    assert on.wallet.held("BTC") == 0


def test_modes_a_symbol_does_not_allow_are_refused() -> None:
    """-1013 for what the listing leaves out, -1130 for what is no mode; its default is taken."""
    on = holding()
    on.market.listing("BTCUSDT").extra = {
        "allowedSelfTradePreventionModes": ["EXPIRE_TAKER"],
        "defaultSelfTradePreventionMode": "EXPIRE_TAKER",
    }
    refused = order(on, "BUY", "MARKET", quantity="1", selfTradePreventionMode="DECREMENT")
    assert refused["code"] == -1013
    strange = order(on, "BUY", "MARKET", quantity="1", selfTradePreventionMode="X")
    assert strange["code"] == -1130
    done = order(on, "BUY", "MARKET", quantity="1")
    assert done["selfTradePreventionMode"] == "EXPIRE_TAKER"


def test_a_routed_order_takes_the_best_book() -> None:
    """BTCUSDC is a unit cheaper: bought there, paid in USDT, as an allocation."""
    on = two_markets()
    routed = {**MINE, "side": "BUY", "type": "MARKET", "quantity": "1"}
    done = signed(on, "POST", "sor/order", **routed)
    assert (done["status"], done["workingFloor"], done["usedSor"]) == ("FILLED", "SOR", True)
    assert done["fills"][0]["price"] == "99.04950000"
    assert done["fills"][0]["tradeId"] == -1
    assert signed(on, "GET", "myTrades", **MINE) == []
    assert signed(on, "GET", "myAllocations", **MINE)[0]["quoteQty"] == "99.04950000"
    assert on.wallet.free("USDT") == 10_000 - Decimal("99.0495")
    assert on.wallet.free("USDC") == 10_000


def test_what_a_routed_limit_leaves_rests_on_its_own_book() -> None:
    """Two thin books fill a part; the rest waits on the one it was sent to."""
    on = two_markets(depth=Depth(seed=3, levels=2, level_quote=50.0))
    form = {**MINE, "side": "BUY", "type": "LIMIT", "price": "100.03", "quantity": "20", **GTC}
    done = signed(on, "POST", "sor/order", **form)
    assert done["status"] == "PARTIALLY_FILLED"
    prices = [Decimal(f["price"]) for f in done["fills"]]
    assert prices == sorted(prices)
    assert prices[0] == 100 < prices[-1], "a tick of the cheaper symbol is a whole unit"
    assert [o["orderId"] for o in signed(on, "GET", "openOrders", **MINE)] == [1]


@pytest.mark.parametrize(
    ("change", "code"),
    [({"type": "LIMIT_MAKER"}, -1116), ({"quantity": None, "quoteOrderQty": "5"}, -1102)],
)
def test_routed_orders_of_other_kinds_are_refused(change: dict[str, Any], code: int) -> None:
    """LIMIT and MARKET with a quantity; a symbol without a group is not routed."""
    form = {**MINE, "side": "BUY", "type": "MARKET", "quantity": "1"}
    if change.get("type") == "LIMIT_MAKER":
        form |= {"price": "99.00"}
    asked = {name: value for name, value in {**form, **change}.items() if value is not None}
    assert signed(two_markets(), "POST", "sor/order", **asked)["code"] == code
    alone = {**MINE, "side": "BUY", "type": "MARKET", "quantity": "1"}
    assert signed(exchange(RISING), "POST", "sor/order", **alone)["code"] == -2010


def test_an_iceberg_fills_by_its_visible_part() -> None:
    """On a thin book no fill is larger than what shows."""
    on = holding(depth=Depth(seed=1, level_quote=1e6))
    form = {"price": "104.50", "quantity": "1.5", "icebergQty": "0.25", **GTC}
    order(on, "SELL", "LIMIT", **form)
    step(on, 3.9)
    fills = [Decimal(t["qty"]) for t in signed(on, "GET", "myTrades", **MINE, orderId=2)]
    assert fills
    assert max(fills) <= Decimal("0.25")
    assert sum(fills) == Decimal("1.5")


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({"icebergQty": "2"}, (-2010, "IcebergQty exceeds QTY.")),
        ({"icebergQty": "0.5", "timeInForce": "IOC"}, (-2010, "Unsupported order combination")),
        ({"icebergQty": "0.500001"}, (-1013, "Filter failure: LOT_SIZE")),
    ],
)
def test_icebergs_that_cannot_be(change: dict[str, str], answer: tuple[int, str]) -> None:
    """Larger than the order, impatient, off the step."""
    form = {"price": "99.00", "quantity": "1", **GTC, **change}
    found = order(exchange(RISING), "BUY", "LIMIT", **form)
    assert (found["code"], found["msg"]) == answer


LIMIT = {"price": "99.00", "quantity": "1", **GTC}
STOP = {"stopPrice": "90.00", "quantity": "1"}


@pytest.mark.parametrize(
    ("off", "side", "kind", "form", "message"),
    [
        ({"icebergAllowed": False}, "BUY", "LIMIT", {**LIMIT, "icebergQty": "0.5"}, "Iceberg"),
        (
            {"allowTrailingStop": False},
            "SELL",
            "STOP_LOSS",
            {**STOP, "trailingDelta": 100},
            "Trail",
        ),
        ({"quoteOrderQtyMarketAllowed": False}, "BUY", "MARKET", {"quoteOrderQty": "50"}, "Quote"),
    ],
)
def test_what_a_symbol_does_not_offer_is_rejected(
    off: dict[str, bool], side: str, kind: str, form: dict[str, Any], message: str
) -> None:
    """-2010 with the published sentence."""
    on = holding()
    on.market.listing("BTCUSDT").extra = off
    found = order(on, side, kind, **form)
    assert (found["code"], found["msg"].startswith(message)) == (-2010, True)


def test_order_types_and_lists_that_a_symbol_does_not_offer() -> None:
    """By its `orderTypes`, and by its flags for lists, replacing and amending."""
    on = holding()
    listing = on.market.listing("BTCUSDT")
    listing.order_types = ("LIMIT", "MARKET")
    assert order(on, "SELL", "STOP_LOSS", **STOP)["msg"].startswith("Stop loss orders are not")
    listing.order_types = ("LIMIT", "MARKET", "LIMIT_MAKER", "STOP_LOSS_LIMIT")
    flags = ("ocoAllowed", "opoAllowed", "cancelReplaceAllowed", "amendAllowed")
    listing.extra = dict.fromkeys(flags, False)
    order(on, "SELL", "LIMIT", price="150.00", quantity="1", **GTC)
    replacing = {"side": "BUY", "type": "MARKET", "quantity": "1", "cancelOrderId": 2}
    replacing |= {"cancelReplaceMode": "STOP_ON_FAILURE"}
    tried = [
        signed(on, "POST", "orderList/oco", **OCO),
        signed(on, "POST", "orderList/opo", **WORKING, **PENDING),
        signed(on, "POST", "order/cancelReplace", **MINE, **replacing),
        amend(on, 2, "0.5"),
    ]
    assert [t["code"] for t in tried] == [-2010, -2010, -2010, -2038]
    assert all("not supported" in t["msg"] for t in tried)


EXCHANGE = [
    ({"filterType": "EXCHANGE_MAX_NUM_ORDERS", "maxNumOrders": 2}, LIMIT),
    (
        {"filterType": "EXCHANGE_MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders": 2},
        {**LIMIT, "icebergQty": "0.5"},
    ),
]


@pytest.mark.parametrize(("rule", "form"), EXCHANGE)
def test_filters_of_the_exchange_count_every_symbol(
    rule: dict[str, Any], form: dict[str, str]
) -> None:
    """Two on one symbol leave no room on another."""
    on = two_markets(exchange_filters=(rule,))
    for _ in range(2):
        assert "orderId" in order(on, "BUY", "LIMIT", **form)
    other = {"symbol": "BTCUSDC", "side": "BUY", "type": "LIMIT", **form, "price": "97.00"}
    refused = signed(on, "POST", "order", **other)
    assert refused == {"code": -1013, "msg": f"Filter failure: {rule['filterType']}"}


def test_stops_and_lists_are_counted_over_the_exchange() -> None:
    """EXCHANGE_MAX_NUM_ALGO_ORDERS and EXCHANGE_MAX_NUM_ORDER_LISTS."""
    stops = {"filterType": "EXCHANGE_MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 1}
    lists = {"filterType": "EXCHANGE_MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 1}
    on = two_markets(exchange_filters=(stops, lists))
    order(on, "BUY", "MARKET", quantity="2")
    assert "orderId" in order(on, "SELL", "STOP_LOSS", **STOP)
    again = order(on, "SELL", "STOP_LOSS", **STOP)
    assert again["msg"] == "Filter failure: EXCHANGE_MAX_NUM_ALGO_ORDERS"
    on = two_markets(exchange_filters=(lists,))
    order(on, "BUY", "MARKET", quantity="2")
    assert "orderReports" in signed(on, "POST", "orderList/oco", **OCO)
    full = signed(on, "POST", "orderList/oco", **OCO)
    assert full["msg"] == "Filter failure: EXCHANGE_MAX_NUM_ORDER_LISTS"


@pytest.mark.parametrize(
    ("asset", "passes", "breaks"), [("BTC", "1.5", "1.50001"), ("USDT", "1.5", "1.52")]
)
def test_an_asset_may_have_a_largest_order(asset: str, passes: str, breaks: str) -> None:
    """Of the base by quantity, of the quote by value."""
    limit = "1.5" if asset == "BTC" else "150"
    rule = {"filterType": "MAX_ASSET", "asset": asset, "limit": limit}
    on = two_markets(asset_filters=(rule,))
    form = {"price": "100.00", **GTC}
    assert "orderId" in order(on, "BUY", "LIMIT", quantity=passes, **form)
    refused = order(on, "BUY", "LIMIT", quantity=breaks, **form)
    assert refused == {"code": -1013, "msg": "Filter failure: MAX_ASSET"}


def test_a_list_whose_orders_are_too_many_is_refused_whole() -> None:
    """Its orders count before they are placed: two stops need room for two."""
    on = holding("5")
    for _ in range(4):
        order(on, "SELL", "STOP_LOSS", stopPrice="90.00", quantity="0.1")
    pair = {
        **MINE,
        "side": "SELL",
        "quantity": "0.2",
        "aboveType": "TAKE_PROFIT",
        "aboveStopPrice": "150.00",
        "belowType": "STOP_LOSS",
        "belowStopPrice": "90.00",
    }
    refused = signed(on, "POST", "orderList/oco", **pair)
    assert refused["msg"] == "Filter failure: MAX_NUM_ALGO_ORDERS"
    assert len(on.records.open_orders()) == 4


def test_a_filter_without_minutes_takes_the_last_price() -> None:
    """AvgPriceMins 0: the bounds move with the price itself."""
    on = exchange(RISING)
    listing = on.market.listing("BTCUSDT")
    for rule in listing.filters.values():
        if "avgPriceMins" in rule:
            rule["avgPriceMins"] = 0
    step(on, 2)
    assert on.market.price("BTCUSDT", on.present_ms) == 112
    form = {"quantity": "1", **GTC}
    assert "orderId" in order(on, "BUY", "LIMIT", price="22.40", **form)
    assert order(on, "BUY", "LIMIT", price="22.39", **form)["code"] == -1013


@pytest.mark.parametrize("depth", [None, Depth(seed=4)])
def test_the_best_prices_are_those_of_the_book(depth: Depth | None) -> None:
    """bookTicker, the ticker of a day and depth tell of the same levels."""
    on = exchange(RISING, Options(depth=depth))
    book = get(on, "depth", **MINE, limit=1)
    for path in ("ticker/bookTicker", "ticker/24hr"):
        best = get(on, path, **MINE)
        assert book["bids"] == [[best["bidPrice"], best["bidQty"]]]
        assert book["asks"] == [[best["askPrice"], best["askQty"]]]


def test_lagging_reads_show_a_list_as_it_was() -> None:
    """Done now, still executing for a reader who is behind."""
    on = holding()
    signed(on, "POST", "orderList/oco", **OCO)
    step(on, 0.01)
    give(on, Fault(FaultKind.LAG, seconds=30))
    signed(on, "DELETE", "orderList", **MINE, orderListId=0)
    assert signed(on, "GET", "orderList", orderListId=0)["listOrderStatus"] == "EXECUTING"
    assert len(signed(on, "GET", "openOrderList")) == 1
    step(on, 0.01)
    assert signed(on, "GET", "orderList", orderListId=0)["listOrderStatus"] == "ALL_DONE"
    assert signed(on, "GET", "openOrderList") == []
