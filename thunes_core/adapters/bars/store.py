"""The bars lake: month files of closed bars, replaced window by window, older versions kept.

A stored row is a bar plus `observed_at`, the moment it was first seen in this version. What a
window no longer holds, or holds differently, moves to the tree `revisions` with `replaced_at`: so
any past state can be read (`as_of`). A month is replaced in one move; a window over several months
is replaced month by month.

Add here: a question about stored bars. Keep out: where they come from, what makes them valid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from thunes_core.adapters.bars.files import locked, read_all, read_parquet, write_parquet
from thunes_core.adapters.bars.holds import Holds
from thunes_core.adapters.bars.merge import REVISED, STORED, Counts, as_known, between, merge
from thunes_core.adapters.bars.outages import Outages
from thunes_core.adapters.bars.paths import Tree, checked_symbol, month_edges, months_between
from thunes_core.adapters.bars.quarantine import Quarantine
from thunes_core.domain.bars import (
    SCHEMA,
    TIME,
    Gap,
    Interval,
    empty,
    gaps,
    require_valid,
    resample,
)
from thunes_core.errors import BarsInvalid

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
FOREVER = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class WindowResult:
    """What replacing a window did, in rows; `gaps` are those inside the window, declared or not."""

    symbol: str
    interval: Interval
    start: datetime
    end: datetime
    rows: int
    written: int
    revised: int
    withdrawn: int
    gaps: tuple[Gap, ...]

    @property
    def changed(self) -> bool:
        """True when anything computed from this window is stale."""
        return bool(self.written or self.revised or self.withdrawn)


class BarStore:
    """Bars by symbol and interval below `root`; any number of readers, writers wait by month."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self._bars = Tree(self.root, "bars")
        self._revisions = Tree(self.root, "revisions")
        self._locks = Tree(self.root, "locks")
        self.quarantine = Quarantine(self.root)
        self.outages = Outages(self.root)
        self.holds = Holds(self.root)

    def replace_window(
        self,
        bars: pl.DataFrame,
        *,
        symbol: str,
        interval: Interval,
        start: datetime,
        end: datetime,
        observed_at: datetime,
    ) -> WindowResult:
        """Make the stored bars with start <= open_time < end exactly `bars`.

        `bars`: valid closed bars of that symbol and interval inside the window, else `BarsInvalid`.
        Doing it again with the same bars changes no byte. Bars that differ from the stored ones are
        counted as revised, stored ones that `bars` lack as withdrawn; both stay in `revisions`.
        """
        _require_window(bars, symbol, interval, start, end)
        total = Counts()
        for month in months_between(start, end):
            low, high = month_edges(month)
            part = between(bars, max(start, low), min(end, high))
            total += self._replace_month(part, symbol, interval, month, (start, end), observed_at)
        holes = self.gaps(symbol, interval, start, end)
        return WindowResult(
            symbol,
            interval,
            start,
            end,
            bars.height,
            total.written,
            total.revised,
            total.withdrawn,
            tuple(holes),
        )

    def read(
        self,
        symbol: str,
        interval: Interval,
        start: datetime | None = None,
        end: datetime | None = None,
        as_of: datetime | None = None,
    ) -> pl.DataFrame:
        """Return the bars with start <= open_time < end in the schema of bars, sorted.

        An interval that is not stored is resampled from the finest stored one that divides it; a
        coarse bar whose fine bars are not all known at either edge is left out. `as_of` gives them
        as they were known then. Empty where nothing is stored.
        """
        low, high = start or BEGINNING, end or FOREVER
        if self._bars.months(symbol, interval):
            return self._read_stored(symbol, interval, low, high, as_of)
        fine = self.finer_interval(symbol, interval)
        if fine is None:
            return empty()
        padded = (_floor(interval, low), _ceiling(interval, high))
        bars = self._read_stored(symbol, fine, *padded, as_of)
        return between(_whole_bars(bars, fine, interval), low, high)

    def span(self, symbol: str, interval: Interval) -> tuple[datetime, datetime] | None:
        """Return the open times of the first and last stored bar; None where none is stored."""
        months = self._bars.months(symbol, interval)
        first = self._first_times(symbol, interval, months)
        if first is None:
            return None
        last = self._first_times(symbol, interval, months[::-1])
        return first[0], (first if last is None else last)[-1]

    def gaps(
        self,
        symbol: str,
        interval: Interval,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> list[Gap]:
        """Return grid points missing in [start, end) between the first and last stored bar."""
        known = self.span(symbol, interval)
        if known is None:
            return []
        step = interval.duration
        low = max(_ceiling(interval, start or known[0]), known[0]) - step
        high = min(_ceiling(interval, end or FOREVER), known[1] + step)
        if high <= low + step:
            return []
        stored = self._scan(self._bars, symbol, interval, low + step, high, ["open_time"])
        edges = pl.DataFrame({"open_time": [low, high]}, schema={"open_time": TIME})
        return gaps(pl.concat([edges.head(1), stored, edges.tail(1)]), interval)

    def symbols(self) -> list[str]:
        """Return the symbols that have bars."""
        return [s for s in self._bars.symbols() if self._bars.intervals(s)]

    def intervals(self, symbol: str) -> list[Interval]:
        """Return the intervals stored for `symbol`, finest first."""
        return self._bars.intervals(symbol)

    def finer_interval(self, symbol: str, interval: Interval) -> Interval | None:
        """Return the finest stored interval that `interval` can be built from exactly."""
        fits = [
            i
            for i in self._bars.intervals(symbol)
            if i.minutes < interval.minutes and interval.minutes % i.minutes == 0
        ]
        return fits[0] if fits else None

    def quarantined(self, symbol: str, interval: Interval) -> pl.DataFrame:
        """Return every refused row, with `reason`, `source` and `observed_at`."""
        return self.quarantine.rows(symbol, interval)

    def revisions(self, symbol: str, interval: Interval) -> pl.DataFrame:
        """Return every older version of stored bars, with `observed_at` and `replaced_at`."""
        return self._read_revisions(symbol, interval, BEGINNING, FOREVER)

    def _first_times(
        self, symbol: str, interval: Interval, months: Sequence[str]
    ) -> pl.Series | None:
        """Return the open times of the first of `months` that is not empty."""
        for month in months:
            path = self._bars.month(symbol, interval, month)
            times = read_parquet(path, STORED, ["open_time"])["open_time"]
            if len(times):
                return times
        return None

    def _replace_month(
        self,
        bars: pl.DataFrame,
        symbol: str,
        interval: Interval,
        month: str,
        window: tuple[datetime, datetime],
        observed_at: datetime,
    ) -> Counts:
        path = self._bars.month(symbol, interval, month)
        with locked(self._locks.month(symbol, interval, month).with_suffix(".lock")):
            old = read_parquet(path, STORED) if path.exists() else pl.DataFrame(schema=STORED)
            change = merge(old, bars, window, observed_at)
            if not change.retired.is_empty():
                self._retire(change.retired, symbol, interval, month)
            if change.counts.any:
                write_parquet(change.stored, path)
        return change.counts

    def _retire(self, rows: pl.DataFrame, symbol: str, interval: Interval, month: str) -> None:
        path = self._revisions.month(symbol, interval, month)
        known = read_parquet(path, REVISED) if path.exists() else pl.DataFrame(schema=REVISED)
        rows = pl.concat([known, rows]).unique(["open_time", "observed_at"], keep="last")
        write_parquet(rows.sort("open_time", "observed_at"), path)

    def _read_stored(
        self,
        symbol: str,
        interval: Interval,
        start: datetime,
        end: datetime,
        as_of: datetime | None,
    ) -> pl.DataFrame:
        rows = self._scan(self._bars, symbol, interval, start, end)
        if as_of is not None:
            older = self._read_revisions(symbol, interval, start, end)
            rows = as_known(rows, older, as_of)
        return rows.select(
            pl.lit(symbol).alias("symbol"),
            pl.lit(str(interval)).alias("interval"),
            *list(SCHEMA)[2:],
        )

    def _read_revisions(
        self, symbol: str, interval: Interval, start: datetime, end: datetime
    ) -> pl.DataFrame:
        rows = self._scan(self._revisions, symbol, interval, start, end)
        return rows if rows.width else pl.DataFrame(schema=REVISED)

    def _scan(
        self,
        tree: Tree,
        symbol: str,
        interval: Interval,
        start: datetime,
        end: datetime,
        columns: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        months = [
            month
            for month in tree.months(symbol, interval)
            if (edges := month_edges(month)) and edges[0] < end and edges[1] > start
        ]
        schema = REVISED if tree is self._revisions else STORED
        if not months:
            return pl.DataFrame(schema={name: schema[name] for name in columns or schema})
        paths = [tree.month(symbol, interval, month) for month in months]
        rows = read_all(paths, schema, columns)
        inside = start <= month_edges(months[0])[0] and month_edges(months[-1])[1] <= end
        return rows if inside else between(rows, start, end)


def _whole_bars(bars: pl.DataFrame, fine: Interval, coarse: Interval) -> pl.DataFrame:
    """Resample, leaving out a first or last coarse bar that the fine bars do not cover."""
    if bars.is_empty():
        return bars
    first, last = bars["open_time"][0], bars["open_time"][-1] + fine.duration
    low, high = _ceiling(coarse, first), _floor(coarse, last)
    return resample(between(bars, low, high), coarse) if low < high else empty()


def _floor(interval: Interval, moment: datetime) -> datetime:
    return interval.floor(moment)


def _ceiling(interval: Interval, moment: datetime) -> datetime:
    if moment >= FOREVER:
        return moment
    down = interval.floor(moment)
    return down if down == moment else down + interval.duration


def _require_window(
    bars: pl.DataFrame, symbol: str, interval: Interval, start: datetime, end: datetime
) -> None:
    checked_symbol(symbol)
    require_valid(bars, interval)
    named = (pl.col("symbol") == symbol) & (pl.col("interval") == str(interval))
    foreign = bars.height - between(bars.filter(named), start, end).height
    if foreign:
        raise BarsInvalid(
            f"bars: expected only {symbol} {interval} from {start:%Y-%m-%d %H:%M} to before "
            f"{end:%Y-%m-%d %H:%M}; {foreign} rows are others; give the rows of the window"
        )
