"""The exchange itself watches what stands without a stop."""

from __future__ import annotations

from decimal import Decimal

from tests.thunes_core.testnet.calls import order, signed
from tests.thunes_core.testnet.markets import HOUR_MS, RISING, exchange, step
from thunes_core.testnet.bare import Bare, BareWatch
from thunes_core.testnet.matching import Exchange

STOP = {"type": "STOP_LOSS", "stopPrice": "50"}


def watched() -> tuple[Exchange, BareWatch]:
    """Return an exchange at an hour and its watch."""
    on = exchange(RISING, at_ms=HOUR_MS)
    return on, BareWatch(on)


def intervals(on: Exchange, watch: BareWatch) -> list[Bare]:
    """Return what the watch has seen until now."""
    return watch.all_until(on.present_ms)


def stop(on: Exchange, quantity: str) -> None:
    """Place a stop far below."""
    order(on, "SELL", "STOP_LOSS", quantity=quantity, stopPrice="50")


def test_from_a_fill_to_its_stop_it_is_bare():
    """One hour, named after the order that began it."""
    on, watch = watched()
    order(on, "BUY", "MARKET", quantity="2", newClientOrderId="mine")
    assert watch.now_bare
    step(on, 1)
    stop(on, "1.99")
    step(on, 1)
    (found,) = intervals(on, watch)
    assert (found.symbol, found.seconds) == ("BTCUSDT", 3600.0)
    assert found.began_with == "mine trade"
    assert not watch.now_bare


def test_what_comes_and_goes_in_one_moment_was_never_bare():
    """Bought and protected by one request's worth of time, moved by one request."""
    on, watch = watched()
    order(on, "BUY", "MARKET", quantity="2")
    stop(on, "1.99")
    (resting,) = on.records.open_orders()
    signed(
        on,
        "POST",
        "order/cancelReplace",
        symbol="BTCUSDT",
        side="SELL",
        quantity="1.99",
        **STOP,
        cancelReplaceMode="STOP_ON_FAILURE",
        cancelOrderId=resting.order_id,
    )
    step(on, 1)
    assert intervals(on, watch) == []


def test_a_stop_of_half_the_size_leaves_half_bare():
    """What it does not cover counts, until it is worth less than an order."""
    on, watch = watched()
    order(on, "BUY", "MARKET", quantity="2")
    stop(on, "1")
    step(on, 1)
    stop(on, "0.95")
    step(on, 1)
    assert [one.seconds for one in intervals(on, watch)] == [3600.0]


def test_a_target_is_no_stop_and_what_lasts_is_told():
    """A sell above protects from nothing; the interval is still open."""
    on, watch = watched()
    order(on, "BUY", "MARKET", quantity="2")
    order(on, "SELL", "LIMIT", quantity="1.99", price="900", timeInForce="GTC")
    step(on, 1)
    assert [one.seconds for one in intervals(on, watch)] == [3600.0]


def test_coins_that_come_from_outside_are_watched_too():
    """Somebody else's deposit stands bare as well."""
    on, watch = watched()
    on.deposit("BTC", Decimal(1))
    step(on, 1)
    assert [one.began_with for one in intervals(on, watch)] == ["1 BTC came"]
    assert watch.events == 1
