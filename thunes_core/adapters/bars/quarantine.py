"""Rows that failed validation, kept aside with the reason: never dropped silently, never traded on.

Add here: a way to look at refused rows. Keep out: why they are refused (see `sift`).
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl

from thunes_core.adapters.bars.files import locked, read_parquet, write_parquet
from thunes_core.adapters.bars.paths import Tree
from thunes_core.domain.bars import SCHEMA, TIME, Interval

QUARANTINED: dict[str, pl.DataType] = {
    **SCHEMA,
    "reason": pl.String(),
    "source": pl.String(),
    "observed_at": TIME,
}


class Quarantine:
    """Refused rows by symbol and interval below `root`."""

    def __init__(self, root: Path | str) -> None:
        self._rows = Tree(Path(root), "quarantine")
        self._locks = Tree(Path(root), "locks")

    def add(
        self,
        refused: pl.DataFrame,
        *,
        symbol: str,
        interval: Interval,
        source: str,
        observed_at: datetime,
    ) -> int:
        """Keep `refused` (bars schema plus `reason`); return how many rows are new here.

        The same row for the same reason is kept once, with the moment it was first seen.
        """
        if refused.is_empty():
            return 0
        rows = refused.with_columns(
            source=pl.lit(source), observed_at=pl.lit(observed_at, dtype=TIME)
        ).select(*QUARANTINED)
        path = self._rows.whole(symbol, interval)
        with locked(self._locks.series(symbol, interval) / "quarantine.lock"):
            known = self.rows(symbol, interval)
            both = pl.concat([known, rows]).unique(
                [*SCHEMA, "reason"], keep="first", maintain_order=True
            )
            if both.height > known.height:
                write_parquet(both, path)
        return both.height - known.height

    def rows(self, symbol: str, interval: Interval) -> pl.DataFrame:
        """Return every refused row, with `reason`, `source` and `observed_at`."""
        path = self._rows.whole(symbol, interval)
        return (
            read_parquet(path, QUARANTINED) if path.exists() else pl.DataFrame(schema=QUARANTINED)
        )
