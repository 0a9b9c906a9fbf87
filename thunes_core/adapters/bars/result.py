"""What an ingestion did, in rows; and the step that every ingestion ends with: sift, keep, replace.

Add here: a figure that people want of an ingestion. Keep out: where rows come from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from thunes_core.adapters.bars.sift import sift
from thunes_core.adapters.bars.store import BarStore, WindowResult
from thunes_core.domain.bars import Gap, Problem
from thunes_core.domain.window import Window


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What came in and what became of it, in rows. `first` and `last` are stored open times.

    `gaps` are all missing bars of the window, `undeclared` those that are no declared outage.
    """

    received: int
    written: int
    revised: int
    withdrawn: int
    refused: int
    first: datetime | None
    last: datetime | None
    gaps: tuple[Gap, ...]
    problems: tuple[Problem, ...]
    undeclared: tuple[Gap, ...] = ()

    @property
    def changed(self) -> bool:
        """True when anything computed from this window is stale."""
        return bool(self.written or self.revised or self.withdrawn)

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON shape of `thunes ingest --json`; times ISO 8601 UTC."""
        return {
            "received": self.received,
            "written": self.written,
            "revised": self.revised,
            "refused": self.refused,
            "gaps": [_gap(g) for g in self.gaps],
            "problems": [{"kind": p.kind, "rows": p.rows} for p in self.problems],
        }


def together(parts: Sequence[IngestResult]) -> IngestResult:
    """Return what the ingestions of neighbouring windows, in order, did as one."""
    kinds: Counter[str] = Counter()
    for part in parts:
        kinds.update({p.kind: p.rows for p in part.problems})
    edges = [(part.first, part.last) for part in parts if part.first and part.last]
    return IngestResult(
        received=sum(part.received for part in parts),
        written=sum(part.written for part in parts),
        revised=sum(part.revised for part in parts),
        withdrawn=sum(part.withdrawn for part in parts),
        refused=sum(part.refused for part in parts),
        first=edges[0][0] if edges else None,
        last=edges[-1][1] if edges else None,
        gaps=tuple(gap for part in parts for gap in part.gaps),
        problems=tuple(Problem(kind, rows) for kind, rows in sorted(kinds.items())),
        undeclared=tuple(gap for part in parts for gap in part.undeclared),
    )


def store_rows(
    store: BarStore, rows: pl.DataFrame, window: Window, *, source: str, observed_at: datetime
) -> IngestResult:
    """Sift `rows` (columns of the bars schema), quarantine what fails, replace `window`."""
    sifted = sift(rows, window.interval)
    store.quarantine.add(
        sifted.refused,
        symbol=window.symbol,
        interval=window.interval,
        source=source,
        observed_at=observed_at,
    )
    done = replace(store, sifted.bars, window, observed_at)
    found = [*sifted.problems, Problem("withdrawn", done.withdrawn)]
    return result_of(rows.height, sifted.bars, sifted.refused.height, found, done)


def replace(
    store: BarStore, bars: pl.DataFrame, window: Window, observed_at: datetime
) -> WindowResult:
    """Make the stored bars of `window` exactly `bars`."""
    return store.replace_window(
        bars,
        symbol=window.symbol,
        interval=window.interval,
        start=window.start,
        end=window.end,
        observed_at=observed_at,
    )


def result_of(
    received: int, bars: pl.DataFrame, refused: int, found: Sequence[Problem], done: WindowResult
) -> IngestResult:
    """Bring together what was received, refused and found, and what replacing the window did."""
    times = bars["open_time"]
    return IngestResult(
        received=received,
        written=done.written,
        revised=done.revised,
        withdrawn=done.withdrawn,
        refused=refused,
        first=times[0] if len(times) else None,
        last=times[-1] if len(times) else None,
        gaps=done.gaps,
        problems=tuple(problem for problem in found if problem.rows),
        undeclared=done.gaps,
    )


def _gap(gap: Gap) -> dict[str, Any]:
    return {"start": _iso(gap.start), "end": _iso(gap.end), "bars": gap.bars}


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
