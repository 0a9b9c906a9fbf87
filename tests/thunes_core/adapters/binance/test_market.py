"""Binance's public side against the local testnet, through unmodified python-binance."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import stamina

from tests.thunes_core.adapters.bars.frames import bars_of
from tests.thunes_core.adapters.binance.scripted import Reply, scripted
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.domain.bars import SCHEMA, Interval
from thunes_core.errors import ExchangeUnavailable, UnknownName
from thunes_core.testnet.app import RunningTestnet, serve_in_thread
from thunes_core.testnet.market import replayed_market

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
BARS = bars_of([100.0 + i % 7 for i in range(2600)], start=FIRST)
NOW = FIRST + 2500 * HOUR + timedelta(minutes=30)


@pytest.fixture(scope="module")
def testnet() -> Iterator[RunningTestnet]:
    """Serve 2,600 hours; the clock stands half an hour into the 2,501st."""
    with serve_in_thread(replayed_market([BARS]), start=NOW) as running:
        yield running


@pytest.fixture
def market(testnet: RunningTestnet) -> Iterator[BinanceMarket]:
    """Reach the testnet."""
    market = BinanceMarket(testnet.url)
    yield market
    market.close()


def test_the_clock_is_the_exchange_s(market: BinanceMarket) -> None:
    """Server time comes from the server."""
    assert market.server_time() == NOW


def test_klines_are_paged_and_only_closed_bars_come(market: BinanceMarket) -> None:
    """Three pages join without seam; the running bar and the future stay away."""
    got = market.klines("BTCUSDT", Interval.H1, FIRST, FIRST + 9999 * HOUR)
    assert got.schema == SCHEMA
    assert got.equals(BARS.head(2500))


@pytest.mark.parametrize("rows", [1, 999, 1000, 1001, 2000])
def test_the_edges_of_pages_lose_nothing(market: BinanceMarket, rows: int) -> None:
    """Start <= open_time < end, whatever the number of pages."""
    got = market.klines("BTCUSDT", Interval.H1, FIRST + HOUR, FIRST + (rows + 1) * HOUR)
    assert got.equals(BARS[1 : rows + 1])


def test_the_exchange_tells_when_a_bar_closed(market: BinanceMarket) -> None:
    """A millisecond before the end of the interval; nothing of a bar that is not there."""
    closed = market.close_time("BTCUSDT", Interval.H1, FIRST + 5 * HOUR)
    assert closed == FIRST + 6 * HOUR - timedelta(milliseconds=1)
    assert market.close_time("BTCUSDT", Interval.H1, FIRST - 5 * HOUR) is None


def test_a_window_that_has_not_begun_is_empty(market: BinanceMarket) -> None:
    """Nothing is asked for the future; nothing stored before the first bar."""
    assert market.klines("BTCUSDT", Interval.H1, NOW, NOW + 9 * HOUR).is_empty()
    assert market.klines("BTCUSDT", Interval.H1, FIRST - 9 * HOUR, FIRST).schema == SCHEMA


def test_unknown_symbols_are_told(market: BinanceMarket) -> None:
    """Klines, instruments and price all name what is not listed."""
    with pytest.raises(UnknownName, match="klines of NOPEUSDT 1h"):
        market.klines("NOPEUSDT", Interval.H1, FIRST, NOW)
    with pytest.raises(UnknownName, match="NOPEUSDT"):
        market.instruments(["BTCUSDT", "NOPEUSDT"])
    with pytest.raises(UnknownName, match="price of NOPEUSDT"):
        market.price("NOPEUSDT")


def test_instruments_carry_their_filters(market: BinanceMarket) -> None:
    """One symbol, or all."""
    found = market.instruments(["BTCUSDT"])
    assert found["BTCUSDT"].base_asset == "BTC"
    assert found["BTCUSDT"].min_notional > 0
    assert set(market.instruments()) == {"BTCUSDT"}


def test_the_price_is_a_decimal(market: BinanceMarket) -> None:
    """The latest trade, exactly as written."""
    assert isinstance(market.price("BTCUSDT"), Decimal)


def test_an_answer_of_the_wrong_shape_is_unavailable() -> None:
    """A readable answer that is no kline page is told, not stored."""
    with (
        scripted([Reply(body={"serverTime": 10**12}), Reply(body=[[1, 2, 3]])]) as server,
        stamina.set_testing(True, attempts=1),
    ):
        market = BinanceMarket(server.url)
        with pytest.raises(ExchangeUnavailable, match="klines of BTCUSDT 1h"):
            market.klines("BTCUSDT", Interval.H1, datetime(2001, 1, 1, tzinfo=UTC), FIRST)
        market.close()
