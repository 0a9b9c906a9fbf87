"""Many pages at once: complete, ordered, bounded, within the budget."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import stamina

from tests.thunes_core.adapters.bars.frames import bars_of
from tests.thunes_core.adapters.binance.scripted import Reply, scripted
from thunes_core.adapters.binance.bulk import fetch_klines
from thunes_core.adapters.binance.limited import weight_of
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.adapters.limiter import WeightLimiter
from thunes_core.domain.bars import Interval
from thunes_core.domain.window import Window
from thunes_core.errors import ExchangeRejected, ExchangeUnavailable, UnknownName
from thunes_core.testnet.app import RunningTestnet, serve_in_thread
from thunes_core.testnet.market import replayed_market

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
BARS = {
    s: bars_of([float(k + i % 9) for i in range(3500)], start=FIRST, interval=Interval.M1, symbol=s)
    for k, s in enumerate(SYMBOLS, start=10)
}


@pytest.fixture(scope="module")
def testnet() -> Iterator[RunningTestnet]:
    """Serve three symbols of 3,500 minutes, all closed."""
    start = FIRST + 3499 * MINUTE
    with serve_in_thread(replayed_market(list(BARS.values())), start=start) as running:
        running.exchange.clock.move_to(running.exchange.clock.now_ms() + 60_000)
        yield running


def wanted(symbol: str, minutes: int = 3500, since: int = 0) -> Window:
    """Return a window of one-minute bars."""
    start = FIRST + since * MINUTE
    return Window(symbol, Interval.M1, start, start + minutes * MINUTE)


def test_all_symbols_come_at_once_each_with_its_own_bars(testnet: RunningTestnet) -> None:
    """Twelve pages of three symbols: every bar once, in order."""
    found = fetch_klines(testnet.url, [wanted(s) for s in SYMBOLS])
    for symbol, bars in zip(SYMBOLS, found, strict=True):
        assert bars.equals(BARS[symbol])


@pytest.mark.parametrize("minutes", [1, 999, 1000, 1001, 3000])
def test_edges_of_pages_lose_nothing(testnet: RunningTestnet, minutes: int) -> None:
    """Any number of bars, from any start."""
    [bars] = fetch_klines(testnet.url, [wanted("BTCUSDT", minutes, since=7)])
    assert bars.equals(BARS["BTCUSDT"][7 : 7 + minutes])


def test_it_may_be_called_inside_a_running_loop(testnet: RunningTestnet) -> None:
    """A notebook or a service with its own loop gets the same."""

    async def inside() -> int:
        return fetch_klines(testnet.url, [wanted("BTCUSDT")])[0].height

    assert asyncio.run(inside()) == 3500


def test_a_hole_in_the_market_shifts_no_page(testnet: RunningTestnet) -> None:
    """Pages are laid over time, not over rows: an outage of a day loses nothing behind it."""
    holey = bars_of(
        [5.0] * 3500, start=FIRST, interval=Interval.M1, symbol="BNBUSDT", skip=range(500, 2200)
    )
    with serve_in_thread(replayed_market([holey]), start=FIRST + 3499 * MINUTE) as running:
        [bars] = fetch_klines(running.url, [wanted("BNBUSDT", 3499)])
    assert bars.equals(holey.head(-1))


def test_an_unknown_symbol_ends_all(testnet: RunningTestnet) -> None:
    """One wrong name is told by name."""
    with pytest.raises(UnknownName, match="klines of NOPEUSDT 1m"):
        fetch_klines(testnet.url, [wanted("BTCUSDT"), wanted("NOPEUSDT")])


ROW = '[[1704067200000,"1","1","1","1","1",1,"1",1,"1","1","0"]]'


def test_a_passing_failure_is_asked_again() -> None:
    """502 once, then the page."""
    replies = [Reply(502, "bad gateway"), Reply(body=ROW)]
    with scripted(replies) as server, stamina.set_testing(True, attempts=3):
        [bars] = fetch_klines(server.url, [wanted("BTCUSDT", 1)])
    assert bars["open_time"].to_list() == [FIRST]
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("reply", "error", "reads"),
    [
        (Reply(500, "oops"), ExchangeUnavailable, 3),
        (Reply(429, {"code": -1003, "msg": "slow down"}), ExchangeUnavailable, 1),
        (Reply(400, {"code": -1100, "msg": "illegal"}), ExchangeRejected, 1),
        (Reply(404, "<html>"), ExchangeUnavailable, 1),
        (Reply(302, "", {"Location": "http://127.0.0.1:9/"}), ExchangeUnavailable, 1),
        (Reply(200, "<html>"), ExchangeUnavailable, 1),
        (Reply(200, "[[1,2]]"), ExchangeUnavailable, 1),
    ],
    ids=["500", "429", "400", "404", "redirect", "html", "shape"],
)
def test_every_failure_is_named_and_bounded(
    reply: Reply, error: type[Exception], reads: int
) -> None:
    """What may pass is read three times here, all else once."""
    with (
        scripted([reply]) as server,
        stamina.set_testing(True, attempts=3),
        pytest.raises(error, match="klines of BTCUSDT 1m"),
    ):
        fetch_klines(server.url, [wanted("BTCUSDT", 1)])
    assert len(server.asked) == reads


def test_nobody_listening_is_unavailable() -> None:
    """A refused connection is an error of the outside."""
    with (
        stamina.set_testing(True, attempts=1),
        pytest.raises(ExchangeUnavailable, match="klines of BTCUSDT 1m"),
    ):
        fetch_klines("http://127.0.0.1:9", [wanted("BTCUSDT", 1)])


def test_every_page_takes_its_weight(testnet: RunningTestnet, tmp_path: Path) -> None:
    """Four pages weigh eight, whoever fetches them."""
    budget = WeightLimiter(tmp_path / "budget")
    fetch_klines(testnet.url, [wanted("BTCUSDT")], budget)
    assert budget.ration().used >= 8


def test_a_closed_budget_sends_nothing(testnet: RunningTestnet, tmp_path: Path) -> None:
    """After a ban neither pages nor single reads leave this process."""
    budget = WeightLimiter(tmp_path / "budget")
    budget.heard(418, {"Retry-After": "60"})
    with pytest.raises(ExchangeUnavailable, match="banned until"):
        fetch_klines(testnet.url, [wanted("BTCUSDT")], budget)
    market = BinanceMarket(testnet.url, budget)
    with pytest.raises(ExchangeUnavailable, match="banned until"):
        market.server_time()
    market.close()


def test_the_exchange_asking_to_wait_closes_the_budget_for_all(tmp_path: Path) -> None:
    """One 429 seen by one reader holds back every other one."""
    budget = WeightLimiter(tmp_path / "budget")
    reply = Reply(429, {"code": -1003, "msg": "slow down"}, {"Retry-After": "60"})
    with scripted([reply]) as server:
        market = BinanceMarket(server.url, budget)
        with pytest.raises(ExchangeUnavailable, match="asks to wait 60 s"):
            market.server_time()
        market.close()
        with pytest.raises(ExchangeUnavailable, match="budget is used up until"):
            BinanceMarket(server.url, WeightLimiter(tmp_path / "budget")).server_time()
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("method", "path", "weight"),
    [
        ("GET", "time", 1),
        ("GET", "klines?symbol=A", 2),
        ("GET", "exchangeInfo", 20),
        ("GET", "account?timestamp=1", 20),
        ("GET", "order?symbol=A", 4),
        ("GET", "openOrders?symbol=A", 6),
        ("GET", "openOrders?timestamp=1", 80),
        ("GET", "ticker/price?symbol=A", 2),
        ("GET", "ticker/price", 4),
        ("POST", "order", 0),
        ("DELETE", "order?symbol=A", 0),
    ],
)
def test_endpoints_weigh_what_the_exchange_says(method: str, path: str, weight: int) -> None:
    """The documented weights."""
    assert weight_of(method, f"https://api.binance.com/api/v3/{path}") == weight
