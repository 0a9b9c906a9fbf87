"""Whose parameters a study trades with when the registry is down or its champion unfit."""

from __future__ import annotations

import pytest

from tests.worlds import START, STUDY, Champions
from thunes_core.adapters.ledger import open_ledger
from thunes_core.errors import NoChampion, ParametersInvalid, RegistryUnavailable
from thunes_core.trading.look import find_champion
from thunes_core.trading.world import parse_study

DOWN = RegistryUnavailable("MLflow is down")
UNFIT = ParametersInvalid("its fingerprint is not the tagged one")


@pytest.fixture()
def ledger(tmp_path):
    """Return an empty ledger."""
    made = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}", synchronous="OFF")
    yield made
    made.close()


def failing(error):
    """Return a source that raises `error`."""
    source = Champions()
    source.error = error
    return source


def find(source, ledger, needed):
    """Ask for the champion of the study."""
    return find_champion(source, ledger, parse_study(STUDY), START, needed=needed)


@pytest.mark.parametrize("needed", [True, False])
def test_a_registry_that_is_down_ends_only_the_study_without_a_copy(ledger, needed):
    """`NoChampion` is a note of that study; the other studies go on to their exits."""
    with pytest.raises(NoChampion, match="MLflow is down; no champion is remembered"):
        find(failing(DOWN), ledger, needed)


def test_an_unfit_champion_still_looks_after_what_is_held(ledger):
    """The last known good copy decides on the position, and the note says so."""
    find(Champions(), ledger, needed=False)
    champion, note = find(failing(UNFIT), ledger, needed=True)
    assert champion.parameters == Champions().champion(STUDY).parameters
    assert "as remembered" in note


def test_an_unfit_champion_begins_nothing(ledger):
    """Nothing held: a tampered set is no reason to trade on an old one."""
    find(Champions(), ledger, needed=False)
    with pytest.raises(ParametersInvalid):
        find(failing(UNFIT), ledger, needed=False)
