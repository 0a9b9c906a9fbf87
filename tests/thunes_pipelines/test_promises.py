"""The daily report holds live equity against what the evidence promised."""

from contextlib import closing

from tests.thunes_pipelines.houses import NOON, house_at
from tests.thunes_pipelines.test_research_sensors import (
    BARS,
    CHOSEN,
    DAY,
    END,
    STUDY,
    bought,
    promote,
    standing,
)
from thunes_pipelines.promises import promises

__all__ = ["standing"]  # a fixture


def of(house, until, studies=(STUDY,)):
    """Return the promises of a house."""
    with closing(house.ledger()) as ledger:
        return promises(ledger, house.bars(), house.settings(), studies, until)


def test_a_broken_promise_is_said_and_the_band_is_in_money(standing):
    """Ten days after the takeover: below the band, which starts from the allotment of 1000."""
    house, clock = standing
    close = float(BARS["close"][24 * 120])
    bought(house, 900 / close, close * 10, END + DAY)
    found = of(house, clock.now)
    assert "below the promised" in found.sentences[STUDY]
    assert found.band.height >= 7
    assert (found.band["low"] < found.band["high"]).all()
    assert 500 < found.band["low"][0] < 1000 < found.band["high"][-1] < 5000
    assert found.band["time"][0] > END


def test_nothing_is_drawn_before_a_week_or_without_evidence(standing, tmp_path):
    """Three days say nothing; nor does a champion whose walk-forward is not kept."""
    assert of(standing[0], END + 3 * DAY).band is None
    bare = house_at(tmp_path / "bare")
    assert of(bare, NOON).sentences == {}
    promote(bare, at=NOON - 20 * DAY, chosen=CHOSEN)
    assert of(bare, NOON).band is None
