"""Days of trading for the tests of reports: facts that fit in the head."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl

from thunes_core.domain.portfolio import TradingState
from thunes_core.reporting.facts import (
    AuditFact,
    ChampionFact,
    DailyFacts,
    HealthFact,
    PositionFact,
    RiskFact,
    TradeFact,
)

MIDNIGHT = datetime(2025, 1, 7, tzinfo=UTC)


def at(hour: float) -> datetime:
    """Return a time of the day."""
    return MIDNIGHT + timedelta(hours=hour)


def trade(pnl: str, reason: str = "signal") -> TradeFact:
    """Return a trade closed at four o'clock."""
    return TradeFact(
        strategy="sma_crossover",
        symbol="BTCUSDT",
        entry_time=at(0),
        entry_price=Decimal("96000.10"),
        quantity=Decimal("0.01"),
        exit_time=at(4),
        exit_price=Decimal("96500"),
        pnl=Decimal(pnl),
        reason=reason,
    )


def held() -> PositionFact:
    """Return a position that stands ten below its entry."""
    return PositionFact(
        "rsi_reversion", "ETHUSDT", Decimal("0.5"), Decimal(3000), at(6), Decimal(2980)
    )


def marks(values: list[float]) -> pl.DataFrame:
    """Return hourly equity marks from midnight."""
    times = [at(hour) for hour in range(len(values))]
    return pl.DataFrame(
        {"time": times, "equity": values},
        schema={"time": pl.Datetime("us", "UTC"), "equity": pl.Float64},
    )


def quiet_day(**changes) -> DailyFacts:
    """Return a day that gained 10 on 1000 with two trades, and needs nobody's attention."""
    facts = DailyFacts(
        day=date(2025, 1, 7),
        now=at(23),
        quote_asset="USDT",
        equity_before=Decimal(1000),
        equity_after=Decimal(1010),
        trades=(trade("12.5"), trade("-2.5", "stop_loss")),
        positions=(held(),),
        risk=RiskFact(TradingState.ACTIVE, "never changed", "thunes", None, Decimal(20), 3),
        health=HealthFact(144, 0, 4, 1, 0, at(22.9), at(22)),
        champions=(
            ChampionFact(
                "sma_crossover.BTCUSDT.1h", "3", "ab12cd34ef56aa", {"fast": 5}, {"dsr": 0.91}
            ),
        ),
        audit=AuditFact(2301, "9f86d081884c7d65", intact=True),
        equity=marks([1000.0, 1004.0, 1010.0]),
    )
    return replace(facts, **changes)
