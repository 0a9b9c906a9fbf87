"""Order lists, trailing stops, and replacing an order."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

import orjson
import pytest

from tests.thunes_core.testnet.calls import order, send_signed, signed
from tests.thunes_core.testnet.markets import (
    HOUR_MS,
    RISING,
    START_MS,
    Ohlc,
    exchange,
    market,
    step,
)
from tests.thunes_core.testnet.shapes import differences, example
from thunes_core.domain.limits import Costs
from thunes_core.testnet.clock import SteppedClock
from thunes_core.testnet.liquidity import Depth
from thunes_core.testnet.matching import Exchange
from thunes_core.testnet.options import Options
from thunes_core.testnet.series import PathOrder
from thunes_core.testnet.settlement import terms_of

D = Decimal
FREE = Options(terms=terms_of(Costs(0, 0, 0)))
FEES = Options(terms=terms_of(Costs(0.001, 0.001, 0)))
FALLING: list[Ohlc] = [
    (100.0, 101.0, 99.0, 100.0),
    (100.0, 101.0, 94.0, 96.0),
    (90.0, 92.0, 88.0, 91.0),
]
GTC = {"timeInForce": "GTC"}
MINE = {"symbol": "BTCUSDT"}
OCO = {
    **MINE,
    "side": "SELL",
    "quantity": "1",
    "aboveType": "LIMIT_MAKER",
    "abovePrice": "109.00",
    "belowType": "STOP_LOSS_LIMIT",
    "belowStopPrice": "95.00",
    "belowPrice": "90.00",
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
PENDING_PAIR = {
    "pendingSide": "SELL",
    "pendingAboveType": "LIMIT_MAKER",
    "pendingAbovePrice": "109.00",
    "pendingBelowType": "STOP_LOSS",
    "pendingBelowStopPrice": "95.00",
}


def long(rows: list[Ohlc], options: Options = FREE) -> Exchange:
    """Return an exchange that holds one BTC and 9,900 USDT."""
    return exchange(rows, Options(balances={"BTC": D(1), "USDT": D(9_900)}, terms=options.terms))


def place_list(on: Exchange, kind: str, **form: Any) -> Any:
    """Place an order list and return the answer's document."""
    return signed(on, "POST", f"orderList/{kind}", **form)


def statuses(on: Exchange) -> list[str]:
    """Return the status of every order, oldest first."""
    return [o["status"] for o in signed(on, "GET", "allOrders", **MINE)]


def money(on: Exchange, asset: str) -> tuple[Decimal, Decimal]:
    """Return free and held."""
    return on.wallet.free(asset), on.wallet.held(asset)


def test_oco_holds_once_and_the_limit_leg_ends_the_stop() -> None:
    """Two sells of one BTC hold one BTC; the limit fills, the stop expires, the list is done."""
    on = long(RISING)
    made = place_list(on, "oco", **OCO)
    assert money(on, "BTC") == (D(0), D(1))
    assert [r["status"] for r in made["orderReports"]] == ["NEW", "NEW"]
    step(on, 4)
    assert statuses(on) == ["FILLED", "EXPIRED"]
    assert money(on, "USDT") == (D(10_009), D(0))
    shown = signed(on, "GET", "orderList", orderListId=made["orderListId"])
    assert (shown["listStatusType"], shown["listOrderStatus"]) == ("ALL_DONE", "ALL_DONE")
    assert signed(on, "GET", "openOrderList") == []


def test_oco_stop_leg_ends_the_limit() -> None:
    """The stop at 95 is touched in the second hour and fills there."""
    on = long(FALLING)
    place_list(on, "oco", **OCO)
    step(on, 2)
    assert statuses(on) == ["EXPIRED", "FILLED"]
    assert money(on, "USDT") == (D(9_995), D(0))


def test_oco_whose_stop_leg_rests_has_no_other_leg_left() -> None:
    """The trigger alone expires the limit leg; the stop's own limit rests with the hold."""
    gap = {**OCO, "belowStopPrice": "93.00", "belowPrice": "92.50"}
    on = long(FALLING)
    place_list(on, "oco", **gap)
    step(on, 3)
    assert statuses(on) == ["EXPIRED", "NEW"]
    assert money(on, "BTC") == (D(0), D(1))


@pytest.mark.parametrize("by", ["order", "list", "all"])
def test_cancelling_one_leg_cancels_the_list(by: str) -> None:
    """By a leg, by the list, or with everything: both legs end and the hold is free."""
    on = long(RISING)
    made = place_list(on, "oco", **OCO, listClientOrderId="mine")
    if by == "order":
        done = signed(on, "DELETE", "order", **MINE, orderId=2)
        assert done["orderListId"] == made["orderListId"]
    elif by == "list":
        done = signed(on, "DELETE", "orderList", **MINE, listClientOrderId="mine")
        assert differences(done, example("Cancel Order list (TRADE) > Response"), "", MAYBE) == []
    else:
        done = signed(on, "DELETE", "openOrders", **MINE)
        theirs = example("Cancel All Open Orders on a Symbol (TRADE) > Response")[-1]
        assert differences(done[0], theirs, "", MAYBE) == []
    assert statuses(on) == ["CANCELED", "CANCELED"]
    assert money(on, "BTC") == (D(1), D(0))
    again = signed(on, "DELETE", "orderList", **MINE, listClientOrderId="mine")
    assert again == {"code": -2011, "msg": "Unknown order sent."}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"abovePrice": "99.00"}, -2010),
        ({"belowStopPrice": "101.00"}, -2010),
        ({"belowType": "LIMIT_MAKER", "belowStopPrice": "", "belowTimeInForce": ""}, -1168),
        ({"aboveType": "MARKET", "abovePrice": ""}, -1158),
        ({"aboveType": "STOP_LOSS", "abovePrice": "", "aboveStopPrice": "90.00"}, -1158),
        ({"side": "BUY"}, -1165),
        ({"quantity": "1.5"}, -2010),
        ({"abovePrice": ""}, -1102),
        ({"belowPrice": "1e5"}, -1100),
        ({"abovePrice": "109.001"}, -1013),
        ({"nonsense": "1"}, -1104),
    ],
)
def test_lists_that_cannot_be_are_refused_whole(change: dict[str, str], code: int) -> None:
    """Nothing of a refused list is placed or held."""
    on = long(RISING)
    form = {k: v for k, v in {**OCO, **change}.items() if v}
    assert place_list(on, "oco", **form)["code"] == code
    assert statuses(on) == []
    assert money(on, "BTC") == (D(1), D(0))


def test_errors_of_a_leg_name_the_parameter_that_was_sent() -> None:
    """The leg's own prefix is in the text."""
    form = {k: v for k, v in OCO.items() if k != "abovePrice"}
    assert "'abovePrice'" in place_list(long(RISING), "oco", **form)["msg"]


def test_the_old_form_of_oco_still_works() -> None:
    """Price, stopPrice and stopLimitPrice, as older clients send them."""
    on = long(RISING)
    made = signed(
        on, "POST", "order/oco", **MINE, side="SELL", quantity="1", price="109.00",
        stopPrice="95.00", stopLimitPrice="94.00", stopLimitTimeInForce="GTC",
    )  # fmt: skip
    assert [r["type"] for r in made["orderReports"]] == ["LIMIT_MAKER", "STOP_LOSS_LIMIT"]


def test_at_most_twenty_lists_are_open() -> None:
    """MAX_NUM_ORDER_LISTS counts lists (five stops bind before, so they are lifted here)."""
    on = long(RISING)
    on.market.listing("BTCUSDT").filters["MAX_NUM_ALGO_ORDERS"]["maxNumAlgoOrders"] = 100
    for _ in range(20):
        place_list(on, "oco", **{**OCO, "quantity": "0.06"}) if money(on, "BTC")[0] else None
        on.wallet.add("BTC", D("0.06"))
    refused = place_list(on, "oco", **{**OCO, "quantity": "0.06"})
    assert refused["msg"] == "Filter failure: MAX_NUM_ORDER_LISTS"


def test_otoco_protects_as_soon_as_the_entry_is_filled() -> None:
    """Pending legs hold nothing, become an OCO at the very fill, and one ends the other."""
    on = exchange(RISING, FREE)
    made = place_list(on, "otoco", **WORKING, **PENDING_PAIR, pendingQuantity="1")
    assert statuses(on) == ["NEW", "PENDING_NEW", "PENDING_NEW"]
    step(on, 1)
    orders = signed(on, "GET", "allOrders", **MINE)
    assert [o["status"] for o in orders] == ["FILLED", "NEW", "NEW"]
    assert orders[1]["updateTime"] == orders[0]["updateTime"] > START_MS
    assert money(on, "BTC") == (D(0), D(1))
    step(on, 3)
    assert statuses(on) == ["FILLED", "FILLED", "EXPIRED"]
    assert money(on, "USDT") == (D(10_010), D(0))
    assert made["contingencyType"] == "OTO"


def test_pending_legs_end_with_a_cancelled_entry() -> None:
    """Cancelling the working order cancels the whole list."""
    on = exchange(RISING, FREE)
    place_list(on, "otoco", **WORKING, **PENDING_PAIR, pendingQuantity="1")
    signed(on, "DELETE", "order", **MINE, orderId=1)
    assert statuses(on) == ["CANCELED"] * 3
    assert money(on, "USDT") == (D(10_000), D(0))


def test_otoco_sells_that_the_fee_makes_too_large_are_rejected() -> None:
    """With the fee in the base asset one BTC bought is less than one to sell: no protection."""
    on = exchange(RISING, FEES)
    place_list(on, "otoco", **WORKING, **PENDING_PAIR, pendingQuantity="1")
    step(on, 1)
    assert statuses(on) == ["FILLED", "REJECTED", "REJECTED"]
    assert money(on, "BTC") == (D("0.999"), D(0))


def test_opoco_sells_what_the_entry_received() -> None:
    """The same with OPOCO: the legs are sized by the fill, its fee deducted, in whole lots."""
    on = exchange(RISING, FEES)
    made = place_list(on, "opoco", **WORKING, **PENDING_PAIR)
    assert "origQty" not in made["orderReports"][1]
    step(on, 1)
    assert [o.get("origQty") for o in signed(on, "GET", "allOrders", **MINE)] == [
        "1.00000000",
        "0.99900000",
        "0.99900000",
    ]
    assert money(on, "BTC") == (D(0), D("0.999"))


def test_oto_places_one_order_after_the_entry() -> None:
    """A market sell after a limit buy, at the price of the fill."""
    on = exchange(RISING, FREE)
    pending = {"pendingType": "MARKET", "pendingSide": "SELL", "pendingQuantity": "1"}
    place_list(on, "oto", **WORKING, **pending)
    step(on, 1)
    trades = signed(on, "GET", "myTrades", **MINE)
    assert [(t["price"], t["isBuyer"]) for t in trades] == [
        ("99.00000000", True),
        ("99.00000000", False),
    ]


def test_entry_that_takes_at_once_places_its_legs_at_once() -> None:
    """A marketable working order fills in the request itself."""
    on = exchange(RISING, FREE)
    form = {**WORKING, "workingPrice": "101.00"}
    made = place_list(on, "opoco", **form, **PENDING_PAIR)
    assert [r["status"] for r in made["orderReports"]] == ["FILLED", "NEW", "NEW"]


@pytest.mark.parametrize(
    ("kind", "change", "code"),
    [
        ("opoco", {"workingSide": "SELL"}, -1222),
        ("opoco", {"pendingSide": "BUY"}, -1223),
        ("opoco", {"pendingQuantity": "1"}, -1225),
        ("otoco", {"workingType": "STOP_LOSS"}, -1106),
        ("otoco", {}, -1102),
    ],
)
def test_pending_lists_of_the_wrong_form(kind: str, change: dict[str, str], code: int) -> None:
    """Each with the exchange's code."""
    on = exchange(RISING)
    assert place_list(on, kind, **{**WORKING, **PENDING_PAIR, **change})["code"] == code


MAYBE = frozenset({"icebergQty", "stopPrice"})
PENDING_MARKET = {"pendingType": "MARKET", "pendingSide": "SELL"}


@pytest.mark.parametrize(
    ("kind", "form", "heading"),
    [
        ("oco", OCO, "New Order list - OCO (TRADE) > Response"),
        ("oto", {**WORKING, **PENDING_MARKET, "pendingQuantity": "1"}, "- OTO (TRADE) > Response"),
        (
            "otoco",
            {**WORKING, **PENDING_PAIR, "pendingQuantity": "1"},
            "New Order list - OTOCO (TRADE) > Response",
        ),
        ("opo", {**WORKING, **PENDING_MARKET}, "New Order List - OPO (TRADE) > Response"),
        ("opoco", {**WORKING, **PENDING_PAIR}, "New Order List - OPOCO (TRADE) > Response"),
    ],
)
def test_lists_have_the_published_shape(kind: str, form: dict[str, str], heading: str) -> None:
    """Answer, query, open and all."""
    on = long(RISING)
    assert differences(place_list(on, kind, **form), example(heading), "", MAYBE) == []
    for path, said in (
        ("orderList", "Query Order list (USER_DATA) > Response"),
        ("openOrderList", "Query Open Order lists (USER_DATA) > Response"),
        ("allOrderList", "Query all Order lists (USER_DATA) > Response"),
    ):
        named = {"orderListId": 0} if path == "orderList" else {}
        assert differences(signed(on, "GET", path, **named), example(said)) == []


REPLACE = {
    **MINE,
    "side": "SELL",
    "type": "STOP_LOSS",
    "stopPrice": "97.00",
    "quantity": "1",
    "cancelReplaceMode": "STOP_ON_FAILURE",
    "cancelOrderId": 1,
}


def replace(on: Exchange, **change: Any) -> tuple[int, Any]:
    """Move the stop, and return status and document."""
    answer = send_signed(on, "POST", "order/cancelReplace", **{**REPLACE, **change})
    return answer.status, orjson.loads(answer.body)


def stopped(on: Exchange | None = None) -> Exchange:
    """Return an exchange with a resting stop at 95."""
    on = on or long(RISING)
    order(on, "SELL", "STOP_LOSS", stopPrice="95.00", quantity="1")
    return on


def test_a_stop_is_moved_in_one_request() -> None:
    """The old one is cancelled, the new one stands, on the same BTC."""
    on = stopped()
    status, done = replace(on)
    assert (status, done["cancelResult"], done["newOrderResult"]) == (200, "SUCCESS", "SUCCESS")
    assert statuses(on) == ["CANCELED", "NEW"]


@pytest.mark.parametrize(
    ("change", "status", "nth", "after"),
    [
        ({"cancelOrderId": 9}, 400, 0, ["NEW"]),
        ({"stopPrice": "120.00"}, 409, 1, ["CANCELED"]),
        (
            {"cancelOrderId": 9, "quantity": "0.5", "cancelReplaceMode": "ALLOW_FAILURE"},
            409,
            2,
            ["NEW", "NEW"],
        ),
        (
            {"cancelOrderId": 9, "stopPrice": "120.00", "cancelReplaceMode": "ALLOW_FAILURE"},
            400,
            3,
            ["NEW"],
        ),
    ],
)
def test_half_successes_of_replacing_are_told_apart(
    change: dict[str, Any], status: int, nth: int, after: list[str]
) -> None:
    """Four published outcomes: which half failed, 409 when one succeeded."""
    on = exchange(RISING, Options(balances={"BTC": D("1.5")}))
    got, document = replace(stopped(on), **change)
    examples = [
        example(" and account has not exceeded their unfilled order count", i) for i in range(4)
    ]
    assert got == status
    assert document["code"] == examples[nth]["code"]
    ours, theirs = document["data"], examples[nth]["data"]
    for key in ("cancelResult", "newOrderResult"):
        assert ours[key] == theirs[key]
    assert statuses(on) == after


TRAILS: list[Ohlc] = [
    (100.0, 104.0, 99.0, 103.0),
    (103.0, 110.0, 102.0, 109.0),
    (109.0, 109.5, 104.0, 105.0),
]


def test_trailing_stop_follows_the_highest_price() -> None:
    """Four percent below the high of 110 is 105.60, touched on the way to 104."""
    on = long(TRAILS)
    placed = order(
        on, "SELL", "STOP_LOSS", trailingDelta=400, quantity="1", newOrderRespType="RESULT"
    )
    assert placed["trailingDelta"] == 400
    step(on, 3)
    trade = signed(on, "GET", "myTrades", **MINE)[0]
    assert trade["price"] == "105.60000000"
    assert START_MS + 2 * HOUR_MS < trade["time"] < START_MS + 3 * HOUR_MS


def test_a_trailing_leg_of_an_oco_follows_and_ends_the_limit() -> None:
    """Without a stop price it lies below at once; four percent below 110 it sells, alone."""
    on = long(TRAILS)
    trailing = {k: v for k, v in OCO.items() if k not in {"belowStopPrice", "belowPrice"}}
    trailing |= {"belowType": "STOP_LOSS", "belowTrailingDelta": 400, "abovePrice": "120.00"}
    trailing.pop("belowTimeInForce")
    placed = place_list(on, "oco", **trailing)
    assert {r.get("trailingDelta") for r in placed["orderReports"]} == {400, None}
    step(on, 1)
    assert statuses(on) == ["NEW", "NEW"]
    step(on, 2)
    assert sorted(statuses(on)) == ["EXPIRED", "FILLED"]
    assert signed(on, "GET", "myTrades", **MINE)[0]["price"] == "105.60000000"
    assert money(on, "BTC") == (0, 0)


def test_a_trailing_leg_of_an_opo_begins_at_the_fill() -> None:
    """Bought at 99 and up to 110: four percent below that, though the order is older."""
    on = exchange([FALLING[0], *TRAILS], Options(cash=D(1000), terms=FREE.terms))
    pending = {"pendingSide": "SELL", "pendingType": "STOP_LOSS", "pendingTrailingDelta": 400}
    place_list(on, "opo", **WORKING | {"workingPrice": "99.50"}, **pending)
    step(on, 4)
    assert [t["price"] for t in signed(on, "GET", "myTrades", **MINE)] == [
        "99.50000000",
        "105.60000000",
    ]


def test_trailing_does_not_depend_on_how_often_anybody_looks() -> None:
    """One step of three hours and 180 of a minute give the same trade."""

    def run(hours: float, times: int) -> Any:
        on = long(TRAILS)
        order(on, "SELL", "STOP_LOSS", trailingDelta=300, quantity="1")
        for _ in range(times):
            step(on, hours)
        return signed(on, "GET", "myTrades", **MINE)

    assert run(3, 1) == run(1 / 60, 180)


def test_trailing_with_a_stop_price_begins_there() -> None:
    """It begins at 108; one percent below the later high of 110 is 108.90."""
    on = long(TRAILS)
    order(on, "SELL", "TAKE_PROFIT", trailingDelta=100, stopPrice="108.00", quantity="1")
    step(on, 3)
    assert signed(on, "GET", "myTrades", **MINE)[0]["price"] == "108.90000000"


@pytest.mark.parametrize(
    ("kind", "side", "price"),
    [
        ("STOP_LOSS", "SELL", "108.00"),
        ("TAKE_PROFIT", "SELL", "92.00"),
        ("STOP_LOSS", "BUY", "92.00"),
        ("TAKE_PROFIT", "BUY", "108.00"),
    ],
)
def test_trailing_from_a_price_that_was_passed_already_is_refused(
    kind: str, side: str, price: str
) -> None:
    """The rules of trigger prices bind trailing orders too: above or below the market by type."""
    on = long(TRAILS)
    answer = order(on, side, kind, trailingDelta=100, stopPrice=price, quantity="0.5")
    assert (answer["code"], answer["msg"]) == (-2010, "Order would trigger immediately.")


# The scenarios of Binance's FAQ on trailing stops, a candle for each straight line of trades:
# https://github.com/binance/binance-spot-api-docs/blob/master/faqs/trailing-stop-faq.md
D_PATH = "41500 39000 45000 44000 46500 43012.5"
SCENARIOS = {
    "A": ("BUY", "STOP_LOSS_LIMIT", 44_000, 500, 45_000, "37000 46000 42000 44100"),
    "B": ("SELL", "STOP_LOSS_LIMIT", 39_000, 1000, 38_000, "41500 37000 41000 36900"),
    "C": ("BUY", "TAKE_PROFIT_LIMIT", 38_000, 850, 38_500, "42000 37000 39000 38000 40145"),
    "D": ("SELL", "TAKE_PROFIT_LIMIT", 42_000, 750, 41_000, D_PATH),
    "E": ("SELL", "STOP_LOSS_LIMIT", None, 700, 39_000, "42000 39500 45500 42315"),
}
HALFWAY = 0.66
"""Of a candle in one colour: until two thirds of its time the path has not come to its end."""


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_scenarios_of_the_faq_on_trailing_stops(name: str) -> None:
    """It waits until the very last trade of each, which sets it off."""
    side, kind, stop, delta, price, path = SCENARIOS[name]
    turns = [40_000.0, *map(float, path.split())]
    rows = [(a, max(a, b), min(a, b), b) for a, b in pairwise(turns)]
    balances = {"BTC": D(1), "USDT": D(99_000)}
    options = Options(balances=balances, terms=FREE.terms)
    venue = market(rows, PathOrder.COLOUR)
    on = Exchange(venue, SteppedClock(START_MS), options)
    begin = {} if stop is None else {"stopPrice": str(stop)}
    order(on, side, kind, trailingDelta=delta, price=str(price), quantity="1", **GTC, **begin)
    (asked,) = on.records.open_orders()
    step(on, len(rows) - 1 + HALFWAY)
    assert asked.waits
    step(on, 1 - HALFWAY)
    assert not asked.waits
    assert START_MS + (len(rows) - 1 + HALFWAY) * HOUR_MS < asked.working_ms


def test_a_pair_may_take_the_profit_by_a_trail_above_and_a_stop_below() -> None:
    """The trail that begins leaves the stop in force; the one that goes off ends the other."""
    pair = {
        **{name: OCO[name] for name in ("symbol", "side", "quantity")},
        "aboveType": "TAKE_PROFIT",
        "aboveStopPrice": "108.00",
        "aboveTrailingDelta": 200,
        "belowType": "STOP_LOSS",
        "belowStopPrice": "95.00",
    }
    on = long(TRAILS)
    assert "orderReports" in place_list(on, "oco", **pair)
    step(on, 2)
    assert statuses(on) == ["NEW", "NEW"]
    above = next(o for o in on.records.open_orders() if str(o.asked.type) == "TAKE_PROFIT")
    assert above.trails
    step(on, 1)
    assert sorted(statuses(on)) == ["EXPIRED", "FILLED"]
    assert signed(on, "GET", "myTrades", **MINE)[0]["price"] == "107.80000000"
    on = long(FALLING)
    place_list(on, "oco", **pair)
    step(on, 2)
    assert sorted(statuses(on)) == ["EXPIRED", "FILLED"]
    assert signed(on, "GET", "myTrades", **MINE)[0]["price"] == "95.00000000"


def test_trailing_leapt_over_by_an_open_fills_there() -> None:
    """From a close of 96 to an open of 90: the level of 94 is leapt over."""
    on = long([FALLING[0], (100.0, 101.0, 97.0, 98.0), FALLING[2]])
    order(on, "SELL", "STOP_LOSS", trailingDelta=600, quantity="1")
    step(on, 3)
    trade = signed(on, "GET", "myTrades", **MINE)[0]
    assert (trade["price"], trade["time"]) == ("90.00000000", START_MS + 2 * HOUR_MS)


def test_trailing_buy_follows_the_lowest_price() -> None:
    """A buy stop trails downwards: three and five percent above the low of 94."""
    on = exchange(FALLING, FREE)
    order(on, "BUY", "STOP_LOSS", trailingDelta=500, quantity="1")
    order(on, "BUY", "STOP_LOSS", trailingDelta=300, quantity="1")
    step(on, 3)
    trades = signed(on, "GET", "myTrades", **MINE)
    assert [(t["orderId"], t["price"]) for t in trades] == [(2, "96.82000000"), (1, "98.70000000")]


def test_halted_symbols_do_not_match_and_resume_where_the_price_is() -> None:
    """No fill, no candle, no new order during a halt; a passed stop goes off at the resumption."""
    on = long(FALLING)
    order(on, "SELL", "STOP_LOSS", stopPrice="95.00", quantity="0.5")
    on.set_status("BTCUSDT", "HALT")
    step(on, 2)
    assert statuses(on) == ["NEW"]
    assert order(on, "SELL", "MARKET", quantity="0.5") == {
        "code": -1013,
        "msg": "Market is closed.",
    }
    assert on.market.price("BTCUSDT", on.present_ms) == D("100.0")
    assert len(on.market.klines("BTCUSDT", "1h", on.present_ms)) == 1
    on.set_status("BTCUSDT", "TRADING")
    assert signed(on, "GET", "myTrades", **MINE)[0]["price"] == "90.00000000"
    assert [c.open_ms for c in on.market.klines("BTCUSDT", "1h", on.present_ms)] == [
        START_MS + 2 * HOUR_MS
    ]


def test_what_a_part_of_an_opo_bought_is_locked_until_its_end() -> None:
    """It can be sold by nothing else; cancelling the list sets it free."""
    thin = Depth(seed=5, pause_ms=12 * HOUR_MS)
    on = exchange(FALLING, Options(cash=D(1000), depth=thin))
    pending = {"pendingSide": "SELL", "pendingType": "STOP_LOSS", "pendingStopPrice": "50.00"}
    placed = place_list(on, "opo", **WORKING, **pending)
    step(on, 2)
    bought = on.wallet.total("BTC")
    assert 0 < bought < 1
    assert money(on, "BTC") == (0, bought)
    refused = order(on, "SELL", "MARKET", quantity="0.1")
    assert refused["code"] == -2010
    signed(on, "DELETE", "orderList", **MINE, orderListId=placed["orderListId"])
    assert money(on, "BTC") == (bought, 0)
