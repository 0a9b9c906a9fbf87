"""The stream on the local testnet: real sockets, real REST, a lake and a board."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from thunes_core.adapters.bars.store import BarStore
from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.adapters.stream.board import Board, latest
from thunes_core.adapters.stream.feed import Ended, Feed, FeedOptions, LinkLost
from thunes_core.adapters.stream.link import opener
from thunes_core.adapters.stream.sinks import BoardAndLake
from thunes_core.clock import to_millis
from thunes_core.domain.bars import Interval
from thunes_core.testnet.app import RunningTestnet, serve_in_thread
from thunes_core.testnet.market import generated_market

START = datetime(2024, 1, 1, tzinfo=UTC)
SYMBOLS = ["BTCUSDT", "ETHUSDT"]
MINUTE = timedelta(minutes=1)
OPTIONS = FeedOptions(silence_seconds=0.2, shortest_pause=0.01, late_ms=2_000, apart_seconds=0.0)


@asynccontextmanager
async def following(
    net: RunningTestnet, folder: Path
) -> AsyncIterator[tuple[Feed, BarStore, Callable[[int], None]]]:
    """Follow the testnet; hand out the feed, the lake, and a way to let minutes pass."""
    store, market = BarStore(folder), BinanceMarket(net.url)
    board = Board(folder / "board", SYMBOLS, "1m")
    sink = BoardAndLake(board, store, Interval.M1)
    link = opener("ws" + net.url.removeprefix("http"), SYMBOLS, Interval.M1)
    known = dict.fromkeys(SYMBOLS, to_millis(START - MINUTE))
    feed = Feed(link, market, sink, known, Interval.M1, OPTIONS)

    def pass_minutes(count: int) -> None:
        clock = net.exchange.clock
        clock.move_to(clock.now_ms() + 60_000 * count)

    task = asyncio.create_task(feed.run())
    try:
        yield feed, store, pass_minutes
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        market.close()
        board.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so, at most ten seconds."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.fixture
def net() -> RunningTestnet:
    """Serve two symbols on a stepped clock."""
    market = generated_market(SYMBOLS, start=START, interval=Interval.M1, history_days=2)
    return serve_in_thread(market)


def test_bars_of_all_symbols_reach_board_and_lake_through_cuts(
    net: RunningTestnet, tmp_path: Path
) -> None:
    """Thirty minutes with a cut every third one: every bar once, equal to what REST says."""

    async def scenario() -> Feed:
        async with following(net, tmp_path) as (feed, _, pass_minutes):
            for minute in range(30):
                if minute % 3 == 2:
                    net.exchange.conditions.drop_streams()
                pass_minutes(1)
                wanted = 2 * (minute + 1)
                await until(lambda wanted=wanted: feed.tally.bars >= wanted)
            return feed

    with net:
        feed = asyncio.run(scenario())
        market = BinanceMarket(net.url)
        store = BarStore(tmp_path)
        for symbol in SYMBOLS:
            theirs = market.klines(symbol, Interval.M1, START, START + timedelta(days=1))
            assert theirs.height == 30
            assert store.read(symbol, Interval.M1).equals(theirs)
            assert latest(tmp_path / "board", symbol).bar_open_time == START + 29 * MINUTE
            assert latest(tmp_path / "board", symbol).mid > 0
        market.close()
    assert feed.tally.bars == 60
    assert feed.tally.ended.get(Ended.SHUTDOWN, 0) + feed.tally.ended.get(Ended.CUT, 0) >= 10


def test_a_socket_that_stays_open_and_says_nothing_is_left(
    net: RunningTestnet, tmp_path: Path
) -> None:
    """The watchdog reconnects and REST tells what was missed."""

    async def scenario() -> Feed:
        async with following(net, tmp_path) as (feed, _, pass_minutes):
            pass_minutes(1)
            await until(lambda: feed.tally.bars >= 2)
            net.exchange.conditions.streams_silent = True
            pass_minutes(5)
            await until(lambda: feed.tally.bars >= 12)
            net.exchange.conditions.streams_silent = False
            pass_minutes(1)
            await until(lambda: feed.tally.bars >= 14)
            return feed

    with net:
        feed = asyncio.run(scenario())
    assert feed.tally.ended[Ended.SILENT] >= 1
    assert BarStore(tmp_path).read("BTCUSDT", Interval.M1).height == 7


def test_connections_are_renewed_before_the_exchange_ends_them(
    net: RunningTestnet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As before the cut of 24 hours: ten times in the life of a test, no bar missed or doubled."""
    monkeypatch.setattr(f"{__name__}.OPTIONS", replace(OPTIONS, renew_seconds=0.05))

    async def scenario() -> Feed:
        async with following(net, tmp_path) as (feed, _, pass_minutes):
            for minute in range(200):
                pass_minutes(1)
                wanted = 2 * (minute + 1)
                await until(lambda wanted=wanted: feed.tally.bars >= wanted)
                if feed.tally.ended.get(Ended.AGED, 0) >= 10:
                    return feed
            return feed

    with net:
        feed = asyncio.run(scenario())
        passed = feed.tally.bars // 2
        market = BinanceMarket(net.url)
        for symbol in SYMBOLS:
            theirs = market.klines(symbol, Interval.M1, START, START + timedelta(days=1))
            assert theirs.height == passed
            assert BarStore(tmp_path).read(symbol, Interval.M1).equals(theirs)
        market.close()
    assert feed.tally.ended[Ended.AGED] >= 10
    assert Ended.CUT not in feed.tally.ended


def test_a_closed_bar_is_on_the_board_within_milliseconds(
    net: RunningTestnet, tmp_path: Path
) -> None:
    """From the close on the exchange's clock to the board at the socket's own pace."""

    async def scenario() -> None:
        async with following(net, tmp_path) as (feed, _, pass_minutes):
            await until(lambda: feed.tally.connections == 1)
            pass_minutes(1)
            async with asyncio.timeout(2):
                while latest(tmp_path / "board", "BTCUSDT").bar_open_time != START:
                    await asyncio.sleep(0.001)

    with net:
        asyncio.run(scenario())


def test_nobody_listening_is_a_lost_link() -> None:
    """A refused connection is told with its address."""
    with pytest.raises(LinkLost, match=r"at ws://127\.0\.0\.1:9"):
        asyncio.run(opener("ws://127.0.0.1:9", SYMBOLS, Interval.M1)())
