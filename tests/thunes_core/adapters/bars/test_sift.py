"""Rows are parted by written rules; nothing disappears."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.thunes_core.adapters.bars.frames import START, bars_of
from thunes_core.adapters.bars.sift import Sifted, sift
from thunes_core.domain.bars import Interval, require_valid

NAN, INF = float("nan"), float("inf")


def broken(column: str, value: object, row: int = 1) -> pl.DataFrame:
    """Return three bars whose `row` has `value` in `column`."""
    here = pl.int_range(pl.len()) == row
    return bars_of([1, 2, 3]).with_columns(
        pl.when(here).then(pl.lit(value)).otherwise(pl.col(column)).alias(column)
    )


def found(result: Sifted) -> dict[str, int]:
    """Return the problems as a dictionary."""
    return {p.kind: p.rows for p in result.problems}


def test_good_bars_pass_untouched() -> None:
    """Nothing is repaired, refused or counted."""
    bars = bars_of([1, 2, 3])
    result = sift(bars, Interval.H1)
    assert result.bars.equals(bars)
    assert result.refused.is_empty()
    assert result.problems == ()


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("open_time", None, "no_open_time"),
        ("open_time", START + timedelta(minutes=30), "off_grid"),
        ("close", None, "bad_price"),
        ("close", NAN, "bad_price"),
        ("open", INF, "bad_price"),
        ("low", 0.0, "bad_price"),
        ("low", -1.0, "bad_price"),
        ("high", 0.5, "bad_high_low"),
        ("low", 9.0, "bad_high_low"),
        ("volume", -1.0, "bad_volume"),
        ("volume", None, "bad_volume"),
        ("quote_volume", NAN, "bad_volume"),
        ("trades", -1, "bad_volume"),
    ],
)
def test_a_broken_row_is_refused_with_its_reason(column: str, value: object, reason: str) -> None:
    """The row goes aside with the first rule it breaks; its neighbours stay."""
    result = sift(broken(column, value), Interval.H1)
    assert result.refused["reason"].to_list() == [reason]
    assert result.bars["close"].to_list() == [1, 3]
    assert found(result) == {reason: 1}


def test_order_and_repeats_are_repaired_and_counted() -> None:
    """Newest first, every row twice: the bars come out once and sorted."""
    bars = bars_of([1, 2, 3])
    result = sift(pl.concat([bars, bars]).reverse(), Interval.H1)
    assert result.bars.equals(bars)
    assert found(result) == {"unsorted": 4, "repeated_rows": 3}


def test_contradicting_versions_are_all_refused() -> None:
    """Nobody can say which of two equal-rank versions is right."""
    bars = bars_of([1, 2, 3])
    other = bars[1:2].with_columns(close=pl.lit(1.5))
    result = sift(pl.concat([bars, other]), Interval.H1)
    assert result.bars["close"].to_list() == [1, 3]
    assert result.refused["close"].to_list() == [2, 1.5]
    assert found(result) == {"conflicting_duplicates": 2, "unsorted": 1}


def test_of_contradicting_versions_the_fuller_one_wins() -> None:
    """A version with trade counts beats one that lacks them."""
    bars = bars_of([1, 2, 3])
    rows = pl.concat([bars, bars[1:2].with_columns(close=pl.lit(1.5))])
    result = sift(rows, Interval.H1, completeness=pl.Series([2, 1, 2, 2]))
    assert result.bars["close"].to_list() == [1, 1.5, 3]
    assert result.refused["close"].to_list() == [2]


def test_a_broken_version_does_not_contradict_a_sound_one() -> None:
    """The sound version of a bar is kept when the other one is refused anyway."""
    bars = bars_of([1, 2, 3])
    result = sift(pl.concat([bars, bars[1:2].with_columns(close=pl.lit(NAN))]), Interval.H1)
    assert result.bars.equals(bars)
    assert found(result)["bad_price"] == 1


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-1, 4)), max_size=12))
def test_every_row_comes_out_once_and_what_passes_is_valid(rows: list[tuple[int, int]]) -> None:
    """Bars + refused + repeats = rows, whatever comes in."""
    frames = [
        bars_of([2.0]).with_columns(
            open_time=pl.lit(START).dt.cast_time_unit("us") + timedelta(minutes=30 * slot),
            close=pl.lit(float(close)),
            high=pl.lit(3.0),
            low=pl.lit(1.0),
        )
        for slot, close in rows
    ]
    frame = pl.concat([bars_of([1]).clear(), *frames], how="vertical_relaxed")
    result = sift(frame, Interval.H1)
    repeats = found(result).get("repeated_rows", 0)
    assert result.bars.height + result.refused.height + repeats == frame.height
    require_valid(result.bars, Interval.H1)
