"""Do two sources tell the same bars: ours built from finer ones, and the exchange's own.

Add here: a comparison of two frames of bars. Keep out: where they come from.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from thunes_core.domain.bars import PRICES, VOLUMES

FIELDS = (*PRICES, *VOLUMES, "trades")
LEAST_COMMON, LEAST_EQUAL, MOST_APART, LEAST_ALIKE = 20, 0.5, 0.005, 0.5
"""Common bars needed; share of equal closes of one market; median distance and correlation of the
moves between venues of one pair."""
SUM_TOLERANCE = 1e-9
"""Relative: sums of floats are compared up to rounding, prices and counts exactly."""


def another_market(bars: pl.DataFrame, second: pl.DataFrame, *, is_same: bool) -> str | None:
    """Return why `bars` cannot be of the market that `second` tells of, or None.

    `is_same`: both are said to be the same market, which repeats itself to the last digit (spot and
    futures closes are near each other and almost never equal). Else another venue of the same pair:
    its closes are near and move alike. Fewer than `LEAST_COMMON` common bars prove nothing.
    """
    both = bars.select("open_time", "close").join(
        second.select("open_time", "close"), on="open_time", suffix="_second"
    )
    if both.height < LEAST_COMMON:
        return None
    equal = both.filter(pl.col("close") == pl.col("close_second")).height
    if is_same:
        told = f"only {equal} of {both.height} closes equal the second source's"
        return None if equal > LEAST_EQUAL * both.height else told
    apart = (both["close"] / both["close_second"] - 1).abs().median()
    if isinstance(apart, float) and apart > MOST_APART:
        return f"closes are {apart:.2%} from the second source's"
    alike = both.select(
        pl.corr(pl.col("close").pct_change(), pl.col("close_second").pct_change())
    ).item()
    is_alike = alike is None or alike != alike or alike >= LEAST_ALIKE
    return None if is_alike else f"closes move otherwise than the second source's ({alike:.2f})"


def differing(
    built: pl.DataFrame, own: pl.DataFrame, fields: Sequence[str] = FIELDS
) -> pl.DataFrame:
    """Return the bars of `built` that `own` tells differently in a field; common times only."""
    both = built.join(own, on="open_time", suffix="_own")
    return both.filter(pl.any_horizontal(_differs(name) for name in fields)).select(built.columns)


def _differs(name: str) -> pl.Expr:
    here, there = pl.col(name), pl.col(f"{name}_own")
    if name in VOLUMES:
        return (here - there).abs() > SUM_TOLERANCE * there.abs() + 1e-12
    return here != there
