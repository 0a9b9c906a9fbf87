"""How alike two symbols move, for the limit on what is held in things that fall together. Pure.

Add here: another measure of likeness. Keep out: reading bars, the limit.
"""

from __future__ import annotations

import polars as pl

CORRELATION_BARS = 100
"""Closed bars that likeness is measured on."""
FEWEST_BARS = 20
ALIKE = 1.0


def correlation(one: pl.DataFrame | None, other: pl.DataFrame | None) -> float:
    """Return Pearson's correlation of close-to-close returns, in [-1, 1].

    Both frames have `open_time` and `close`; bars of the same time are compared. What cannot be
    known counts as alike (1): None, fewer than 20 common bars, or a price that never moved.
    """
    if one is None or other is None:
        return ALIKE
    both = one.join(other, on="open_time", suffix="_other").sort("open_time")
    if both.height < FEWEST_BARS:
        return ALIKE
    moves = both.select(pl.col("close").pct_change(), pl.col("close_other").pct_change())
    found = moves.drop_nulls().select(pl.corr("close", "close_other")).item()
    return ALIKE if found is None or found != found else float(found)
