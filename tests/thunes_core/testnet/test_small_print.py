"""Requests by the letter of Binance's pages: empty values, weights, bans, combinations, ids."""

from __future__ import annotations

from typing import Any

import pytest

from tests.thunes_core.testnet.calls import get, order, send, send_signed, signed
from tests.thunes_core.testnet.markets import RISING, START_MS, exchange, market
from thunes_core.testnet.clock import RunningClock
from thunes_core.testnet.matching import Exchange
from thunes_core.testnet.options import Options
from thunes_core.testnet.stream_forms import Misunderstood, read_message

BTC = {"symbol": "BTCUSDT"}
BUY = {**BTC, "side": "BUY", "type": "MARKET"}
MINUTE = 60.0


@pytest.mark.parametrize("name", ["symbol", "quantity", "newClientOrderId", "recvWindow"])
def test_a_parameter_without_a_value_is_empty(name: str) -> None:
    """Needed or not: -1105 with its name, and nothing was done."""
    on = exchange(RISING)
    answer = signed(on, "POST", "order", **{**BUY, "quantity": "1", name: ""})
    assert answer == {"code": -1105, "msg": f"Parameter '{name}' was empty."}
    assert on.records.orders("BTCUSDT") == []


@pytest.mark.parametrize(
    ("path", "parameters", "weight"),
    [
        ("order/test", {}, 1),
        ("order/test", {"computeCommissionRates": "true"}, 20),
    ],
)
def test_a_test_order_weighs_more_with_its_rates(
    path: str, parameters: dict[str, str], weight: int
) -> None:
    """As published."""
    answer = send_signed(exchange(RISING), "POST", path, **BUY, quantity="1", **parameters)
    assert (answer.status, answer.headers["x-mbx-used-weight-1m"]) == (200, str(weight))


@pytest.mark.parametrize(("name", "weight"), [("preventedMatchId", "2"), ("orderId", "20")])
def test_prevented_matches_weigh_by_how_they_are_asked_for(name: str, weight: str) -> None:
    """One match weighs two, those of an order twenty."""
    answer = send_signed(exchange(RISING), "GET", "myPreventedMatches", **BTC, **{name: 1})
    assert (answer.status, answer.headers["x-mbx-used-weight-1m"]) == (200, weight)


@pytest.mark.parametrize("bound", ["startTime", "endTime"])
def test_lists_are_asked_for_by_id_or_by_time(bound: str) -> None:
    """Not by both."""
    both = {"fromId": 0, bound: START_MS}
    assert signed(exchange(RISING), "GET", "allOrderList", **both)["code"] == -1128


def test_permission_sets_can_be_left_out() -> None:
    """The field stays, empty."""
    on = exchange(RISING)
    assert get(on, "exchangeInfo")["symbols"][0]["permissionSets"] != []
    quiet = get(on, "exchangeInfo", showPermissionSets="false")
    assert quiet["symbols"][0]["permissionSets"] == []


def test_each_ban_lasts_twice_as_long_as_the_one_before() -> None:
    """Two minutes, four, eight: for an address that never learns; three days at most."""
    seconds = [0.0]
    on = Exchange(market(RISING), RunningClock(START_MS, 1.0, lambda: seconds[0]))
    lengths = []
    for _ in range(14):
        lengths.append(banned_for(on))
        seconds[0] += lengths[-1] + MINUTE
    assert lengths[:3] == [120, 240, 480]
    assert lengths[-2:] == [3 * 86_400] * 2


def banned_for(on: Exchange) -> int:
    """Ask until the address is banned; return for how many seconds."""
    for _ in range(400):
        answer = send(on, "GET", "exchangeInfo")
        if answer.status == 418:
            return int(answer.headers["Retry-After"])
    raise AssertionError("never banned")


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("nonsense", 3, "Invalid JSON"),
        ("[]", 3, "Invalid JSON"),
        ('{"id": 1}', 2, "missing field `method`"),
        ('{"id": {}, "method": "SUBSCRIBE"}', 2, "request ID must be"),
        ('{"id": 1.5, "method": "SUBSCRIBE"}', 2, "request ID must be"),
        ('{"id": 1, "method": 5}', 2, "method must be a string"),
        ('{"id": 1, "method": "DANCE"}', 2, "unknown variant `DANCE`, expected one of"),
        ('{"id": 1, "method": "SUBSCRIBE", "params": "btcusdt@trade"}', 2, "must be an array"),
        ('{"id": 1, "method": "SUBSCRIBE", "params": [5]}', 2, "must be strings"),
        ('{"id": 1, "method": "SET_PROPERTY"}', 2, "property name must be a string"),
        ('{"id": 1, "method": "SET_PROPERTY", "params": ["x", true]}', 0, "Unknown property"),
        ('{"id": 1, "method": "SET_PROPERTY", "params": ["combined", 1]}', 1, "expected Boolean"),
        ('{"id": 1, "method": "GET_PROPERTY", "params": ["combined", 1]}', 2, "too many"),
    ],
)
def test_what_a_stream_does_not_understand_it_says(text: str, code: int, words: str) -> None:
    """The published codes and texts; the message's id where it could be read."""
    with pytest.raises(Misunderstood) as caught:
        read_message(text)
    document: dict[str, Any] = caught.value.document
    assert document["code"] == code
    assert words in document["msg"]
    assert ("id" in document) is ("request ID" not in words and "missing" not in words and code < 3)


@pytest.mark.parametrize("before", [True, False])
def test_a_replacement_may_be_held_against_the_filters_before_the_cancel(before: bool) -> None:
    """A symbol full of stops: refused with the old one kept, or moved."""
    on = exchange(RISING, Options(filters_before_cancel=before))
    order(on, "BUY", "MARKET", quantity="2")
    stop = {"quantity": "0.2", "stopPrice": "90.00"}
    resting = [order(on, "SELL", "STOP_LOSS", **stop)["orderId"] for _ in range(5)]
    assert order(on, "SELL", "STOP_LOSS", **stop)["msg"] == "Filter failure: MAX_NUM_ALGO_ORDERS"
    moved = {"side": "SELL", "type": "STOP_LOSS", "cancelReplaceMode": "STOP_ON_FAILURE"}
    moved |= {**stop, "stopPrice": "91.00"}
    form = {**BTC, **moved, "cancelOrderId": resting[0]}
    answer = signed(on, "POST", "order/cancelReplace", **form)
    still = [one["orderId"] for one in signed(on, "GET", "openOrders", **BTC)]
    assert (resting[0] in still) is before
    assert len(still) == 5
    if before:
        assert answer == {"code": -1013, "msg": "Filter failure: MAX_NUM_ALGO_ORDERS"}
    else:
        assert answer["newOrderResult"] == "SUCCESS"
