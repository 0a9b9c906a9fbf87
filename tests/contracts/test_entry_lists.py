"""What every broker promises of a buy whose protection comes to rest by its fill."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.contracts.test_broker import Bench, bench, order  # noqa: F401 - a fixture
from tests.contracts.test_resting import status, stop, target
from thunes_core.domain.orders import OrderStatus, OrderType, TimeInForce
from thunes_core.errors import ExchangeRejected

LIST = "list-1"


def buy(price: str, **more: Any):
    """Return an approved buy that must fill whole at once."""
    given = {"price": Decimal(price), "time_in_force": TimeInForce.FOK, "list_id": LIST}
    return order(type=OrderType.LIMIT, **given, **more)


def legs(count: int = 2):
    """Return an approved stop, and a target besides for a pair."""
    both = [stop("97", list_id=LIST), target("105", list_id=LIST)]
    return both[:count]


@pytest.fixture(params=["OPO", "OTO"])
def kind(request, bench) -> str:  # noqa: F811 - the fixture
    """Give every kind of list that the broker takes."""
    if request.param not in bench.broker.entry_lists:
        pytest.skip("the broker takes no such list")
    return str(request.param)


def assert_legs_rest(bench, kind, count):  # noqa: F811
    """The legs rest, hold the coins once, and have the size of the list's kind."""
    resting = bench.broker.open_orders("BTCUSDT")
    assert {o.client_order_id for o in resting} == set(["stop-1", "target-1"][:count])
    assert {o.status for o in resting} == {OrderStatus.NEW}
    sized = Decimal("1.998") if kind == "OPO" else Decimal("1.99")
    assert {o.quantity for o in resting} == {sized}
    assert bench.broker.account().balances["BTC"].locked == sized


@pytest.mark.parametrize("count", [1, 2], ids=["stop", "pair"])
def test_a_filled_buy_is_protected_in_the_same_request(bench, kind, count):  # noqa: F811
    """The legs rest, hold the coins once, and have the size of the list's kind."""
    found = bench.broker.submit_entry(buy("101"), legs(count), kind)
    assert found[0].status is OrderStatus.FILLED
    assert_legs_rest(bench, kind, count)


def test_a_buy_that_cannot_fill_at_once_leaves_nothing(bench: Bench, kind):  # noqa: F811
    """Buy and legs end, the money is free."""
    found = bench.broker.submit_entry(buy("99"), legs(), kind)
    assert {o.status for o in found} <= {OrderStatus.EXPIRED, OrderStatus.NEW}
    assert {status(bench, one) for one in ("th-1", "stop-1", "target-1")} == {OrderStatus.EXPIRED}
    assert bench.broker.open_orders() == []
    assert bench.broker.account().free("USDT") == Decimal(1000)


def test_the_stop_of_an_entry_sells_what_was_bought(bench, kind):  # noqa: F811
    """The price falls through it; the target ends with it."""
    bench.broker.submit_entry(buy("101"), [stop("98.5", list_id=LIST), legs()[1]], kind)
    bench.stand_at(2)
    assert {status(bench, one) for one in ("stop-1", "target-1")} <= {
        OrderStatus.FILLED,
        OrderStatus.EXPIRED,
    }
    assert bench.broker.account().total("BTC") < Decimal("0.01")


def test_a_list_that_cannot_be_is_refused_whole(bench, kind):  # noqa: F811
    """More than the money there is: no order of it exists."""
    with pytest.raises(ExchangeRejected):
        bench.broker.submit_entry(buy("101", quantity="11"), legs(), kind)
    assert bench.broker.open_orders() == []
    assert bench.broker.account().total("USDT") == Decimal(1000)


def waiting_buy(price: str = "99"):
    """Return an approved buy that rests."""
    given = {"price": Decimal(price), "time_in_force": TimeInForce.GTC, "list_id": LIST}
    return order(type=OrderType.LIMIT, **given)


@pytest.mark.parametrize("count", [1, 2], ids=["stop", "pair"])
def test_the_sells_of_a_buy_that_rests_wait_for_its_whole_fill(bench, kind, count):  # noqa: F811
    """They hold nothing and cannot go off until then; the fill itself brings them to rest."""
    found = bench.broker.submit_entry(waiting_buy(), legs(count), kind)
    told = [o.status for o in found]
    assert told == [OrderStatus.NEW] + [OrderStatus.PENDING_NEW] * count
    assert bench.broker.account().total("BTC") == 0
    bench.stand_at(1)
    assert status(bench, "th-1") is OrderStatus.FILLED
    assert_legs_rest(bench, kind, count)
    assert bench.broker.fills("BTCUSDT")[-1].is_maker


@pytest.mark.parametrize("one", ["th-1", "stop-1"])
def test_cancelling_one_order_of_a_waiting_list_ends_it_whole(bench, kind, one):  # noqa: F811
    """Nothing is bought any more, and the money is free."""
    bench.broker.submit_entry(waiting_buy(), legs(), kind)
    bench.broker.cancel("BTCUSDT", one)
    ended = {status(bench, name) for name in ("th-1", "stop-1", "target-1")}
    assert ended == {OrderStatus.CANCELED}
    bench.stand_at(1)
    assert bench.broker.open_orders() == []
    assert bench.broker.account().free("USDT") == Decimal(1000)


def test_a_stop_goes_off_in_the_bar_that_filled_its_buy(bench, kind):  # noqa: F811
    """The price went on falling: bought at 99 and sold at 98.5, less the slippage."""
    stops = [stop("98.5", list_id=LIST), target("103.5", list_id=LIST)]
    bench.broker.submit_entry(waiting_buy(), stops, kind)
    bench.stand_at(1)
    assert status(bench, "stop-1") is OrderStatus.FILLED
    assert status(bench, "target-1") is OrderStatus.EXPIRED
    assert bench.broker.fills("BTCUSDT")[-1].price == Decimal("98.5") * Decimal("0.999")
    assert bench.broker.open_orders() == []
