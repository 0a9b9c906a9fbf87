"""Read files of candles for a replay: Parquet, CSV, or the zip files of Binance's public archive.

Small on purpose: the testnet may not import the adapters, and it replays whatever the file says.
Timestamps of the archive are milliseconds, and microseconds since 2025.

Add here: another form of file. Keep out: repair of bad candles (the data side does that).
"""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from thunes_core.domain.bars import SCHEMA, TIME, VOLUMES, parse_interval, require_valid
from thunes_core.errors import BadInput

_ARCHIVE = ("open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume")
_ARCHIVE_TAIL = ("trades", "taker_buy_base", "taker_buy_quote", "ignore")
_RENAMES = {
    "timeframe": "interval",
    "count": "trades",
    "taker_buy_volume": "taker_buy_base",
    "taker_buy_quote_volume": "taker_buy_quote",
}
_NAME = re.compile(r"([A-Z0-9]{4,20})[-_]+(\d+[mhd])(?:[-_.]|$)")


def read_candles(path: Path) -> pl.DataFrame:
    """Return the candles in `path` with the schema of bars, sorted by open time.

    Symbol and interval come from the columns, else from the file's name (`BTCUSDT-1h-2023-03`).
    `BadInput` when the file is missing, broken, or its candles are not valid.
    """
    if not path.is_file():
        raise BadInput(f"candles: expected a file; {path} is not there; check the path")
    try:
        raw = _read(path)
        return _to_schema(raw, path)
    except (PolarsError, OSError, zipfile.BadZipFile, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(
            f"candles: expected Parquet, CSV or zip with candles; {path.name} cannot be read "
            f"({first}); give an intact file"
        ) from None


def _read(path: Path) -> pl.DataFrame:
    if path.suffix == ".parquet":
        return pl.read_parquet(path)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            inner = [n for n in archive.namelist() if n.endswith(".csv")]
            if not inner:
                raise BadInput(f"candles: expected a CSV in {path.name}; it holds none")
            return pl.concat([_csv(archive.read(name)) for name in sorted(inner)])
    return _csv(path.read_bytes())


def _csv(content: bytes) -> pl.DataFrame:
    has_header = not content.lstrip()[:1].isdigit()
    frame = pl.read_csv(io.BytesIO(content), has_header=has_header, infer_schema_length=None)
    if not has_header:
        frame = frame.rename(dict(zip(frame.columns, (*_ARCHIVE, *_ARCHIVE_TAIL), strict=False)))
    return frame


def _to_schema(raw: pl.DataFrame, path: Path) -> pl.DataFrame:
    frame = raw.rename({k: v for k, v in _RENAMES.items() if k in raw.columns})
    lacking = [c for c in _ARCHIVE[:6] if c not in frame.columns]
    if lacking:
        raise BadInput(f"candles: expected columns {_ARCHIVE[:6]}; {path.name} lacks {lacking}")
    named = _NAME.search(path.name)
    for column, group in (("symbol", 1), ("interval", 2)):
        if column not in frame.columns:
            if named is None:
                raise BadInput(
                    f"candles: expected {column} as a column or in the file's name "
                    f"(BTCUSDT-1h-2023-03.csv); {path.name} has neither; rename it"
                )
            frame = frame.with_columns(pl.lit(named[group]).alias(column))
    complete = _fill(frame.with_columns(open_time=_time(frame["open_time"])))
    return _one_series(complete.select(*SCHEMA).cast(SCHEMA).sort("open_time"))  # type: ignore[arg-type]


def _time(column: pl.Series) -> pl.Series:
    if column.dtype == pl.String():
        column = column.str.to_datetime(time_unit="us", time_zone="UTC")
    if isinstance(column.dtype, pl.Datetime):
        zoned = column if column.dtype.time_zone else column.dt.replace_time_zone("UTC")
        return zoned.dt.convert_time_zone("UTC").cast(TIME)
    stamps = column.cast(pl.Int64)
    in_ms = pl.select(pl.when(stamps >= 10**14).then(stamps // 1000).otherwise(stamps)).to_series()
    return in_ms.cast(pl.Datetime("ms", "UTC")).cast(TIME)


def _fill(frame: pl.DataFrame) -> pl.DataFrame:
    """Fill columns that the file lacks: turnover from volume, no trades where none are known."""
    volume = pl.col("volume").cast(pl.Float64)
    fallback = {
        "quote_volume": volume * pl.col("close").cast(pl.Float64),
        "trades": (volume > 0).cast(pl.Int64),
        "taker_buy_base": volume / 2,
        "taker_buy_quote": volume * pl.col("close").cast(pl.Float64) / 2,
    }
    for name, value in fallback.items():
        known = pl.col(name).fill_null(value) if name in frame.columns else value.alias(name)
        frame = frame.with_columns(known)
    return frame.with_columns(pl.col(c).fill_null(0.0) for c in VOLUMES)


def _one_series(frame: pl.DataFrame) -> pl.DataFrame:
    if frame.is_empty():
        raise BadInput("candles: expected at least one candle; the file has none")
    names = frame.select("symbol", "interval").unique()
    if names.height > 1:
        raise BadInput(
            f"candles: expected one symbol and interval a file; it has {names.rows()}; split it"
        )
    return require_valid(frame, parse_interval(frame["interval"][0]))
