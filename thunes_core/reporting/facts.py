"""Facts of one day of trading, as plain values: what the daily report is made of.

Money is `Decimal` in quote units, fractions are floats (0.01 = 1 %), times are UTC on the
exchange's clock. A fact that is not known is None and is shown as such, never as zero.

Add here: a fact that a report shows. Keep out: gathering it, wording it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal

import polars as pl

from thunes_core.domain.portfolio import TradingState

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class TradeFact:
    """One flat-to-flat trade; `exit_time`, `exit_price` and `pnl` are None while it is open."""

    strategy: str
    symbol: str
    entry_time: datetime
    entry_price: Decimal
    quantity: Decimal
    exit_time: datetime | None = None
    exit_price: Decimal | None = None
    pnl: Decimal | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PositionFact:
    """One open position; `price` is the last known price of the symbol."""

    strategy: str
    symbol: str
    quantity: Decimal
    average_price: Decimal
    entry_time: datetime | None
    price: Decimal | None = None

    @property
    def unrealised(self) -> Decimal | None:
        """Gain at the last known price, fees of the exit left out."""
        return None if self.price is None else (self.price - self.average_price) * self.quantity


@dataclass(frozen=True, slots=True)
class RiskFact:
    """The trading state and how much of the day's loss limit is used."""

    state: TradingState
    reason: str
    author: str
    since: datetime | None
    daily_loss_quote: Decimal
    max_positions: int


@dataclass(frozen=True, slots=True)
class HealthFact:
    """How the system ran: counts of the day, and the ages of what must be fresh."""

    ticks: int
    failures: int
    orders: int
    refused: int
    unknown_orders: int
    last_tick: datetime | None
    last_bar: datetime | None


@dataclass(frozen=True, slots=True)
class ChampionFact:
    """A parameter set in force, and the figures of its evidence (empty when not reachable).

    `promise` says in one line how live results stand to the evidence; empty while nobody knows.
    """

    study: str
    version: str
    fingerprint: str
    values: Mapping[str, object]
    evidence: Mapping[str, float] = field(default_factory=dict)
    promise: str = ""


@dataclass(frozen=True, slots=True)
class AuditFact:
    """The audit trail's length, the hash of its last entry, and whether the chain verifies."""

    entries: int
    head: str
    intact: bool


@dataclass(frozen=True, slots=True)
class DailyFacts:
    """All facts of one UTC day, as known at `now`.

    `equity_before` is the last mark before the day, or the first of it. `equity`: columns time,
    equity (Float64), of the days that the plot shows. `band`: columns time, low, high, or None.
    """

    day: date
    now: datetime
    quote_asset: str
    equity_before: Decimal | None
    equity_after: Decimal | None
    trades: tuple[TradeFact, ...]
    positions: tuple[PositionFact, ...]
    risk: RiskFact
    health: HealthFact
    champions: tuple[ChampionFact, ...]
    audit: AuditFact
    equity: pl.DataFrame
    band: pl.DataFrame | None = None
    bar_interval: timedelta = timedelta(hours=1)

    @property
    def pnl(self) -> Decimal | None:
        """Realised and unrealised gain of the day."""
        if self.equity_before is None or self.equity_after is None:
            return None
        return self.equity_after - self.equity_before

    @property
    def day_return(self) -> float | None:
        """The day's gain as a fraction of the equity before it."""
        return (
            float(self.pnl / self.equity_before)
            if self.pnl is not None and self.equity_before
            else None
        )

    @property
    def closed(self) -> tuple[TradeFact, ...]:
        """Trades that were closed on the day."""
        return tuple(trade for trade in self.trades if trade.exit_time is not None)

    @property
    def realised(self) -> Decimal:
        """Gain of the trades closed on the day, fees included."""
        return sum((trade.pnl or ZERO for trade in self.closed), ZERO)

    @property
    def win_rate(self) -> float | None:
        """Share of the day's closed trades with a gain; None without any."""
        if not self.closed:
            return None
        return sum(1 for trade in self.closed if (trade.pnl or ZERO) > 0) / len(self.closed)

    @property
    def loss_used(self) -> float:
        """Share of the day's loss limit that is used, 0 when the day gained."""
        return max(0.0, float(-(self.pnl or ZERO) / self.risk.daily_loss_quote))

    @property
    def bar_age(self) -> timedelta | None:
        """Time since the newest known bar closed."""
        last = self.health.last_bar
        return None if last is None else self.now - last - self.bar_interval
