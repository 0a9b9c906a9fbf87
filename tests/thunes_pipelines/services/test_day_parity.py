"""A real day beside the backtest of the same bars: equal, late, missing and too much are told."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from tests.worlds import HOUR, START, STUDY, BarsMarket, bars_of, small_world, wave
from thunes_core.domain.limits import Costs, LotRules, Protection
from thunes_core.errors import ExchangeUnavailable
from thunes_core.trading.step import tick
from thunes_pipelines.services.day_parity import DayTerms, study_parity, summary

BARS = bars_of(wave())
DAY = (START + timedelta(days=2), START + timedelta(days=3))
TERMS = DayTerms(1000.0, Costs(), Protection(), LotRules(0.001, 0.001, 5.0))


def read(_study, start, end):
    """Read bars as the lake does."""
    return BARS.filter((pl.col("open_time") >= start) & (pl.col("open_time") < end))


@pytest.fixture
def small(tmp_path):
    """Return a world that was flat and trades from the first bar on."""
    world = small_world(tmp_path, BarsMarket(BARS))
    yield world
    world.ledger.close()


def trade(small, bars=range(41, 75)):
    """Tick at the open of each bar."""
    for bar in bars:
        small.market.stand_at(bar)
        tick(small.world, small.plan)


def test_a_day_that_went_as_planned_is_the_backtest_order_by_order(small):
    """One buy and one sell, the same to the step and to the price."""
    trade(small)
    rows = study_parity(small.ledger, read, STUDY, DAY, TERMS)
    assert rows["verdict"].to_list() == ["same", "same"]
    assert [q > 0 for q in rows["backtest_quantity"]] == [True, False]
    assert rows["worse_bps"].abs().max() < 0.01
    assert summary(rows) == {
        "orders": 2,
        "same": 2,
        "quantity": 0,
        "missing": 0,
        "extra": 0,
        "mean_worse_bps": pytest.approx(0.0, abs=0.01),
    }


def test_an_order_a_bar_late_is_missing_at_its_bar_and_extra_at_the_next(small):
    """The entry could not be sent and was made up for; what it bought instead is sold later."""
    small.broker.script = [("before", ExchangeUnavailable("away"))]
    trade(small)
    rows = study_parity(small.ledger, read, STUDY, DAY, TERMS)
    assert rows["verdict"].to_list() == ["missing", "extra", "quantity"]
    assert rows["live_quantity"].null_count() == 1


def test_a_worse_price_is_told_in_basis_points(small):
    """The live account slipped by 15 basis points instead of 5."""
    trade(small)
    terms = DayTerms(1000.0, Costs(slippage=0.0), Protection(), TERMS.lots)
    rows = study_parity(small.ledger, read, STUDY, DAY, terms)
    assert (rows["worse_bps"] > 4.0).all()
    assert (rows["worse_bps"] < 6.0).all()


def test_a_position_from_the_day_before_is_compared_from_its_entry(small):
    """The day begins long: its sell is the same, and its buy belongs to another day."""
    trade(small)
    whole = study_parity(small.ledger, read, STUDY, DAY, TERMS)
    later = (whole["bar"][0] + HOUR, DAY[1])
    rows = study_parity(small.ledger, read, STUDY, later, TERMS)
    assert rows["verdict"].to_list() == ["same"]


def test_a_day_without_decisions_has_no_rows(small):
    """Nobody traded."""
    rows = study_parity(small.ledger, read, STUDY, DAY, TERMS)
    assert rows.is_empty()
    assert summary(rows)["orders"] == 0
