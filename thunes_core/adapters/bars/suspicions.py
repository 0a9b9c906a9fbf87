"""What is odd about a whole file: reasons to refuse it, and flags that a person should see.

The rules are written down in docs/data-quality.md; the thresholds were chosen on real files, good
and bad ones, so that no good one trips.

Add here: a rule about a file as a whole. Keep out: rules about single rows (see `sift`).
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl

from thunes_core.domain.bars import Interval, Problem
from thunes_core.domain.spikes import spikes

UNFINISHED_SHARE = 0.25
UNFINISHED_FROM = Interval.M15
WILD_RATIO = 3.0
THIN_SHARE = 0.01
SHIFTED_LIKENESS, UNSHIFTED_LIKENESS = 0.85, 0.3
LEAST_DAYS = 14
ODD_CLOSE = timedelta(seconds=1)

# fmt: off
USUAL_HOURS = (
    358, 338, 308, 274, 263, 262, 291, 331, 341, 326, 315, 331,
    401, 506, 613, 576, 496, 411, 373, 367, 333, 263, 263, 275,
)
# fmt: on
"""Median share of a UTC day's BTCUSDT volume by hour, in 1/10,000 (2022-01 to 2025-06, spot)."""


def refusal(bars: pl.DataFrame, interval: Interval) -> str | None:
    """Return why `bars` (valid, sorted, unique) are no series of `interval`, or None."""
    if bars.height < 2:
        return None
    steps = bars["open_time"].diff().drop_nulls()
    usual = steps.mode().min()
    if isinstance(usual, timedelta) and usual != interval.duration:
        return f"its bars are {usual} apart, not {interval.duration}"
    grid = (bars["open_time"][-1] - bars["open_time"][0]) // interval.duration + 1
    if grid > 2 * bars.height:
        return f"{grid - bars.height} of {grid} bars between its first and last are missing"
    return None


def unfinished_last(bars: pl.DataFrame, interval: Interval) -> bool:
    """True when the last bar looks as if it was still open when the file was made.

    A file does not say when it was made. A last bar of 15 minutes or more with less than a quarter
    of the median activity (trades, else volume) of the 24 bars before it is not believed.
    """
    if bars.height < 25 or interval.minutes < UNFINISHED_FROM.minutes:
        return False
    column = "trades" if bars["trades"].tail(25).min() else "volume"
    before, last = bars[column].tail(25)[:-1].median(), bars[column][-1]
    return isinstance(before, float) and last < UNFINISHED_SHARE * before


def flags(bars: pl.DataFrame, interval: Interval) -> list[Problem]:
    """Return what a person should look at, with row counts; nothing of it is changed."""
    silent = bars.filter((pl.col("trades") == 0) & (pl.col("volume") == 0)).height
    found = {
        "spikes": int(spikes(bars).sum()),
        "wild_range": bars.filter(pl.col("high") > WILD_RATIO * pl.col("low")).height,
        "no_trades": silent if silent > THIN_SHARE * bars.height else 0,
        "local_time_suspected": bars.height if shifted_hours(bars, interval) else 0,
    }
    return [Problem(kind, rows) for kind, rows in found.items() if rows]


def odd_closes(rows: pl.DataFrame, interval: Interval) -> list[Problem]:
    """Count rows that claim to have closed elsewhere than at the end of their interval.

    Up to a second off is how venues write the same moment; none where no `close_time` is told.
    """
    if "close_time" not in rows.columns:
        return []
    off = (pl.col("open_time") + interval.duration - pl.col("close_time")).abs()
    odd = rows.filter(off > ODD_CLOSE).height
    return [Problem("odd_close_time", odd)] if odd else []


def shifted_hours(bars: pl.DataFrame, interval: Interval) -> int:
    """Return by how many hours the day's rhythm of volume runs ahead of UTC's; 0 when it fits.

    Crypto volume peaks between 13:00 and 17:00 UTC. Needs `LEAST_DAYS` days of bars of at most one
    hour; shorter series prove nothing.
    """
    days = bars.height * interval.minutes / 1440
    if interval.minutes > 60 or days < LEAST_DAYS:
        return 0
    rhythm = _hours(bars)
    if len(rhythm) < 24 or rhythm.std() == 0:
        return 0
    usual = np.array(USUAL_HOURS, dtype=float)
    likeness = [float(np.corrcoef(np.roll(usual, k), rhythm)[0, 1]) for k in range(24)]
    best = int(np.argmax(likeness))
    is_shifted = likeness[best] >= SHIFTED_LIKENESS and likeness[0] < UNSHIFTED_LIKENESS
    return best if is_shifted else 0


def stranger(bars: pl.DataFrame, known: pl.DataFrame, interval: Interval) -> str | None:
    """Return why `bars` cannot be from where the `known` bars of that symbol are from, or None.

    The same market repeats itself to the last digit; another venue, or a shifted clock, does not.
    Needs 20 common bars; shifts are looked for in whole hours up to 14.
    """
    agreeing, common = _agreement(bars, known, 0)
    if common < 20 or agreeing >= common / 2:
        return None
    for hours in (*range(-14, 0), *range(1, 15)):
        fits, shared = _agreement(bars, known, hours)
        if shared >= 20 and fits > 0.9 * shared:
            return (
                f"its bars equal the stored ones {hours:+d} h away: "
                f"its times are not UTC but UTC{hours:+d}"
            )
    return (
        f"only {agreeing} of {common} closes equal the stored {interval} bars of that symbol: "
        "it is from another market (futures, another exchange, a testnet)"
    )


def _agreement(bars: pl.DataFrame, known: pl.DataFrame, ahead_hours: int) -> tuple[int, int]:
    moved = bars.select(pl.col("open_time") - timedelta(hours=ahead_hours), "close")
    both = moved.join(known.select("open_time", "close"), on="open_time", suffix="_known")
    return both.filter(pl.col("close") == pl.col("close_known")).height, both.height


def _hours(bars: pl.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the median share of a day's volume in each hour of the day."""
    by_hour = (
        bars.group_by(day=pl.col("open_time").dt.date(), hour=pl.col("open_time").dt.hour())
        .agg(pl.col("volume").sum())
        .filter(pl.col("volume").sum().over("day") > 0)
        .with_columns(share=pl.col("volume") / pl.col("volume").sum().over("day"))
    )
    return by_hour.group_by("hour").agg(pl.col("share").median()).sort("hour")["share"].to_numpy()
