"""From the ledger to the facts of one day; the daily report and `thunes report` both start here.

Add here: where a fact of the report comes from. Keep out: wording (core), Dagster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import polars as pl

from thunes_core.domain.orders import OrderStatus
from thunes_core.domain.parameters import Champion
from thunes_core.domain.portfolio import Position
from thunes_core.reporting.facts import (
    AuditFact,
    ChampionFact,
    DailyFacts,
    HealthFact,
    PositionFact,
    RiskFact,
    TradeFact,
)
from thunes_pipelines.partitions import day_edges
from thunes_pipelines.promises import Promises

if TYPE_CHECKING:
    from thunes_core.adapters.ledger import Ledger
    from thunes_core.settings import Settings

PLOT_DAYS = 30
"""The plot of a report reaches this many days back."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the ledger does not know: the present, prices, evidence and promises, failed runs.

    `now` is the exchange's clock where it answers. `prices` by symbol, quote units; `evidence` by
    study and figure; both may lack entries. `failures` counts failed ticks of the day.
    """

    now: datetime
    quote_asset: str = "quote"
    prices: Mapping[str, Decimal] = field(default_factory=dict)
    evidence: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    failures: int = 0
    promises: Promises = field(default_factory=Promises)


def daily_facts(
    ledger: Ledger, day: date, settings: Settings, studies: list[str], around: Surroundings
) -> DailyFacts:
    """Gather the facts of one UTC day; those of a past day are as known at its end."""
    start, end = day_edges(day)
    marks = ledger.equity(since=start - timedelta(days=PLOT_DAYS), until=end)
    held = [position for position in ledger.positions() if position.is_open]
    return DailyFacts(
        day=day,
        now=min(around.now, end),
        quote_asset=around.quote_asset,
        equity_before=_equity_before(ledger, marks, start),
        equity_after=_last_equity(marks.filter(pl.col("time") >= start)),
        trades=(*_closed_trades(ledger.trades(since=start, until=end)), *_opened(held, start)),
        positions=tuple(_position(position, around.prices) for position in held),
        risk=_risk(ledger, settings),
        health=_health(ledger, start, end, around.failures),
        champions=tuple(_champions(ledger, studies, around)),
        audit=_audit(ledger),
        equity=marks.select("time", "equity"),
        band=around.promises.band,
        bar_interval=settings.interval.duration,
    )


def _equity_before(ledger: Ledger, marks: pl.DataFrame, start: datetime) -> Decimal | None:
    """Return the equity at 00:00, else the last mark before it, else the day's first mark."""
    known = ledger.day_start(start)
    if known is not None:
        return known
    before = _last_equity(marks.filter(pl.col("time") < start))
    return before if before is not None else _last_equity(marks.head(1))


def _last_equity(marks: pl.DataFrame) -> Decimal | None:
    return Decimal(marks["equity_text"][-1]) if marks.height else None


def _closed_trades(trades: pl.DataFrame) -> list[TradeFact]:
    return [
        TradeFact(
            strategy=row["strategy"],
            symbol=row["symbol"],
            entry_time=row["entry_time"],
            entry_price=Decimal(row["entry_price_text"]),
            quantity=Decimal(row["quantity_text"]),
            exit_time=row["exit_time"],
            exit_price=Decimal(row["exit_price_text"]),
            pnl=Decimal(row["pnl_text"]),
            reason=row["reason"],
        )
        for row in trades.iter_rows(named=True)
    ]


def _opened(held: list[Position], start: datetime) -> list[TradeFact]:
    """Return the trades that were entered since `start` and are still open."""
    return [
        TradeFact(
            position.strategy,
            position.symbol,
            position.entry_time,
            position.average_price,
            position.quantity,
            reason="open",
        )
        for position in held
        if position.entry_time is not None and position.entry_time >= start
    ]


def _position(position: Position, prices: Mapping[str, Decimal]) -> PositionFact:
    return PositionFact(
        strategy=position.strategy,
        symbol=position.symbol,
        quantity=position.quantity,
        average_price=position.average_price,
        entry_time=position.entry_time,
        price=prices.get(position.symbol),
    )


def _risk(ledger: Ledger, settings: Settings) -> RiskFact:
    held = ledger.trading_state()
    return RiskFact(
        state=held.state,
        reason=held.reason,
        author=held.author,
        since=held.since,
        daily_loss_quote=settings.daily_loss_quote,
        max_positions=settings.max_positions,
    )


def _health(ledger: Ledger, start: datetime, end: datetime, failures: int) -> HealthFact:
    ticks = ledger.equity(since=start, until=end)["time"]
    orders = ledger.orders(since=start, until=end)["status"]
    bars = ledger.decisions(until=end)["bar"]
    return HealthFact(
        ticks=len(ticks),
        failures=failures,
        orders=int((orders != OrderStatus.REFUSED).sum()),
        refused=int((orders == OrderStatus.REFUSED).sum()),
        unknown_orders=int((orders == OrderStatus.UNKNOWN).sum()),
        last_tick=ticks[-1] if len(ticks) else None,
        last_bar=bars.max(),  # type: ignore[arg-type]
    )


def _champions(ledger: Ledger, studies: list[str], around: Surroundings) -> list[ChampionFact]:
    known = [ledger.remembered_champion(study) for study in studies]
    return [_champion(c, around) for c in known if c is not None]


def _champion(champion: Champion, around: Surroundings) -> ChampionFact:
    return ChampionFact(
        study=champion.study,
        version=champion.version,
        fingerprint=champion.parameters.fingerprint,
        values=champion.parameters.shown,
        evidence=around.evidence.get(champion.study, {}),
        promise=around.promises.sentences.get(champion.study, ""),
    )


def _audit(ledger: Ledger) -> AuditFact:
    verdict = ledger.verify_audit()
    return AuditFact(entries=verdict.rows, head=verdict.head, intact=verdict.whole)
