"""Candidates decide on paper beside the champion, bar by bar, and nothing is sent for them."""

import pytest

from tests.worlds import STUDY, BarsMarket, bars_of, small_world, wave
from thunes_core.domain.parameters import Champion, ParameterSet
from thunes_core.domain.records import Shadow
from thunes_core.strategies.base import build
from thunes_core.trading.shadow import shadow_decisions
from thunes_core.trading.step import tick

CANDIDATE = Champion(STUDY, ParameterSet("sma_crossover", {"fast": 8, "slow": 30}), "7", "run")


@pytest.fixture
def small(tmp_path):
    """A world in which version 7 decides on paper from bar 60 on."""
    made = small_world(tmp_path, BarsMarket(bars_of(wave())))
    made.market.stand_at(60)
    made.ledger.begin_shadow(Shadow(CANDIDATE, made.market.now))
    yield made
    made.ledger.close()


def record(small, *bars):
    """Tick and record at the open of each bar."""
    for bar in bars:
        small.market.stand_at(bar)
        tick(small.world, small.plan)
        made = shadow_decisions(small.world, small.ledger, small.plan.studies)
        small.ledger.record_shadow_decisions(made)
    return small.ledger.shadow_decisions()


def test_each_closed_bar_has_what_the_candidate_wanted(small):
    """Its targets equal those over the whole history; the champion's own trades are untouched."""
    made = record(small, *range(60, 90))
    whole = build("sma_crossover", {"fast": 8, "slow": 30}).target_exposure(bars_of(wave()))
    assert made["target"].to_list() == whole[59:89].to_list()
    assert 0 < sum(made["target"]) < 30
    assert set(small.ledger.decisions()["version"]) == {"1"}
    assert made["recorded_at"][0] == made["bar"][0] + (made["bar"][1] - made["bar"][0])


def test_bars_missed_are_made_up_for_once(small):
    """After an outage every bar is there, none twice, and the late ones say when."""
    record(small, 60, 61)
    made = record(small, 70, 70)
    assert made.height == 11
    assert made["bar"].n_unique() == 11
    assert made["recorded_at"].n_unique() == 3


def test_an_ended_shadow_records_nothing_more(small):
    """What it decided stays to be read; the audit knows begin and end."""
    record(small, 60, 61)
    small.ledger.end_shadow(STUDY, small.market.now, "promoted")
    assert record(small, 62, 63).height == 2
    told = [e["event"] for e in small.ledger.audit() if e["event"].startswith("shadow")]
    assert told == ["shadow", "shadow_ended"]
