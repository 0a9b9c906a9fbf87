"""The feed hands on every closed bar once, whatever the connection does."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import orjson
import polars as pl
import pytest

from tests.thunes_core.adapters.bars.frames import bars_of
from thunes_core.adapters.stream.events import Quote
from thunes_core.adapters.stream.feed import Ended, Feed, FeedOptions, Link, LinkLost
from thunes_core.clock import from_millis, monotonic_seconds, to_millis
from thunes_core.domain.bars import Interval
from thunes_core.domain.window import Window
from thunes_core.errors import ExchangeUnavailable

START = datetime(2024, 1, 1, tzinfo=UTC)
START_MS = to_millis(START)
STEP = 60_000
SYMBOLS = ("BTCUSDT", "ETHUSDT")
QUICK = FeedOptions(
    silence_seconds=0.003,
    shortest_pause=0.0,
    longest_pause=0.0,
    late_ms=2_000,
    hole_bars=10_000,
    apart_seconds=0.0,
)


def close_of(symbol: str, bar: int) -> float:
    """Return the close of a bar of the fake exchange."""
    return 100.0 * (1 + SYMBOLS.index(symbol)) + bar % 17


def kline(symbol: str, bar: int, *, closed: bool = True) -> str:
    """Return a combined-stream kline event of a bar, told when it closes."""
    open_ms = START_MS + bar * STEP
    text = str(close_of(symbol, bar))
    k = {"t": open_ms, "T": open_ms + STEP - 1, "s": symbol, "i": "1m", "x": closed, "n": 3}
    k |= dict.fromkeys("ohlcvqVQ", text)
    event = {"e": "kline", "E": open_ms + STEP, "s": symbol, "k": k}
    return orjson.dumps({"stream": f"{symbol.lower()}@kline_1m", "data": event}).decode()


def quote(symbol: str, bid: float) -> str:
    """Return a book ticker."""
    data = {"u": 1, "s": symbol, "b": str(bid), "B": "1", "a": str(bid + 1), "A": "1"}
    return orjson.dumps({"stream": f"{symbol.lower()}@bookTicker", "data": data}).decode()


SHUTDOWN = '{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}'
CUT, STALL = "cut", "stall"


@dataclass
class Exchange:
    """A fake exchange: time passes by telling bars; links follow a script of messages."""

    now_bar: int = 0
    unavailable: int = 0
    asked: list[Window] = field(default_factory=list)

    def klines_many(self, windows: Sequence[Window]) -> list[pl.DataFrame]:
        """Return the closed bars of each window by REST."""
        if self.unavailable:
            self.unavailable -= 1
            raise ExchangeUnavailable("gone")
        self.asked += windows
        return [self._closed(window) for window in windows]

    def _closed(self, window: Window) -> pl.DataFrame:
        first = max(0, (to_millis(window.start) - START_MS) // STEP)
        closes = [close_of(window.symbol, b) for b in range(first, self.now_bar)]
        return bars_of(
            closes or [1.0],
            start=from_millis(START_MS + first * STEP),
            interval=Interval.M1,
            symbol=window.symbol,
        ).head(len(closes))


@dataclass
class Script:
    """A link that tells a list of steps; a step is a message, CUT, STALL or a call."""

    steps: list[str | Callable[[], None]]
    closed: bool = False

    async def receive(self) -> str | bytes:
        """Return the next message of the script."""
        while self.steps:
            step = self.steps.pop(0)
            if step == CUT:
                raise LinkLost("cut")
            if step == STALL:
                await asyncio.sleep(3600)
            if isinstance(step, str):
                return step
            step()
        await asyncio.sleep(3600)
        raise AssertionError("a script's end is silence")

    async def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True


@dataclass
class Told:
    """A sink that remembers."""

    frames: list[pl.DataFrame] = field(default_factory=list)
    quotes: list[tuple[Quote, int]] = field(default_factory=list)

    def bars(self, bars: pl.DataFrame) -> None:
        """Remember closed bars."""
        self.frames.append(bars)

    def quote(self, quote: Quote, at_ms: int) -> None:
        """Remember a quote."""
        self.quotes.append((quote, at_ms))

    def count(self) -> Counter[tuple[str, int]]:
        """Return how often each bar was told."""
        rows = [f.select("symbol", pl.col("open_time").dt.epoch("ms")).rows() for f in self.frames]
        return Counter((s, (at - START_MS) // STEP) for frame in rows for s, at in frame)


class Finished(Exception):
    """The scripts are over."""


def follow(
    exchange: Exchange,
    scripts: Sequence[Script | LinkLost],
    *,
    symbols: Sequence[str] = SYMBOLS,
    options: FeedOptions = QUICK,
) -> tuple[Told, Feed]:
    """Run a feed over the scripts, one a connection, until there is no next one."""
    waiting, told = list(scripts), Told()

    async def open_link() -> Link:
        if not waiting:
            raise Finished
        link = waiting.pop(0)
        if isinstance(link, LinkLost):
            raise link
        return link

    known = dict.fromkeys(symbols, START_MS - STEP)
    opener: Callable[[], Awaitable[Link]] = open_link
    feed = Feed(opener, exchange, told, known, Interval.M1, options)
    with pytest.raises(Finished):
        asyncio.run(feed.run())
    return told, feed


def passing(exchange: Exchange, bar: int) -> Callable[[], None]:
    """Return a step that lets the exchange's clock reach the close of `bar`."""

    def step() -> None:
        exchange.now_bar = bar + 1

    return step


def once(*bars: tuple[str, int]) -> Counter[tuple[str, int]]:
    """Return each of `bars` told once."""
    return Counter(bars)


def test_closed_bars_come_in_order_and_running_ones_do_not() -> None:
    """Three closed bars of one symbol; an open one is not handed on."""
    exchange = Exchange()
    steps = [m for b in range(3) for m in (kline("BTCUSDT", b, closed=False), kline("BTCUSDT", b))]
    told, feed = follow(exchange, [Script([*steps, CUT])], symbols=["BTCUSDT"])
    assert told.count() == once(*(("BTCUSDT", b) for b in range(3)))
    assert [f["close"][0] for f in told.frames] == [close_of("BTCUSDT", b) for b in range(3)]
    assert feed.tally.by_rest == 0


def test_what_a_cut_swallowed_comes_by_rest_after_the_reconnect() -> None:
    """Bars 1 to 3 close while nobody listens."""
    exchange = Exchange()
    scripts = [
        Script([passing(exchange, 0), kline("BTCUSDT", 0), passing(exchange, 3), CUT]),
        Script([kline("BTCUSDT", 4), CUT]),
    ]
    told, feed = follow(exchange, scripts, symbols=["BTCUSDT"])
    assert told.count() == once(*(("BTCUSDT", b) for b in range(5)))
    assert feed.tally.by_rest == 3
    assert feed.tally.ended == {Ended.CUT: 2}
    assert scripts[0].closed


def test_a_repeated_bar_is_told_once() -> None:
    """Duplicates and late repeats are counted and dropped."""
    exchange = Exchange()
    steps = [kline("BTCUSDT", b) for b in (0, 0, 1, 0, 1, 2)]
    told, feed = follow(exchange, [Script([*steps, CUT])], symbols=["BTCUSDT"])
    assert told.count() == once(*(("BTCUSDT", b) for b in range(3)))
    assert feed.tally.repeated == 3


def test_a_skipped_bar_is_asked_for_at_once() -> None:
    """The stream leaps from bar 0 to bar 3: the two between come by REST, 3 is not doubled."""
    exchange = Exchange()
    steps = [kline("BTCUSDT", 0), passing(exchange, 3), kline("BTCUSDT", 3), CUT]
    told, _ = follow(exchange, [Script(steps)], symbols=["BTCUSDT"])
    assert told.count() == once(*(("BTCUSDT", b) for b in range(4)))


def test_a_reordered_bar_is_neither_lost_nor_doubled() -> None:
    """Bar 2 comes before bar 1, while REST does not know either yet."""
    exchange = Exchange()
    steps = [kline("BTCUSDT", b) for b in (0, 2, 1, 3)]
    told, _ = follow(exchange, [Script([*steps, CUT])], symbols=["BTCUSDT"])
    assert told.count() == once(*(("BTCUSDT", b) for b in range(4)))


def test_a_silent_connection_is_left() -> None:
    """No message for the time allowed: reconnect, and ask for what was missed."""
    exchange = Exchange()
    scripts = [Script([kline("BTCUSDT", 0), passing(exchange, 5), STALL]), Script([CUT])]
    told, feed = follow(exchange, scripts, symbols=["BTCUSDT"])
    assert told.count() == once(*(("BTCUSDT", b) for b in range(6)))
    assert feed.tally.ended[Ended.SILENT] == 1


def test_one_symbol_falling_silent_is_noticed_by_the_exchange_s_clock() -> None:
    """ETHUSDT's bars stop while BTCUSDT's go on: overdue bars come by REST."""
    exchange = Exchange()
    steps: list[str | Callable[[], None]] = []
    for bar in range(6):
        steps += [passing(exchange, bar), kline("BTCUSDT", bar)]
    told, _ = follow(exchange, [Script([*steps, CUT])])
    assert told.count()["ETHUSDT", 0] == 1
    assert set(told.count().values()) == {1}
    assert ("ETHUSDT", 3) in told.count()


def test_a_shutdown_notice_opens_the_next_connection_before_leaving() -> None:
    """The old link is closed only after the new one is there."""
    exchange, order = Exchange(), []

    class Noted(Script):
        async def close(self) -> None:
            order.append("closed old")

    first = Noted([kline("BTCUSDT", 0), SHUTDOWN])
    second = Script([lambda: order.append("reading new"), kline("BTCUSDT", 1), CUT])
    told, feed = follow(exchange, [first, second], symbols=["BTCUSDT"])
    assert order == ["closed old", "reading new"]
    assert told.count() == once(("BTCUSDT", 0), ("BTCUSDT", 1))
    assert feed.tally.ended == {Ended.SHUTDOWN: 1, Ended.CUT: 1}


def test_a_connection_is_renewed_before_the_exchange_cuts_it() -> None:
    """After the time set for renewal the next connection is opened."""
    exchange = Exchange()
    options = replace(QUICK, silence_seconds=1, renew_seconds=0.0)
    scripts = [Script([kline("BTCUSDT", 0)]), Script([kline("BTCUSDT", 1)])]
    told, feed = follow(exchange, scripts, symbols=["BTCUSDT"], options=options)
    assert feed.tally.ended == {Ended.AGED: 2}
    assert told.count() == once(("BTCUSDT", 0), ("BTCUSDT", 1))


def test_connections_that_are_cut_at_once_are_opened_apart() -> None:
    """A server that takes and cuts every connection is not stormed."""
    options, began = replace(QUICK, apart_seconds=0.05), monotonic_seconds()
    _, feed = follow(Exchange(), [Script([CUT])] * 5, symbols=["BTCUSDT"], options=options)
    assert feed.tally.connections == 5
    assert monotonic_seconds() - began >= 4 * 0.05


def test_a_connection_that_cannot_be_made_is_tried_again() -> None:
    """Three refusals, then it works; the pauses are bounded."""
    exchange = Exchange()
    refusals = [LinkLost("refused")] * 3
    told, feed = follow(exchange, [*refusals, Script([kline("BTCUSDT", 0), CUT])])
    assert feed.tally.connections == 1
    assert told.count()["BTCUSDT", 0] == 1


def test_a_dead_rest_interface_loses_nothing() -> None:
    """The missed bars are asked for again at the next bar that leaps."""
    exchange = Exchange()
    steps = [
        kline("BTCUSDT", 0),
        lambda: setattr(exchange, "unavailable", 2),
        passing(exchange, 3),
        kline("BTCUSDT", 3),
        passing(exchange, 4),
        kline("BTCUSDT", 4),
        passing(exchange, 6),
        kline("BTCUSDT", 6),
        CUT,
    ]
    told, _ = follow(exchange, [Script(steps)], symbols=["BTCUSDT"])
    assert told.count() == once(*(("BTCUSDT", b) for b in range(7)))


def test_quotes_are_handed_on_with_the_exchange_s_clock() -> None:
    """A book ticker has no time of its own; strangers' quotes are dropped."""
    steps = [kline("BTCUSDT", 0), quote("BTCUSDT", 5.0), quote("XRPUSDT", 1.0), CUT]
    told, _ = follow(Exchange(), [Script(steps)], symbols=["BTCUSDT"])
    assert told.quotes == [(Quote("BTCUSDT", 5.0, 6.0), START_MS + STEP)]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"e":"kline"}', '{"data":5}', '{"b":1}'])
def test_messages_that_say_nothing_change_nothing(text: str) -> None:
    """Garbage neither stops the feed nor counts as a bar."""
    told, _ = follow(Exchange(), [Script([text, kline("BTCUSDT", 0), CUT])], symbols=["BTCUSDT"])
    assert told.count() == once(("BTCUSDT", 0))


@pytest.mark.parametrize("seed", [1, 2])
def test_a_thousand_faults_lose_and_double_nothing(seed: int) -> None:
    """Cuts, stalls, repeats, swaps, swallowed bars, refusals and a failing REST, 1,000 in all."""
    chance, exchange, faults = random.Random(seed), Exchange(), 0
    scripts: list[Script | LinkLost] = []
    steps: list[str | Callable[[], None]] = []
    bar = 0
    while faults < 1000:
        fault = chance.choice(["", "", CUT, STALL, "again", "swallow", "swap", "rest", "refuse"])
        faults += fault != ""
        events = [kline(s, bar) for s in SYMBOLS]
        if fault == "again":
            events = [e for e in events for _ in (0, 1)]
        elif fault == "swallow":
            events.pop(chance.randrange(len(events)))
        elif fault == "swap" and bar:
            events = [events[0], *(kline(s, bar - 1) for s in SYMBOLS), events[1]]
        elif fault == "rest":
            steps.append(lambda: setattr(exchange, "unavailable", 1))
        steps += [passing(exchange, bar), *events]
        if fault in (CUT, STALL, "refuse"):
            steps.insert(chance.randrange(len(steps) + 1), CUT if fault == "refuse" else fault)
            scripts.append(Script(steps))
            scripts += [LinkLost("refused")] * (fault == "refuse")
            steps = []
        bar += 1
    last: list[str | Callable[[], None]] = [passing(exchange, bar), CUT]
    scripts += [Script([*steps, *last]), Script([CUT]), Script([CUT])]
    told, feed = follow(exchange, scripts)
    expected = {(s, b) for s in SYMBOLS for b in range(bar + 1)}
    assert set(told.count()) == expected
    assert set(told.count().values()) == {1}
    assert feed.tally.bars == len(expected)
    closes = pl.concat(told.frames).select("symbol", "open_time", "close").rows()
    assert all(
        close == close_of(symbol, (at - START) // timedelta(minutes=1))
        for symbol, at, close in closes
    )
