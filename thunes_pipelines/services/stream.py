"""The long-lived stream: a feed that fills board and lake, and the account's events that wake.

Where the account is the exchange's own, each of its events wakes reconciliation: the ledger learns
of a stop that went off within a second, from REST.

Add here: what the service needs from the settings. Keep out: following a stream (core).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from thunes_core.clock import to_millis
from thunes_core.errors import ExchangeUnavailable, SettingsInvalid
from thunes_core.settings import Settings
from thunes_pipelines.resources import wiring

if TYPE_CHECKING:
    from thunes_core.adapters.bars.store import BarStore
    from thunes_core.adapters.binance.broker import BinanceBroker
    from thunes_core.adapters.binance.market import BinanceMarket
    from thunes_core.adapters.stream.board import Board
    from thunes_core.adapters.stream.feed import Feed, Tally
    from thunes_core.adapters.stream.user import UserStream, UserTally

PAUSE_SECONDS = 5.0
"""Between looks for an exchange that does not answer."""

_log = logging.getLogger(__name__)
Told = Callable[[pl.DataFrame], None]
Wake = Callable[[Sequence[str]], None]


@dataclass(frozen=True, slots=True)
class Followed:
    """What happened on the market's stream, and on the account's where there is one."""

    market: Tally
    account: UserTally | None = None


def follow(
    settings: Settings,
    told: Told,
    seconds: float | None = None,
    *,
    patient: bool = False,
    wake: Wake | None = None,
) -> Followed:
    """Follow all configured symbols until interrupted, or for so many real `seconds`.

    `told` is called with the closed bars of one symbol, as soon as the board shows them. Bars
    missed since the newest stored one are asked for first. `wake` is called (in a thread) with the
    account's events instead of reconciling. Returns what happened. Raises
    `SettingsInvalid` where the exchange has no stream that THUNES reads, `ExchangeUnavailable` when
    it cannot be asked for its clock (`patient`: it is asked again until it answers), `StoreFailed`.
    """
    from thunes_core.adapters.stream.board import Board

    if settings.ccxt_id:
        raise SettingsInvalid(
            f"stream: expected an exchange that speaks Binance's streams; {settings.exchange} is "
            "read by REST only; leave `thunes stream` out, ticks and ingestion do without it"
        )
    market = wiring.binance_market(settings)
    board = Board(settings.board_path, list(settings.symbols), str(settings.interval))
    account = wiring.binance_account(settings) if settings.broker == "exchange" else None
    with closing(board), closing(market):
        feed = _feed(settings, market, board, told, _first_time(market, patient=patient))
        user = _user_stream(settings, account, wake) if account is not None else None
        with suppress(KeyboardInterrupt):
            asyncio.run(_for(_both(feed, user), seconds))
    if account is not None:
        account.close()
    return Followed(feed.tally, user.tally if user else None)


async def _both(feed: Feed, user: UserStream | None) -> None:
    await asyncio.gather(feed.run(), *([user.run()] if user is not None else []))


def _feed(
    settings: Settings, market: BinanceMarket, board: Board, told: Told, now: datetime
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


def _user_stream(settings: Settings, account: BinanceBroker, wake: Wake | None) -> UserStream:
    """Return what wakes `wake`; each subscription is signed with the account's key."""
    from thunes_core.adapters.binance.user_socket import subscriber
    from thunes_core.adapters.stream.user import UserStream

    def reconcile(reasons: Sequence[str]) -> None:
        found = wiring.reconcile(settings)
        _log.info("woken by %s: %d new fills", ", ".join(reasons), len(found["fills"]))

    address = settings.binance_ws_api_url or account.ws_api_url
    return UserStream(subscriber(address, account.subscription), wake or reconcile)


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
