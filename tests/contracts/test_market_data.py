"""What every market promises (`trading.ports.MarketData`): fakes and the local testnet alike."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from tests.thunes_core.adapters.bars.frames import bars_of
from tests.worlds import START, BarsMarket
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.adapters.ccxt.market import CcxtMarket
from thunes_core.domain.bars import SCHEMA, Interval, require_valid
from thunes_core.errors import UnknownName
from thunes_core.testnet.app import serve_in_thread
from thunes_core.testnet.market import replayed_market

HOUR = timedelta(hours=1)
BARS = bars_of([100.0 + i % 7 for i in range(1300)], start=START)
CLOSED = 1200
NOW = START + CLOSED * HOUR


def on_bars() -> Iterator[Any]:
    """Stand the tests' own market on the bars."""
    market = BarsMarket(BARS)
    market.stand_at(CLOSED)
    yield market


def on_testnet() -> Iterator[Any]:
    """Reach the local testnet through python-binance."""
    with serve_in_thread(replayed_market([BARS]), start=NOW) as net:
        market = BinanceMarket(net.url)
        yield market
        market.close()


def through_ccxt(exchange_id: str) -> Iterator[Any]:
    """Reach the local testnet through CCXT."""
    with serve_in_thread(replayed_market([BARS]), start=NOW) as net:
        market = CcxtMarket(exchange_id, net.url)
        yield market
        market.close()


def on_ccxt() -> Iterator[Any]:
    """Take it for Binance."""
    yield from through_ccxt("binance")


def on_ccxt_us() -> Iterator[Any]:
    """Take it for Binance US, which speaks alike."""
    yield from through_ccxt("binanceus")


@pytest.fixture(
    params=[on_bars, on_testnet, on_ccxt, on_ccxt_us],
    ids=["fake", "testnet", "ccxt:binance", "ccxt:binanceus"],
)
def market(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Return each market in turn, its clock at the close of bar 1,199."""
    yield from request.param()


def test_the_clock_is_aware_and_utc(market: Any) -> None:
    """Server time is where it was set, in UTC."""
    assert market.server_time() == NOW
    assert market.server_time().utcoffset() == timedelta(0)


def test_only_closed_bars_come_whole_sorted_and_unique(market: Any) -> None:
    """More than a page; the running bar and the future stay away."""
    got = market.klines("BTCUSDT", Interval.H1, START - 9 * HOUR, NOW + 99 * HOUR)
    assert got.schema == SCHEMA
    assert got["open_time"].to_list() == BARS["open_time"][:CLOSED].to_list()
    assert got["close"].to_list() == BARS["close"][:CLOSED].to_list()
    require_valid(got, Interval.H1)


def test_the_start_is_taken_and_the_end_is_left(market: Any) -> None:
    """Start <= open_time < end."""
    got = market.klines("BTCUSDT", Interval.H1, START + 2 * HOUR, START + 5 * HOUR)
    assert got["open_time"].to_list() == [START + h * HOUR for h in (2, 3, 4)]


def test_where_there_is_nothing_the_frame_is_empty(market: Any) -> None:
    """Before the first bar, and in the future: the schema without rows."""
    for start in (START - 9 * HOUR, NOW + HOUR):
        got = market.klines("BTCUSDT", Interval.H1, start, start + 3 * HOUR)
        assert got.is_empty()
        assert got.schema == SCHEMA


def test_reading_again_says_the_same(market: Any) -> None:
    """Reads may be repeated."""
    window = ("BTCUSDT", Interval.H1, START, NOW)
    assert market.klines(*window).equals(market.klines(*window))


def test_instruments_are_those_asked_for(market: Any) -> None:
    """One, or all; an unknown one is told by name."""
    assert set(market.instruments(["BTCUSDT"])) == {"BTCUSDT"}
    assert "BTCUSDT" in market.instruments()
    with pytest.raises(UnknownName, match="NOPEUSDT"):
        market.instruments(["NOPEUSDT"])


def test_the_price_is_a_positive_decimal(market: Any) -> None:
    """The latest trade, exactly."""
    price = market.price("BTCUSDT")
    assert isinstance(price, Decimal)
    assert price > 0


def test_frames_may_be_stacked(market: Any) -> None:
    """Two reads join without a cast, whatever their time zone objects are."""
    parts = [
        market.klines("BTCUSDT", Interval.H1, START, START + 2 * HOUR),
        market.klines("BTCUSDT", Interval.H1, START + 2 * HOUR, START + 4 * HOUR),
    ]
    assert pl.concat(parts).height == 4
    assert isinstance(parts[0]["open_time"][0], datetime)
    assert parts[0]["open_time"][0].astimezone(UTC) == START
