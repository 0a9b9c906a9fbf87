"""Part rows that keep semantics §1 from rows that do not, each refused row with its first reason.

Add here: a rule by which a row is refused or repaired; write it into docs/data-quality.md too.
Keep out: reading files, storage.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from thunes_core.domain.bars import (
    SCHEMA,
    Interval,
    Problem,
    broken_free_prices,
    empty,
    high_low_ok,
    off_grid,
    problems,
    volumes_ok,
)

REASON = "reason"
REPAIRED_UNSORTED = "unsorted"
REPAIRED_REPEATS = "repeated_rows"
CONFLICTING = "conflicting_duplicates"
_HAD = "fields_had"


@dataclass(frozen=True, slots=True)
class Sifted:
    """Valid bars (sorted, unique), refused rows with a `reason`, and what was found how often."""

    bars: pl.DataFrame
    refused: pl.DataFrame
    problems: tuple[Problem, ...]


def sift(rows: pl.DataFrame, interval: Interval, completeness: pl.Series | None = None) -> Sifted:
    """Part `rows` (columns of the bars schema; nulls and NaN allowed) by the written rules.

    Repaired and counted: order, rows repeated word for word. Refused with a reason: a missing or
    off-grid time, a broken price, high or low, or volume. Of versions of a bar that contradict each
    other the one with the most fields wins (`completeness`: fields a row really had); where that
    does not decide, none is believed.
    """
    if not problems(rows, interval):
        return Sifted(rows, _none_refused(), ())
    unsorted = int((rows["open_time"].diff() < timedelta(0)).sum())
    had = completeness if completeness is not None else pl.repeat(0, rows.height, eager=True)
    unique = rows.with_columns(had.alias(_HAD)).unique([*SCHEMA], maintain_order=True)
    labelled = unique.with_columns(_reason(interval).alias(REASON))
    labelled = labelled.with_columns(_contradicted().alias(REASON))
    refused = labelled.filter(pl.col(REASON).is_not_null()).drop(_HAD)
    good = labelled.filter(pl.col(REASON).is_null()).select(*SCHEMA).sort("open_time")
    found = Counter(refused[REASON].to_list())
    found.update({REPAIRED_UNSORTED: unsorted, REPAIRED_REPEATS: rows.height - unique.height})
    return Sifted(good, refused, tuple(Problem(k, n) for k, n in sorted(found.items()) if n))


def _none_refused() -> pl.DataFrame:
    return empty().with_columns(pl.lit(None, pl.String()).alias(REASON))


def _reason(interval: Interval) -> pl.Expr:
    time = pl.col("open_time")
    rules = {
        "no_open_time": time.is_null(),
        "off_grid": off_grid(interval),
        "bad_price": ~broken_free_prices(),
        "bad_high_low": ~high_low_ok(),
        "bad_volume": ~volumes_ok(),
    }
    first = pl.lit(None, dtype=pl.String())
    for name, broken in reversed(rules.items()):
        first = pl.when(broken).then(pl.lit(name)).otherwise(first)
    return first


def _contradicted() -> pl.Expr:
    """Keep the reason there is; else judge among the rows of one time that have none."""
    sound = pl.col(REASON).is_null()
    had = pl.when(sound).then(pl.col(_HAD))
    best = (had == had.max().over("open_time")) & sound
    alone = best.sum().over("open_time") == 1
    rivals = sound.sum().over("open_time") > 1
    return pl.when(sound & rivals & ~(best & alone)).then(pl.lit(CONFLICTING)).otherwise(REASON)
