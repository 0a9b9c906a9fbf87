"""Declared outages: bars the exchange does not have, with the evidence; never filled with prices.

Add here: a way to look at outages. Keep out: finding gaps (domain), asking again (see `ingest`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path

import polars as pl

from thunes_core.adapters.bars.files import locked, read_parquet, write_parquet
from thunes_core.adapters.bars.paths import Tree
from thunes_core.domain.bars import TIME, Gap, Interval

DECLARED: dict[str, pl.DataType] = {
    "start": TIME,
    "end": TIME,
    "bars": pl.Int64(),
    "evidence": pl.String(),
    "declared_at": TIME,
    "repaired_at": TIME,
}


class Outages:
    """Outages by symbol and interval below `root`; `repaired_at` is null while one stands."""

    def __init__(self, root: Path | str) -> None:
        self._rows = Tree(Path(root), "outages")
        self._locks = Tree(Path(root), "locks")

    def declare(
        self,
        gaps: Sequence[Gap],
        *,
        symbol: str,
        interval: Interval,
        window: tuple[datetime, datetime],
        evidence: Callable[[Gap], str],
        at: datetime,
    ) -> None:
        """Make `gaps` the standing outages that begin in `window`; others there are repaired.

        An outage that stands already keeps its evidence and moment, so nothing is written then;
        `evidence` is asked for new ones only.
        """
        with locked(self._locks.series(symbol, interval) / "outages.lock"):
            known = self.rows(symbol, interval)
            here = pl.col("start").is_between(*window, closed="left")
            standing = known.filter(here & pl.col("repaired_at").is_null())
            found = _frame(gaps, at)
            same = ["start", "end"]
            new = found.join(standing, on=same, how="anti")
            gone = standing.join(found, on=same, how="anti")
            if new.is_empty() and gone.is_empty():
                return
            new = _with_evidence(new, evidence)
            kept = known.join(gone, on=[*same, "declared_at"], how="anti")
            repaired = gone.with_columns(repaired_at=pl.lit(at, dtype=TIME))
            both = pl.concat([kept, repaired, new]).sort("start", "declared_at")
            write_parquet(both, self._rows.whole(symbol, interval))

    def rows(self, symbol: str, interval: Interval) -> pl.DataFrame:
        """Return every outage ever declared."""
        path = self._rows.whole(symbol, interval)
        return read_parquet(path, DECLARED) if path.exists() else pl.DataFrame(schema=DECLARED)

    def undeclared(self, gaps: Iterable[Gap], symbol: str, interval: Interval) -> list[Gap]:
        """Return those of `gaps` that no standing outage covers."""
        standing = self.rows(symbol, interval).filter(pl.col("repaired_at").is_null())
        spans = list(standing.select("start", "end").iter_rows())
        return [g for g in gaps if not any(a <= g.start and g.end <= b for a, b in spans)]


def _frame(gaps: Sequence[Gap], at: datetime) -> pl.DataFrame:
    rows = [(g.start, g.end, g.bars, "", at, None) for g in gaps]
    return pl.DataFrame(rows, schema=DECLARED, orient="row")


def _with_evidence(rows: pl.DataFrame, evidence: Callable[[Gap], str]) -> pl.DataFrame:
    told = [evidence(Gap(*row)) for row in rows.select("start", "end", "bars").iter_rows()]
    return rows.with_columns(evidence=pl.Series(told, dtype=pl.String()))
