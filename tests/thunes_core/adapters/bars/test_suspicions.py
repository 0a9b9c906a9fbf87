"""Flags and refusals of whole files, on small frames; the real files are in test_dirty_files."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from tests.thunes_core.adapters.bars.frames import bars_of
from thunes_core.adapters.bars.suspicions import (
    USUAL_HOURS,
    flags,
    refusal,
    shifted_hours,
    stranger,
    unfinished_last,
)
from thunes_core.domain.bars import Interval

MIDNIGHT = datetime(2024, 1, 1, tzinfo=UTC)
WAVES = [100 + math.sin(i) for i in range(60)]


def month_of_hours(ahead: int) -> pl.DataFrame:
    """Return 30 days of hours whose volume follows the day's rhythm, `ahead` hours early."""
    bars = bars_of([100.0] * 720, start=MIDNIGHT)
    rhythm = [float(USUAL_HOURS[(h - ahead) % 24]) for h in range(24)] * 30
    return bars.with_columns(volume=pl.Series(rhythm))


@pytest.mark.parametrize("ahead", [0, 9, 19])
def test_a_shifted_rhythm_of_the_day_is_seen(ahead: int) -> None:
    """Local time stored as UTC shows in the hours in which people trade."""
    assert shifted_hours(month_of_hours(ahead), Interval.H1) == ahead


def test_short_or_coarse_series_prove_no_shift() -> None:
    """Ten days, or bars of four hours, say nothing about the clock."""
    assert shifted_hours(month_of_hours(9).head(240), Interval.H1) == 0
    assert shifted_hours(month_of_hours(9), Interval.H4) == 0


def test_a_day_without_rhythm_proves_no_shift() -> None:
    """Constant volume fits every clock."""
    flat = bars_of([100.0] * 720, start=MIDNIGHT).with_columns(volume=pl.lit(1.0))
    assert shifted_hours(flat, Interval.H1) == 0


def test_the_same_market_is_no_stranger() -> None:
    """Equal closes agree, a few revised ones do not matter."""
    known = bars_of(WAVES)
    assert stranger(known, known, Interval.H1) is None
    assert stranger(bars_of([*WAVES[:-5], 1, 2, 3, 4, 5]), known, Interval.H1) is None


def test_another_market_is_a_stranger() -> None:
    """Prices that are near, but never equal, are not from here."""
    others = bars_of([close + 0.01 for close in WAVES])
    assert "only 0 of 60 closes equal" in str(stranger(others, bars_of(WAVES), Interval.H1))


def test_a_shifted_clock_is_named_with_its_offset() -> None:
    """The same bars nine hours later are Korean time."""
    known = bars_of(WAVES, start=MIDNIGHT)
    korean = known.with_columns(pl.col("open_time") + timedelta(hours=9))
    assert "UTC+9" in str(stranger(korean, known, Interval.H1))
    west = known.with_columns(pl.col("open_time") - timedelta(hours=5))
    assert "UTC-5" in str(stranger(west, known, Interval.H1))


def test_too_few_common_bars_prove_nothing() -> None:
    """Nineteen different closes are not enough to refuse a file."""
    assert stranger(bars_of([1.0] * 19), bars_of([2.0] * 19), Interval.H1) is None


def test_a_thin_last_bar_is_not_believed() -> None:
    """A quarter of the usual activity looks unfinished; one minute bars vary too much to tell."""
    trades = pl.Series([100] * 59 + [20], dtype=pl.Int64())
    bars = bars_of(WAVES).with_columns(trades=trades)
    assert unfinished_last(bars, Interval.H1)
    assert not unfinished_last(bars, Interval.M1)
    assert not unfinished_last(bars.head(59), Interval.H1)
    assert not unfinished_last(bars.tail(20), Interval.H1)


def test_flags_count_rows_and_change_nothing() -> None:
    """Wild ranges and many silent bars are told with their number."""
    bars = bars_of([100.0] * 50)
    assert flags(bars, Interval.H1) == []
    wild = bars.with_columns(high=pl.when(pl.int_range(50) == 7).then(301.0).otherwise("high"))
    assert [(p.kind, p.rows) for p in flags(wild, Interval.H1)] == [("wild_range", 1)]
    silent = bars.with_columns(volume=pl.lit(0.0), trades=pl.lit(0, pl.Int64()))
    assert [(p.kind, p.rows) for p in flags(silent, Interval.H1)] == [("no_trades", 50)]


def test_one_bar_is_a_series_of_any_interval() -> None:
    """Nothing can be said about the spacing of a single bar."""
    assert refusal(bars_of([1.0]), Interval.H4) is None
