"""From the exchange to stored bars: fetch in batches, store, ask again for gaps, declare outages.

Add here: a step that every ingestion from an exchange takes. Keep out: requests, rules about rows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

import polars as pl

from thunes_core.adapters.bars.result import IngestResult, store_rows, together
from thunes_core.adapters.bars.store import BarStore
from thunes_core.adapters.bars.suspicions import ODD_CLOSE
from thunes_core.domain.bars import Gap, Interval
from thunes_core.domain.window import Window
from thunes_core.trading.ports import MarketData

EXCHANGE = "exchange"
SETTLED = timedelta(hours=1)
"""A missing bar that closed less than this ago may still come: a gap, not yet an outage."""

CHUNK_BARS, BATCH_BARS = 50_000, 400_000
"""So many bars of a series, and of all series, are in memory at once."""

Tell = Callable[[int, int], None]
"""Called with bars asked for and stored, and how many there are to ask for."""


@runtime_checkable
class ReadsMany(Protocol):
    """A market that reads many windows at once."""

    def klines_many(self, windows: Sequence[Window]) -> list[pl.DataFrame]:
        """Return `klines` of each of `windows`, in that order."""
        ...


@runtime_checkable
class TellsCloses(Protocol):
    """A market that tells when a bar closed by its own account."""

    def close_time(self, symbol: str, interval: Interval, open_time: datetime) -> datetime | None:
        """Return when the bar closed, UTC; None where there is none."""
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
    window = Window(symbol, interval, start, end)
    return ingest_windows(market, store, [window])[window]


def ingest_windows(
    market: MarketData, store: BarStore, windows: Sequence[Window], tell: Tell | None = None
) -> dict[Window, IngestResult]:
    """As `ingest_window` for several windows, asked for at once, in batches that fit in memory."""
    now = market.server_time()
    parts: dict[int, list[IngestResult]] = {number: [] for number in range(len(windows))}
    stored, total = 0, sum(map(_bars_in, windows))
    for batch in _batches(windows):
        found = _read(market, [chunk for _, chunk in batch])
        for (number, chunk), rows in zip(batch, found, strict=True):
            done = store_rows(store, rows, chunk, source=EXCHANGE, observed_at=now)
            parts[number].append(done)
            stored += _bars_in(chunk)
            if tell is not None:
                tell(stored, total)
    return {
        window: _settle(market, store, window, together(parts[number]), now)
        for number, window in enumerate(windows)
    }


def _batches(windows: Sequence[Window]) -> Iterator[list[tuple[int, Window]]]:
    """Yield numbered chunks of `windows` in batches of at most `BATCH_BARS` bars."""
    batch: list[tuple[int, Window]] = []
    size = 0
    for number, window in enumerate(windows):
        for chunk in chunks(window):
            bars = _bars_in(chunk)
            if batch and size + bars > BATCH_BARS:
                yield batch
                batch, size = [], 0
            batch.append((number, chunk))
            size += bars
    if batch:
        yield batch


def _bars_in(window: Window) -> int:
    return (window.end - window.start) // window.interval.duration


def chunks(window: Window) -> Iterator[Window]:
    """Cut `window` into neighbouring ones of at most `CHUNK_BARS` bars."""
    start, step = window.start, window.interval.duration * CHUNK_BARS
    while start < window.end:
        yield dataclasses.replace(window, start=start, end=min(start + step, window.end))
        start += step


def _read(market: MarketData, windows: Sequence[Window]) -> list[pl.DataFrame]:
    if isinstance(market, ReadsMany):
        return market.klines_many(windows)
    return [market.klines(w.symbol, w.interval, w.start, w.end) for w in windows]


def _settle(
    market: MarketData, store: BarStore, window: Window, result: IngestResult, now: datetime
) -> IngestResult:
    """Ask again for the gaps of a stored window, and declare what is missing then."""
    symbol, interval = window.symbol, window.interval
    missing = store.gaps(symbol, interval, window.start, window.end)
    if missing:
        late = _ask_again(market, store, window, missing, now)
        result = dataclasses.replace(
            result, received=result.received + late, written=result.written + late
        )
        missing = store.gaps(symbol, interval, window.start, window.end)
    store.outages.declare(
        [hole for hole in missing if hole.end + interval.duration + SETTLED < now],
        symbol=symbol,
        interval=interval,
        window=(window.start, window.end),
        evidence=lambda hole: _evidence(market, window, hole, now),
        at=now,
    )
    undeclared = store.outages.undeclared(missing, symbol, interval)
    return dataclasses.replace(result, gaps=tuple(missing), undeclared=tuple(undeclared))


def _evidence(market: MarketData, window: Window, hole: Gap, now: datetime) -> str:
    """Return what speaks for an outage: the asking, and a bar before it that was broken off."""
    told = f"asked twice at {now:%Y-%m-%d %H:%M:%S}; bars on both sides, none between"
    if not isinstance(market, TellsCloses):
        return told
    step = window.interval.duration
    closed = market.close_time(window.symbol, window.interval, hole.start - step)
    if closed is None or abs(hole.start - closed) <= ODD_CLOSE:
        return told
    return f"{told}; the bar before it closed at {closed:%Y-%m-%d %H:%M:%S}"


def _ask_again(
    market: MarketData, store: BarStore, window: Window, holes: Sequence[Gap], now: datetime
) -> int:
    """Read each hole once more and store what is there now; return how many bars that were."""
    step = window.interval.duration
    asked = [dataclasses.replace(window, start=hole.start, end=hole.end + step) for hole in holes]
    found = zip(asked, _read(market, asked), strict=True)
    return sum(
        store_rows(store, rows, hole, source=EXCHANGE, observed_at=now).written
        for hole, rows in found
        if not rows.is_empty()
    )
