"""Listings are fetched rarely, shared by all, and forgotten on a filter error."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from binance.exceptions import BinanceAPIException

from tests.thunes_core.adapters.binance.scripted import Reply, scripted
from thunes_core.adapters.binance.broker import BinanceBroker
from thunes_core.adapters.binance.listings import Listings
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.adapters.limiter import WeightLimiter
from thunes_core.clock import FixedClock
from thunes_core.domain.instrument import MaxOpen
from thunes_core.errors import ExchangeRejected, UnknownName


def entry(symbol: str, status: str = "TRADING") -> dict[str, Any]:
    """Return an entry of `exchangeInfo` without filters."""
    return {
        "symbol": symbol,
        "status": status,
        "baseAsset": symbol[:3],
        "quoteAsset": symbol[3:],
        "baseAssetPrecision": 8,
        "quoteAssetPrecision": 8,
        "filters": [],
    }


def info(*symbols: str, status: str = "TRADING") -> Reply:
    """Return an `exchangeInfo` answer."""
    limits = [
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 50},
        {
            "rateLimitType": "REQUEST_WEIGHT",
            "interval": "MINUTE",
            "intervalNum": 1,
            "limit": 1234,
        },
    ]
    return Reply(body={"rateLimits": limits, "symbols": [entry(s, status) for s in symbols]})


@pytest.fixture
def clock() -> FixedClock:
    """Return a clock the test moves."""
    return FixedClock(datetime(2024, 1, 1, tzinfo=UTC))


def test_a_second_process_asks_the_file_not_the_exchange(tmp_path: Path, clock: FixedClock) -> None:
    """Two markets on one file: one request."""
    with scripted([info("BTCUSDT", "ETHUSDT")]) as server:
        for symbols in (["BTCUSDT", "ETHUSDT"], ["ETHUSDT"]):
            market = BinanceMarket(
                server.url, listings=Listings(tmp_path / "shared" / "a.json", clock=clock)
            )
            assert set(market.instruments(symbols)) == set(symbols)
            market.close()
    assert len(server.asked) == 1


def test_after_its_lifetime_an_entry_is_asked_for_again(tmp_path: Path, clock: FixedClock) -> None:
    """An hour later the status may be another."""
    listings = Listings(tmp_path / "a.json", clock=clock)
    with scripted([info("BTCUSDT"), info("BTCUSDT", status="HALT")]) as server:
        market = BinanceMarket(server.url, listings=listings)
        assert market.instruments(["BTCUSDT"])["BTCUSDT"].status == "TRADING"
        clock.advance(timedelta(minutes=59))
        assert market.instruments(["BTCUSDT"])["BTCUSDT"].status == "TRADING"
        clock.advance(timedelta(minutes=1))
        assert market.instruments(["BTCUSDT"])["BTCUSDT"].status == "HALT"
        market.close()


def test_forgetting_makes_everyone_ask_again(tmp_path: Path, clock: FixedClock) -> None:
    """After a filter error the next reader of any process goes to the exchange."""
    listings = Listings(tmp_path / "a.json", clock=clock)
    listings.put(info("BTCUSDT").body)
    Listings(tmp_path / "a.json").forget()
    assert listings.get(["BTCUSDT"]) is None
    listings.forget()


def test_an_unknown_symbol_is_not_remembered_as_unknown(tmp_path: Path, clock: FixedClock) -> None:
    """A symbol that is listed later is found then."""
    listings = Listings(tmp_path / "a.json", clock=clock)
    with scripted([info("BTCUSDT"), info("BTCUSDT", "NEWUSDT")]) as server:
        market = BinanceMarket(server.url, listings=listings)
        with pytest.raises(UnknownName, match="does not list NEWUSDT"):
            market.instruments(["BTCUSDT", "NEWUSDT"])
        assert "NEWUSDT" in market.instruments(["BTCUSDT", "NEWUSDT"])
        market.close()


def test_entries_of_other_symbols_stay(tmp_path: Path, clock: FixedClock) -> None:
    """Fetching one symbol does not lose another."""
    listings = Listings(tmp_path / "a.json", clock=clock)
    listings.put(info("BTCUSDT").body)
    listings.put(info("ETHUSDT").body)
    assert [e["symbol"] for e in listings.get(["BTCUSDT", "ETHUSDT"]) or ()] == [
        "BTCUSDT",
        "ETHUSDT",
    ]


@pytest.mark.parametrize("content", [b"", b"half a docu", b"[]"])
def test_a_broken_file_is_as_good_as_none(
    tmp_path: Path, clock: FixedClock, content: bytes
) -> None:
    """It is asked for again and written anew."""
    path = tmp_path / "a.json"
    path.write_bytes(content)
    listings = Listings(path, clock=clock)
    assert listings.get(["BTCUSDT"]) is None
    listings.put(info("BTCUSDT").body)
    assert listings.get(["BTCUSDT"]) is not None


def test_the_exchange_s_own_limit_becomes_the_budget(tmp_path: Path) -> None:
    """What `exchangeInfo` says of request weight is what the processes share."""
    budget = WeightLimiter(tmp_path / "weights")
    with scripted([info("BTCUSDT")]) as server:
        market = BinanceMarket(server.url, budget)
        market.instruments(["BTCUSDT"])
        market.close()
    assert budget.ration().limit == 1234


@pytest.mark.parametrize(("code", "kept"), [(-1013, False), (-1111, False), (-2010, True)])
def test_a_filter_error_of_an_order_forgets_the_listings(
    tmp_path: Path, clock: FixedClock, code: int, kept: bool
) -> None:
    """The broker that is told of a broken filter makes all processes ask again."""
    listings = Listings(tmp_path / "a.json", clock=clock)
    listings.put(info("BTCUSDT").body)
    answer = json.dumps({"code": code, "msg": "Filter failure: LOT_SIZE"})

    def refuse() -> None:
        raise BinanceAPIException(None, 400, answer)

    with scripted([Reply(body={"serverTime": 1})]) as server:
        broker = BinanceBroker(server.url, "key", "secret", listings=listings)
        with pytest.raises(ExchangeRejected, match="Filter failure"):
            broker._once(refuse, "order x")
        broker.close()
    assert (listings.get(["BTCUSDT"]) is not None) is kept


def test_the_exchange_s_own_filters_are_remembered_with_each_symbol(
    tmp_path: Path, clock: FixedClock
) -> None:
    """A later process, asking the file for one symbol, knows them too."""
    listings = Listings(tmp_path / "a.json", clock=clock)
    most = {"filterType": "EXCHANGE_MAX_NUM_ORDERS", "maxNumOrders": 7}
    document = info("BTCUSDT", "ETHUSDT")
    assert isinstance(document.body, dict)
    with scripted([replace(document, body=document.body | {"exchangeFilters": [most]})]) as server:
        for symbol in ("BTCUSDT", "ETHUSDT"):
            market = BinanceMarket(server.url, listings=listings)
            found = market.instruments(["BTCUSDT", "ETHUSDT"])[symbol]
            assert found.find(MaxOpen) == MaxOpen("EXCHANGE_MAX_NUM_ORDERS", 7)
            market.close()
    assert len(server.asked) == 1
