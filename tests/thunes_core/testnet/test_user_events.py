"""What the account's stream tells of an order, from its acceptance to its end."""

from __future__ import annotations

from typing import Any

import pytest

from tests.thunes_core.testnet.calls import order, signed
from tests.thunes_core.testnet.markets import RISING, exchange, step
from thunes_core.testnet.matching import Exchange
from thunes_core.testnet.user_events import UserFeed

BTC = {"symbol": "BTCUSDT"}
GTC = {"timeInForce": "GTC"}
PENDING = {
    "pendingSide": "SELL",
    "pendingAboveType": "LIMIT_MAKER",
    "pendingAbovePrice": "150.00",
    "pendingBelowType": "STOP_LOSS",
    "pendingBelowStopPrice": "90.00",
}


def reports(feed: UserFeed) -> list[dict[str, Any]]:
    """Return the order reports since the last look."""
    return [event for event in feed.drain() if event["e"] == "executionReport"]


def otoco(on: Exchange, price: str, quantity: str) -> Any:
    """Place a resting buy with a pending pair behind it."""
    working = {"workingType": "LIMIT", "workingSide": "BUY", "workingTimeInForce": "GTC"}
    working |= {"workingPrice": price, "workingQuantity": "1"}
    form = {**BTC, **working, **PENDING, "pendingQuantity": quantity}
    return signed(on, "POST", "orderList/otoco", **form)


@pytest.mark.parametrize("given", [None, "my-cancel"])
def test_a_cancel_has_one_client_id_in_answer_and_event(given: str | None) -> None:
    """Its own id is `c`, the order's original `C`; REST shows the same two."""
    on = exchange(RISING)
    feed = UserFeed(on)
    placed = order(on, "BUY", "LIMIT", quantity="1", price="90.00", newClientOrderId="mine", **GTC)
    named = {} if given is None else {"newClientOrderId": given}
    answer = signed(on, "DELETE", "order", **BTC, orderId=placed["orderId"], **named)
    told = reports(feed)[-1]
    assert (told["c"], told["C"]) == (answer["clientOrderId"], answer["origClientOrderId"])
    assert (told["c"], told["C"]) == (given or f"cancel-{placed['orderId']}", "mine")


def test_a_list_cancelled_by_a_leg_ends_all_by_one_id() -> None:
    """Working order and both pending legs; the query still shows their own ids."""
    on = exchange(RISING)
    made = otoco(on, "95.00", "1")
    feed = UserFeed(on)
    leg = made["orders"][2]["orderId"]
    answer = signed(on, "DELETE", "order", **BTC, orderId=leg, newClientOrderId="by-leg")
    told = reports(feed)
    assert [one["x"] for one in told] == ["CANCELED"] * 3
    assert {one["c"] for one in told} == {"by-leg"}
    assert {one["clientOrderId"] for one in answer["orderReports"]} == {"by-leg"}
    assert [one["C"] for one in told] == [one["clientOrderId"] for one in made["orders"]]
    shown = signed(on, "GET", "order", **BTC, orderId=leg)
    assert shown["clientOrderId"] == made["orders"][2]["clientOrderId"]


def test_a_replacement_cancels_by_the_id_it_names() -> None:
    """`cancelNewClientOrderId` in the answer and in the event."""
    on = exchange(RISING)
    placed = order(on, "BUY", "LIMIT", quantity="1", price="90.00", **GTC)
    feed = UserFeed(on)
    form = {"side": "BUY", "type": "LIMIT", "quantity": "1", "price": "91.00", **GTC}
    form |= {"cancelReplaceMode": "STOP_ON_FAILURE", "cancelNewClientOrderId": "moved"}
    moved = signed(
        on, "POST", "order/cancelReplace", **BTC, **form, cancelOrderId=placed["orderId"]
    )
    assert moved["cancelResponse"]["clientOrderId"] == reports(feed)[0]["c"] == "moved"


def test_every_execution_has_an_id_of_its_own() -> None:
    """Rising, whatever happens to whatever order, and the same for every subscriber."""
    on = exchange(RISING)
    feeds = [UserFeed(on), UserFeed(on)]
    order(on, "BUY", "MARKET", quantity="1")
    placed = order(on, "BUY", "LIMIT", quantity="1", price="90.00", **GTC)
    smaller = {"orderId": placed["orderId"], "newQty": "0.5"}
    amended = signed(on, "PUT", "order/amend/keepPriority", **BTC, **smaller)
    signed(on, "DELETE", "order", **BTC, orderId=placed["orderId"])
    told, twin = (reports(feed) for feed in feeds)
    numbers = [one["I"] for one in told]
    assert numbers == sorted(set(numbers)) == [one["I"] for one in twin]
    assert amended["executionId"] == next(one["I"] for one in told if one["x"] == "REPLACED")


def test_an_order_tells_since_when_it_is_on_the_book() -> None:
    """At once for a limit; never for a pending leg or a stop that has not gone off."""
    on = exchange(RISING)
    feed = UserFeed(on)
    order(on, "BUY", "LIMIT", quantity="1", price="90.00", **GTC)
    otoco(on, "95.00", "1")
    resting, working, above, below = reports(feed)
    for one in (resting, working):
        assert (one["w"], one["W"]) == (True, one["O"])
    for one in (above, below):
        assert (one["X"], one["w"], "W" in one) == ("PENDING_NEW", False, False)


def test_legs_that_cannot_be_paid_say_why_they_are_rejected() -> None:
    """They sell more than the working order bought."""
    on = exchange(RISING)
    feed = UserFeed(on)
    otoco(on, "99.00", "5")
    step(on, 1)
    rejected = [one for one in reports(feed) if one["x"] == "REJECTED"]
    assert [one["r"] for one in rejected] == ["INSUFFICIENT_BALANCES"] * 2
