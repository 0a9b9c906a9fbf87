"""A thousand cuts and stalls over real sockets, and repeats, swaps, delays, losses among them.

Real server, real WebSockets, real REST; only the exchange's clock is hurried.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from thunes_core.adapters.binance.market import BinanceMarket
from thunes_core.adapters.stream.feed import Ended, Feed, FeedOptions
from thunes_core.adapters.stream.link import opener
from thunes_core.clock import to_millis
from thunes_core.domain.bars import Interval
from thunes_core.testnet.app import RunningTestnet, serve_in_thread
from thunes_core.testnet.faults import MESSAGE_KINDS, Draw, FaultKind
from thunes_core.testnet.market import generated_market

START = datetime(2024, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")
HARD = (FaultKind.CUT_STREAM, FaultKind.STALL_STREAM)
HARD_FAULTS = 1000
KINDS = (*sorted(MESSAGE_KINDS), *HARD, *HARD, *HARD)
"""Cuts and stalls come four times as often as the others."""
OPTIONS = FeedOptions(
    silence_seconds=0.06,
    shortest_pause=0.0,
    longest_pause=0.02,
    late_ms=2_000,
    apart_seconds=0.0,
    hole_bars=600,
)


@dataclass
class Told:
    """A sink that remembers every closed bar it is handed."""

    frames: list[pl.DataFrame] = field(default_factory=list)

    def bars(self, bars: pl.DataFrame) -> None:
        self.frames.append(bars)

    def quote(self, quote, at_ms: int) -> None:
        """Quotes are not counted."""


def hard_faults(net: RunningTestnet) -> int:
    """Return how many cuts and stalls have happened."""
    return sum(one["kind"] in HARD for one in net.exchange.faults.happened)


async def follow(net: RunningTestnet, feed: Feed) -> int:
    """Let minutes pass until enough has happened; return how many did."""
    exchange, minutes = net.exchange, 0
    task = asyncio.create_task(feed.run())
    try:
        while hard_faults(net) < HARD_FAULTS:
            await _pass(net, feed, minutes := minutes + 1)
        with exchange.lock:
            exchange.faults.clear()
        await _pass(net, feed, minutes := minutes + 1)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    return minutes


async def _pass(net: RunningTestnet, feed: Feed, minutes: int) -> None:
    """Move the clock to the end of that minute, and wait until every closed bar was told."""
    net.exchange.clock.move_to(to_millis(START + minutes * MINUTE))
    async with asyncio.timeout(20):
        while feed.tally.bars < minutes * len(SYMBOLS):
            await asyncio.sleep(0.002)


@pytest.mark.slow
def test_a_thousand_faults_on_real_sockets_lose_and_double_nothing() -> None:
    """Every closed bar of four symbols is told once, as REST tells it."""
    net = serve_in_thread(
        generated_market(list(SYMBOLS), start=START, interval=Interval.M1, history_days=1)
    )
    with net:
        net.exchange.faults.draw(Draw(7, 0.3, KINDS, on=""))
        market, sink = BinanceMarket(net.url), Told()
        feed = Feed(
            opener("ws" + net.url.removeprefix("http"), SYMBOLS, Interval.M1),
            market,
            sink,
            dict.fromkeys(SYMBOLS, to_millis(START - MINUTE)),
            Interval.M1,
            OPTIONS,
        )
        minutes = asyncio.run(follow(net, feed))
        kinds = Counter(str(one["kind"]) for one in net.exchange.faults.happened)
        told = pl.concat(sink.frames)
        for symbol in SYMBOLS:
            theirs = market.klines(symbol, Interval.M1, START, START + minutes * MINUTE)
            assert theirs.height == minutes
            assert told.filter(symbol=symbol).sort("open_time").equals(theirs)
        market.close()
    assert set(kinds) == {str(kind) for kind in MESSAGE_KINDS}
    assert kinds["cut_stream"] + kinds["stall_stream"] >= HARD_FAULTS
    assert feed.tally.ended[Ended.CUT] > 50
    assert feed.tally.ended[Ended.SILENT] > 5
