"""Moments of bars as numbers: the same as polars says, without a query."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunes_core.domain.bars import TIME, count_until, epoch_us

START = datetime(2024, 1, 1, tzinfo=UTC)
MINUTES = st.lists(st.integers(-(10**6), 10**6), unique=True, max_size=20).map(sorted)


def times_of(minutes: list[int], kind: pl.DataType = TIME) -> pl.Series:
    """Return moments so many minutes after the start of 2024."""
    return pl.Series([START + timedelta(minutes=m) for m in minutes], dtype=kind)


@given(minutes=MINUTES, seconds=st.integers(-(10**8), 10**8))
def test_as_many_are_counted_as_are_not_later(minutes, seconds):
    """A moment on a bar counts that bar, one between two counts the earlier."""
    moment = START + timedelta(seconds=seconds)
    expected = sum(START + timedelta(minutes=m) <= moment for m in minutes)
    assert count_until(times_of(minutes), moment) == expected


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_microseconds_whatever_the_unit_of_the_column(unit):
    """Numbers of another unit would be off by a thousand."""
    times = times_of([0, 1, 99], pl.Datetime(unit, "UTC"))
    assert epoch_us(times).tolist() == times.dt.epoch("us").to_list()


def test_a_column_in_pieces_is_one():
    """Frames that were joined keep their pieces."""
    pieces = times_of([0, 1]).append(times_of([2, 3]))
    assert count_until(pieces, START + timedelta(minutes=2)) == 3
