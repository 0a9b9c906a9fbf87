"""Files of candles for a replay."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import polars as pl
import pytest

from tests.shared_data import shared
from tests.thunes_core.testnet.markets import RISING, START_MS, bars
from thunes_core.domain.bars import SCHEMA
from thunes_core.errors import BadInput, BarsInvalid
from thunes_core.testnet.candles import read_candles

HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore\n"
)


def archive_rows(unit: int, header: bool = False) -> str:
    """Rows as the public archive ships them; `unit` 1 for milliseconds, 1000 for microseconds."""
    lines = [
        f"{(START_MS + i * 3_600_000) * unit},{o},{h},{low},{c},10,0,100,7,5,50,0"
        for i, (o, h, low, c) in enumerate(RISING)
    ]
    return (HEADER if header else "") + "\n".join(lines) + "\n"


def zipped(path: Path, text: str) -> Path:
    """Write `text` as the CSV inside a zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(path.stem + ".csv", text)
    path.write_bytes(buffer.getvalue())
    return path


@pytest.mark.parametrize("unit", [1, 1000])
@pytest.mark.parametrize("header", [False, True])
def test_archive_zip_is_read_in_milliseconds_and_microseconds(
    tmp_path: Path, unit: int, header: bool
) -> None:
    """Both stamps of the archive's years, with and without its header line."""
    path = zipped(tmp_path / "BTCUSDT-1h-2025-01.zip", archive_rows(unit, header))
    frame = read_candles(path)
    assert frame.schema == SCHEMA
    assert frame["open_time"].equals(bars(RISING)["open_time"])
    assert frame["close"].to_list() == [row[3] for row in RISING]
    assert frame["symbol"].unique().to_list() == ["BTCUSDT"]


def test_parquet_with_timeframe_and_without_taker_columns_is_read(tmp_path: Path) -> None:
    """The interval may be called timeframe; what lacks is filled without inventing prices."""
    path = tmp_path / "some.parquet"
    thin = bars(RISING).rename({"interval": "timeframe"}).drop("taker_buy_base", "taker_buy_quote")
    thin.with_columns(trades=pl.lit(None, pl.Int64)).write_parquet(path)
    frame = read_candles(path)
    assert frame["taker_buy_base"].to_list() == [5.0] * 4
    assert frame["trades"].to_list() == [1] * 4


def test_real_archive_csv_is_read() -> None:
    """A month as the archive ships it, an hour of the halt missing."""
    frame = read_candles(shared("fixtures/klines/BTCUSDT-1h-2023-03.csv"))
    assert frame["interval"][0] == "1h"
    assert frame["open"][0] == 23141.57


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.parquet", None, "is not there"),
        ("broken.parquet", b"not parquet", "cannot be read"),
        ("broken.zip", b"not a zip", "cannot be read"),
        ("BTCUSDT-1h.csv", b"open_time,open\n1,2\n", "lacks"),
        ("nameless.csv", archive_rows(1).encode(), "has neither"),
        ("BTCUSDT-1h.csv", HEADER.encode(), "has none"),
    ],
)
def test_files_that_are_no_candles_are_bad_input(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    """One clear sentence says what was expected."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInput, match=message):
        read_candles(path)


def test_candles_that_break_the_rules_are_refused(tmp_path: Path) -> None:
    """A high below the close is no candle."""
    path = tmp_path / "wrong.parquet"
    bars([(100.0, 90.0, 80.0, 95.0)]).write_parquet(path)
    with pytest.raises(BarsInvalid, match="bad_high_low"):
        read_candles(path)
