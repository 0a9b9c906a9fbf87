"""From an exchange's answers to stored bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from tests.thunes_core.adapters.bars.frames import LATER, SEEN, START, bars_of
from thunes_core.adapters.bars import ingest as ingest_module
from thunes_core.adapters.bars.ingest import ingest_window, ingest_windows
from thunes_core.adapters.bars.ingest_file import ingest_file
from thunes_core.adapters.bars.result import IngestResult
from thunes_core.adapters.bars.store import BarStore
from thunes_core.domain.bars import Gap, Interval, resample
from thunes_core.domain.instrument import Instrument
from thunes_core.domain.window import Window
from thunes_core.errors import BarsInvalid, ExchangeUnavailable

HOUR = timedelta(hours=1)


@dataclass
class FakeMarket:
    """A market of given bars that remembers which windows it was asked for.

    `forgets`: open times left out of the first answer that covers them.
    """

    bars: pl.DataFrame
    now: datetime = SEEN
    forgets: set[datetime] = field(default_factory=set)
    asked: list[tuple[datetime, datetime]] = field(default_factory=list)

    def server_time(self) -> datetime:
        """Return the set time."""
        return self.now

    def klines(
        self, symbol: str, interval: Interval, start: datetime, end: datetime
    ) -> pl.DataFrame:
        """Return the bars of the window, but for those forgotten; coarser ones are built."""
        self.asked.append((start, end))
        own = self.bars["interval"][0] == str(interval)
        bars = self.bars if own else resample(self.bars, interval)
        inside = bars.filter(
            (pl.col("open_time") >= start)
            & (pl.col("open_time") < end)
            & (pl.col("open_time") + interval.duration <= self.now)
        )
        left_out, self.forgets = self.forgets, set()
        return inside.filter(~pl.col("open_time").is_in(list(left_out)))

    def instruments(self, symbols: Sequence[str] | None = None) -> dict[str, Instrument]:
        """Return none."""
        return {}

    def price(self, symbol: str) -> Decimal:
        """Return one."""
        return Decimal(1)


@pytest.fixture
def store(tmp_path: Path) -> BarStore:
    """Return an empty lake."""
    return BarStore(tmp_path)


def ingest(market: FakeMarket, store: BarStore, hours: int = 8) -> IngestResult:
    """Ingest `hours` from START."""
    return ingest_window(market, store, "BTCUSDT", Interval.H1, START, START + hours * HOUR)


def test_a_window_comes_in_whole_and_again_without_change(store: BarStore) -> None:
    """Received, stored, told; a second run finds nothing to do."""
    market = FakeMarket(bars_of([1, 2, 3, 4]))
    first, second = ingest(market, store), ingest(market, store)
    assert (first.received, first.written, first.gaps, first.problems) == (4, 4, (), ())
    assert (first.first, first.last) == (START, START + 3 * HOUR)
    assert first.changed
    assert not second.changed
    assert store.read("BTCUSDT", Interval.H1).equals(market.bars)


def test_a_gap_is_asked_for_again_and_repaired(store: BarStore) -> None:
    """What the first answer lacked and the second has is stored."""
    market = FakeMarket(bars_of([1, 2, 3, 4]), forgets={START + HOUR, START + 2 * HOUR})
    result = ingest(market, store)
    assert market.asked[1:] == [(START + HOUR, START + 3 * HOUR)]
    assert (result.received, result.written, result.gaps) == (4, 4, ())
    assert store.read("BTCUSDT", Interval.H1).equals(market.bars)


def test_what_the_exchange_does_not_have_is_a_declared_outage(store: BarStore) -> None:
    """Asked twice, still missing: recorded with evidence, not filled."""
    result = ingest(FakeMarket(bars_of([1, 2, 3, 4], skip=[1, 2])), store)
    hole = Gap(START + HOUR, START + 2 * HOUR, 2)
    assert (result.gaps, result.undeclared) == ((hole,), ())
    outage = store.outages.rows("BTCUSDT", Interval.H1).row(0, named=True)
    assert (outage["start"], outage["end"], outage["bars"]) == (hole.start, hole.end, 2)
    assert outage["evidence"].startswith("asked twice at 2024-03-01 00:00:00")


@dataclass
class Closing(FakeMarket):
    """A market that also tells when a bar closed."""

    closed_at: datetime | None = None

    def close_time(self, symbol: str, interval: Interval, open_time: datetime) -> datetime | None:
        """Return the set moment."""
        self.asked.append((open_time, open_time))
        return self.closed_at


@pytest.mark.parametrize(
    ("closed_at", "told"),
    [
        (START + 2 * HOUR + timedelta(minutes=39), "the bar before it closed at 2024-01-31 22:39"),
        (START + 3 * HOUR - timedelta(milliseconds=1), "none between"),
        (None, "none between"),
    ],
    ids=["broken off", "as usual", "unknown"],
)
def test_a_bar_broken_off_is_evidence_of_the_outage(
    store: BarStore, closed_at: datetime | None, told: str
) -> None:
    """Asked for once, when the outage is declared, and never again."""
    bars = bars_of([1, 2, 3, 4, 5, 6, 7, 8], skip=[3])
    market = Closing(bars, closed_at=closed_at)
    ingest(market, store)
    (evidence,) = store.outages.rows("BTCUSDT", Interval.H1)["evidence"]
    assert told in evidence
    before = START + 2 * HOUR
    assert market.asked.count((before, before)) == 1
    ingest(market, store)
    assert market.asked.count((before, before)) == 1


def test_an_outage_that_the_exchange_fills_later_is_repaired(store: BarStore) -> None:
    """The bars come in, the outage is marked repaired."""
    ingest(FakeMarket(bars_of([1, 2, 3, 4], skip=[1])), store)
    result = ingest(FakeMarket(bars_of([1, 2, 3, 4]), now=LATER), store)
    assert (result.written, result.gaps) == (1, ())
    assert store.outages.rows("BTCUSDT", Interval.H1)["repaired_at"].to_list() == [LATER]


def test_a_fresh_gap_is_not_yet_an_outage(store: BarStore) -> None:
    """A bar that is late by minutes may still come."""
    market = FakeMarket(bars_of([1, 2, 3, 4], skip=[2]), now=START + 4 * HOUR)
    result = ingest(market, store)
    assert result.undeclared == (Gap(START + 2 * HOUR, START + 2 * HOUR, 1),)
    assert store.outages.rows("BTCUSDT", Interval.H1).is_empty()


def test_broken_rows_go_to_quarantine_and_the_rest_is_stored(store: BarStore) -> None:
    """Nothing is dropped silently: the row stands aside with its reason."""
    here = pl.int_range(4) == 1
    broken = bars_of([1, 2, 3, 4]).with_columns(high=pl.when(here).then(0.1).otherwise("high"))
    result = ingest(FakeMarket(broken), store)
    assert (result.written, result.refused) == (3, 1)
    assert [(p.kind, p.rows) for p in result.problems] == [("bad_high_low", 1)]
    aside = store.quarantined("BTCUSDT", Interval.H1)
    assert aside["reason"].to_list() == ["bad_high_low"]
    assert aside["source"].to_list() == ["exchange"]
    assert ingest(FakeMarket(broken, now=LATER), store).refused == 1
    assert store.quarantined("BTCUSDT", Interval.H1).height == 1


def test_restated_history_is_revised_and_told(store: BarStore) -> None:
    """The exchange now says otherwise: the new version is stored, the old one kept."""
    ingest(FakeMarket(bars_of([1, 2, 3, 4])), store)
    result = ingest(FakeMarket(bars_of([1, 2, 3, 5]), now=LATER), store)
    assert (result.written, result.revised) == (0, 1)
    assert result.changed
    assert store.read("BTCUSDT", Interval.H1, as_of=SEEN)["close"].to_list() == [1, 2, 3, 4]


def test_bars_the_exchange_no_longer_has_are_told_as_withdrawn(store: BarStore) -> None:
    """They leave the present and are counted."""
    ingest(FakeMarket(bars_of([1, 2, 3, 4])), store)
    result = ingest(FakeMarket(bars_of([1, 2, 3]), now=LATER), store)
    assert [(p.kind, p.rows) for p in result.problems] == [("withdrawn", 1)]


def test_a_dead_exchange_leaves_the_store_as_it_was(store: BarStore) -> None:
    """Nothing is written when the reading fails."""

    class Dead(FakeMarket):
        def klines(self, *_: object) -> pl.DataFrame:
            raise ExchangeUnavailable("klines of BTCUSDT 1h: gone")

    ingest(FakeMarket(bars_of([1, 2, 3, 4])), store)
    with pytest.raises(ExchangeUnavailable):
        ingest(Dead(bars_of([1])), store)
    assert store.read("BTCUSDT", Interval.H1).height == 4


def test_the_json_shape_is_the_fixed_one(store: BarStore) -> None:
    """Times in ISO 8601 with Z, gaps with start, end and bars."""
    document = ingest(FakeMarket(bars_of([1, 2, 3, 4], skip=[1])), store).as_dict()
    assert document == {
        "received": 3,
        "written": 3,
        "revised": 0,
        "refused": 0,
        "gaps": [{"start": "2024-01-31T21:00:00Z", "end": "2024-01-31T21:00:00Z", "bars": 1}],
        "problems": [],
    }


def saved(path: Path, bars: pl.DataFrame) -> Path:
    """Write bars and return the path."""
    bars.write_parquet(path)
    return path


def test_a_file_adds_and_revises_but_never_withdraws(store: BarStore, tmp_path: Path) -> None:
    """A file with a hole does not dig that hole into the store."""
    ingest(FakeMarket(bars_of([1, 2, 3, 4])), store)
    path = saved(tmp_path / "a.parquet", bars_of([1, 2, 3, 4, 5], skip=[1]))
    result = ingest_file(path, store, "BTCUSDT", Interval.H1, now=LATER)
    assert (result.received, result.written, result.revised, result.withdrawn) == (4, 1, 0, 0)
    assert store.read("BTCUSDT", Interval.H1)["close"].to_list() == [1, 2, 3, 4, 5]


def test_a_thinner_file_does_not_empty_fuller_bars(store: BarStore, tmp_path: Path) -> None:
    """Columns the file lacks are taken from equal stored bars, not from zero."""
    full = bars_of([1, 2, 3, 4])
    ingest(FakeMarket(full), store)
    thin = saved(tmp_path / "a.parquet", full.drop("trades", "quote_volume", "taker_buy_base"))
    assert not ingest_file(thin, store, "BTCUSDT", Interval.H1, now=LATER).changed
    assert store.read("BTCUSDT", Interval.H1).equals(full)


def test_a_refused_file_leaves_no_trace(store: BarStore, tmp_path: Path) -> None:
    """Neither bars nor quarantine change when a file as a whole is refused."""
    ingest(FakeMarket(bars_of([float(i) for i in range(1, 31)])), store, hours=30)
    other = saved(tmp_path / "a.parquet", bars_of([float(i) + 0.5 for i in range(1, 31)]))
    with pytest.raises(BarsInvalid, match="expected bars of the same market as those stored"):
        ingest_file(other, store, "BTCUSDT", Interval.H1, now=LATER)
    assert store.quarantined("BTCUSDT", Interval.H1).is_empty()
    assert store.revisions("BTCUSDT", Interval.H1).is_empty()


def test_a_long_window_comes_in_chunks_without_a_seam(
    store: BarStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three bars at a time: the same result, and a hole across an edge is one outage."""
    monkeypatch.setattr(ingest_module, "CHUNK_BARS", 3)
    monkeypatch.setattr(ingest_module, "BATCH_BARS", 6)
    market = FakeMarket(bars_of([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], skip=[2, 3]))
    result = ingest(market, store, hours=10)
    assert (result.received, result.written) == (8, 8)
    assert (result.first, result.last) == (START, START + 9 * HOUR)
    assert result.gaps == (Gap(START + 2 * HOUR, START + 3 * HOUR, 2),)
    assert result.undeclared == ()
    assert store.read("BTCUSDT", Interval.H1).equals(market.bars)
    assert not ingest(market, store, hours=10).changed


def test_several_symbols_are_read_together(store: BarStore) -> None:
    """A market that reads many windows at once is asked once for all; progress is told in bars."""

    class Many(FakeMarket):
        def klines_many(self, windows: Sequence[Window]) -> list[pl.DataFrame]:
            asked_for.append([w.symbol for w in windows])
            return [
                self.klines(w.symbol, w.interval, w.start, w.end).with_columns(
                    symbol=pl.lit(w.symbol)
                )
                for w in windows
            ]

    asked_for: list[list[str]] = []
    market = Many(bars_of([1, 2, 3]))
    windows = [Window(s, Interval.H1, START, START + 3 * HOUR) for s in ("BTCUSDT", "ETHUSDT")]
    told: list[tuple[int, int]] = []
    results = ingest_windows(market, store, windows, lambda *done: told.append(done))
    assert [results[w].written for w in windows] == [3, 3]
    assert told == [(3, 6), (6, 6)]
    assert asked_for == [["BTCUSDT", "ETHUSDT"]]
