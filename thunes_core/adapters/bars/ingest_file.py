"""From a file to stored bars: read by the rules, compare with what is stored, add and revise.

Add here: a step that taking in a file needs. Keep out: formats, rules about rows.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl

from thunes_core.adapters.bars.importers import read_file
from thunes_core.adapters.bars.result import IngestResult, replace, result_of
from thunes_core.adapters.bars.store import BarStore
from thunes_core.adapters.bars.suspicions import stranger
from thunes_core.clock import SystemClock
from thunes_core.domain.bars import PRICES, SCHEMA, Interval, empty
from thunes_core.domain.window import Window
from thunes_core.errors import BarsInvalid


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
    times = found.bars["open_time"]
    window = Window(symbol, interval, times[0], times[-1] + interval.duration)
    known = store.read(symbol, interval, window.start, window.end)
    why = stranger(found.bars, known, interval)
    if why:
        raise BarsInvalid(f"{path}: expected bars of the same market as those stored; {why}")
    held = known if interval in store.intervals(symbol) else empty()
    store.quarantine.add(
        found.refused, symbol=symbol, interval=interval, source=path.name, observed_at=now
    )
    done = replace(store, complete_from(found.bars, held, found.lacking), window, now)
    return result_of(found.received, found.bars, found.refused.height, found.problems, done)


def complete_from(bars: pl.DataFrame, held: pl.DataFrame, lacking: tuple[str, ...]) -> pl.DataFrame:
    """Add held bars that `bars` do not have, and the `lacking` columns where the rest is equal."""
    if held.is_empty():
        return bars
    same = ["open_time", *PRICES, "volume"]
    fuller = bars.join(held.select(*same, *lacking), on=same, how="left", suffix="_held")
    filled = fuller.with_columns(pl.coalesce(f"{name}_held", name).alias(name) for name in lacking)
    kept = held.join(bars, on="open_time", how="anti")
    return pl.concat([filled.select(*SCHEMA), kept]).sort("open_time")
