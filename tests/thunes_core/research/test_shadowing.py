"""Candidate and champion on paper: agreement and growth, by hand."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from thunes_core.domain.limits import Costs
from thunes_core.research.shadowing import beside, compare, is_complete

START, HOUR = datetime(2025, 1, 1, tzinfo=UTC), timedelta(hours=1)
FREE = Costs(0.0, 0.0, 0.0)


def shadow(*rows):
    """Return decisions of a candidate: (price, target) an hour apart."""
    return pl.DataFrame(
        [{"bar": START + i * HOUR, "price": p, "target": t} for i, (p, t) in enumerate(rows)]
    )


def decided(*targets, first=0):
    """Return decisions of the champion from bar `first` on."""
    rows = [{"bar": START + (first + i) * HOUR, "target": t} for i, t in enumerate(targets)]
    return pl.DataFrame(rows, schema={"bar": pl.Datetime("us", "UTC"), "target": pl.Float64})


def test_growth_is_that_of_holding_each_target_to_the_next_close():
    """100, 110, 99: in for both steps, against out for the second."""
    table = beside(shadow((100.0, 1.0), (110.0, 1.0), (99.0, 0.0)), decided(1.0, 0.0, 0.0))
    both = compare(table, FREE)
    assert both.candidate_growth == pytest.approx(0.99)
    assert both.champion_growth == pytest.approx(1.1)
    assert both.agreement == pytest.approx(2 / 3)
    assert both.sentence() == (
        "3 bars on paper, candidate -1.00%, champion +10.00%, same target on 67%"
    )


def test_a_change_costs_what_is_turned_over():
    """In and out at 1 % each: two changes, no move of the price."""
    table = beside(shadow((100.0, 1.0), (100.0, 0.0)), decided())
    both = compare(table, Costs(0.009, 0.0, 0.001))
    assert both.candidate_growth == pytest.approx(0.99 * 0.99)
    assert both.champion_growth is None
    assert "decided on none" in both.sentence()


def test_days_count_by_what_is_recorded():
    """Two days of hourly bars are 48 decisions, however much time has passed."""
    rows = [(100.0, 0.0)] * 48
    assert is_complete(shadow(*rows), HOUR, 2)
    assert not is_complete(shadow(*rows[1:]), HOUR, 2)
