"""From rows to stored bars: sift, keep the refused aside, ask again for gaps, replace the window.

Add here: a step that every ingestion takes. Keep out: formats of files, requests of an exchange.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import polars as pl

from thunes_core.adapters.bars.importers import read_file
from thunes_core.adapters.bars.sift import sift
from thunes_core.adapters.bars.store import BarStore, WindowResult
from thunes_core.adapters.bars.suspicions import stranger
from thunes_core.clock import SystemClock
from thunes_core.domain.bars import PRICES, SCHEMA, Gap, Interval, Problem, empty
from thunes_core.domain.window import Window
from thunes_core.errors import BarsInvalid
from thunes_core.trading.ports import MarketData

EXCHANGE = "exchange"
SETTLED = timedelta(hours=1)
"""A missing bar that closed less than this ago may still come: a gap, not yet an outage."""


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


@runtime_checkable
class ReadsMany(Protocol):
    """A market that reads many windows at once."""

    def klines_many(self, windows: Sequence[Window]) -> list[pl.DataFrame]:
        """Return `klines` of each of `windows`, in that order."""
        ...


def ingest_window(
    market: MarketData,
    store: BarStore,
    symbol: str,
    interval: Interval,
    start: datetime,
    end: datetime,
) -> IngestResult:
    """Bring the stored bars of [start, end) to what the exchange says now; closed bars only.

    Gaps are asked for once more; what is missing then is declared an outage, with the evidence,
    once it is `SETTLED` old. Running it again changes nothing unless the exchange does. Errors: as
    `MarketData` and `BarStore`.
    """
    return take_in(market, store, Window(symbol, interval, start, end))


def ingest_windows(
    market: MarketData, store: BarStore, windows: Sequence[Window]
) -> dict[Window, IngestResult]:
    """As `ingest_window` for several windows, asked for all at once where the market can."""
    if not isinstance(market, ReadsMany):
        return {window: take_in(market, store, window) for window in windows}
    found = market.klines_many(windows)
    return {
        window: take_in(market, store, window, rows)
        for window, rows in zip(windows, found, strict=True)
    }


def take_in(
    market: MarketData, store: BarStore, window: Window, rows: pl.DataFrame | None = None
) -> IngestResult:
    """Store what the market has of `window`; `rows` are its bars when they are known already."""
    symbol, interval, span = window.symbol, window.interval, (window.start, window.end)
    now = market.server_time()
    if rows is None:
        rows = market.klines(symbol, interval, *span)
    result = store_rows(store, rows, symbol, interval, span, source=EXCHANGE, observed_at=now)
    late = _ask_again(market, symbol, interval, result.gaps)
    if not late.is_empty():
        rows = pl.concat([rows, late]).unique("open_time").sort("open_time")
        more = store_rows(store, rows, symbol, interval, span, source=EXCHANGE, observed_at=now)
        result = replace(more, written=result.written + more.written, revised=result.revised)
    store.outages.declare(
        [hole for hole in result.gaps if hole.end + interval.duration + SETTLED < now],
        symbol=symbol,
        interval=interval,
        window=span,
        evidence=f"asked twice at {now:%Y-%m-%d %H:%M:%S}; bars on both sides, none between",
        at=now,
    )
    undeclared = store.outages.undeclared(result.gaps, symbol, interval)
    return replace(result, undeclared=tuple(undeclared))


def _ask_again(
    market: MarketData, symbol: str, interval: Interval, holes: Sequence[Gap]
) -> pl.DataFrame:
    found = [
        market.klines(symbol, interval, hole.start, hole.end + interval.duration) for hole in holes
    ]
    return pl.concat([empty(), *found])


def ingest_file(
    path: Path,
    store: BarStore,
    symbol: str,
    interval: Interval,
    now: datetime | None = None,
) -> IngestResult:
    """Store the bars of a file by docs/data-quality.md; `now` defaults to this machine's clock.

    A file adds and revises bars, it never withdraws what it merely lacks. `BarsInvalid` when it
    contradicts the stored bars of that symbol so much that it must be from elsewhere.
    """
    now = now or SystemClock().now()
    found = read_file(path, symbol=symbol, interval=interval, now=now)
    window = found.bars["open_time"][0], found.bars["open_time"][-1] + interval.duration
    known = store.read(symbol, interval, *window)
    why = stranger(found.bars, known, interval)
    if why:
        raise BarsInvalid(f"{path}: expected bars of the same market as those stored; {why}")
    held = known if interval in store.intervals(symbol) else empty()
    store.quarantine.add(
        found.refused, symbol=symbol, interval=interval, source=path.name, observed_at=now
    )
    done = store.replace_window(
        complete_from(found.bars, held, found.lacking),
        symbol=symbol,
        interval=interval,
        start=window[0],
        end=window[1],
        observed_at=now,
    )
    return _result(found.received, found.bars, found.refused.height, found.problems, done)


def complete_from(bars: pl.DataFrame, held: pl.DataFrame, lacking: tuple[str, ...]) -> pl.DataFrame:
    """Add held bars that `bars` do not have, and the `lacking` columns where the rest is equal."""
    if held.is_empty():
        return bars
    same = ["open_time", *PRICES, "volume"]
    fuller = bars.join(held.select(*same, *lacking), on=same, how="left", suffix="_held")
    filled = fuller.with_columns(pl.coalesce(f"{name}_held", name).alias(name) for name in lacking)
    kept = held.join(bars, on="open_time", how="anti")
    return pl.concat([filled.select(*SCHEMA), kept]).sort("open_time")


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
    found = [*sifted.problems, Problem("withdrawn", done.withdrawn)]
    return _result(rows.height, sifted.bars, sifted.refused.height, found, done)


def _result(
    received: int, bars: pl.DataFrame, refused: int, found: Sequence[Problem], done: WindowResult
) -> IngestResult:
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
