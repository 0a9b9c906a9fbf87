"""What a month file becomes when a window of it is replaced; pure.

Add here: a rule about versions of stored bars. Keep out: files, locks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from thunes_core.domain.bars import SCHEMA, TIME

_VALUES = [name for name in SCHEMA if name not in ("symbol", "interval", "open_time")]
STORED: dict[str, pl.DataType] = {
    "open_time": TIME,
    **{n: SCHEMA[n] for n in _VALUES},
    "observed_at": TIME,
}
REVISED: dict[str, pl.DataType] = {**STORED, "replaced_at": TIME}


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows that are new, that differ from the stored ones, and that are no more."""

    written: int = 0
    revised: int = 0
    withdrawn: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.written + other.written,
            self.revised + other.revised,
            self.withdrawn + other.withdrawn,
        )

    @property
    def any(self) -> bool:
        """True when the file must be written."""
        return bool(self.written or self.revised or self.withdrawn)


@dataclass(frozen=True, slots=True)
class Change:
    """What a month file becomes, and the older versions that leave it."""

    stored: pl.DataFrame
    retired: pl.DataFrame
    counts: Counts


def merge(
    old: pl.DataFrame, bars: pl.DataFrame, window: tuple[datetime, datetime], observed_at: datetime
) -> Change:
    """Decide what a month file becomes; pure. Equal bars keep the moment they were first seen."""
    inside = between(old, *window)
    new = bars.select("open_time", *_VALUES)
    if inside.drop("observed_at").equals(new):
        return Change(old, old.clear().with_columns(replaced_at=pl.lit(None, TIME)), Counts())
    outside = old.join(inside, on="open_time", how="anti")
    same = inside.join(new, on=["open_time", *_VALUES], how="semi")
    fresh = new.join(same, on="open_time", how="anti").with_columns(
        observed_at=pl.lit(observed_at, dtype=TIME)
    )
    retired = inside.join(same, on="open_time", how="anti")
    revised = retired.join(fresh, on="open_time", how="semi").height
    counts = Counts(fresh.height - revised, revised, retired.height - revised)
    return Change(
        pl.concat([outside, same, fresh.select(*STORED)]).sort("open_time"),
        retired.with_columns(replaced_at=pl.lit(observed_at, dtype=TIME)),
        counts,
    )


def as_known(rows: pl.DataFrame, older: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """Return the rows as they stood at `as_of`, from present ones and `older` versions."""
    present = rows.filter(pl.col("observed_at") <= as_of)
    past = older.filter((pl.col("observed_at") <= as_of) & (pl.col("replaced_at") > as_of))
    both = pl.concat([past.select(*STORED), present])
    return both.unique("open_time", keep="last").sort("open_time")


def between(frame: pl.DataFrame, start: datetime, end: datetime) -> pl.DataFrame:
    """Return the rows with start <= open_time < end; the edges may be in any zone."""
    low, high = start.astimezone(UTC), end.astimezone(UTC)
    return frame.filter((pl.col("open_time") >= low) & (pl.col("open_time") < high))
