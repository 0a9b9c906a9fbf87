"""Entries wait for better bars; the sentence says why."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.thunes_core.adapters.bars.frames import START, bars_of
from thunes_core.domain.bars import Interval
from thunes_core.domain.doubts import why_wait
from thunes_core.domain.spikes import CLEARING_BARS, spikes
from thunes_core.indicators.columns import columns_of

CALM = [100.0 + i % 2 for i in range(60)]
HOUR = timedelta(hours=1)
NAN = float("nan")


def doubt(bars: pl.DataFrame) -> str | None:
    """Ask about hourly bars."""
    return why_wait(columns_of(bars).arrays, Interval.H1)


def test_calm_whole_bars_raise_no_doubt() -> None:
    """Nothing to wait for; nor with very few bars, or none."""
    assert doubt(bars_of(CALM)) is None
    assert doubt(bars_of(CALM[:2])) is None
    assert doubt(bars_of(CALM).clear()) is None


def test_a_spike_is_waited_out_for_three_calm_bars() -> None:
    """The reason names the bar; after enough calm bars there is none."""
    jump = CALM[-1] + 30
    after = [jump, jump + 1, jump, jump + 1]
    said = [doubt(bars_of([*CALM, *after[:n]])) for n in range(5)]
    assert said[0] is None
    assert "the close of 2024-02-03 08:00 moved more than 20 times" in str(said[1])
    assert all(said[1 : 1 + CLEARING_BARS])
    assert said[4] is None


def test_a_person_can_clear_a_spike() -> None:
    """Cleared up to its open time, it holds nothing back."""
    bars = columns_of(bars_of([*CALM, CALM[-1] + 30])).arrays
    assert why_wait(bars, Interval.H1, cleared_until=START + 59 * HOUR)
    assert why_wait(bars, Interval.H1, cleared_until=START + 60 * HOUR) is None


def test_a_hole_in_the_last_bars_is_waited_out() -> None:
    """A missing bar among the last three is told; an older one is not."""
    assert doubt(bars_of(CALM, skip=[58])) == "1 of the last 4 bars are missing"
    assert doubt(bars_of(CALM, skip=[50])) is None


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("close", NAN),
        ("close", None),
        ("open", 0.0),
        ("low", -1.0),
        ("high", float("inf")),
        ("high", 1.0),
        ("low", 500.0),
        ("volume", -1.0),
        ("volume", NAN),
    ],
)
def test_a_broken_bar_is_told(column: str, value: float | None) -> None:
    """One broken bar anywhere in what a decision reads makes entries wait."""
    here = pl.int_range(pl.len()) == 30
    bars = bars_of(CALM).with_columns(
        pl.when(here).then(pl.lit(value, pl.Float64())).otherwise(column).alias(column)
    )
    assert doubt(bars) == "1 of the 60 bars read are broken; look at the quarantine"


@given(st.lists(st.sampled_from([1.0, 2.0, 30.0, 31.0, 300.0]), min_size=1, max_size=130))
def test_it_agrees_with_the_flags_of_all_bars(closes: list[float]) -> None:
    """What the tick asks of the last bars is what the flags say of the whole series."""
    bars = bars_of(closes)
    assert (doubt(bars) is not None) == spikes(bars).tail(CLEARING_BARS).any()
