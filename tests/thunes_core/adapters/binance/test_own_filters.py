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


FAILED = [
    Reply(503, "busy"),
    Reply(429, {"code": -1003, "msg": "slow down"}, {"Retry-After": "1"}),
    Reply(200, "half a docu"),
    Reply(200, []),
    Reply(200, {"exchangeFilters": [], "symbolFilters": []}),
    Reply(200, NOTHING | {"assetFilters": [{}]}),
    Reply(200, NOTHING | {"assetFilters": [CAP | {"limit": "much"}]}),
    Reply(401, {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}),
]
NONE = [
    Reply(400, {"code": -1105, "msg": "a parameter is empty"}),
    Reply(400, {"code": -1121, "msg": "Invalid symbol."}),
    Reply(400, {"code": -1020, "msg": "This operation is not supported."}),
    Reply(404, "<html>not found</html>"),
]
"""What says that the exchange tells this account nothing of the symbol."""


@pytest.mark.parametrize("remembers", [True, False])
@pytest.mark.parametrize("answer", FAILED)
def test_an_answer_that_does_not_come_is_none_for_this_tick_alone(
    listings: Listings, answer: Reply, remembers: bool
) -> None:
    """One request for all, so that a tick is held up once at most; the next tick asks again."""
    given = listings if remembers else None
    with scripted([TIME, answer, TOLD]) as server:
        broker = BinanceBroker(server.url, "key", "secret", listings=given)
        broker._sync()
        broker._synced_at = float("inf")
        assert broker.own_filters(["BTCUSDT", "ETHUSDT"]) == {"BTCUSDT": (), "ETHUSDT": ()}
        assert asked_for(server.asked) == 1
        for _ in range(2):
            assert broker.own_filters(["BTCUSDT", "ETHUSDT"]) == {
                "BTCUSDT": FOUND,
                "ETHUSDT": FOUND,
            }
        broker.close()
    assert asked_for(server.asked) == 3


@pytest.mark.parametrize("remembers", [True, False])
@pytest.mark.parametrize("answer", NONE)
def test_that_there_are_none_is_remembered_for_its_symbol(
    listings: Listings, answer: Reply, remembers: bool
) -> None:
    """The others are asked for."""
    given = listings if remembers else None
    with scripted([TIME, answer, TOLD]) as server:
        broker = BinanceBroker(server.url, "key", "secret", listings=given)
        for _ in range(2):
            assert broker.own_filters(["BTCUSDT", "ETHUSDT"]) == {"BTCUSDT": (), "ETHUSDT": FOUND}
        broker.close()
    assert asked_for(server.asked) == 2


@pytest.mark.parametrize("times", [1, 2])
def test_a_clock_that_jumped_is_asked_and_so_are_the_filters(
    listings: Listings, times: int
) -> None:
    """At once, and where that does not help at the next tick: it says nothing of filters."""
    wrong = Reply(400, {"code": -1021, "msg": "Timestamp is outside of the recvWindow."})
    with scripted([*[TIME, wrong] * times, TIME, TOLD]) as server:
        broker = BinanceBroker(server.url, "key", "secret", listings=listings)
        first = broker.own_filters(["BTCUSDT"])
        assert first == {"BTCUSDT": FOUND if times == 1 else ()}
        broker._synced_at = float("-inf")
        assert broker.own_filters(["BTCUSDT"]) == {"BTCUSDT": FOUND}
        broker.close()


@pytest.mark.parametrize("remembers", [True, False])
def test_only_what_is_not_known_is_asked_for(listings: Listings, remembers: bool) -> None:
    """Another symbol is traded, or held: the others are remembered."""
    given = listings if remembers else None
    with scripted([TIME, TOLD]) as server:
        broker = BinanceBroker(server.url, "key", "secret", listings=given)
        broker.own_filters(["BTCUSDT", "ETHUSDT"])
        found = broker.own_filters(["BTCUSDT", "BNBUSDT", "ETHUSDT"])
        assert found == dict.fromkeys(("BTCUSDT", "BNBUSDT", "ETHUSDT"), FOUND)
        broker.close()
    assert [path.split("symbol=")[1][:7] for path in server.asked if "myFilters" in path] == [
        "BTCUSDT",
        "ETHUSDT",
        "BNBUSDT",
    ]


def test_only_what_is_too_old_is_asked_for(listings: Listings, clock: FixedClock) -> None:
    """Each symbol is believed for its own hour."""
    with scripted([TIME, TOLD]) as server:
        broker = BinanceBroker(server.url, "key", "secret", listings=listings)
        broker.own_filters(["BTCUSDT"])
        clock.advance(timedelta(minutes=30))
        broker.own_filters(["ETHUSDT"])
        clock.advance(timedelta(minutes=30))
        broker.own_filters(["BTCUSDT", "ETHUSDT"])
        broker.close()
    assert asked_for(server.asked) == 3


def test_a_door_that_hangs_holds_a_tick_up_for_seconds_only(listings: Listings) -> None:
    """Nobody waits for this answer as long as for an order's."""
    with scripted([TIME, Reply(hangs=True)]) as server:
        broker = BinanceBroker(server.url, "key", "secret", listings=listings)
        given = []
        ask = broker.client.session.request

        def request(*args: object, **named: object) -> object:
            given.append(named["timeout"])
            return ask(*args, **named | {"timeout": (1, 0.01)})

        broker._sync()
        broker.client.session.request = request
        assert broker.own_filters(["BTCUSDT"]) == {"BTCUSDT": ()}
        broker.close()
    assert sum(given[-1]) < 10
