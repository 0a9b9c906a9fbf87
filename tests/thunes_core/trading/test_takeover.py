"""A position stays under the version that opened it, until it is closed or taken over by rule."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.worlds import HOUR, STUDY, BarsMarket, bars_of, small_world, wave
from thunes_core.trading.step import tick

OTHER = {"fast": 10, "slow": 21}
HELD = 45
"""A bar at which 5/20 holds on the wave."""


def run(small, plan, first, last):
    """Tick at the open of each bar; return notes and versions by bar."""
    notes = []
    for bar in range(first, last):
        small.market.stand_at(bar)
        notes += tick(small.world, plan).notes
    decided = small.ledger.decisions()
    return notes, dict(zip(decided["bar"], decided["version"], strict=True))


@pytest.fixture
def held(tmp_path):
    """A world that holds a position under version 1."""
    small = small_world(tmp_path, BarsMarket(bars_of(wave())))
    run(small, small.plan, 30, HELD)
    while not small.ledger.positions()[0].is_open:
        run(small, small.plan, HELD, HELD + 5)
    yield small
    small.ledger.close()


def promote(small):
    """Make another set champion."""
    small.champions.values, small.champions.version = OTHER, "2"


def test_an_open_position_stays_under_the_version_that_opened_it(held):
    """The new champion is seen at once, decides on nothing held, and takes the next entry."""
    promote(held)
    plan = replace(held.plan, takeover=timedelta(days=30))
    notes, versions = run(held, plan, 50, 110)
    assert "stays under version 1 until it is closed" in notes[0]
    exits = held.ledger.trades()
    assert exits.height >= 2
    closed = exits["exit_time"][0]
    assert {v for bar, v in versions.items() if bar + HOUR < closed} == {"1"}
    assert {v for bar, v in versions.items() if bar > closed} == {"2"}
    first, second = (held.ledger.version_of(STUDY, f) for f in exits["parameters"][:2])
    assert (first.version, second.version) == ("1", "2")


def test_a_newer_champion_takes_over_after_the_stated_time(held):
    """Four hours after it was first seen it decides on what is held, and the tick says so."""
    promote(held)
    notes, versions = run(held, replace(held.plan, takeover=4 * HOUR), 50, 56)
    assert any("takes over the position of version 1 after 4:00:00" in note for note in notes)
    assert [versions[bar] for bar in sorted(versions)][-6:] == ["1"] * 4 + ["2"] * 2
    newest = held.ledger.remembered_champion(STUDY).parameters.fingerprint
    assert held.ledger.positions()[0].parameters in {newest, ""}


def test_zero_hours_means_the_next_tick(held):
    """With a takeover of nothing the new champion decides at once."""
    promote(held)
    _, versions = run(held, replace(held.plan, takeover=timedelta(0)), 50, 51)
    assert versions[max(versions)] == "2"


def test_a_position_of_a_set_that_nobody_kept_is_taken_over(held):
    """A ledger from before versions were kept cannot ask the old one: the new one takes over."""
    (book,) = held.ledger.positions()
    held.ledger.save_position(replace(book, parameters="unknown"))
    promote(held)
    notes, versions = run(held, replace(held.plan, takeover=timedelta(days=30)), 50, 51)
    assert "takes over an older position" in notes[0]
    assert versions[max(versions)] == "2"
