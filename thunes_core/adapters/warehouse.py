"""The warehouse: a read model for people and notebooks, one DuckDB file, replaced whole.

Nobody ever writes in the file that others read: the next one is built beside it and moved into its
place. Whoever has the old one open goes on reading the old one. It holds nothing that could not be
made again from lake, ledger and reports.

    bars        open_time, symbol, interval, open, high, low, close, volume, …
    trades, equity, fills, orders, decisions    the ledger's; exact money as `<name>_text`
    folds       what each study's newest walk-forward chose and how it did out of sample
    reports     day, path

Times are TIMESTAMPTZ: readers `SET TimeZone='UTC'` after connecting.

Add here: a table. Keep out: when it is published (`thunes_pipelines.assets.warehouse`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from itertools import chain
from pathlib import Path

import duckdb
import polars as pl

from thunes_core.adapters.bars.files import locked
from thunes_core.adapters.bars.store import BarStore
from thunes_core.adapters.ledger import Ledger
from thunes_core.adapters.walks import WalkStore
from thunes_core.domain.bars import TIME, Interval, empty
from thunes_core.domain.results import FoldResult
from thunes_core.errors import NoEvidence, StoreFailed

Part = tuple[str, pl.DataFrame]
"""The name of a table and some of its rows."""

Opened = AbstractContextManager[duckdb.DuckDBPyConnection]
Connect = Callable[[Path], Opened]
"""Opens a DuckDB file for writing."""

FOLD_METRICS = ("sharpe", "total_return", "max_drawdown", "trades")
FOLDS = {
    "study": pl.String(),
    "number": pl.Int64(),
    "train_start": TIME,
    "train_end": TIME,
    "test_start": TIME,
    "test_end": TIME,
    "parameters": pl.String(),
    "trials": pl.Int64(),
    **{f"{span}_{name}": pl.Float64() for span in ("train", "test") for name in FOLD_METRICS},
}
REPORTS = {"day": pl.Date(), "path": pl.String()}


@dataclass(frozen=True, slots=True)
class Published:
    """What stands in the file now: rows by table, and the file's size in bytes."""

    path: Path
    rows: Mapping[str, int]
    size: int


def publish(path: Path, connect: Connect, parts: Iterable[Part]) -> Published:
    """Build the file anew from `parts` and move it into place; one publisher at a time.

    `connect` opens the new file; it is closed here, whatever happens. When anything fails, `path`
    stays as it was and nothing is left beside it. Raises `StoreFailed`.
    """
    try:
        with locked(path.with_name(f".{path.name}.lock")):
            return _replace(path, connect, parts)
    except (OSError, duckdb.Error) as error:
        raise StoreFailed(
            f"warehouse: {path} cannot be published ({error}); free space or correct its "
            "permissions; readers still have the one before"
        ) from error


def _replace(path: Path, connect: Connect, parts: Iterable[Part]) -> Published:
    beside = path.with_name(f".{path.name}.tmp")
    _remove(beside)  # a killed publisher's
    try:
        rows = _build(beside, connect, parts)
        size = beside.stat().st_size
        beside.replace(path)
    finally:
        _remove(beside)
    return Published(path, rows, size)


def _build(beside: Path, connect: Connect, parts: Iterable[Part]) -> dict[str, int]:
    with connect(beside) as connection:
        try:
            return fill(connection, parts)
        finally:
            connection.close()  # the log is folded into the file; the lock is gone


def _remove(beside: Path) -> None:
    for file in (beside, beside.with_name(f"{beside.name}.wal")):
        file.unlink(missing_ok=True)


def fill(connection: duckdb.DuckDBPyConnection, parts: Iterable[Part]) -> dict[str, int]:
    """Write the rows of `parts` into tables, made at their first part; return rows by table."""
    rows: dict[str, int] = {}
    connection.execute("SET TimeZone='UTC'")
    for table, frame in parts:
        relation = connection.from_arrow(frame.to_arrow())
        if table in rows:
            relation.insert_into(table)
        else:
            relation.create(table)
        rows[table] = rows.get(table, 0) + frame.height
    return rows


def all_parts(
    bars: BarStore, interval: Interval, ledger: Ledger, walks: WalkStore, reports: Path
) -> Iterator[Part]:
    """Yield every table of the warehouse, one series of bars at a time."""
    return chain(
        bars_parts(bars, interval),
        ledger_parts(ledger),
        [("folds", folds_frame(walks)), ("reports", reports_frame(reports))],
    )


def bars_parts(store: BarStore, interval: Interval) -> Iterator[Part]:
    """Yield the bars of each stored symbol; resampled where only a finer interval is stored."""
    yield "bars", empty()
    for symbol in store.symbols():
        yield "bars", store.read(symbol, interval)


def ledger_parts(ledger: Ledger) -> Iterator[Part]:
    """Yield the ledger's tables: what follows first, so that what it refers to is there too."""
    yield "trades", ledger.trades()
    yield "equity", ledger.equity()
    yield "fills", ledger.fills()
    yield "orders", ledger.orders()
    yield "decisions", ledger.decisions()


def folds_frame(walks: WalkStore) -> pl.DataFrame:
    """Return the folds of each study's newest walk-forward; NaN and unknown metrics are null."""
    rows = [
        _fold_row(study, fold) for study in walks.studies() for fold in _newest_folds(walks, study)
    ]
    return pl.DataFrame(rows, schema=FOLDS, orient="row").fill_nan(None)


def _newest_folds(walks: WalkStore, study: str) -> tuple[FoldResult, ...]:
    try:
        return walks.newest(study).folds
    except NoEvidence:  # its first walk is being written
        return ()


def _fold_row(study: str, fold: FoldResult) -> tuple[object, ...]:
    metrics = (fold.train_metrics, fold.test_metrics)
    return (
        study,
        fold.number,
        fold.train_start,
        fold.train_end,
        fold.test_start,
        fold.test_end,
        fold.parameters.canonical(),
        fold.trials,
        *(given.get(name) for given in metrics for name in FOLD_METRICS),
    )


def reports_frame(root: Path) -> pl.DataFrame:
    """Return the days that have a report, with the path of its page."""
    rows = [
        (date.fromisoformat(page.stem), str(page)) for page in sorted(root.glob("????-??-??.html"))
    ]
    return pl.DataFrame(rows, schema=REPORTS, orient="row")
