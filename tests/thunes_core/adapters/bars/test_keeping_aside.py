"""Quarantine and declared outages: kept once, with reason, source and moment."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.thunes_core.adapters.bars.frames import LATER, SEEN, START, bars_of
from thunes_core.adapters.bars.files import locked
from thunes_core.adapters.bars.outages import Outages
from thunes_core.adapters.bars.quarantine import Quarantine
from thunes_core.domain.bars import Gap, Interval
from thunes_core.errors import StoreFailed

HOUR = timedelta(hours=1)
HOLE = Gap(START, START + HOUR, 2)


def test_a_refused_row_is_kept_once_with_reason_and_source(tmp_path: Path) -> None:
    """The same row for the same reason is not kept again; another reason is."""
    aside = Quarantine(tmp_path)
    rows = bars_of([1, 2]).with_columns(reason=pl.lit("bad_price"))
    where = {"symbol": "BTCUSDT", "interval": Interval.H1}
    assert aside.add(rows, **where, source="a.csv", observed_at=SEEN) == 2
    assert aside.add(rows, **where, source="b.csv", observed_at=LATER) == 0
    other = rows.with_columns(reason=pl.lit("off_grid"))
    assert aside.add(other, **where, source="b.csv", observed_at=LATER) == 2
    kept = aside.rows(**where)
    assert kept["source"].to_list() == ["a.csv", "a.csv", "b.csv", "b.csv"]
    assert kept["observed_at"].to_list() == [SEEN, SEEN, LATER, LATER]


def test_rows_with_nan_and_null_are_kept_once_too(tmp_path: Path) -> None:
    """What is no number equals itself here, so a second run adds nothing."""
    aside = Quarantine(tmp_path)
    rows = bars_of([1, 2]).with_columns(
        reason=pl.lit("bad_price"), close=pl.lit(float("nan")), low=pl.lit(None, pl.Float64())
    )
    where = {"symbol": "BTCUSDT", "interval": Interval.H1, "source": "x", "observed_at": SEEN}
    assert [aside.add(rows, **where), aside.add(rows, **where)] == [2, 0]


def test_an_outage_keeps_its_first_evidence(tmp_path: Path) -> None:
    """Declaring the same hole again changes nothing."""
    outages = Outages(tmp_path)
    where = {"symbol": "BTCUSDT", "interval": Interval.H1, "window": (START, START + 9 * HOUR)}
    outages.declare([HOLE], **where, evidence=lambda _: "asked twice", at=SEEN)
    outages.declare([HOLE], **where, evidence=lambda _: "again", at=LATER)
    rows = outages.rows("BTCUSDT", Interval.H1)
    assert rows["evidence"].to_list() == ["asked twice"]
    assert outages.undeclared([HOLE], "BTCUSDT", Interval.H1) == []


def test_an_outage_that_is_filled_is_repaired_not_forgotten(tmp_path: Path) -> None:
    """It stands no longer, and the record says until when it did."""
    outages = Outages(tmp_path)
    where = {"symbol": "BTCUSDT", "interval": Interval.H1, "window": (START, START + 9 * HOUR)}
    outages.declare([HOLE], **where, evidence=lambda _: "asked twice", at=SEEN)
    outages.declare([], **where, evidence=lambda _: "-", at=LATER)
    assert outages.rows("BTCUSDT", Interval.H1)["repaired_at"].to_list() == [LATER]
    assert outages.undeclared([HOLE], "BTCUSDT", Interval.H1) == [HOLE]


def test_declaring_one_window_leaves_others_alone(tmp_path: Path) -> None:
    """Outages that begin outside of the window are not touched."""
    outages = Outages(tmp_path)
    where = {"symbol": "BTCUSDT", "interval": Interval.H1}
    outages.declare([HOLE], **where, window=(START, START + HOUR), evidence=lambda _: "x", at=SEEN)
    outages.declare(
        [], **where, window=(START + HOUR, START + 9 * HOUR), evidence=lambda _: "x", at=LATER
    )
    assert outages.undeclared([HOLE], "BTCUSDT", Interval.H1) == []


def test_a_lock_held_too_long_is_told(tmp_path: Path) -> None:
    """The second writer waits its time and then says who is in the way."""
    path = tmp_path / "a.lock"
    with (
        locked(path),
        pytest.raises(StoreFailed, match=r"another writer held .*a\.lock"),
        locked(path, seconds=0.0),
    ):
        pass


def test_a_lock_is_free_again_after_an_error(tmp_path: Path) -> None:
    """Leaving the block by an exception releases the lock."""
    path = tmp_path / "a.lock"
    with pytest.raises(ValueError, match="inside"), locked(path):
        raise ValueError("inside")
    with locked(path, seconds=0.0):
        pass
