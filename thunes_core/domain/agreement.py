"""Do two sources tell the same bars: ours built from finer ones, and the exchange's own.

Add here: a comparison of two frames of bars. Keep out: where they come from.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from thunes_core.domain.bars import PRICES, VOLUMES

FIELDS = (*PRICES, *VOLUMES, "trades")
SUM_TOLERANCE = 1e-9
"""Relative: sums of floats are compared up to rounding, prices and counts exactly."""


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
