"""Checks of bars, computed in the step that ingests them.

Schema and duplicates are blocking: nothing downstream of the run starts. The others warn. A failing
check of the running month also holds back new entries on the symbol (exits never) until it passes;
spikes are judged by the tick itself, bar by bar, and a foreign venue is lifted by a person only.

Add here: a check of what an ingestion brought. Keep out: what makes a bar valid (core).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dagster as dg
import polars as pl

from thunes_core.adapters.bars.result import IngestResult
from thunes_core.adapters.bars.sift import CONFLICTING
from thunes_core.domain.bars import Interval
from thunes_core.domain.spikes import spikes

FRESH_INTERVALS = 2
"""Bars are fresh when the last one closed less than so many intervals ago."""

LEAST_COMMON, MOST_REVISED = 20, 0.5
"""Where so many bars were stored before, and more than this share is told otherwise now, the bars
are from another market than before."""

CROSS_INTERVAL, FOREIGN_VENUE = "cross_interval", "foreign_venue"
_BLOCKING = ("schema", "duplicates")
LIFTED = (*_BLOCKING, "gaps", "freshness", CROSS_INTERVAL)
"""Holds that the next good run of the running month lifts."""
_TOLD = {
    "schema": "Every row received is a valid bar.",
    "duplicates": "No bar came in versions that contradict each other.",
    "gaps": "No bar is missing between the first and the last, declared outages apart.",
    "freshness": f"The last bar closed less than {FRESH_INTERVALS} intervals ago.",
    "spikes": "No close moved more than 20 times the usual.",
    CROSS_INTERVAL: "Our bars, made coarser, are the exchange's own coarse bars in every field.",
    FOREIGN_VENUE: "The bars are of the market they were of before, and of the second source's.",
}


@dataclass(frozen=True, slots=True)
class Ingested:
    """What ingesting one partition did, the bars stored now, and the time they should reach.

    `differing`: coarse bars that the exchange tells otherwise than ours, by open time. `second`:
    why they are not of the second source's market, or that it could not be asked (`asked_second`
    False).
    """

    symbol: str
    result: IngestResult
    stored: pl.DataFrame
    until: datetime
    differing: tuple[datetime, ...] = ()
    second: str = ""
    asked_second: bool = False

    @property
    def conflicts(self) -> int:
        """Rows refused because versions of one bar contradict each other."""
        return sum(p.rows for p in self.result.problems if p.kind == CONFLICTING)

    @property
    def is_foreign(self) -> bool:
        """True when the bars are of another market than before, or than the second source's."""
        return self.is_restated or bool(self.asked_second and self.second)

    @property
    def is_restated(self) -> bool:
        """True when most of the bars that were stored before are told otherwise now."""
        before = self.result.received - self.result.written
        return before >= LEAST_COMMON and self.result.revised > MOST_REVISED * before

    def is_stale(self, interval: Interval) -> bool:
        """True when closed bars are missing at the end, or nothing is stored."""
        last = self.stored["open_time"].max()
        if not isinstance(last, datetime):
            return True
        return (self.until - last) // interval.duration > FRESH_INTERVALS

    def findings(self, interval: Interval) -> dict[str, str]:
        """Return the failing checks that hold entries back, each with its sentence."""
        refused = self.result.refused - self.conflicts
        missing = sum(gap.bars for gap in self.result.undeclared)
        first = f"{self.differing[0]:%Y-%m-%d %H:%M}" if self.differing else ""
        told = f"{self.result.revised} stored bars are told otherwise now: another market?"
        found = {
            "schema": (refused, f"{refused} rows of this month are no valid bars"),
            "duplicates": (self.conflicts, f"{self.conflicts} rows contradict each other"),
            "gaps": (missing, f"{missing} bars are missing and no declared outage yet"),
            "freshness": (self.is_stale(interval), "the newest closed bars are missing"),
            CROSS_INTERVAL: (
                len(self.differing),
                f"{len(self.differing)} coarse bars differ, first {first}",
            ),
            FOREIGN_VENUE: (
                self.is_foreign,
                told if self.is_restated else f"{self.second}: another market, futures?",
            ),
        }
        return {name: sentence for name, (failed, sentence) in found.items() if failed}


def specs(key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """Return what the bars asset promises to check."""
    return [
        dg.AssetCheckSpec(name, asset=key, blocking=name in _BLOCKING, description=text)
        for name, text in _TOLD.items()
    ]


def results(outcomes: Sequence[Ingested], interval: Interval) -> list[dg.AssetCheckResult]:
    """Return the verdicts over all partitions of one run."""
    conflicts = sum(o.conflicts for o in outcomes)
    missing = sum(g.bars for o in outcomes for g in o.result.undeclared)
    absent = sum(g.bars for o in outcomes for g in o.result.gaps)
    return [
        _verdict("schema", sum(o.result.refused for o in outcomes) - conflicts, "refused_rows"),
        _verdict("duplicates", conflicts, "contradicting_rows"),
        _verdict("gaps", missing, "missing_bars", bars_in_declared_outages=absent - missing),
        _verdict("freshness", sum(o.is_stale(interval) for o in outcomes), "stale_partitions"),
        _verdict("spikes", sum(int(spikes(o.stored).sum()) for o in outcomes), "spikes"),
        _verdict(CROSS_INTERVAL, sum(len(o.differing) for o in outcomes), "differing_bars"),
        _verdict(
            FOREIGN_VENUE,
            sum(o.is_foreign for o in outcomes),
            "foreign_partitions",
            compared_with_second_source=sum(o.asked_second for o in outcomes),
            second_source=next((o.second for o in outcomes if o.second), "agrees, or is not set"),
        ),
    ]


def _verdict(name: str, found: int, counted: str, **more: Any) -> dg.AssetCheckResult:
    """Pass when nothing was found; `counted` names what was counted."""
    error, warn = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(
        check_name=name,
        passed=found == 0,
        severity=error if name in _BLOCKING else warn,
        metadata={counted: found, **more},
    )
