"""The long-lived stream: a feed that fills board and lake, and the account's events that wake.

Where the account is the exchange's own, each of its events wakes reconciliation: the ledger learns
of a stop that went off within a second, from REST, and a fill that nothing protects yet is
protected.

Add here: what the service needs from the settings. Keep out: following a stream (core).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from thunes_core.clock import to_millis
from thunes_core.errors import AnswerIsNo, ExchangeUnavailable, SettingsInvalid, StoreFailed
from thunes_core.settings import Settings
from thunes_pipelines.resources import wiring

if TYPE_CHECKING:
    from thunes_core.adapters.bars.store import BarStore
    from thunes_core.adapters.binance.broker import BinanceBroker
    from thunes_core.adapters.binance.market import BinanceMarket
    from thunes_core.adapters.stream.board import Board
    from thunes_core.adapters.stream.feed import Feed, FeedOptions, Tally
    from thunes_core.adapters.stream.user import UserOptions, UserStream, UserTally
    from thunes_core.trading.tend import Tended

PAUSE_SECONDS = 5.0
"""Between looks for an exchange that does not answer, or a disk without room."""

_log = logging.getLogger(__name__)
Told = Callable[[pl.DataFrame], None]
Wake = Callable[[Sequence[str]], None]


@dataclass(frozen=True, slots=True)
class Followed:
    """What happened on the market's stream, and on the account's where there is one."""

    market: Tally
    account: UserTally | None = None

    @property
    def connections(self) -> int:
        """Connections opened, each stream's first among them."""
        return self.market.connections + (self.account.connections if self.account else 0)


@dataclass(frozen=True, slots=True)
class Patience:
    """The bounds of both streams; None: those of the streams themselves."""

    market: FeedOptions | None = None
    account: UserOptions | None = None


@dataclass(frozen=True, slots=True)
class Streams:
    """The market's feed and the account's stream, ready to run."""

    feed: Feed
    user: UserStream | None = None

    async def run(self) -> None:
        """Follow both until cancelled."""
        both = [self.feed.run(), *([self.user.run()] if self.user is not None else [])]
        await asyncio.gather(*both)

    @property
    def followed(self) -> Followed:
        """What happened so far."""
        return Followed(self.feed.tally, self.user.tally if self.user else None)


def follow(
    settings: Settings,
    told: Told,
    seconds: float | None = None,
    *,
    patient: bool = False,
    wake: Wake | None = None,
) -> Followed:
    """Follow all configured symbols until interrupted, or for so many real `seconds`.

    Returns what happened; arguments and errors as `streams`, but that one who is `patient` waits
    for room on the disk, too, and then begins again.
    """
    while True:
        try:
            with streams(settings, told, patient=patient, wake=wake) as both:
                with suppress(KeyboardInterrupt):
                    asyncio.run(_for(both.run(), seconds))
                return both.followed
        except StoreFailed as error:
            if not patient:
                raise
            _log.warning("waiting for the disk: %s", error)
            time.sleep(PAUSE_SECONDS)


@contextmanager
def streams(
    settings: Settings,
    told: Told,
    *,
    patient: bool = False,
    wake: Wake | None = None,
    patience: Patience | None = None,
) -> Iterator[Streams]:
    """Hand out the streams of all configured symbols; what they fill is closed afterwards.

    `told` is called with the closed bars of one symbol, as soon as the board shows them. Bars
    missed since the newest stored one are asked for first. `wake` is called (in a thread) with the
    account's events instead of tending to what is held. Raises `SettingsInvalid` where the
    exchange has no stream that THUNES reads, `ExchangeUnavailable` when it cannot be asked for its
    clock (`patient`: it is asked again until it answers), `StoreFailed`.
    """
    from thunes_core.adapters.stream.board import Board

    if settings.ccxt_id:
        raise SettingsInvalid(
            f"stream: expected an exchange that speaks Binance's streams; {settings.exchange} is "
            "read by REST only; leave `thunes stream` out, ticks and ingestion do without it"
        )
    bounds = patience or Patience()
    market = wiring.binance_market(settings)
    board = Board(settings.board_path, list(settings.symbols), str(settings.interval))
    account = wiring.binance_account(settings) if settings.broker == "exchange" else None
    with ExitStack() as opened:
        opened.enter_context(closing(board))
        opened.enter_context(closing(market))
        if account is not None:
            opened.enter_context(closing(account))
        now = _first_time(market, patient=patient)
        feed = _feed(settings, market, board, told, now, bounds.market)
        user = _user_stream(settings, account, wake, bounds.account) if account else None
        yield Streams(feed, user)


def _feed(
    settings: Settings,
    market: BinanceMarket,
    board: Board,
    told: Told,
    now: datetime,
    options: FeedOptions | None,
) -> Feed:
    from thunes_core.adapters.stream.feed import Feed
    from thunes_core.adapters.stream.link import opener
    from thunes_core.adapters.stream.sinks import BoardAndLake

    store, interval = wiring.bar_store(settings), settings.interval
    return Feed(
        opener(settings.stream_url, list(settings.symbols), interval),
        market,
        BoardAndLake(board, store, interval, told),
        _known(store, settings, now),
        interval,
        options,
    )


def _first_time(market: BinanceMarket, *, patient: bool) -> datetime:
    while True:
        try:
            return market.server_time()
        except ExchangeUnavailable as error:
            if not patient:
                raise
            _log.warning("waiting for the exchange: %s", error)
            time.sleep(PAUSE_SECONDS)


def _user_stream(
    settings: Settings, account: BinanceBroker, wake: Wake | None, options: UserOptions | None
) -> UserStream:
    """Return what wakes `wake`; each subscription is signed with the account's key."""
    from thunes_core.adapters.binance.user_socket import subscriber
    from thunes_core.adapters.stream.user import UserStream

    def tend(reasons: Sequence[str]) -> None:
        done = wiring.tend(settings)
        _log.info("woken by %s: %d new fills", ", ".join(reasons), len(done.fills))
        require_certain(done)

    address = settings.binance_ws_api_url or account.ws_api_url
    return UserStream(subscriber(address, account.subscription), wake or tend, options)


def require_certain(done: Tended) -> None:
    """Raise `AnswerIsNo` while something is not known or not protected: it is woken for again."""
    if done.uncertain:
        raise AnswerIsNo(
            f"{', '.join(done.uncertain)}: expected orders and protection to be known; they are "
            "not yet; they are looked at again"
        )


def _known(store: BarStore, settings: Settings, now: datetime) -> dict[str, int]:
    """Return the open time (ms) of the newest bar had of each symbol.

    Where nothing is stored, the one that closed last counts as had: history is for `ingest`.
    """
    interval = settings.interval
    last_closed = interval.floor(now) - interval.duration
    spans = {symbol: store.span(symbol, interval) for symbol in settings.symbols}
    return {s: to_millis(span[1] if span else last_closed) for s, span in spans.items()}


async def _for(work: Coroutine[Any, Any, None], seconds: float | None) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await work
