"""The bars lake keeps what it promises, window by window."""

from __future__ import annotations

import multiprocessing
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thunes_core.adapters.bars.frames import LATER, SEEN, START, bars_of
from thunes_core.adapters.bars.store import BarStore, WindowResult
from thunes_core.domain.bars import SCHEMA, Gap, Interval
from thunes_core.errors import BarsInvalid, StoreFailed, UnknownName

HOUR = timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path) -> BarStore:
    """Return an empty lake."""
    return BarStore(tmp_path / "lake")


def put(
    store: BarStore, bars: pl.DataFrame, *, at: datetime = SEEN, hours: int = 8, since: int = 0
) -> WindowResult:
    """Replace the window of `hours` from START + `since` hours."""
    return store.replace_window(
        bars,
        symbol="BTCUSDT",
        interval=Interval.H1,
        start=START + since * HOUR,
        end=START + (since + hours) * HOUR,
        observed_at=at,
    )


def files(store: BarStore) -> dict[str, tuple[int, bytes]]:
    """Return every file of the lake but locks, with its time of change and content."""
    return {
        str(path.relative_to(store.root)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in store.root.rglob("*.parquet")
    }


def test_what_is_stored_is_read_back_over_the_edge_of_a_month(store: BarStore) -> None:
    """A window over two months makes two month files and reads back as one frame."""
    bars = bars_of([1, 2, 3, 4, 5, 6, 7, 8])
    result = put(store, bars)
    assert (result.rows, result.written, result.revised, result.gaps) == (8, 8, 0, ())
    assert sorted(files(store)) == [
        "bars/symbol=BTCUSDT/interval=1h/month=2024-01/data.parquet",
        "bars/symbol=BTCUSDT/interval=1h/month=2024-02/data.parquet",
    ]
    assert store.read("BTCUSDT", Interval.H1).equals(bars)
    assert store.read("BTCUSDT", Interval.H1).schema == SCHEMA


def test_a_second_run_changes_no_byte(store: BarStore) -> None:
    """The same window again, seen later, leaves every file untouched."""
    bars = bars_of([1, 2, 3, 4, 5, 6, 7, 8])
    put(store, bars)
    before = files(store)
    result = put(store, bars, at=LATER)
    assert not result.changed
    assert files(store) == before


def test_only_the_window_is_replaced(store: BarStore) -> None:
    """Bars outside of the window stay, even in the same month file."""
    put(store, bars_of([1, 2, 3, 4, 5, 6, 7, 8]))
    inner = bars_of([9.0, 9.5], start=START + HOUR)
    result = put(store, inner, since=1, hours=2, at=LATER)
    assert (result.written, result.revised, result.withdrawn) == (0, 2, 0)
    assert store.read("BTCUSDT", Interval.H1)["close"].to_list() == [1, 9, 9.5, 4, 5, 6, 7, 8]


def test_a_revised_bar_keeps_its_older_version_with_the_time_it_was_seen(store: BarStore) -> None:
    """The new version wins; the past state can be read as of then."""
    old, new = bars_of([1, 2, 3]), bars_of([1, 2.5, 3])
    put(store, old, at=SEEN)
    result = put(store, new, at=LATER)
    assert (result.written, result.revised) == (0, 2)  # bar 2 opens at bar 1's close
    assert store.read("BTCUSDT", Interval.H1).equals(new)
    assert store.read("BTCUSDT", Interval.H1, as_of=SEEN).equals(old)
    assert store.read("BTCUSDT", Interval.H1, as_of=LATER).equals(new)
    assert store.read("BTCUSDT", Interval.H1, as_of=SEEN - HOUR).is_empty()
    older = store.revisions("BTCUSDT", Interval.H1)
    assert older["close"].to_list() == [2, 3]
    assert older["observed_at"].unique().to_list() == [SEEN]
    assert older["replaced_at"].unique().to_list() == [LATER]


def test_a_withdrawn_bar_leaves_the_window_and_stays_in_the_past(store: BarStore) -> None:
    """A bar the source no longer has is gone now, but was there then."""
    put(store, bars_of([1, 2, 3]))
    result = put(store, bars_of([1, 2, 3], skip=[1]), at=LATER)
    assert (result.withdrawn, result.gaps) == (1, (Gap(START + HOUR, START + HOUR, 1),))
    assert store.read("BTCUSDT", Interval.H1).height == 2
    assert store.read("BTCUSDT", Interval.H1, as_of=SEEN).height == 3


def test_an_empty_window_empties_only_itself(store: BarStore) -> None:
    """Replacing by nothing withdraws the window's bars and no other."""
    put(store, bars_of([1, 2, 3]))
    put(store, bars_of([1, 2, 3]).clear(), hours=2, at=LATER)
    assert store.read("BTCUSDT", Interval.H1)["close"].to_list() == [3]


def test_gaps_are_counted_up_to_the_neighbouring_windows(store: BarStore) -> None:
    """Missing points at the window's edges count when bars are stored beyond them."""
    put(store, bars_of([1.0]), hours=1)
    put(store, bars_of([2.0], start=START + 7 * HOUR), since=7, hours=1)
    assert store.gaps("BTCUSDT", Interval.H1) == [Gap(START + HOUR, START + 6 * HOUR, 6)]
    middle = put(store, bars_of([3.0], start=START + 3 * HOUR), since=2, hours=3)
    assert middle.gaps == (
        Gap(START + 2 * HOUR, START + 2 * HOUR, 1),
        Gap(START + 4 * HOUR, START + 4 * HOUR, 1),
    )


def test_nothing_stored_reads_as_nothing(store: BarStore) -> None:
    """An unknown series is an empty frame, no span, no gaps, no error."""
    assert store.read("ETHUSDT", Interval.H1).schema == SCHEMA
    assert store.read("ETHUSDT", Interval.H1).is_empty()
    assert store.span("ETHUSDT", Interval.H1) is None
    assert store.gaps("ETHUSDT", Interval.H1) == []
    assert store.symbols() == []


def test_span_and_lists_say_what_is_stored(store: BarStore) -> None:
    """Span, symbols and intervals come from content."""
    put(store, bars_of([1, 2, 3, 4, 5, 6]))
    assert store.span("BTCUSDT", Interval.H1) == (START, START + 5 * HOUR)
    assert store.symbols() == ["BTCUSDT"]
    assert store.intervals("BTCUSDT") == [Interval.H1]


def test_reading_takes_the_start_and_leaves_the_end(store: BarStore) -> None:
    """Start <= open_time < end."""
    put(store, bars_of([1, 2, 3, 4, 5, 6]))
    got = store.read("BTCUSDT", Interval.H1, START + HOUR, START + 3 * HOUR)
    assert got["close"].to_list() == [2, 3]


def test_a_coarser_interval_is_resampled_from_the_finest_stored(store: BarStore) -> None:
    """Four hours become one bar; coarse bars that are not covered at an edge are left out."""
    put(store, bars_of([1, 2, 3, 4, 5, 6, 7, 8, 9], start=START - HOUR), since=-1, hours=9)
    four = store.read("BTCUSDT", Interval.H4)
    assert four["open_time"].to_list() == [START, START + 4 * HOUR]
    assert four["open"].to_list() == [1, 5]
    assert four["close"].to_list() == [5, 9]
    assert four["volume"].to_list() == [2 + 3 + 4 + 5, 6 + 7 + 8 + 9]
    assert four["interval"].unique().to_list() == ["4h"]
    later = store.read("BTCUSDT", Interval.H4, START + 2 * HOUR)
    assert later["open_time"].to_list() == [START + 4 * HOUR]


def test_a_finer_interval_is_never_invented(store: BarStore) -> None:
    """15m bars cannot be made of hours."""
    put(store, bars_of([1, 2]))
    assert store.read("BTCUSDT", Interval.M15).is_empty()


@pytest.mark.parametrize("symbol", ["../../etc", "btcusdt", "BTC/USDT", "BTC USDT", "", "ÄÄÄ"])
def test_a_symbol_that_does_not_fit_never_enters_a_path(store: BarStore, symbol: str) -> None:
    """Only capital letters and digits become part of a path."""
    with pytest.raises(UnknownName, match="2 to 20 capital letters"):
        store.read(symbol, Interval.H1)


@pytest.mark.parametrize(
    "bars",
    [
        bars_of([1, 2], symbol="ETHUSDT"),
        bars_of([1, 2], start=START - HOUR),
        bars_of([1, 2], start=START + 7 * HOUR),
        bars_of([1, 2], interval=Interval.H2),
    ],
    ids=["symbol", "before", "after", "interval"],
)
def test_bars_that_do_not_belong_to_the_window_are_refused(
    store: BarStore, bars: pl.DataFrame
) -> None:
    """Nothing of a wrong window is written."""
    with pytest.raises(BarsInvalid, match="expected only BTCUSDT 1h"):
        put(store, bars)
    assert files(store) == {}


def test_invalid_bars_are_refused(store: BarStore) -> None:
    """The store keeps semantics §1 itself."""
    broken = bars_of([1, 2]).with_columns(high=pl.lit(0.5))
    with pytest.raises(BarsInvalid, match="bad_high_low in 2 rows"):
        put(store, broken)


@pytest.mark.parametrize(
    "content",
    [b"no parquet", b"", b"PAR1 cut off"],
    ids=["text", "empty", "cut"],
)
def test_a_broken_file_is_named_with_what_to_do(store: BarStore, content: bytes) -> None:
    """Reading and replacing both say which file is broken and leave it alone."""
    put(store, bars_of([1, 2, 3, 4, 5, 6]))
    path = store.root / "bars/symbol=BTCUSDT/interval=1h/month=2024-01/data.parquet"
    path.write_bytes(content)
    for call in (
        lambda: store.read("BTCUSDT", Interval.H1),
        lambda: store.span("BTCUSDT", Interval.H1),
        lambda: put(store, bars_of([1, 2])),
    ):
        with pytest.raises(StoreFailed, match=r"month=2024-01/data.parquet.*move that file away"):
            call()
    assert path.read_bytes() == content


def test_a_parquet_file_of_other_columns_is_broken_too(store: BarStore) -> None:
    """A readable file that holds no bars is named all the same."""
    put(store, bars_of([1, 2]))
    path = store.root / "bars/symbol=BTCUSDT/interval=1h/month=2024-01/data.parquet"
    pl.DataFrame({"a": [1]}).write_parquet(path)
    with pytest.raises(StoreFailed, match="its columns are a"):
        store.read("BTCUSDT", Interval.H1)


def test_writers_of_different_windows_of_one_month_both_win(tmp_path: Path) -> None:
    """Eight writers at once, each with its own hour of the same month: nothing is lost."""
    bars = bars_of([float(i + 1) for i in range(8)], start=START - 8 * HOUR)

    def write(hour: int) -> None:
        put(BarStore(tmp_path), bars[hour : hour + 1], since=hour - 8, hours=1)

    writers = [threading.Thread(target=write, args=(hour,)) for hour in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert BarStore(tmp_path).read("BTCUSDT", Interval.H1).equals(bars)


def test_a_reader_never_sees_half_a_month(tmp_path: Path) -> None:
    """While a month is rewritten again and again, every read shows one whole version."""
    store, seen, done = BarStore(tmp_path), set(), threading.Event()
    versions = [bars_of([float(k)] * 4) for k in (1, 2)]
    put(store, versions[0])

    def rewrite() -> None:
        for turn in range(40):
            put(BarStore(tmp_path), versions[turn % 2], at=SEEN + timedelta(seconds=turn))
        done.set()

    writer = threading.Thread(target=rewrite)
    writer.start()
    while not done.is_set():
        seen.add(tuple(store.read("BTCUSDT", Interval.H1)["close"].to_list()))
    writer.join()
    assert seen <= {(1.0,) * 4, (2.0,) * 4}


def rewrite_for_ever(root: str, started: Any) -> None:
    """Replace a month again and again; runs in a process of its own."""
    store, turn = BarStore(root), 0
    while True:
        put(store, bars_of([float(turn % 7 + 1)] * 4), at=SEEN + timedelta(seconds=turn))
        turn += 1
        if turn == 3:
            started.set()


def test_a_killed_writer_leaves_whole_files_and_no_lock(tmp_path: Path) -> None:
    """SIGKILL in the middle of writing, twice: every bar reads, and the next writer goes on."""
    spawn = multiprocessing.get_context("spawn")
    for _ in range(2):
        started = spawn.Event()
        writer = spawn.Process(target=rewrite_for_ever, args=(str(tmp_path), started))
        writer.start()
        started.wait(30)
        writer.kill()
        writer.join()
        closes = BarStore(tmp_path).read("BTCUSDT", Interval.H1)["close"].to_list()
        assert closes == [closes[0]] * 4
        put(BarStore(tmp_path), bars_of([9.0] * 4), at=LATER)
    assert BarStore(tmp_path).read("BTCUSDT", Interval.H1)["close"].to_list() == [9.0] * 4
    assert not list(tmp_path.rglob("*.tmp"))


@settings(max_examples=40, deadline=None)
@given(
    windows=st.lists(
        st.tuples(
            st.integers(0, 20), st.integers(1, 12), st.sets(st.integers(0, 32)), st.integers(1, 3)
        ),
        min_size=1,
        max_size=5,
    )
)
def test_any_sequence_of_windows_ends_as_a_dictionary_would(
    tmp_path_factory: pytest.TempPathFactory,
    windows: list[tuple[int, int, set[int], int]],
) -> None:
    """Against a plain dictionary: the present, and every past state, agree."""
    store = BarStore(tmp_path_factory.mktemp("lake"))
    model: dict[datetime, float] = {}
    history: list[tuple[datetime, dict[datetime, float]]] = []
    for turn, (since, hours, missing, price) in enumerate(windows):
        bars = bars_of(
            [float(price)] * hours,
            start=START + since * HOUR,
            skip=[m - since for m in missing],
        )
        at = SEEN + timedelta(minutes=turn)
        put(store, bars, since=since, hours=hours, at=at)
        inside = {START + (since + h) * HOUR for h in range(hours)}
        model = {t: p for t, p in model.items() if t not in inside}
        model |= dict(bars.select("open_time", "close").iter_rows())
        history.append((at, dict(model)))
    for at, state in history:
        got = store.read("BTCUSDT", Interval.H1, as_of=at)
        assert dict(got.select("open_time", "close").iter_rows()) == state
    assert store.read("BTCUSDT", Interval.H1)["open_time"].to_list() == sorted(model)


def test_no_file_is_left_beside_when_writing_fails(
    store: BarStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is told by name, the old content stays, nothing half-written remains."""
    put(store, bars_of([1, 2]))
    before = files(store)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreFailed, match=r"cannot be written .*No space left"):
        put(store, bars_of([3, 4]), at=LATER)
    assert {k: v[1] for k, v in files(store).items() if k.startswith("bars/")} == {
        k: v[1] for k, v in before.items()
    }
    assert not list(store.root.rglob("*.tmp"))


def test_edges_may_come_in_any_zone(store: BarStore) -> None:
    """An aware time of another zone means the same moment."""
    put(store, bars_of([1, 2, 3]))
    start = (START + HOUR).astimezone(ZoneInfo("Asia/Seoul"))
    assert store.read("BTCUSDT", Interval.H1, start)["close"].to_list() == [2, 3]


def test_a_lake_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A file where the lake's folder should be ends as a failed store, before any work."""
    (tmp_path / "lake").touch()
    with pytest.raises(StoreFailed, match="cannot be written"):
        put(BarStore(tmp_path / "lake"), bars_of([1, 2]))
