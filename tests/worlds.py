"""A small world to trade in: bars as a market, a paper account, a ledger in a folder.

`Frail` wraps a broker and fails where it is told to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from thunes_core.adapters.ledger import Ledger, open_ledger
from thunes_core.adapters.paper import PaperBroker
from thunes_core.domain.bars import SCHEMA, Interval
from thunes_core.domain.instrument import Instrument, LotSize, Notional
from thunes_core.domain.limits import Costs, Protection, RiskLimits
from thunes_core.domain.orders import ApprovedOrder, Fill, Order
from thunes_core.domain.parameters import Champion, ParameterSet, study_key
from thunes_core.errors import NoChampion, UnknownName
from thunes_core.trading.world import TradingPlan, World

START = datetime(2025, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
STUDY = study_key("sma_crossover", "BTCUSDT", "1h")
FAST_AND_SLOW = {"fast": 5, "slow": 20}
WIDE = RiskLimits(
    daily_loss_quote=Decimal(10**9),
    cooldown_minutes=0,
    max_order_notional=Decimal(10**9),
    max_symbol_exposure=Decimal(10**9),
    max_total_exposure=Decimal(10**9),
)
NO_PROTECTION = Protection()
USUAL_COSTS = Costs()
LOTS = (LotSize(Decimal("0.001"), Decimal(9000), Decimal("0.001")), Notional(Decimal(5)))


def bars_of(closes: Sequence[float], symbol: str = "BTCUSDT") -> pl.DataFrame:
    """Return hourly bars whose opens are the closes before, without wicks."""
    opens = [closes[0], *closes[:-1]]
    rows = [
        (symbol, "1h", START + i * HOUR, o, max(o, c), min(o, c), c, 1.0, c, 1, 0.5, c / 2)
        for i, (o, c) in enumerate(zip(opens, closes, strict=True))
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def candles_of(rows: Sequence[tuple[float, float, float, float]]) -> pl.DataFrame:
    """Return hourly bars of (open, high, low, close)."""
    return pl.DataFrame(
        [
            ("BTCUSDT", "1h", START + i * HOUR, *row, 1.0, row[3], 1, 0.5, row[3] / 2)
            for i, row in enumerate(rows)
        ],
        schema=SCHEMA,
        orient="row",
    )


def wave(low: float = 100.0, high: float = 120.0, period: int = 40, bars: int = 200) -> list[float]:
    """Return closes that rise and fall in straight lines."""
    half = period // 2
    up = [low + (high - low) * i / half for i in range(half)]
    cycle = up + [high - (high - low) * i / half for i in range(half)]
    return [round(cycle[i % period], 2) for i in range(bars)]


class BarsMarket:
    """A market whose clock stands at the open of a bar; its price is that open."""

    def __init__(self, *frames: pl.DataFrame, filters: tuple[Any, ...] = LOTS) -> None:
        self.frames = {str(frame["symbol"][0]): frame for frame in frames}
        self.filters = filters
        self.now = START
        self.prices: dict[str, Decimal] = {}

    def stand_at(self, bar: int) -> None:
        """Move the clock to the open of that bar."""
        self.now = START + bar * HOUR

    def server_time(self) -> datetime:
        return self.now

    def instruments(self, symbols: Sequence[str] | None = None) -> dict[str, Instrument]:
        asked = list(self.frames) if symbols is None else symbols
        for symbol in asked:
            if symbol not in self.frames:
                raise UnknownName(f"symbol: {symbol} is not listed")
        return {
            s: Instrument(s, s.removesuffix("USDT"), "USDT", filters=self.filters) for s in asked
        }

    def klines(
        self, symbol: str, interval: Interval, start: datetime, end: datetime
    ) -> pl.DataFrame:
        time = pl.col("open_time")
        closed = time + interval.duration <= self.now
        return self.frames[symbol].filter((time >= start) & (time < end) & closed)

    def price(self, symbol: str) -> Decimal:
        if symbol in self.prices:
            return self.prices[symbol]
        frame = self.frames[symbol].filter(pl.col("open_time") <= self.now)
        return Decimal(repr(frame["open"][-1]))


class Champions:
    """A source of champions that can be made to fail."""

    def __init__(self, **values: Any) -> None:
        self.values = values or FAST_AND_SLOW
        self.error: Exception | None = None
        self.version = "1"

    def champion(self, study: str) -> Champion:
        if self.error is not None:
            raise self.error
        strategy = study.split(".")[0]
        return Champion(study, ParameterSet(strategy, self.values), self.version, "run")


NOBODY = NoChampion("nobody was promoted")


@dataclass
class Frail:
    """A broker that fails as scripted: each submit takes the next of `script`.

    None: as usual. ("before", error): raised, nothing executed. ("after", error): executed, raised.
    `hide` keeps orders, and fills not shown before, out of reads for so many asks. `sent` counts
    requests by id.
    """

    inner: Any
    script: list[tuple[str, BaseException] | None] = field(default_factory=list)
    hide_orders: int = 0
    hide_fills: int = 0
    settle_time: timedelta = timedelta(0)
    sent: list[str] = field(default_factory=list)
    shown: set[tuple[str, str]] = field(default_factory=set)

    def submit(self, approved: ApprovedOrder) -> Order:
        self.sent.append(approved.request.client_order_id)
        step = self.script.pop(0) if self.script else None
        if step is not None and step[0] == "before":
            raise step[1]
        order: Order = self.inner.submit(approved)
        if step is not None:
            raise step[1]
        return order

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def order(self, symbol: str, client_order_id: str) -> Order | None:
        if self.hide_orders:
            self.hide_orders -= 1
            return None
        found: Order | None = self.inner.order(symbol, client_order_id)
        return found

    def fills(self, symbol: str, after_trade_id: str | None = None) -> list[Fill]:
        found: list[Fill] = self.inner.fills(symbol, after_trade_id)
        if self.hide_fills:
            self.hide_fills -= 1
            return [fill for fill in found if (symbol, fill.trade_id) in self.shown]
        self.shown |= {(symbol, fill.trade_id) for fill in found}
        return found


@dataclass
class Small:
    """A whole small world: its parts and the plan."""

    market: BarsMarket
    broker: Frail
    ledger: Ledger
    champions: Champions
    plan: TradingPlan

    @property
    def world(self) -> World:
        return World(self.market, self.broker, self.ledger, self.champions)


def small_world(
    folder: Path,
    market: BarsMarket,
    *,
    studies: tuple[str, ...] = (STUDY,),
    limits: RiskLimits = WIDE,
    protection: Protection = NO_PROTECTION,
    costs: Costs = USUAL_COSTS,
    cash: Decimal = Decimal(1000),
    fee_in: Any = "quote",
) -> Small:
    """Return a world on `market` with a paper account and a ledger in `folder`."""
    paper = PaperBroker(
        folder / "paper.db",
        market,
        costs,
        cash * len(studies),
        fee_in=fee_in,
        resolution=Interval.H1,
        synchronous="OFF",
    )
    plan = TradingPlan(studies, cash, limits, protection, costs)
    ledger = open_ledger(f"sqlite:///{folder / 'ledger.db'}", synchronous="OFF")
    return Small(market, Frail(paper), ledger, Champions(), plan)
