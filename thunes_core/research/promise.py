"""What the evidence promised, and whether live trading keeps it.

The promise is the band that the stationary bootstrap of the stitched out-of-sample curve gives for
the days after a champion took over (5 to 95 % of what the same days could have made).

Add here: a comparison of live results with the evidence. Keep out: reading stores, alerts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from thunes_core.backtest import metrics
from thunes_core.domain.results import WalkForwardResult
from thunes_core.research.bootstrap import promised_band

HORIZON_DAYS = 365
LEAST_DAYS = 7
"""Days before live results are held against the band: fewer say nothing."""


def promise_of(result: WalkForwardResult) -> pl.DataFrame:
    """Return the band of a walk-forward: day (1 to `HORIZON_DAYS`), low, middle, high.

    Growth of an equity of 1 at the takeover. Deterministic: equal walks promise equally.
    """
    equity = result.stitched
    ends = metrics.day_ends(equity["open_time"].dt.epoch("us").to_numpy())
    values = equity["equity"].to_numpy()
    start = float(values[0])
    return promised_band(metrics.daily_returns(values[ends], start), HORIZON_DAYS)


def live_equity(fills: pl.DataFrame, closes: pl.DataFrame, allotment: float) -> pl.DataFrame:
    """Return what one study's book was worth at the end of each UTC day: time, equity.

    `fills`: time, side (BUY, SELL), price, quantity, fee_quote, of this study, all of them.
    `closes`: open_time, close, of its symbol. Quote units; `time` is the day, and the last, which
    still runs, is worth what its newest close says.
    """
    days = (
        closes.sort("open_time")
        .group_by(time=pl.col("open_time").dt.truncate("1d"))
        .agg(pl.col("close").last())
        .sort("time")
    )
    held = days.join_asof(_running(fills), on="time", strategy="backward")
    paid, quantity = pl.col("paid").fill_null(0.0), pl.col("held").fill_null(0.0)
    return held.select("time", equity=allotment - paid + quantity * pl.col("close"))


def _running(fills: pl.DataFrame) -> pl.DataFrame:
    """Return by day what was paid so far, fees included, and what was held."""
    sign = pl.when(pl.col("side") == "BUY").then(1.0).otherwise(-1.0)
    moved = fills.sort("time").select(
        time=pl.col("time").dt.truncate("1d"),
        paid=sign * pl.col("price") * pl.col("quantity") + pl.col("fee_quote"),
        held=sign * pl.col("quantity"),
    )
    sums = moved.with_columns(pl.col("paid").cum_sum(), pl.col("held").cum_sum())
    return sums.group_by("time", maintain_order=True).last()


@dataclass(frozen=True, slots=True)
class Standing:
    """Live growth since the takeover beside the band of that day."""

    days: int
    growth: float
    low: float
    high: float

    @property
    def outside(self) -> str:
        """Say `below` or `above`; empty inside the band and while there are too few days."""
        if self.days < LEAST_DAYS:
            return ""
        return "below" if self.growth < self.low else "above" if self.growth > self.high else ""

    def sentence(self) -> str:
        """Say it in one line."""
        placed = self.outside or "inside"
        return (
            f"{self.growth - 1:+.1%} live in {self.days} days, {placed} the promised "
            f"{self.low - 1:+.1%} to {self.high - 1:+.1%}"
        )


def standing(equity: pl.DataFrame, band: pl.DataFrame, since: datetime) -> Standing | None:
    """Hold the newest day of `equity` (of `live_equity`) against the band of `promise_of`.

    `since`: when the champion took over, UTC. None before the first whole day after it, beyond the
    band's last day, and where nothing is known of the day it took over.
    """
    base, later = _since(equity, since)
    if base is None or later.is_empty():
        return None
    day = later.height
    promised = band.filter(pl.col("day") == day)
    if promised.is_empty():
        return None
    growth = float(later["equity"][-1]) / base
    return Standing(day, growth, promised["low"][0], promised["high"][0])


def promised_equity(
    equity: pl.DataFrame, band: pl.DataFrame, since: datetime
) -> pl.DataFrame | None:
    """Return the band in quote units by day: time, low, high; None where `standing` has none."""
    base, later = _since(equity, since)
    if base is None or later.is_empty():
        return None
    days = later.select("time", day=pl.int_range(1, pl.len() + 1, dtype=pl.Int64))
    joined = days.join(band.with_columns(pl.col("day").cast(pl.Int64)), on="day")
    return joined.select("time", low=pl.col("low") * base, high=pl.col("high") * base)


def _since(equity: pl.DataFrame, since: datetime) -> tuple[float | None, pl.DataFrame]:
    """Return the equity at the end of the day of the takeover, and the days after it."""
    day = since.replace(hour=0, minute=0, second=0, microsecond=0)
    known = equity.filter(pl.col("time") <= day)
    base = float(known["equity"][-1]) if known.height else None
    return (base if base and np.isfinite(base) else None), equity.filter(pl.col("time") > day)
