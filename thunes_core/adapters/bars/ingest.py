"""From rows to stored bars: sift, keep the refused aside, ask again for gaps, replace the window.

Add here: a step that every ingestion takes. Keep out: formats of files, requests of an exchange.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from thunes_core.adapters.bars.sift import Sifted, sift
from thunes_core.adapters.bars.store import BarStore, WindowResult
from thunes_core.domain.bars import Gap, Interval, Problem, gaps
from thunes_core.trading.ports import MarketData


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What came in and what became of it, in rows. `first` and `last` are stored open times."""

    received: int
    written: int
    revised: int
    withdrawn: int
    refused: int
    first: datetime | None
    last: datetime | None
    gaps: tuple[Gap, ...]
    problems: tuple[Problem, ...]

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
            "gaps": [
                {"start": _iso(g.start), "end": _iso(g.end), "bars": g.bars} for g in self.gaps
            ],
            "problems": [{"kind": p.kind, "rows": p.rows} for p in self.problems],
        }


def ingest_window(
    market: MarketData,
    store: BarStore,
    symbol: str,
    interval: Interval,
    start: datetime,
    end: datetime,
) -> IngestResult:
    """Bring the stored bars of [start, end) to what the exchange says now; closed bars only.

    Gaps are asked for once more before they are accepted as missing. Running it again changes
    nothing unless the exchange does. Errors: as `MarketData` and `BarStore`.
    """
    now = market.server_time()
    rows = market.klines(symbol, interval, start, end)
    again = [
        market.klines(symbol, interval, g.start, g.end + interval.duration)
        for g in gaps(rows, interval)
    ]
    if any(not found.is_empty() for found in again):
        rows = pl.concat([rows, *again]).sort("open_time")
    return store_rows(
        store, rows, symbol, interval, (start, end), source="exchange", observed_at=now
    )


def store_rows(
    store: BarStore,
    rows: pl.DataFrame,
    symbol: str,
    interval: Interval,
    window: tuple[datetime, datetime],
    *,
    source: str,
    observed_at: datetime,
) -> IngestResult:
    """Sift `rows` (columns of the bars schema), quarantine what fails, replace `window`."""
    sifted = sift(rows, interval)
    store.quarantine.add(
        sifted.refused, symbol=symbol, interval=interval, source=source, observed_at=observed_at
    )
    done = store.replace_window(
        sifted.bars,
        symbol=symbol,
        interval=interval,
        start=window[0],
        end=window[1],
        observed_at=observed_at,
    )
    return _result(rows.height, sifted, done)


def _result(received: int, sifted: Sifted, done: WindowResult) -> IngestResult:
    times = sifted.bars["open_time"]
    return IngestResult(
        received=received,
        written=done.written,
        revised=done.revised,
        withdrawn=done.withdrawn,
        refused=sifted.refused.height,
        first=times[0] if len(times) else None,
        last=times[-1] if len(times) else None,
        gaps=done.gaps,
        problems=sifted.problems,
    )


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
