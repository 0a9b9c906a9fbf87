"""Moments of bars as numbers: the same as polars says, without a query."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunes_core.domain.bars import TIME, epoch_us, micros, moment_of

START = datetime(2024, 1, 1, tzinfo=UTC)


@given(moment=st.datetimes(timezones=st.just(UTC)))
def test_a_moment_is_its_microseconds(moment):
    """Nothing is lost on the way to a number and back."""
    assert moment_of(micros(moment)) == moment


def times_of(minutes: list[int], kind: pl.DataType = TIME) -> pl.Series:
    """Return moments so many minutes after the start of 2024."""
    return pl.Series([START + timedelta(minutes=m) for m in minutes], dtype=kind)


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_microseconds_whatever_the_unit_of_the_column(unit):
    """Numbers of another unit would be off by a thousand."""
    times = times_of([0, 1, 99], pl.Datetime(unit, "UTC"))
    assert epoch_us(times).tolist() == times.dt.epoch("us").to_list()


def test_a_column_in_pieces_is_one():
    """Frames that were joined keep their pieces."""
    pieces = times_of([0, 1]).append(times_of([2, 3]))
    assert epoch_us(pieces).tolist() == pieces.dt.epoch("us").to_list()
