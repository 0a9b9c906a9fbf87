"""Checks of bars, computed in the step that ingests them.

Schema and duplicates are blocking: nothing downstream of the run starts. Gaps and freshness warn.

Add here: a check of what an ingestion brought. Keep out: what makes a bar valid (core).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dagster as dg
import polars as pl

from thunes_core.adapters.bars.ingest import IngestResult
from thunes_core.adapters.bars.sift import CONFLICTING
from thunes_core.domain.bars import Interval

FRESH_INTERVALS = 2
"""Bars are fresh when the last one closed less than so many intervals ago."""


@dataclass(frozen=True, slots=True)
class Ingested:
    """What ingesting one partition did, the bars stored now, and the time they should reach."""

    result: IngestResult
    stored: pl.DataFrame
    until: datetime

    @property
    def conflicts(self) -> int:
        """Rows refused because versions of one bar contradict each other."""
        return sum(p.rows for p in self.result.problems if p.kind == CONFLICTING)

    def bars_behind(self, interval: Interval) -> int | None:
        """Closed bars missing at the end; None where nothing is stored."""
        last = self.stored["open_time"].max()
        if not isinstance(last, datetime):
            return None
        return (self.until - last) // interval.duration - 1


def specs(key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """Return what the bars asset promises to check."""
    fresh = f"The last bar closed less than {FRESH_INTERVALS} intervals ago."
    told = {
        "schema": "Every row received is a valid bar.",
        "duplicates": "No bar came in versions that contradict each other.",
        "gaps": "No bar is missing between the first and the last, declared outages apart.",
        "freshness": fresh,
    }
    return [
        dg.AssetCheckSpec(
            name, asset=key, blocking=name in ("schema", "duplicates"), description=text
        )
        for name, text in told.items()
    ]


def results(outcomes: Sequence[Ingested], interval: Interval) -> list[dg.AssetCheckResult]:
    """Return the verdicts over all partitions of one run."""
    conflicts = sum(o.conflicts for o in outcomes)
    broken = sum(o.result.refused for o in outcomes) - conflicts
    missing = sum(g.bars for o in outcomes for g in o.result.undeclared)
    declared = sum(g.bars for o in outcomes for g in o.result.gaps) - missing
    behind = [o.bars_behind(interval) for o in outcomes]
    stale = sum(b is None or b >= FRESH_INTERVALS for b in behind)
    return [
        _verdict("schema", broken == 0, refused_rows=broken),
        _verdict("duplicates", conflicts == 0, contradicting_rows=conflicts),
        _verdict(
            "gaps",
            missing == 0,
            dg.AssetCheckSeverity.WARN,
            missing_bars=missing,
            bars_in_declared_outages=declared,
        ),
        _verdict("freshness", stale == 0, dg.AssetCheckSeverity.WARN, stale_partitions=stale),
    ]


def _verdict(
    name: str,
    passed: bool,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
    **metadata: Any,
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(check_name=name, passed=passed, severity=severity, metadata=metadata)
