"""What every broker promises of orders that rest to protect a position."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.contracts.test_broker import Bench, bench, limit, order  # noqa: F401 - a fixture
from tests.worlds import START
from thunes_core.adapters.paper import PaperBroker
from thunes_core.domain.orders import OrderStatus, OrderType, Side
from thunes_core.errors import ExchangeRejected, ExchangeUnavailable


def stop(price: str, client_order_id: str = "stop-1", **more: Any):
    """Return an approved stop that sells at the market."""
    return sell(client_order_id, OrderType.STOP_LOSS, stop_price=Decimal(price), **more)


def target(price: str, client_order_id: str = "target-1", **more: Any):
    """Return an approved target that sells as a maker."""
    return sell(client_order_id, OrderType.LIMIT_MAKER, price=Decimal(price), **more)


def sell(client_order_id: str, kind: OrderType, quantity: str = "1.99", **more: Any):
    """Return an approved sell."""
    return order(Side.SELL, quantity, client_order_id, type=kind, **more)


@pytest.fixture()
def long(bench: Bench) -> Bench:  # noqa: F811 - the fixture
    """Hold 1.998, bought at 100."""
    bench.broker.submit(order())
    return bench


def status(bench: Bench, client_order_id: str) -> OrderStatus:  # noqa: F811 - a parameter
    """Return the state of an order as the broker tells it."""
    found = bench.broker.order("BTCUSDT", client_order_id)
    assert found is not None
    return found.status


def test_a_stop_rests_and_holds_what_it_would_sell(long):
    """It is open, told with its stop price, and its quantity is locked."""
    rest = long.broker.submit(stop("97"))
    assert rest.status is OrderStatus.NEW
    (shown,) = long.broker.open_orders("BTCUSDT")
    assert (shown.client_order_id, shown.stop_price) == ("stop-1", Decimal(97))
    assert long.broker.account().balances["BTC"].locked == Decimal("1.99")


def test_what_a_stop_holds_no_other_order_sells(long):
    """Neither at once nor by resting, whichever came first: that is what `locks_coins` promises."""
    assert long.broker.locks_coins
    long.broker.submit(stop("97"))
    for other in (order(Side.SELL, "1.99", "sale-1"), stop("96", "stop-2")):
        with pytest.raises(ExchangeRejected) as refused:
            long.broker.submit(other)
        assert refused.value.code == -2010
    long.broker.cancel("BTCUSDT", "stop-1")
    long.broker.submit(order(Side.SELL, "1.99", "sale-2"))
    with pytest.raises(ExchangeRejected) as refused:
        long.broker.submit(stop("97", "stop-3"))
    assert refused.value.code == -2010


def test_a_stop_that_is_touched_sells_at_the_market(long):
    """97 less the slippage, as a taker, inside the bar that touched it."""
    long.broker.submit(stop("97"))
    long.stand_at(3)
    assert status(long, "stop-1") is OrderStatus.FILLED
    sold = long.broker.fills("BTCUSDT")[-1]
    assert (sold.price, sold.client_order_id, sold.is_maker) == (
        Decimal("97") * Decimal("0.999"),
        "stop-1",
        False,
    )
    assert 2 <= (sold.time - START).total_seconds() / 3600 < 3


def test_a_stop_above_the_price_would_go_off_at_once_and_is_refused(long):
    """There is nothing to wait for."""
    with pytest.raises(ExchangeRejected) as refused:
        long.broker.submit(stop("101"))
    assert refused.value.code == -2010
    assert long.broker.open_orders() == []


def test_a_target_is_taken_at_its_price(long):
    """As a maker, without slippage."""
    long.broker.submit(target("105"))
    long.stand_at(2)
    sold = long.broker.fills("BTCUSDT")[-1]
    assert (sold.price, sold.is_maker) == (Decimal(105), True)


def test_a_pair_holds_its_quantity_once(long):
    """Both legs rest; one lock."""
    first, second = long.broker.submit_pair(
        stop("97", list_id="list-1"), target("105", list_id="list-1")
    )
    assert (first.client_order_id, second.client_order_id) == ("stop-1", "target-1")
    assert {first.status, second.status} == {OrderStatus.NEW}
    assert long.broker.account().balances["BTC"].locked == Decimal("1.99")
    assert len(long.broker.open_orders("BTCUSDT")) == 2


def test_the_target_of_a_pair_ends_its_stop(long):
    """What executes first cancels the other; nothing stays locked."""
    long.broker.submit_pair(stop("97", list_id="list-1"), target("105", list_id="list-1"))
    long.stand_at(2)
    assert status(long, "target-1") is OrderStatus.FILLED
    assert status(long, "stop-1") is OrderStatus.EXPIRED
    assert long.broker.open_orders() == []
    assert long.broker.account().balances["BTC"].locked == 0


def test_the_stop_of_a_pair_ends_its_target(long):
    """The price fell without reaching the target."""
    long.broker.submit_pair(stop("98.5", list_id="list-1"), target("125", list_id="list-1"))
    long.stand_at(2)
    assert status(long, "stop-1") is OrderStatus.FILLED
    assert status(long, "target-1") is OrderStatus.EXPIRED


def test_cancelling_one_of_a_pair_cancels_both(long):
    """The whole quantity is free again."""
    long.broker.submit_pair(stop("97", list_id="list-1"), target("105", list_id="list-1"))
    told = long.broker.cancel("BTCUSDT", "stop-1")
    assert {one.status for one in told} == {OrderStatus.CANCELED}
    assert "stop-1" in {one.client_order_id for one in told}
    assert status(long, "target-1") is OrderStatus.CANCELED
    assert long.broker.account().free("BTC") == Decimal("1.998")


def test_a_pair_that_one_leg_spoils_leaves_nothing(long):
    """All or nothing."""
    with pytest.raises(ExchangeRejected):
        long.broker.submit_pair(stop("101", list_id="list-1"), target("105", list_id="list-1"))
    assert long.broker.open_orders() == []
    assert long.broker.account().free("BTC") == Decimal("1.998")


def test_a_stop_is_moved_in_one_request(long):
    """The old one is cancelled, the new one rests, the quantity is held once."""
    long.broker.submit(stop("97"))
    moved = long.broker.replace("stop-1", stop("98", "stop-2"))
    assert (moved.client_order_id, moved.status) == ("stop-2", OrderStatus.NEW)
    assert status(long, "stop-1") is OrderStatus.CANCELED
    assert [o.client_order_id for o in long.broker.open_orders()] == ["stop-2"]
    assert long.broker.account().balances["BTC"].locked == Decimal("1.99")


def test_replacing_what_is_not_open_sends_nothing(long):
    """The stop went off meanwhile: no second sell."""
    with pytest.raises(ExchangeRejected):
        long.broker.replace("nobody", stop("98", "stop-2"))
    assert long.broker.order("BTCUSDT", "stop-2") is None
    assert long.broker.open_orders() == []


def test_orders_of_a_time_are_listed_open_or_not(long):
    """The second witness of what became of an order."""
    long.broker.submit(stop("97"))
    long.broker.cancel("BTCUSDT", "stop-1")
    long.stand_at(1)
    long.broker.submit(limit("90", client_order_id="th-2"))
    known = [o.client_order_id for o in long.broker.orders_since("BTCUSDT", START)]
    assert known == ["th-1", "stop-1", "th-2"]
    later = long.broker.orders_since("BTCUSDT", long.market.server_time())
    assert [o.client_order_id for o in later] == ["th-2"]


def test_legs_keep_their_own_ids_in_fills(long):
    """A fill of a leg is booked under the leg."""
    long.broker.submit_pair(stop("97", list_id="list-1"), target("105", list_id="list-1"))
    long.stand_at(2)
    assert long.broker.fills("BTCUSDT")[-1].client_order_id == "target-1"


def pair_of(low: str, high: str, number: int):
    """Return an approved stop and target of one list."""
    named = f"list-{number}"
    return (
        stop(low, f"stop-{number}", list_id=named),
        target(high, f"target-{number}", list_id=named),
    )


def test_a_pair_takes_the_place_of_another(long):
    """The old ones are cancelled, the new ones rest, the quantity is held once."""
    long.broker.submit_pair(*pair_of("97", "105", 1))
    moved = long.broker.replace_by_pair("stop-1", Decimal(0), *pair_of("98", "106", 2))
    assert [o.client_order_id for o in moved] == ["stop-2", "target-2"]
    assert status(long, "stop-1") is status(long, "target-1") is OrderStatus.CANCELED
    assert {o.client_order_id for o in long.broker.open_orders()} == {"stop-2", "target-2"}
    assert long.broker.account().balances["BTC"].locked == Decimal("1.99")


def test_no_pair_follows_what_could_not_be_cancelled(long):
    """It had gone off: the new pair provably does not exist."""
    with pytest.raises((ExchangeRejected, ExchangeUnavailable)):
        long.broker.replace_by_pair("nobody", Decimal(0), *pair_of("98", "106", 2))
    assert long.broker.order("BTCUSDT", "stop-2") is None
    assert long.broker.open_orders() == []


def test_no_pair_follows_what_executed_more_than_was_known(long):
    """Its size would not fit any more."""
    if isinstance(long.broker, PaperBroker):
        pytest.skip("a paper order executes whole")
    long.broker.submit_pair(*pair_of("97", "105", 1))
    with pytest.raises(ExchangeUnavailable, match="expected 1 to be executed"):
        long.broker.replace_by_pair("stop-1", Decimal(1), *pair_of("98", "106", 2))
    assert long.broker.open_orders() == []
