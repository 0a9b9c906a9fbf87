"""The public side through CCXT: what it reads, what it refuses, what it never invents."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from decimal import Decimal

import pytest
import stamina

from tests.contracts.test_broker import known_market
from tests.thunes_core.adapters.bars.frames import bars_of
from tests.thunes_core.adapters.binance.scripted import Reply, scripted
from tests.worlds import HOUR, START
from thunes_core.adapters.bars.ingest import ingest_window
from thunes_core.adapters.bars.store import BarStore
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.adapters.ccxt.client import connect
from thunes_core.adapters.ccxt.market import CcxtMarket
from thunes_core.adapters.ccxt.markets import parse_instrument
from thunes_core.domain.bars import Interval
from thunes_core.domain.instrument import LotSize, MarketLotSize, Notional, PriceFilter
from thunes_core.domain.orders import OrderType
from thunes_core.errors import ExchangeRejected, ExchangeUnavailable, SettingsInvalid, UnknownName
from thunes_core.testnet.app import RunningTestnet, serve_in_thread
from thunes_core.testnet.market import replayed_market

BARS = bars_of([100.0 + i % 7 for i in range(2600)], start=START)
HOLED = BARS[:300].extend(BARS[1500:])
NOW = START + 2500 * HOUR


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    """Repeat reads at once."""
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


@pytest.fixture(scope="module")
def net() -> Iterator[RunningTestnet]:
    """Serve 1,400 hours with a hole of 1,200 among them."""
    with serve_in_thread(replayed_market([HOLED]), start=NOW) as running:
        yield running


@pytest.fixture
def market(net: RunningTestnet) -> Iterator[CcxtMarket]:
    """Reach it."""
    made = CcxtMarket("binance", net.url)
    yield made
    made.close()


def test_a_hole_longer_than_a_page_ends_nothing(market, net):
    """Bars after it are read as python-binance reads them, number for number."""
    window = ("BTCUSDT", Interval.H1, START, NOW)
    direct = BinanceMarket(net.url)
    prices = ["open_time", "open", "high", "low", "close", "volume"]
    theirs, ours = direct.klines(*window).select(prices), market.klines(*window).select(prices)
    direct.close()
    assert ours.height == 1300
    assert ours.equals(theirs)


def test_columns_ccxt_does_not_tell_are_zero(market):
    """Never guessed: no quote volume, no trades, no taker volumes."""
    got = market.klines("BTCUSDT", Interval.H1, START, START + 5 * HOUR)
    for name in ("quote_volume", "trades", "taker_buy_base", "taker_buy_quote"):
        assert set(got[name]) == {0}


def test_ingestion_takes_it_like_any_market(market, tmp_path):
    """Stored, the hole declared; a second time changes nothing."""
    store = BarStore(tmp_path)
    first = ingest_window(market, store, "BTCUSDT", Interval.H1, START, NOW)
    again = ingest_window(market, store, "BTCUSDT", Interval.H1, START, NOW)
    assert (first.written, first.refused, first.undeclared) == (1300, 0, ())
    assert [gap.bars for gap in first.gaps] == [1200]
    assert (again.written, again.revised) == (0, 0)


def test_instruments_are_those_python_binance_tells(market, net):
    """Steps, bounds and order types agree for every symbol."""
    direct = BinanceMarket(net.url)
    theirs, ours = direct.instruments(["BTCUSDT"])["BTCUSDT"], market.instruments()["BTCUSDT"]
    direct.close()
    assert (ours.base_asset, ours.quote_asset, ours.status) == ("BTC", "USDT", "TRADING")
    assert (ours.step_size, ours.tick_size) == (theirs.step_size, theirs.tick_size)
    assert (ours.min_notional, ours.min_quantity) == (theirs.min_notional, theirs.min_quantity)
    assert set(ours.order_types) == set(theirs.order_types)


def test_an_interval_the_exchange_does_not_serve_is_refused(market):
    """With those it serves."""
    market.connection.exchange.timeframes = {"1h": "1h"}
    with pytest.raises(UnknownName, match="serves no 5m; give one of these: 1h"):
        market.klines("BTCUSDT", Interval.M5, START, NOW)


def test_an_unknown_symbol_is_told(market):
    """Whatever is asked of it."""
    for ask in (
        lambda: market.price("NOPEUSDT"),
        lambda: market.klines("NOPEUSDT", Interval.H1, START, NOW),
    ):
        with pytest.raises(UnknownName, match="NOPEUSDT"):
            ask()


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(500, "oops"), ExchangeUnavailable),
        (Reply(502, "<html>bad gateway</html>"), ExchangeUnavailable),
        (Reply(200, "no JSON at all"), ExchangeUnavailable),
        (Reply(200, {"odd": 1}), ExchangeUnavailable),
        (Reply(429, {"code": -1003, "msg": "wait"}, {"Retry-After": "7"}), ExchangeUnavailable),
        (Reply(400, {"code": -1100, "msg": "Illegal characters"}), ExchangeRejected),
        (Reply(hangs=False, status=301, headers={"Location": "http://x/"}), ExchangeUnavailable),
    ],
    ids=["500", "502", "text", "shape", "429", "refused", "moved"],
)
def test_every_failed_read_is_named(reply, kind):
    """No error of CCXT's own gets out."""
    with scripted([reply]) as server:
        market = CcxtMarket("binance", server.url)
        with pytest.raises(kind, match="server time"):
            market.server_time()
        market.close()


def test_nobody_listening_is_unavailable():
    """Exit code 3, not a traceback."""
    market = CcxtMarket("binance", "http://127.0.0.1:9")
    with pytest.raises(ExchangeUnavailable, match="could not be read"):
        market.server_time()
    market.close()


def test_candles_of_another_shape_are_unavailable():
    """A candle without its numbers is none."""
    with scripted([Reply(body=[[1735689600000, "1", "2"]])]) as server:
        market = CcxtMarket("binance", server.url)
        market.connection.exchange.set_markets([known_market()])
        with pytest.raises(ExchangeUnavailable, match="klines of BTC/USDT 1h"):
            market._page("BTC/USDT", Interval.H1, 0, 1)
        market.close()


def test_without_ccxt_the_message_says_what_to_install(monkeypatch):
    """The extra is optional."""
    monkeypatch.setitem(sys.modules, "ccxt", None)
    with pytest.raises(SettingsInvalid, match="not installed; install THUNES with its extra"):
        connect("kraken")


def test_a_name_nobody_knows_is_refused_with_near_ones():
    """A slip of the pen is told."""
    with pytest.raises(SettingsInvalid, match="kraken"):
        connect("krakn")


def test_an_exchange_without_a_clock_is_refused():
    """What is closed is decided by the exchange's clock."""
    with pytest.raises(SettingsInvalid, match="tells its clock"):
        connect("bitstamp")


def test_every_address_is_on_the_given_host():
    """However deeply CCXT nests them."""

    def flat(address):
        for one in address.values() if isinstance(address, dict) else [address]:
            yield from flat(one) if isinstance(one, dict) else [one]

    for name in ("binance", "kraken", "kucoin"):
        exchange = connect(name, "http://127.0.0.1:9").exchange
        assert {a.split("/")[2] for a in flat(exchange.urls["api"])} == {"127.0.0.1:9"}


def test_precision_told_as_decimals_becomes_a_step():
    """Exchanges differ in how they tell it; significant digits are no step."""
    market = {
        "base": "BTC",
        "quote": "USD",
        "active": False,
        "precision": {"amount": "3", "price": "1"},
        "limits": {"amount": {"min": "0.001"}, "cost": {"min": "5"}, "market": {"max": "9"}},
        "info": {"orderTypes": ["LIMIT", "odd"]},
    }
    found = parse_instrument(market, 2)
    assert found.filters == (
        LotSize(Decimal("0.001"), Decimal(0), Decimal("0.001")),
        PriceFilter(Decimal(0), Decimal(0), Decimal("0.1")),
        MarketLotSize(Decimal(0), Decimal(9), Decimal(0)),
        Notional(Decimal(5)),
    )
    assert (found.status, found.order_types) == ("BREAK", ("LIMIT",))
    assert found.takes(OrderType.LIMIT)
    assert parse_instrument(market, 3).step_size == 0
