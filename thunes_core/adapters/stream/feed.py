"""Follow the streams of all symbols over one connection, and miss nothing when it fails.

After every connection the bars missed meanwhile are asked for by REST; so are bars that the stream
skipped, and bars that are overdue by the exchange's own clock. Each closed bar is handed on once.

    open → catch up by REST → follow ──cut, silence──→ open …
                                └─shutdown, age─→ open the next one first, then leave

Add here: a reason to open a new connection. Keep out: sockets (see `link`), what is done with bars.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

import polars as pl

from thunes_core.adapters.bars.ingest import ReadsMany
from thunes_core.adapters.stream.events import ClosedBar, Quote, Shutdown, read_message
from thunes_core.clock import from_millis, monotonic_seconds
from thunes_core.domain.bars import Interval
from thunes_core.domain.window import Window
from thunes_core.errors import OutsideFailed

_log = logging.getLogger(__name__)


class LinkLost(Exception):
    """The connection is gone, or could not be made."""


class Link(Protocol):
    """One connection that tells messages until it is lost."""

    async def receive(self) -> str | bytes:
        """Return the next message; raises `LinkLost`."""
        ...

    async def close(self) -> None:
        """End the connection; never raises."""
        ...


class Sink(Protocol):
    """Where news goes. Called from one task, in order, once for each bar."""

    def bars(self, bars: pl.DataFrame) -> None:
        """Take closed bars of one symbol, sorted, that were not told before."""
        ...

    def quote(self, quote: Quote, at_ms: int) -> None:
        """Take the newest quote; `at_ms` is the exchange's clock as last heard."""
        ...


class Ended(StrEnum):
    """Why a connection was left."""

    CUT = "cut"
    SILENT = "silent"
    SHUTDOWN = "shutdown"
    AGED = "aged"


GENTLE = (Ended.SHUTDOWN, Ended.AGED)


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """Bounds of patience, in real seconds but for `late_ms`, which is the exchange's clock.

    `renew_seconds`: a connection is replaced before the exchange cuts it after 24 hours.
    `apart_seconds`: from one opening to the next; the exchange takes 300 in five minutes.
    `hole_bars`: for so many bars a hole is asked for again; then ingestion declares it.
    """

    silence_seconds: float = 15.0
    renew_seconds: float = 23 * 3600.0
    late_ms: int = 5_000
    shortest_pause: float = 0.1
    longest_pause: float = 30.0
    hole_bars: int = 60
    apart_seconds: float = 1.1


@dataclass(slots=True)
class Tally:
    """What happened so far, for people and tests."""

    connections: int = 0
    bars: int = 0
    by_rest: int = 0
    repeated: int = 0
    ended: dict[Ended, int] = field(default_factory=dict)


class Feed:
    """Follows `symbols` at one interval. `known`: open time (ms) of the newest bar had of each."""

    def __init__(
        self,
        open_link: Callable[[], Awaitable[Link]],
        market: ReadsMany,
        sink: Sink,
        known: dict[str, int],
        interval: Interval,
        options: FeedOptions | None = None,
    ) -> None:
        self._open_link = open_link
        self._market = market
        self._sink = sink
        self._newest = dict(known)
        self._holes: dict[str, set[int]] = {symbol: set() for symbol in known}
        self._asked_ms = dict.fromkeys(known, 0)
        self._interval = interval
        self._step = interval.minutes * 60_000
        self._options = options or FeedOptions()
        self._clock_ms = 0
        self._opened_at = float("-inf")
        self.tally = Tally()

    async def run(self) -> None:
        """Follow until cancelled."""
        before: Link | None = None
        link: Link | None = None
        try:
            while True:
                link = await self._open()
                if before is not None:
                    await before.close()
                    before = None
                await self._catch_up(list(self._newest))
                ended = await self._follow(link)
                self.tally.ended[ended] = self.tally.ended.get(ended, 0) + 1
                _log.info("left connection %d: %s", self.tally.connections, ended)
                if ended in GENTLE:
                    before = link
                else:
                    await link.close()
        finally:
            for one in (before, link):
                if one is not None:
                    await one.close()

    async def _open(self) -> Link:
        """Open a connection, with growing pauses while that fails."""
        pause = self._options.shortest_pause
        while True:
            await asyncio.sleep(self._too_soon())
            self._opened_at = monotonic_seconds()
            try:
                link = await self._open_link()
            except LinkLost as error:
                _log.warning("no connection (%s); again in %.1f s", error, pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, self._options.longest_pause)
            else:
                self.tally.connections += 1
                return link

    def _too_soon(self) -> float:
        """Return for how many seconds the next connection may not be opened yet."""
        return max(self._opened_at + self._options.apart_seconds - monotonic_seconds(), 0.0)

    async def _follow(self, link: Link) -> Ended:
        leave_at = monotonic_seconds() + self._options.renew_seconds
        while True:
            try:
                async with asyncio.timeout(self._options.silence_seconds):
                    text = await link.receive()
            except TimeoutError:
                return Ended.SILENT
            except LinkLost:
                return Ended.CUT
            heard = read_message(text)
            self._clock_ms = max(self._clock_ms, heard.at_ms)
            if isinstance(heard.news, Shutdown):
                return Ended.SHUTDOWN
            if isinstance(heard.news, ClosedBar):
                await self._take(heard.news)
            elif isinstance(heard.news, Quote) and heard.news.symbol in self._newest:
                self._sink.quote(heard.news, self._clock_ms)
            await self._ask_for_overdue()
            if monotonic_seconds() >= leave_at:
                return Ended.AGED

    async def _take(self, bar: ClosedBar) -> None:
        """Hand on a bar that was not had yet; ask for those between it and the newest one."""
        if bar.symbol not in self._newest or bar.interval != str(self._interval):
            return
        if bar.open_ms > self._newest[bar.symbol] + self._step:
            await self._catch_up([bar.symbol])
        if not self._is_new(bar.symbol, bar.open_ms):
            self.tally.repeated += 1
            return
        self._hand_on(bar.symbol, bar.bars)

    def _is_new(self, symbol: str, open_ms: int) -> bool:
        return open_ms > self._newest[symbol] or open_ms in self._holes[symbol]

    async def _ask_for_overdue(self) -> None:
        """Ask for holes, and for bars that closed by the exchange's clock and were not told."""
        overdue = [symbol for symbol in self._newest if self._is_overdue(symbol)]
        if overdue:
            await self._catch_up(overdue)

    def _is_overdue(self, symbol: str) -> bool:
        since_asked = self._clock_ms - self._asked_ms[symbol]
        due = self._newest[symbol] + 2 * self._step + self._options.late_ms
        is_late = self._clock_ms >= due and since_asked >= self._options.late_ms
        return is_late or (bool(self._holes[symbol]) and since_asked >= self._step)

    async def _catch_up(self, symbols: Sequence[str]) -> None:
        """Ask by REST for all bars of `symbols` that were missed; none is lost when that fails."""
        windows = [self._missed(symbol) for symbol in symbols]
        for symbol in symbols:
            self._asked_ms[symbol] = self._clock_ms
        try:
            found = await asyncio.to_thread(self._market.klines_many, windows)
        except OutsideFailed as error:
            _log.warning("missed bars could not be read: %s", error)
            return
        for symbol, bars in zip(symbols, found, strict=True):
            opens = bars["open_time"].dt.epoch("ms")
            new = bars.filter(
                pl.Series([self._is_new(symbol, at) for at in opens], dtype=pl.Boolean)
            )
            if not new.is_empty():
                self.tally.by_rest += new.height
                self._hand_on(symbol, new)

    def _missed(self, symbol: str) -> Window:
        since = min(self._holes[symbol], default=self._newest[symbol] + self._step)
        start = from_millis(since)
        return Window(symbol, self._interval, start, start + timedelta(days=3650))

    def _hand_on(self, symbol: str, bars: pl.DataFrame) -> None:
        """Give `bars` to the sink and remember them; what they leap over becomes a hole."""
        for at in bars["open_time"].dt.epoch("ms"):
            holes, newest = self._holes[symbol], self._newest[symbol]
            holes.discard(at)
            holes.update(range(newest + self._step, at, self._step))
            self._newest[symbol] = max(newest, at)
        oldest = self._newest[symbol] - self._options.hole_bars * self._step
        self._holes[symbol] = {at for at in self._holes[symbol] if at >= oldest}
        self.tally.bars += bars.height
        self._sink.bars(bars)
