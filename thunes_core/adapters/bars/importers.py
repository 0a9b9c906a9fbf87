"""Read a file of candles into valid bars, with everything that was repaired, refused or flagged.

Add here: a step every file takes. Keep out: formats (see `formats`), storage.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from thunes_core.adapters.bars.formats import FILLED, Opened, open_file
from thunes_core.adapters.bars.paths import checked_symbol
from thunes_core.adapters.bars.sift import REASON, Sifted, sift
from thunes_core.adapters.bars.suspicions import flags, odd_closes, refusal, unfinished_last
from thunes_core.clock import SystemClock
from thunes_core.domain.bars import SCHEMA, Interval, Problem
from thunes_core.errors import BarsInvalid

NOT_CLOSED = "not_closed"
UNFINISHED = "unfinished_last_bar"
MIXED_UNITS = "mixed_time_units"


@dataclass(frozen=True, slots=True)
class ImportedBars:
    """Valid bars of a file, the rows refused (with `reason`), and what was found how often.

    `received` counts the rows of the file; `lacking` names the columns it does not have, which
    are filled with zero.
    """

    bars: pl.DataFrame
    problems: tuple[Problem, ...]
    refused: pl.DataFrame
    received: int
    lacking: tuple[str, ...] = ()


def read_file(
    path: Path | str, *, symbol: str, interval: Interval, now: datetime | None = None
) -> ImportedBars:
    """Read the bars of `symbol` and `interval` in the file `path`, by docs/data-quality.md.

    Parquet, CSV, feather, or a zip of Binance's archive. Bars not closed at `now` (default: this
    machine's clock) are refused. Raises `UnknownName` where there is no file or no such symbol,
    `BarsInvalid` where the file as a whole is not what was asked for.
    """
    path = Path(path)
    checked_symbol(symbol)
    opened = open_file(path)
    rows = _of_series(opened, symbol, interval, path)
    lacking = tuple(n for n in FILLED if n not in rows.columns or rows[n].is_null().all())
    shaped, complete = _shaped(rows, symbol, interval)
    sifted = sift(shaped, interval, completeness=complete)
    reason = refusal(sifted.bars, interval)
    if reason:
        raise _invalid(path, symbol, interval, reason)
    bars, late = _closed(sifted.bars, interval, now or SystemClock().now())
    refused = pl.concat([sifted.refused, late])
    if bars.is_empty():
        raise _invalid(path, symbol, interval, f"none of its {rows.height} rows is a valid bar")
    found = [*_counted(sifted, opened, late), *odd_closes(rows, interval), *flags(bars, interval)]
    return ImportedBars(bars, tuple(found), refused, rows.height, lacking)


def _of_series(opened: Opened, symbol: str, interval: Interval, path: Path) -> pl.DataFrame:
    rows = opened.rows
    for name, wanted in (("symbol", symbol), ("interval", str(interval))):
        if name not in rows.columns:
            continue
        column = rows[name].str.replace_all(r"[^A-Za-z0-9]", "")
        column = column.str.to_uppercase() if name == "symbol" else column
        there = column.unique().drop_nulls().sort().to_list()
        rows = rows.filter(column == wanted)
        if rows.is_empty():
            raise _invalid(path, symbol, interval, f"it holds {', '.join(there) or 'nothing'}")
    return rows


def _shaped(rows: pl.DataFrame, symbol: str, interval: Interval) -> tuple[pl.DataFrame, pl.Series]:
    """Fill what a file may lack; also return how many of those fields each row really had."""
    present = [name for name in FILLED if name in rows.columns]
    had = pl.sum_horizontal(pl.lit(0), *(pl.col(name).is_not_null() for name in present))
    filled = rows.with_columns(
        pl.lit(symbol).alias("symbol"),
        pl.lit(str(interval)).alias("interval"),
        *(pl.col(name).fill_null(0) for name in present),
        *(pl.lit(0, dtype=SCHEMA[name]).alias(name) for name in FILLED if name not in present),
    )
    return filled.select(*SCHEMA), rows.with_columns(had.alias("had"))["had"]


def _closed(
    bars: pl.DataFrame, interval: Interval, now: datetime
) -> tuple[pl.DataFrame, pl.DataFrame]:
    open_still = pl.col("open_time") + interval.duration > now
    closed = bars.filter(~open_still)
    late = bars.filter(open_still).with_columns(pl.lit(NOT_CLOSED).alias(REASON))
    if not unfinished_last(closed, interval):
        return closed, late
    last = closed.tail(1).with_columns(pl.lit(UNFINISHED).alias(REASON))
    return closed.head(-1), pl.concat([last, late])


def _counted(sifted: Sifted, opened: Opened, late: pl.DataFrame) -> list[Problem]:
    counts = {
        MIXED_UNITS: sum(sorted(opened.time_units.values())[:-1]),
        **dict(late[REASON].value_counts().iter_rows()),
    }
    return [*sifted.problems, *(Problem(kind, rows) for kind, rows in counts.items() if rows)]


def _invalid(path: Path, symbol: str, interval: Interval, why: str) -> BarsInvalid:
    return BarsInvalid(
        f"{path}: expected {interval} bars of {symbol}; {why}; "
        "give a file of that symbol and interval"
    )
