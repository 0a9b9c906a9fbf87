"""Real defective files: each is refused, repaired or flagged as docs/data-quality.md says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.shared_data import shared
from tests.thunes_core.adapters.bars.frames import real, real_path
from thunes_core.adapters.bars.formats import open_file
from thunes_core.adapters.bars.importers import read_file
from thunes_core.adapters.bars.ingest_file import ingest_file
from thunes_core.adapters.bars.store import BarStore
from thunes_core.adapters.bars.suspicions import odd_closes
from thunes_core.domain.bars import Interval, gaps, require_valid
from thunes_core.errors import BarsInvalid

DIRTY = {
    "binance_spot__BTCUSDT__1h__cdd": (
        36062,
        33412,
        {
            "conflicting_duplicates": 2649,
            "unfinished_last_bar": 1,
            "spikes": 14,
            "wild_range": 1,
        },
    ),
    "binance_spot__ETHUSDT__1h__cdd": (
        36062,
        33411,
        {
            "bad_volume": 1,
            "conflicting_duplicates": 2649,
            "unfinished_last_bar": 1,
            "spikes": 7,
        },
    ),
    "binance_spot__BNBUSDT__1h__cdd": (7478, 7477, {"unfinished_last_bar": 1}),
    "binance_spot__BTCUSDT__1d__cdd": (
        1396,
        1394,
        {"conflicting_duplicates": 1, "unfinished_last_bar": 1},
    ),
    "binance_spot__BTCUSDT__1h__ga_rd": (
        1436,
        1435,
        {"unfinished_last_bar": 1, "odd_close_time": 1},
    ),
    "binance_spot__BTCUSDT__1m__cryofrost": (43200, 43080, {"repeated_rows": 120, "spikes": 10}),
    "binance_spot__BTCRUB__1m__cryofrost": (
        43200,
        16344,
        {"repeated_rows": 26856, "spikes": 325, "no_trades": 14863},
    ),
    "binance_spot__XTZBTC__1m__cryofrost": (52712, 52711, {"repeated_rows": 1, "no_trades": 977}),
    "binance_spot__BTCUSDT__1m__aegis": (10080, 10080, {"spikes": 3}),
    "binance_spot__BTCUSDT__1m__wookie": (
        56161,
        56161,
        {"spikes": 5, "local_time_suspected": 56161},
    ),
    "binance_usdm__BTCUSDT__1m__bobg36": (15000, 15000, {"spikes": 11, "no_trades": 342}),
}
"""File → rows received, bars kept, problems found."""


@pytest.mark.parametrize("name", DIRTY)
def test_a_dirty_file_is_treated_by_the_written_rules(name: str) -> None:
    """What is kept is valid; what was repaired, refused or flagged is counted."""
    _, symbol, kind, _ = name.split("__")
    received, kept, problems = DIRTY[name]
    interval = Interval(kind)
    result = read_file(real_path(f"dirty/{name}"), symbol=symbol, interval=interval)
    require_valid(result.bars, interval)
    assert (result.received, result.bars.height) == (received, kept)
    assert {p.kind: p.rows for p in result.problems} == problems


def test_a_testnet_feed_paged_with_holes_is_refused() -> None:
    """Four fifths of its bars are missing: that is no series."""
    path = real_path("dirty/bybit_testnet__BTCUSDT__1m__liq")
    with pytest.raises(BarsInvalid, match=r"419724 of 524800 bars .* are missing"):
        read_file(path, symbol="BTCUSDT", interval=Interval.M1)


def test_the_fuller_version_of_a_contradicted_bar_is_the_exchange_s_own() -> None:
    """Where two versions contradict, the kept one closes as the exchange's bar does."""
    kept = read_file(
        real_path("dirty/binance_spot__BTCUSDT__1h__cdd"), symbol="BTCUSDT", interval=Interval.H1
    )
    own = real("bars/binance_spot__BTCUSDT__1h__nic", "BTCUSDT", Interval.H1)
    refused = kept.refused.filter(kept.refused["reason"] == "conflicting_duplicates")
    both = kept.bars.join(own, on="open_time", suffix="_own").join(
        refused.select("open_time").unique(), on="open_time", how="semi"
    )
    equal = both.filter((both["volume"] - both["volume_own"]).abs() < 1e-6)
    assert both.height == 2649
    assert equal.height > 0.99 * both.height


def test_local_time_is_refused_where_a_second_source_is_stored(tmp_path: Path) -> None:
    """Korean time stored as UTC equals the true bars nine hours away."""
    store = BarStore(tmp_path)
    true, local = (real_path(f"dirty/binance_spot__BTCUSDT__1m__{n}") for n in ("aegis", "wookie"))
    ingest_file(true, store, "BTCUSDT", Interval.M1)
    before = store.read("BTCUSDT", Interval.M1)
    with pytest.raises(BarsInvalid, match=r"not UTC but UTC\+9"):
        ingest_file(local, store, "BTCUSDT", Interval.M1)
    assert store.read("BTCUSDT", Interval.M1).equals(before)


def test_futures_are_refused_where_spot_is_stored(tmp_path: Path) -> None:
    """Futures closes are near the spot closes and almost never equal."""
    store = BarStore(tmp_path)
    ingest_file(
        real_path("bars/binance_spot__BTCUSDT__1h__finom__to2025H1"),
        store,
        "BTCUSDT",
        Interval.H1,
    )
    with pytest.raises(BarsInvalid, match="it is from another market"):
        ingest_file(
            real_path("bars/binance_usdm__BTCUSDT__1h__yagokhan__to2025H1"),
            store,
            "BTCUSDT",
            Interval.H1,
        )


def test_a_second_honest_copy_changes_nothing(tmp_path: Path) -> None:
    """Five columns of the same bars neither revise nor empty the twelve that are stored."""
    store = BarStore(tmp_path)
    ingest_file(
        real_path("bars/binance_spot__BTCUSDT__1h__finom__to2025H1"),
        store,
        "BTCUSDT",
        Interval.H1,
    )
    copy = ingest_file(
        real_path("bars/binance_spot__BTCUSDT__1h__bumpy"), store, "BTCUSDT", Interval.H1
    )
    assert (copy.received, copy.written, copy.revised, copy.withdrawn) == (18000, 0, 0, 0)


def clean_files() -> list[str]:
    """Return the good files of the shared folder of intervals that THUNES knows; none if absent."""
    return sorted(
        path.stem
        for path in Path(shared_or_nothing()).glob("*.parquet")
        if path.stem.split("__")[2] in set(Interval)
    )


def shared_or_nothing() -> Path:
    """Return the folder of good files, existing or not."""
    try:
        return shared("data/bars")
    except pytest.skip.Exception:
        return Path("nowhere")


@pytest.mark.parametrize("name", clean_files())
def test_no_good_file_trips_a_rule(name: str) -> None:
    """All rows are kept; spikes and wild ranges are rare, odd closes are those of outages."""
    _, symbol, kind, *_ = name.split("__")
    interval = Interval(kind)
    result = read_file(real_path(f"bars/{name}"), symbol=symbol, interval=interval)
    assert result.bars.height == result.received
    assert {p.kind for p in result.problems} <= {"spikes", "wild_range", "odd_close_time"}
    rare = [p.rows for p in result.problems if p.kind != "odd_close_time"]  # counted by manifest
    assert sum(rare) <= 0.001 * result.received


def manifest() -> list[tuple[str, str, int]]:
    """Return path, interval and count of odd close times of every real file; none if absent."""
    try:
        rows = pl.read_csv(shared("data/MANIFEST.csv"), infer_schema_length=None)
    except pytest.skip.Exception:
        return []
    known = rows.filter(pl.col("timeframe").is_in(list(Interval)))
    return known.select("parquet", "timeframe", pl.col("odd_close_time").fill_null(0)).rows()


@pytest.mark.parametrize(("path", "kind", "odd"), manifest())
def test_every_odd_close_time_is_counted(path: str, kind: str, odd: int) -> None:
    """Fact 2 of the data's README: outage bars closed elsewhere; the manifest counted them."""
    found = odd_closes(open_file(shared(f"data/{path}")).rows, Interval(kind))
    assert sum(problem.rows for problem in found) == odd


def test_the_known_gaps_of_the_long_hourly_series_are_found() -> None:
    """Fact 4 of the data's README: 27 gaps, 127 missing bars from 2017 to 2022."""
    bars = real("bars/binance_spot__BTCUSDT__1h__djienne", "BTCUSDT", Interval.H1)
    found = gaps(bars, Interval.H1)
    assert (len(found), sum(g.bars for g in found)) == (27, 127)


def test_restated_history_is_taken_over_and_the_old_version_kept(tmp_path: Path) -> None:
    """A dump of June 2021 against a later one: one hour of 2021-04-23 was restated since."""
    store, then = BarStore(tmp_path), datetime(2021, 6, 8, tzinfo=UTC)
    dump = real_path("dirty/binance_spot__BTCUSDT__1h__ga_rd")
    ingest_file(dump, store, "BTCUSDT", Interval.H1, now=then)
    later = real_path("bars/binance_spot__BTCUSDT__1h__nic")
    result = ingest_file(later, store, "BTCUSDT", Interval.H1)
    assert (result.revised, result.withdrawn) == (1, 0)
    hour = datetime(2021, 4, 23, 1, tzinfo=UTC)
    window = (hour, hour + Interval.H1.duration)
    now, past = (
        store.read("BTCUSDT", Interval.H1, *window, as_of=moment)["close"].to_list()
        for moment in (None, then)
    )
    assert (now, past) == ([51048.59], [51080.59])


def test_every_published_outage_is_found_as_a_gap() -> None:
    """Whole hours inside the outages that users reported to python-binance are missing bars."""
    bars = real("bars/binance_spot__BTCUSDT__1h__nic", "BTCUSDT", Interval.H1)
    found, hour = gaps(bars, Interval.H1), Interval.H1.duration
    missing = {g.start + n * hour for g in found for n in range(g.bars)}
    listed = pl.read_csv(
        shared("fixtures/oracle/binance_outages_from_issues.csv"), try_parse_dates=True
    )
    inside = set()
    for since, until, _ in listed.iter_rows():
        at = Interval.H1.floor(since.replace(tzinfo=UTC)) + hour
        while at + hour <= until.replace(tzinfo=UTC) + timedelta(seconds=1):
            inside.add(at)
            at += hour
    assert len(inside) > 90
    assert inside <= missing
