"""Open foreign files of candles and bring them to our column names and types; nothing is judged.

Parquet, feather (freqtrade's), CSV with or without a header, and the zip files of Binance's public
archive. Rows keep their order; what is no number becomes null.

Add here: another format or another name of a column. Keep out: rules about rows (see `sift`).
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from thunes_core.adapters.binance.klines import FIELDS
from thunes_core.domain.bars import PRICES, SCHEMA
from thunes_core.errors import BarsInvalid, UnknownName

REQUIRED = ("open_time", *PRICES, "volume")
FILLED = ("quote_volume", "trades", "taker_buy_base", "taker_buy_quote")
"""Columns a file may lack; they are filled with zero."""
MAX_UNPACKED_BYTES = 2_000_000_000

_NAMES = {
    "open_time": ("open_time", "unix", "timestamp", "time", "datetime", "date", "index"),
    "volume": ("volume", "vol", "volume_base"),
    "quote_volume": ("quote_volume", "quote_asset_volume", "quotevolume", "turnover"),
    "trades": ("trades", "count", "tradecount", "number_of_trades", "num_trades", "trade_count"),
    "taker_buy_base": ("taker_buy_base", "taker_buy_volume", "taker_buy_base_asset_volume"),
    "taker_buy_quote": (
        "taker_buy_quote",
        "taker_buy_quote_volume",
        "taker_buy_quote_asset_volume",
    ),
    "close_time": ("close_time", "closetime"),
    "symbol": ("symbol", "pair", "ticker"),
    "interval": ("interval", "timeframe"),
    **{price: (price,) for price in PRICES},
}
_MOMENTS = ("open_time", "close_time")
_UNITS = {1: (10**8, 10**11), 10**3: (10**11, 10**14), 10**6: (10**14, 10**17)}
"""Ticks per second of a unix time, told by its size: seconds, milliseconds, microseconds."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The rows of a file under our names, and how many of its unix times are in which unit."""

    rows: pl.DataFrame
    time_units: dict[int, int]


def open_file(path: Path) -> Opened:
    """Open `path`: rows under our names, times in UTC; columns it lacks stay away.

    Raises `UnknownName` when there is no such file, `BarsInvalid` when it cannot be read or lacks
    a column that a bar must have.
    """
    if not path.is_file():
        raise UnknownName(f"{path}: expected a file of bars; there is none; give the path of one")
    try:
        return _ours(_read(path), path)
    except BarsInvalid:
        raise
    except (OSError, ValueError, zipfile.BadZipFile, pl.exceptions.PolarsError) as error:
        said = " ".join(str(error).split())[:120] or type(error).__name__
        raise BarsInvalid(
            f"{path}: expected a whole Parquet, feather, CSV or zip file of bars; "
            f"it cannot be read ({said}); fetch it again"
        ) from None


def _read(path: Path) -> pl.DataFrame:
    match path.suffix.lower():
        case ".parquet" | ".pq":
            return pl.read_parquet(path, hive_partitioning=False)
        case ".feather" | ".arrow" | ".ipc":
            return pl.read_ipc(path)
        case ".zip":
            return _read_csv(_unzip(path))
        case _:
            return _read_csv(path.read_bytes())


def _unzip(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        inside = [i for i in archive.infolist() if i.filename.lower().endswith(".csv")]
        if len(inside) != 1:
            raise ValueError(f"{len(inside)} CSV files inside, not one")
        if inside[0].file_size > MAX_UNPACKED_BYTES:
            raise ValueError(f"{inside[0].file_size} bytes unpacked are too many")
        return archive.read(inside[0])


def _read_csv(text: bytes) -> pl.DataFrame:
    if text.startswith(b"http"):  # CryptoDataDownload signs its files in the first line
        text = text.split(b"\n", 1)[-1]
    first = text.split(b"\n", 1)[0].split(b",")[0].strip().strip(b'"')
    headless = first.replace(b".", b"").isdigit()
    rows = pl.read_csv(io.BytesIO(text), has_header=not headless, infer_schema=False)
    return rows.rename(dict(zip(rows.columns, FIELDS, strict=False))) if headless else rows


def _ours(rows: pl.DataFrame, path: Path) -> Opened:
    plain = {column: column.strip().lower().replace(" ", "_") for column in rows.columns}
    chosen = {ours: _find(plain, names, ours) for ours, names in _NAMES.items()}
    lacking = [name for name in REQUIRED if chosen[name] is None]
    if lacking:
        raise BarsInvalid(
            f"{path}: expected the columns {', '.join(REQUIRED)}; {', '.join(lacking)} "
            f"{'is' if len(lacking) == 1 else 'are'} missing among {', '.join(rows.columns)}; "
            "give a file of candles"
        )
    typed = {o: _typed(rows[t], o) for o, t in chosen.items() if t and o not in _MOMENTS}
    times, units = _times(rows[str(chosen["open_time"])])
    if chosen["close_time"]:
        typed["close_time"] = _times(rows[chosen["close_time"]])[0]
    return Opened(pl.DataFrame({"open_time": times, **typed}), units)


def _find(plain: dict[str, str], names: tuple[str, ...], ours: str) -> str | None:
    """Return the column that is called one of `names`; the order of `names` decides.

    CryptoDataDownload calls its volumes after the assets: base first, then quote.
    """
    for name in names:
        for column, simple in plain.items():
            if simple == name:
                return column
    by_asset = [column for column, simple in plain.items() if simple.startswith("volume_")]
    place = {"volume": 0, "quote_volume": 1}.get(ours)
    return by_asset[place] if place is not None and len(by_asset) == 2 else None


def _typed(column: pl.Series, ours: str) -> pl.Series:
    if ours in ("symbol", "interval"):
        return column.cast(pl.String())
    numbers = column.str.strip_chars() if column.dtype == pl.String() else column
    floats = numbers.cast(pl.Float64(), strict=False)
    return floats.cast(SCHEMA[ours], strict=False)


def _times(column: pl.Series) -> tuple[pl.Series, dict[int, int]]:
    """Return times in UTC; a naive time is taken as UTC, a unix time by its size."""
    if column.dtype == pl.Date():
        column = column.cast(pl.Datetime("us"))
    if isinstance(column.dtype, pl.Datetime):
        zone = column.dtype.time_zone
        moments = column.cast(pl.Datetime("us", zone)).dt
        return (moments.convert_time_zone("UTC") if zone else moments.replace_time_zone("UTC")), {}
    numbers = column
    if column.dtype == pl.String():
        numbers = column.str.strip_chars().cast(pl.Float64(), strict=False)
        if numbers.null_count() == len(numbers):
            return _parsed(column), {}
    return _from_unix(numbers.cast(pl.Int64(), strict=False))


def _from_unix(ticks: pl.Series) -> tuple[pl.Series, dict[int, int]]:
    """Convert unix times row by row; also count how many are in which unit."""
    micros, counts = pl.lit(None, dtype=pl.Int64()), {}
    for per_second, (low, high) in _UNITS.items():
        inside = (pl.col("t") >= low) & (pl.col("t") < high)
        micros = pl.when(inside).then(pl.col("t") * (10**6 // per_second)).otherwise(micros)
        counts[per_second] = int(((ticks >= low) & (ticks < high)).sum())
    times = pl.DataFrame({"t": ticks}).select(micros.cast(pl.Datetime("us"))).to_series()
    return times.dt.replace_time_zone("UTC"), {unit: n for unit, n in counts.items() if n}


def _parsed(texts: pl.Series) -> pl.Series:
    """Parse ISO 8601 texts; a text without offset is taken as UTC."""
    plain = texts.str.strip_chars().str.replace("T", " ").str.replace("(Z|[+-]00:?00)$", "")
    return plain.str.to_datetime(time_unit="us", strict=False).dt.replace_time_zone("UTC")
