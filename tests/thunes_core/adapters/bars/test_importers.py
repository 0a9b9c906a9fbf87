"""Foreign files become valid bars, or one clear sentence."""

from __future__ import annotations

import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.thunes_core.adapters.bars.frames import START, bars_of
from thunes_core.adapters.bars.importers import ImportedBars, read_file
from thunes_core.domain.bars import Interval
from thunes_core.errors import BarsInvalid, UnknownName

NOW = datetime(2025, 1, 1, tzinfo=UTC)
BARS = bars_of([1, 2, 3, 4])
HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore"
)


def imported(path: Path, symbol: str = "BTCUSDT", interval: Interval = Interval.H1) -> ImportedBars:
    """Read with a fixed clock."""
    return read_file(path, symbol=symbol, interval=interval, now=NOW)


def archive_text(bars: pl.DataFrame, per_second: int) -> str:
    """Return bars as the rows of Binance's public archive, times in ticks per second."""
    step = 3600 * per_second
    lines = []
    for row in bars.iter_rows(named=True):
        at = int(row["open_time"].timestamp()) * per_second
        lines.append(
            f"{at},{row['open']},{row['high']},{row['low']},{row['close']},{row['volume']},"
            f"{at + step - 1},{row['quote_volume']},{row['trades']},{row['taker_buy_base']},"
            f"{row['taker_buy_quote']},0"
        )
    return "\n".join(lines) + "\n"


def saved(path: Path, text: str) -> Path:
    """Write `text` and return the path."""
    path.write_text(text)
    return path


@pytest.mark.parametrize("per_second", [1_000, 1_000_000], ids=["ms", "us since 2025"])
@pytest.mark.parametrize("header", ["", HEADER + "\n"], ids=["headless", "header"])
def test_a_zip_of_the_public_archive(tmp_path: Path, per_second: int, header: str) -> None:
    """Milliseconds and microseconds, with and without a header, give the same bars."""
    path = tmp_path / "BTCUSDT-1h-2024-01.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("BTCUSDT-1h-2024-01.csv", header + archive_text(BARS, per_second))
    result = imported(path)
    assert result.bars.equals(BARS)
    assert (result.received, result.problems, result.lacking) == (4, (), ())


def test_parquet_may_name_the_interval_timeframe_and_lack_taker_columns(tmp_path: Path) -> None:
    """What lacks is zero and is named; close_time is not needed."""
    path = tmp_path / "a.parquet"
    BARS.rename({"interval": "timeframe"}).drop("taker_buy_base", "taker_buy_quote").write_parquet(
        path
    )
    result = imported(path)
    assert result.lacking == ("taker_buy_base", "taker_buy_quote")
    zero = pl.lit(0.0)
    assert result.bars.equals(BARS.with_columns(taker_buy_base=zero, taker_buy_quote=zero))


def test_a_feather_file_of_freqtrade(tmp_path: Path) -> None:
    """Five columns and a date in milliseconds; no symbol inside."""
    path = tmp_path / "BTC_USDT-1h.feather"
    BARS.select(
        date=pl.col("open_time").dt.cast_time_unit("ms"),
        open="open",
        high="high",
        low="low",
        close="close",
        volume="volume",
    ).write_ipc(path, compression="lz4")
    result = imported(path)
    same = ("open_time", "open", "high", "low", "close", "volume")
    assert result.bars.select(same).equals(BARS.select(same))
    assert result.bars["trades"].to_list() == [0, 0, 0, 0]


def test_a_csv_of_cryptodatadownload(tmp_path: Path) -> None:
    """A signed first line, newest first, volumes named after assets, seconds and ms mixed."""
    path = saved(
        tmp_path / "Binance_BTCUSDT_1h.csv",
        "https://www.CryptoDataDownload.com\n"
        "unix,date,symbol,open,high,low,close,Volume BTC,Volume USDT,tradecount\n"
        "1706738400000,2024-01-31 22:00:00,BTC/USDT,2,3,2,3,7,21,5\n"
        "1706734800,2024-01-31 21:00:00,BTC/USDT,1,2,1,2,6,12,4\n",
    )
    result = imported(path)
    assert result.bars["open_time"].to_list() == [
        datetime(2024, 1, 31, 21, tzinfo=UTC),
        datetime(2024, 1, 31, 22, tzinfo=UTC),
    ]
    assert result.bars["volume"].to_list() == [6, 7]
    assert result.bars["quote_volume"].to_list() == [12, 21]
    assert {p.kind: p.rows for p in result.problems} == {"mixed_time_units": 1, "unsorted": 1}


@pytest.mark.parametrize(
    "text",
    ["2024-01-31 21:00:00", "2024-01-31T21:00:00Z", "2024-01-31 21:00:00+00:00"],
)
def test_times_written_as_text_are_utc(tmp_path: Path, text: str) -> None:
    """A naive text is UTC, as is one with a zero offset."""
    path = saved(tmp_path / "a.csv", f"timestamp,Open,High,Low,Close,Volume\n{text},1,1,1,1,1\n")
    assert imported(path).bars["open_time"].to_list() == [datetime(2024, 1, 31, 21, tzinfo=UTC)]


def test_what_is_no_number_is_refused_not_guessed(tmp_path: Path) -> None:
    """A text in a price column makes that row a refused one."""
    path = saved(
        tmp_path / "a.csv",
        "open_time,open,high,low,close,volume\n"
        "2024-01-31 21:00:00,1,1,1,1,1\n"
        "2024-01-31 22:00:00,1,1,1,oops,1\n",
    )
    result = imported(path)
    assert result.refused["reason"].to_list() == ["bad_price"]
    assert result.bars.height == 1


def test_bars_that_have_not_closed_are_refused(tmp_path: Path) -> None:
    """A file from the future, or its running bar, is not stored."""
    path = tmp_path / "a.parquet"
    BARS.write_parquet(path)
    result = read_file(
        path, symbol="BTCUSDT", interval=Interval.H1, now=START + timedelta(hours=2, minutes=59)
    )
    assert result.bars.equals(BARS.head(2))
    assert result.refused["reason"].to_list() == ["not_closed", "not_closed"]


def test_a_file_of_several_symbols_gives_the_one_asked_for(tmp_path: Path) -> None:
    """Rows of other symbols are simply not asked for; a written slash does not matter."""
    path = tmp_path / "a.parquet"
    mixed = pl.concat([BARS, bars_of([5, 6], symbol="ETHUSDT")])
    mixed.with_columns(symbol=pl.col("symbol").str.replace("USDT", "/USDT")).write_parquet(path)
    assert imported(path).bars.equals(BARS)
    assert imported(path, "ETHUSDT").bars["close"].to_list() == [5, 6]


def good(**changes: pl.Expr) -> pl.DataFrame:
    """Return good bars with some columns changed."""
    return BARS.with_columns(**changes)


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        (BARS.drop("close", "volume"), "close, volume are missing among"),
        (BARS.drop("open_time"), "open_time is missing among"),
        (bars_of([1, 2], symbol="ETHUSDT"), "it holds ETHUSDT"),
        (bars_of([1, 2], interval=Interval.H4), "it holds 4h"),
        (
            bars_of([1, 2, 3], interval=Interval.H4).drop("interval"),
            "its bars are 4:00:00 apart, not 1:00:00",
        ),
        (BARS.clear(), "it holds nothing"),
        (good(low=pl.lit(-1.0)), "none of its 4 rows is a valid bar"),
        (
            bars_of([1.0] * 9, skip=[2, 3, 4, 5, 6]).drop("interval"),
            "5 of 9 bars between its first and last are missing",
        ),
    ],
    ids=["columns", "time", "symbol", "interval", "spacing", "empty", "broken", "holes"],
)
def test_a_file_that_is_something_else_is_refused_in_one_sentence(
    tmp_path: Path, frame: pl.DataFrame, sentence: str
) -> None:
    """The message says what was expected, what it was, and what to do."""
    path = tmp_path / "a.parquet"
    frame.write_parquet(path)
    with pytest.raises(BarsInvalid) as caught:
        imported(path)
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.parquet", "a.feather", "a.zip", "a.csv"])
@pytest.mark.parametrize("content", [b"", b"\x00\xff broken", b"PAR1" + b"\x00" * 64])
def test_a_broken_file_is_one_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    """Whatever the bytes, the answer is BarsInvalid and names the file."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BarsInvalid, match=name):
        imported(path)


def test_a_parquet_file_cut_off_is_one_sentence(tmp_path: Path) -> None:
    """Half a download is told as such."""
    path = tmp_path / "a.parquet"
    BARS.write_parquet(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(BarsInvalid, match="expected a whole Parquet"):
        imported(path)


def test_a_zip_of_two_files_is_refused(tmp_path: Path) -> None:
    """An archive must hold one CSV file."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", archive_text(BARS, 1000))
        archive.writestr("b.csv", archive_text(BARS, 1000))
    with pytest.raises(BarsInvalid, match="2 CSV files inside, not one"):
        imported(path)


def test_no_file_and_no_symbol_are_unknown_names(tmp_path: Path) -> None:
    """Both are told before anything is read."""
    with pytest.raises(UnknownName, match="expected a file of bars; there is none"):
        imported(tmp_path / "nowhere.parquet")
    with pytest.raises(UnknownName, match="2 to 20 capital letters"):
        imported(tmp_path / "nowhere.parquet", symbol="../x")


@pytest.mark.parametrize("times", ["no time", [1]])
def test_times_of_no_kind_are_one_clear_sentence(tmp_path: Path, times: object) -> None:
    """Texts or lists where times should be end as invalid bars."""
    path = tmp_path / "bars.parquet"
    BARS.with_columns(open_time=pl.lit(times)).write_parquet(path)
    with pytest.raises(BarsInvalid, match=r"bars\.parquet"):
        imported(path)
