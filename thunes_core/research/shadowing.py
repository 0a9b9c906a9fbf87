"""Candidate beside champion on paper: how often they agreed, and what each would have made.

Add here: a comparison of the two. Keep out: recording (trading/shadow), promotion.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from thunes_core.domain.limits import Costs


@dataclass(frozen=True, slots=True)
class SideBySide:
    """What `bars` bars on paper showed: share of equal targets, growth of each (1 = unchanged).

    `champion_growth` and `agreement` are None where the champion decided on none of them.
    """

    bars: int
    candidate_growth: float
    champion_growth: float | None
    agreement: float | None

    def sentence(self) -> str:
        """Say it in one line."""
        said = f"{self.bars} bars on paper, candidate {self.candidate_growth - 1:+.2%}"
        if self.champion_growth is None or self.agreement is None:
            return f"{said}; the champion decided on none of them"
        return (
            f"{said}, champion {self.champion_growth - 1:+.2%}, same target on {self.agreement:.0%}"
        )


def beside(shadow: pl.DataFrame, decisions: pl.DataFrame) -> pl.DataFrame:
    """Return columns bar, price, candidate, champion (null where it did not decide), by bar.

    `shadow`: bar, target, price of one candidate. `decisions`: bar, target of its study.
    """
    return (
        shadow.select("bar", "price", candidate="target")
        .join(decisions.select("bar", champion="target"), on="bar", how="left")
        .sort("bar")
    )


def compare(table: pl.DataFrame, costs: Costs) -> SideBySide:
    """Compare the two over a table of `beside`.

    Growth is that of holding each target from one close to the next, a change costing taker fee
    and slippage on what is turned over; both begin flat.
    """
    known = table.filter(pl.col("champion").is_not_null())
    return SideBySide(
        bars=table.height,
        candidate_growth=_growth(table, "candidate", costs),
        champion_growth=_growth(known, "champion", costs) if known.height else None,
        agreement=_share_equal(known) if known.height else None,
    )


def _growth(table: pl.DataFrame, who: str, costs: Costs) -> float:
    moves = pl.col("price").shift(-1) / pl.col("price") - 1.0
    turned = (pl.col(who) - pl.col(who).shift(1).fill_null(0.0)).abs()
    step = 1.0 + pl.col(who) * moves.fill_null(0.0) - turned * (costs.taker_fee + costs.slippage)
    return float(table.select(step.product()).item()) if table.height else 1.0


def _share_equal(known: pl.DataFrame) -> float:
    same = (known["candidate"] - known["champion"]).abs() < 1e-9
    return float(same.sum() / known.height)


def is_complete(shadow: pl.DataFrame, interval: timedelta, days: int) -> bool:
    """True when decisions of `days` whole days are recorded, not when the days merely passed."""
    return shadow.height * interval >= timedelta(days=days)
