"""From closed bars to the bytes of an entry, again and again, with nothing in between.

So are the yardsticks of other ways to decide taken (a loop over candles). It is the code of a tick
from the bars on, with a real ledger that answers from memory and the real client; what is written,
what waits for the exchange and the rest of a tick are left out, and the request is stopped where
the connection would take it.

Add here: what a loop needs in place of an exchange. Keep out: whole ticks (`latency_inside`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import cycle
from typing import Any
from unittest.mock import patch

import polars as pl
from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectionError as NoConnection
from urllib3.exceptions import NewConnectionError

from tests.benchmarks.latency_inside import APART, CHOSEN, SYMBOLS, watched
from tests.benchmarks.stopwatch import Stopwatch, Taken, taken
from thunes_core.adapters.binance.broker import BinanceBroker
from thunes_core.adapters.stream.quoted import QuotedMarket
from thunes_core.domain.bars import Interval
from thunes_core.domain.instrument import Instrument
from thunes_core.domain.parameters import Champion
from thunes_core.domain.portfolio import Position
from thunes_core.settings import Settings
from thunes_core.trading.act import Outcome
from thunes_core.trading.floor import Floor
from thunes_core.trading.ports import Journal, MarketData
from thunes_core.trading.step import leased, open_desk, prices_of, reconciled
from thunes_core.trading.trade import trade
from thunes_core.trading.world import parse_study
from thunes_pipelines.resources import garbage, wiring

STUDY = parse_study(f"{CHOSEN.strategy}.{SYMBOLS[0]}.1m")
DECIDED, EARLIER = timedelta(hours=20), timedelta(hours=1)
"""The stretch that is decided on over and over, and what each decision may look back on."""


class Unwritten:
    """A journal that reads what the ledger knows and stores nothing."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    def record_decision(self, *_: Any) -> bool:
        """Say that the decision is new."""
        return True

    def nothing(self, *_: Any, **__: Any) -> None:
        """Store nothing."""

    record_intents = claim = record_outcome = change_order = nothing
    remember_champion = save_position = set_cursor = nothing


class Replayed:
    """Bars that were read once, and the other facts as `market` tells them at first."""

    def __init__(self, market: MarketData, bars: pl.DataFrame) -> None:
        self._listed = market.instruments([STUDY.symbol])
        self._price = market.price(STUDY.symbol)
        self._bars, self._start = bars, bars["open_time"][0]

    def instruments(self, symbols: Sequence[str] | None = None) -> dict[str, Instrument]:
        """Return the instrument that is traded."""
        return self._listed

    def price(self, symbol: str) -> Decimal:
        """Return its price of then."""
        return self._price

    def klines(
        self, symbol: str, interval: Interval, start: datetime, end: datetime
    ) -> pl.DataFrame:
        """Return bars in a frame of their own."""
        first, after = ((at - self._start) // interval.duration for at in (start, end))
        return self._bars[first:after].clone()


class Chosen:
    """A source that knows the champion of every study."""

    def champion(self, study: str) -> Champion:
        """Return it, as good as a registry would."""
        return Champion(study, CHOSEN, "1", "run")


@contextmanager
def no_exchange(now: datetime) -> Iterator[None]:
    """Let no request leave: reads are answered here, an order finds no connection."""

    def ready(broker: BinanceBroker) -> datetime:
        broker._latest_ms = 2**62
        return now

    def send(_adapter: HTTPAdapter, request: PreparedRequest, **_: Any) -> Any:
        raise NoConnection(NewConnectionError(None, "a loop has no exchange"), request=request)  # type: ignore[arg-type]

    with ExitStack() as changed:
        changed.enter_context(patch.object(BinanceBroker, "ready", ready))
        changed.enter_context(patch.object(BinanceBroker, "fills", lambda *_: []))
        changed.enter_context(patch.object(HTTPAdapter, "send", send))
        yield


def measure(settings: Settings, orders: int, warm_up: int = 20) -> Taken:
    """Decide on bar after bar until so many entries were timed each way.

    The first `warm_up` are left out. `settings` are of an exchange with a day of history.
    """
    watch = Stopwatch()
    with closing(wiring.ledger(settings)) as ledger:
        world, plan = wiring.world(settings, ledger), wiring.plan(settings)
        with leased(world) as journal:
            desk = open_desk(world, plan, journal, [STUDY])
            account, prices = reconciled(desk).account, prices_of(desk)
            first = STUDY.interval.floor(desk.now) - DECIDED
            bars = world.market.klines(STUDY.symbol, STUDY.interval, first - EARLIER, desk.now)
            market = QuotedMarket(Replayed(world.market, bars), settings.board_path)
            world = replace(world, market=market, parameters=Chosen())
            flat = Position(STUDY.strategy, STUDY.symbol, cash=plan.allotment_quote)
            minutes = cycle(range(DECIDED // STUDY.interval.duration))

            def decide() -> Outcome:
                now = first + next(minutes) * STUDY.interval.duration
                seen = replace(desk, market=market, journal=Unwritten(journal), now=now)
                return trade(Floor(world, plan, seen, account, prices), STUDY, flat)

            with no_exchange(desk.now), watched(watch), garbage.between(decide) as run:
                return taken(watch, APART, orders, warm_up, run)
