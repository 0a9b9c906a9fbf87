"""An account's own filters are asked for rarely, shared by all, and never stand in the way."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest
from binance.exceptions import BinanceAPIException

from tests.shared_data import shared
from tests.thunes_core.adapters.binance.scripted import Reply, scripted
from thunes_core.adapters.binance.broker import BinanceBroker
from thunes_core.adapters.binance.listings import Listings
from thunes_core.clock import FixedClock
from thunes_core.domain.instrument import MaxAsset, MaxOpen
from thunes_core.errors import ExchangeRejected

TIME = Reply(body={"serverTime": 1})
CAP = {"filterType": "MAX_ASSET", "asset": "USDT", "limit": "42.00000000"}
NOTHING = {"exchangeFilters": [], "symbolFilters": [], "assetFilters": []}
TOLD = Reply(body=NOTHING | {"assetFilters": [CAP]})
FOUND = (MaxAsset("USDT", Decimal(42)),)


@pytest.fixture
def clock() -> FixedClock:
    """Return a clock the test moves."""
    return FixedClock(datetime(2024, 1, 1, tzinfo=UTC))


@pytest.fixture
def listings(tmp_path: Path, clock: FixedClock) -> Listings:
    """Return what a folder remembers."""
    return Listings(tmp_path / "listings.json", clock=clock)


def asked_for(paths: list[str]) -> int:
    """Count the requests for the account's filters."""
    return sum("myFilters" in path for path in paths)


def test_the_documented_answer_is_understood() -> None:
    """Exchange, symbol and asset filters of the published example, in that order."""
    examples = json.loads(shared("fixtures/spec/examples.json").read_text())
    heading = "Account Endpoints > Query relevant filters (USER_DATA) > Response"
    (example,) = [one["json"] for one in examples if one["heading"].endswith(heading)]
    with scripted([TIME, Reply(body=example)]) as server:
        broker = BinanceBroker(server.url, "key", "secret")
        found = broker.own_filters(["BTCJPY"])
        broker.close()
    assert found == {
        "BTCJPY": (
            MaxOpen("EXCHANGE_MAX_NUM_ORDERS", 1000),
            MaxOpen("MAX_NUM_ORDER_LISTS", 20),
            MaxAsset("JPY", Decimal(1_000_000)),
        )
    }


def test_one_process_asks_once_for_all_of_the_account(listings: Listings) -> None:
    """Another broker of the same key reads the file; that of another key asks for itself."""
    with scripted([TIME, TOLD, TIME, TOLD]) as server:
        for key, requests in (("key", 1), ("key", 1), ("other", 2)):
            broker = BinanceBroker(server.url, key, "secret", listings=listings)
            assert broker.own_filters(["BTCUSDT"]) == {"BTCUSDT": FOUND}
            broker.close()
            assert asked_for(server.asked) == requests


def test_a_broker_without_a_folder_asks_once() -> None:
    """As on the local testnet: once in the life of the object, until a filter refuses."""
    with scripted([TIME, TOLD]) as server:
        broker = BinanceBroker(server.url, "key", "secret")
        for _ in range(3):
            assert broker.own_filters(["BTCUSDT"]) == {"BTCUSDT": FOUND}
        broker.close()
    assert asked_for(server.asked) == 1


def test_they_are_believed_for_as_long_as_a_listing(listings: Listings, clock: FixedClock) -> None:
    """An hour later the exchange may have set another limit."""
    with scripted([TIME, TOLD, Reply(body=NOTHING)]) as server:
        broker = BinanceBroker(server.url, "key", "secret", listings=listings)
        assert broker.own_filters(["BTCUSDT"]) == {"BTCUSDT": FOUND}
        clock.advance(timedelta(minutes=59))
        assert broker.own_filters(["BTCUSDT"]) == {"BTCUSDT": FOUND}
        clock.advance(timedelta(minutes=1))
        broker._synced_at = float("inf")
        assert broker.own_filters(["BTCUSDT"]) == {"BTCUSDT": ()}
        broker.close()


BROKEN = {"code": -1013, "msg": "Filter failure: MAX_ASSET"}


@pytest.mark.parametrize("remembers", [True, False])
@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (400, BROKEN),
        (409, {"code": -2021, "msg": "half", "data": {"newOrderResponse": BROKEN}}),
        (400, {"code": -2022, "msg": "none", "data": {"newOrderResponse": BROKEN}}),
    ],
    ids=["alone", "half a replacement", "a replacement"],
)
def test_an_order_that_breaks_a_filter_makes_the_next_tick_ask(
    listings: Listings, remembers: bool, status: int, answer: dict[str, object]
) -> None:
    """The limit may be new, or was not told when it was asked for."""
    text = json.dumps(answer)

    def refuse() -> None:
        raise BinanceAPIException(SimpleNamespace(text=text, headers={}), status, text)

    given = listings if remembers else None
    with scripted([TIME, Reply(500, "out of order"), TOLD]) as server:
        broker = BinanceBroker(server.url, "key", "secret", listings=given)
        assert broker.own_filters(["BTCUSDT"]) == {"BTCUSDT": ()}
        broker._synced_at = float("inf")
        with pytest.raises(ExchangeRejected, match="MAX_ASSET"):
            broker._once(refuse, "order x")
        assert broker.own_filters(["BTCUSDT"]) == {"BTCUSDT": FOUND}
        broker.close()


@pytest.mark.parametrize(
    "answer",
    [
        Reply(503, "busy"),
        Reply(429, {"code": -1003, "msg": "slow down"}, {"Retry-After": "1"}),
        Reply(200, "half a docu"),
        Reply(200, []),
        Reply(200, {"exchangeFilters": [], "symbolFilters": []}),
        Reply(200, NOTHING | {"assetFilters": [{}]}),
        Reply(200, NOTHING | {"assetFilters": [CAP | {"limit": "much"}]}),
    ],
)
def test_an_answer_that_does_not_come_is_none_and_no_other_symbol_waits(
    listings: Listings, answer: Reply
) -> None:
    """One request for all, and none again before the next hour: a tick is held up once at most."""
    with scripted([TIME, answer]) as server:
        broker = BinanceBroker(server.url, "key", "secret", listings=listings)
        for _ in range(2):
            assert broker.own_filters(["BTCUSDT", "ETHUSDT"]) == {"BTCUSDT": (), "ETHUSDT": ()}
        broker.close()
    assert asked_for(server.asked) == 1


def test_a_structured_refusal_is_of_one_symbol(listings: Listings) -> None:
    """The others are asked for."""
    unknown = Reply(400, {"code": -1105, "msg": "no such path"})
    with scripted([TIME, unknown, TOLD]) as server:
        broker = BinanceBroker(server.url, "key", "secret", listings=listings)
        assert broker.own_filters(["BTCUSDT", "ETHUSDT"]) == {"BTCUSDT": (), "ETHUSDT": FOUND}
        broker.close()
