"""The warehouse: a real DuckDB file, replaced whole, whose readers are never disturbed."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing, contextmanager
from datetime import UTC, date, timedelta
from decimal import Decimal

import duckdb
import polars as pl
import pytest

from tests.worlds import START, bars_of
from thunes_core.adapters.bars.store import BarStore
from thunes_core.adapters.ledger import open_ledger
from thunes_core.adapters.walks import WalkStore
from thunes_core.adapters.warehouse import all_parts, bars_parts, folds_frame, publish
from thunes_core.domain.bars import Interval
from thunes_core.domain.parameters import ParameterSet
from thunes_core.domain.records import EquityMark
from thunes_core.domain.results import FoldResult, WalkForwardResult
from thunes_core.errors import StoreFailed

TABLES = ["bars", "decisions", "equity", "fills", "folds", "orders", "reports", "trades"]
ONE, TWO = pl.DataFrame({"n": [1]}), pl.DataFrame({"n": [1, 2]})
READER = """
import sys, duckdb
with duckdb.connect(sys.argv[1], read_only=True) as connection:
    print(len(connection.sql("FROM t").pl()), flush=True)
    sys.stdin.readline()
    print(len(connection.sql("FROM t").pl()), flush=True)
"""


@contextmanager
def connect(path):
    """Open for writing and, as DuckDBResource does, leave open after an exception."""
    connection = duckdb.connect(str(path))
    yield connection
    connection.close()


def query(path, text):
    """Return what a reader gets."""
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("SET TimeZone='UTC'")
        return connection.sql(text).pl()


def read_elsewhere(path):
    """Start another process that counts the rows of `t`, and again after a line comes in."""
    return subprocess.Popen(
        [sys.executable, "-c", READER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def files(folder):
    """Return the names of what stands in `folder`, but for the publishers' lock."""
    return sorted(p.name for p in folder.iterdir() if p.suffix != ".lock")


@pytest.fixture
def path(tmp_path):
    """Return where the warehouse is published."""
    return tmp_path / "home" / "warehouse.duckdb"


def stored(root, symbols=("BTCUSDT", "ETHUSDT"), hours=48):
    """Return a lake of hourly bars."""
    store = BarStore(root)
    for symbol in symbols:
        store.replace_window(
            bars_of([100.0 + i for i in range(hours)], symbol),
            symbol=symbol,
            interval=Interval.H1,
            start=START,
            end=START + timedelta(hours=hours),
            observed_at=START,
        )
    return store


def walked(root, sharpe=1.5):
    """Return walks with one of a single fold."""
    day = timedelta(days=1)
    equity = pl.DataFrame(
        {"open_time": [START + day], "equity": [1.0]},
        schema_overrides={"open_time": pl.Datetime("us", UTC)},
    )
    choice = ParameterSet("sma_crossover", {"fast": 5, "slow": 20})
    fold = FoldResult(
        number=0,
        train_start=START,
        train_end=START + day,
        test_start=START + day,
        test_end=START + 2 * day,
        parameters=choice,
        trials=3,
        train_metrics={"sharpe": 2.0, "trades": 4.0},
        test_metrics={"sharpe": sharpe},
        test_equity=equity,
    )
    walks = WalkStore(root)
    walks.save(
        WalkForwardResult(
            strategy="sma_crossover",
            symbol="BTCUSDT",
            interval="1h",
            folds=(fold,),
            stitched=equity,
            metrics={"sharpe": sharpe},
            chosen=choice,
            trials=3,
            data_fingerprint="x",
            trial_table=pl.DataFrame({"sharpe": [2.0]}),
        )
    )
    return walks


def everything(tmp_path, store, walks=None):
    """Publish lake, walks and an empty ledger's tables; return what was told."""
    path = tmp_path / "warehouse.duckdb"
    with closing(open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger:
        ledger.record_tick(EquityMark(START, Decimal("1000.10"), Decimal(1), Decimal(0)), {})
        parts = all_parts(
            store, Interval.H1, ledger, walks or WalkStore(store.root), tmp_path / "reports"
        )
        return publish(path, connect, parts)


def test_every_store_becomes_tables(tmp_path):
    """Bars, the ledger's tables, folds and reports are there; times are UTC, money also exact."""
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "2025-01-02.html").touch()
    told = everything(tmp_path, stored(tmp_path / "lake"), walked(tmp_path / "lake"))
    assert sorted(told.rows) == TABLES
    assert told.rows["bars"] == 96
    assert told.size == told.path.stat().st_size
    bars = query(
        told.path, "SELECT symbol, count(*) AS n, min(open_time) AS first FROM bars GROUP BY 1"
    )
    assert sorted(bars.rows()) == [("BTCUSDT", 48, START), ("ETHUSDT", 48, START)]
    assert query(told.path, "SELECT time, equity, equity_text FROM equity").row(0) == (
        START,
        1000.1,
        "1000.10",
    )
    assert query(told.path, "FROM reports").row(0) == (
        date(2025, 1, 2),
        str(tmp_path / "reports" / "2025-01-02.html"),
    )
    (fold,) = query(told.path, "FROM folds").to_dicts()
    assert (fold["study"], fold["train_sharpe"], fold["test_sharpe"]) == (
        "sma_crossover.BTCUSDT.1h",
        2.0,
        1.5,
    )


def test_empty_stores_become_empty_tables(tmp_path):
    """On the first day every table can be asked already."""
    told = everything(tmp_path, BarStore(tmp_path / "lake"))
    assert sorted(told.rows) == TABLES
    assert {told.rows[name] for name in TABLES if name != "equity"} == {0}
    assert query(told.path, "FROM trades").is_empty()


def test_an_interval_that_is_not_stored_is_resampled(tmp_path):
    """The configured interval may be coarser than the lake's."""
    parts = list(bars_parts(stored(tmp_path, ("BTCUSDT",)), Interval.H4))
    assert sum(frame.height for _, frame in parts) == 12


def test_a_metric_that_is_no_number_is_null(tmp_path):
    """Averages over folds are not spoiled by NaN."""
    frame = folds_frame(walked(tmp_path, sharpe=float("nan")))
    assert frame["test_sharpe"].to_list() == [None]


def test_a_second_publish_replaces_the_first(path):
    """The file holds the newest rows only, and nothing is left beside it."""
    publish(path, connect, [("t", TWO), ("old", ONE)])
    told = publish(path, connect, [("t", ONE)])
    assert told.rows == {"t": 1}
    assert query(path, "SHOW TABLES")["name"].to_list() == ["t"]
    assert files(path.parent) == ["warehouse.duckdb"]


def test_readers_in_other_processes_are_not_disturbed_by_a_publish(path):
    """One opened before reads on from the old file; one opened meanwhile, and after, works too."""
    publish(path, connect, [("t", ONE)])

    def parts():
        yield "t", ONE
        meanwhile = read_elsewhere(path)
        assert meanwhile.communicate("\n", timeout=60)[0].split() == ["1", "1"]
        yield "t", ONE

    before = read_elsewhere(path)
    assert before.stdout.readline() == "1\n"
    publish(path, connect, parts())
    assert before.communicate("\n", timeout=60)[0] == "1\n"
    assert read_elsewhere(path).communicate("\n", timeout=60)[0].split() == ["2", "2"]


@pytest.mark.parametrize("fault", [StoreFailed("lake: broken"), KeyboardInterrupt()])
def test_a_failure_in_the_middle_leaves_the_old_file_and_no_lock(path, fault):
    """The next publish finds nothing in its way."""
    publish(path, connect, [("t", ONE)])

    def parts():
        yield "t", TWO
        raise fault

    with pytest.raises(type(fault)):
        publish(path, connect, parts())
    assert files(path.parent) == ["warehouse.duckdb"]
    assert query(path, "FROM t").height == 1
    assert publish(path, connect, [("t", TWO)]).rows == {"t": 2}


def test_what_a_killed_publisher_left_is_cleared_away(path):
    """A half-written file of another run is not published."""
    path.parent.mkdir()
    for name in (".warehouse.duckdb.tmp", ".warehouse.duckdb.tmp.wal"):
        (path.parent / name).write_bytes(b"half")
    publish(path, connect, [("t", ONE)])
    assert files(path.parent) == ["warehouse.duckdb"]


def test_a_fault_of_duckdb_says_what_stands(path):
    """The error names the file, and that readers still have the one before."""
    with pytest.raises(StoreFailed, match=r"warehouse\.duckdb cannot be published.*the one before"):
        publish(path, connect, [("t", ONE), ("t", pl.DataFrame({"a": ["x"], "b": ["y"]}))])
    assert files(path.parent) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    """A file in the folder's place is told in one sentence."""
    (tmp_path / "home").write_text("in the way")
    with pytest.raises(StoreFailed, match="free space or correct its permissions"):
        publish(tmp_path / "home" / "warehouse.duckdb", connect, [("t", ONE)])
