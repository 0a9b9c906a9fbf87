"""Read what a person gives to a command: files of bars, times, JSON objects. Bad input ends as 2.

Add here: a kind of input that two commands share. Keep out: what is done with it.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from thunes_core.domain.bars import SCHEMA, TIME, parse_interval, require_valid
from thunes_core.errors import BadInput, BarsInvalid, UnknownName

_NEEDED = ("open_time", "open", "high", "low", "close")
_OPTIONAL = ("volume", "quote_volume", "trades", "taker_buy_base", "taker_buy_quote")


def read_frame(path: Path) -> pl.DataFrame:
    """Read a Parquet or CSV file; `UnknownName` when there is none, `BadInput` when unreadable."""
    if not path.is_file():
        raise UnknownName(f"file: expected a Parquet or CSV file; {path} is none; give its path")
    try:
        if path.suffix.lower() == ".csv":
            return pl.read_csv(path, try_parse_dates=True)
        return pl.read_parquet(path, hive_partitioning=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        said = " ".join(str(error).split())[:160]
        raise BadInput(f"file: {path} cannot be read ({said}); give Parquet or .csv") from error


def read_bars(
    path: Path,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    symbol: str | None = None,
    interval: str | None = None,
) -> pl.DataFrame:
    """Read valid bars of one symbol with start <= open_time < end from a file.

    `symbol` and `interval` choose among those of the file, or name what it leaves unsaid: else a
    missing symbol is `UNKNOWN`. The interval's column may be called `timeframe`; volumes, trades
    and taker columns that lack (or are null) are 0. Raises `BarsInvalid` for anything else.
    """
    frame = read_frame(path)
    if "interval" not in frame.columns and "timeframe" in frame.columns:
        frame = frame.rename({"timeframe": "interval"})
    frame = _chosen(_chosen(frame, path, "symbol", symbol), path, "interval", interval)
    missing = [name for name in ("interval", *_NEEDED) if name not in frame.columns]
    if missing:
        raise BarsInvalid(
            f"{path}: expected the columns {', '.join(('interval', *_NEEDED))}; "
            f"{', '.join(missing)} lack; rename or add them"
        )
    return cut(_as_bars(frame, path), start, end, str(path))


def bars_of(
    path: Path | None,
    symbol: str | None,
    interval: str | None,
    start: datetime | None,
    end: datetime | None,
) -> pl.DataFrame:
    """Return bars from a file, where symbol and interval choose, or from the store by both."""
    if path is not None:
        return read_bars(path, start, end, symbol=symbol, interval=interval)
    if symbol is None or interval is None:
        raise BadInput("bars: expected --bars FILE, or --symbol and --interval of the store")
    from thunes_core.domain.bars import parse_interval
    from thunes_core.settings import load
    from thunes_pipelines.resources.wiring import bar_store

    store = bar_store(load())
    stored = store.read(symbol, parse_interval(interval), start, end)
    if not len(stored) and start is None and end is None:
        raise BarsInvalid(
            f"store: expected {interval} bars of {symbol}; {store.root} holds none, nor finer ones "
            "to make them of; fetch them with `thunes ingest`, or give --bars FILE"
        )
    return cut(stored, start, end, f"store: {symbol} {interval}")


def _chosen(frame: pl.DataFrame, path: Path, name: str, value: str | None) -> pl.DataFrame:
    """Return the rows whose column `name` is `value`; `BadInput` where the file has others only."""
    if value is None or not len(frame):
        return frame
    if name not in frame.columns:
        return frame.with_columns(pl.lit(value).alias(name))
    said = frame[name].cast(pl.String, strict=False)
    if not (said == value).any():
        held = ", ".join(said.unique().drop_nulls().sort().head(5))
        raise BadInput(
            f"--{name}: expected one that {path} holds ({held}); it was {value!r}; correct it, or "
            "leave --bars out for bars of the store"
        )
    return frame.filter(said == value)


def cut(
    bars: pl.DataFrame, start: datetime | None, end: datetime | None, named: str
) -> pl.DataFrame:
    """Return the bars with start <= open_time < end; `BarsInvalid` when none are left."""
    if start is not None:
        bars = bars.filter(pl.col("open_time") >= start)
    if end is not None:
        bars = bars.filter(pl.col("open_time") < end)
    if not len(bars):
        raise BarsInvalid(f"{named}: expected bars{_span(start, end)}; there are none; widen it")
    return bars.rechunk()


def _span(start: datetime | None, end: datetime | None) -> str:
    said = (("from", start), ("before", end))
    return "".join(f" {word} {edge:%Y-%m-%d %H:%M}" for word, edge in said if edge is not None)


def _as_bars(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    filled = [
        pl.col(name).fill_null(0) if name in frame.columns else pl.lit(0).alias(name)
        for name in _OPTIONAL
    ]
    symbol = [] if "symbol" in frame.columns else [pl.lit("UNKNOWN").alias("symbol")]
    try:
        bars = (
            frame.with_columns(*filled, *symbol, open_time=_time_of(frame["open_time"]))
            .select(*SCHEMA)
            .cast(SCHEMA)  # type: ignore[arg-type]
        )
    except pl.exceptions.PolarsError as error:
        said = " ".join(str(error).split())[:160]
        raise BarsInvalid(f"{path}: columns have the wrong type ({said}); correct them") from error
    if not len(bars):
        raise BarsInvalid(f"{path}: expected bars; it holds no row; give a file with rows")
    kinds = bars.select("symbol", "interval").unique()
    if len(kinds) != 1:
        raise BarsInvalid(
            f"{path}: expected bars of one symbol and interval; it holds {len(kinds)}; split it, "
            "or choose where the command has --symbol and --interval"
        )
    return require_valid(bars, parse_interval(kinds["interval"][0]))


def _time_of(column: pl.Series) -> pl.Series:
    """Return open times as UTC: naive ones are UTC, numbers count since 1970 in the unit they fit.

    Each number by its own size, for exchanges have changed from milliseconds to microseconds in the
    middle of a history: below 1e11 seconds, then milliseconds, microseconds, nanoseconds.
    """
    if column.dtype.is_numeric():
        number = pl.col("at").cast(pl.Int64, strict=False)
        size = number.abs()
        microseconds = (
            pl.when(size < 10**11)
            .then(number * 1_000_000)
            .when(size < 10**14)
            .then(number * 1000)
            .when(size < 10**17)
            .then(number)
            .otherwise(number // 1000)
        )
        return column.to_frame("at").select(microseconds.cast(TIME)).to_series()
    if column.dtype == pl.String:
        return column.str.to_datetime(time_unit="us", time_zone="UTC")
    if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is None:
        return column.dt.replace_time_zone("UTC").cast(TIME)
    return column.cast(TIME)


def parse_time(text: str | None, option: str) -> datetime | None:
    """Read ISO 8601 (a date is its midnight, naive is UTC); `BadInput` names the option."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadInput(
            f"{option}: expected ISO 8601 such as 2025-01-31 or 2025-01-31T12:00; it was {text!r}"
        ) from None


def parse_month(text: str, option: str) -> str:
    """Return a month as partitions name it (2025-03); `BadInput` names the option."""
    if not re.fullmatch(r"[12]\d{3}-(0[1-9]|1[0-2])", text):
        raise BadInput(f"{option}: expected a month such as 2025-03; it was {text!r}; correct it")
    return text


def parse_object(text: str, option: str) -> dict[str, Any]:
    """Read a JSON object; `BadInput` names the option."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise BadInput(f"{option}: expected a JSON object; {error}; it was {text!r}") from None
    if not isinstance(found, dict):
        raise BadInput(f"{option}: expected a JSON object of names and values; it was {text!r}")
    return found


def read_targets(path: Path, bars: pl.DataFrame) -> pl.Series:
    """Read open_time and target from a file and line them up with `bars`.

    Bars before the first target, and null or NaN targets, are 0 (warm-up). `BadInput` when a later
    bar has no target or a bar has two.
    """
    frame = read_frame(path)
    missing = [name for name in ("open_time", "target") if name not in frame.columns]
    if missing:
        raise BadInput(f"{path}: expected columns open_time and target; {missing} lack; add them")
    try:
        given = frame.select(
            open_time=_time_of(frame["open_time"]),
            target=pl.col("target").cast(pl.Float64),
            known=True,
        )
    except pl.exceptions.PolarsError as error:
        said = " ".join(str(error).split())[:160]
        raise BadInput(f"{path}: columns have the wrong type ({said}); correct them") from error
    joined = bars.select("open_time").join(given, on="open_time", how="left", maintain_order="left")
    started = joined["known"].fill_null(value=False).cum_max()
    holes = int((started & joined["known"].is_null()).sum())
    if len(joined) != len(bars) or holes or not started.any():
        raise BadInput(
            f"{path}: expected one target per bar from the first target on; "
            f"{holes} bars lack one, {len(joined) - len(bars)} are doubled; complete the file"
        )
    return joined["target"]
