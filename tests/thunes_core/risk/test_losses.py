"""The daily loss limit as a change of the trading state."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.worlds import HOUR, START
from thunes_core.domain.limits import RiskLimits
from thunes_core.domain.portfolio import TradingState
from thunes_core.domain.records import StateRecord
from thunes_core.risk.losses import day_of, state_after

LIMITS = RiskLimits(daily_loss_quote=Decimal(20))
NOON = START + 12 * HOUR
ACTIVE = StateRecord(TradingState.ACTIVE, "fine", "me", START)
OURS = StateRecord(TradingState.REDUCING, "daily_loss: lost 21", "risk", NOON)


def test_reaching_the_limit_reduces_with_the_reason():
    """Exactly 20 lost is enough."""
    after = state_after(ACTIVE, Decimal(1000), Decimal(980), LIMITS, NOON)
    assert (after.state, after.author, after.since) == (TradingState.REDUCING, "risk", NOON)
    assert after.reason == "daily_loss: lost 20 since 00:00 UTC, 20 is allowed"


def test_a_cent_less_changes_nothing():
    """19.99 is within the limit."""
    assert state_after(ACTIVE, Decimal(1000), Decimal("980.01"), LIMITS, NOON) is ACTIVE


def test_the_same_day_stays_reducing_even_when_equity_comes_back():
    """The limit of a day holds for that day."""
    assert state_after(OURS, Decimal(1000), Decimal(1500), LIMITS, NOON + HOUR) is OURS


def test_the_next_utc_day_is_active_again():
    """At 00:00 UTC the day's loss is forgotten."""
    after = state_after(OURS, Decimal(980), Decimal(980), LIMITS, START + timedelta(days=1))
    assert (after.state, after.author) == (TradingState.ACTIVE, "risk")


@pytest.mark.parametrize("state", [TradingState.REDUCING, TradingState.HALTED])
def test_what_a_person_set_stays(state):
    """Only the limit's own state is lifted by a new day."""
    theirs = StateRecord(state, "daily_loss: says a person", "me", NOON)
    assert state_after(theirs, Decimal(1), Decimal(1), LIMITS, START + timedelta(days=3)) is theirs


def test_halted_is_not_softened_to_reducing():
    """A loss does not turn HALTED into something weaker."""
    halted = StateRecord(TradingState.HALTED, "stop", "me", NOON)
    assert state_after(halted, Decimal(1000), Decimal(1), LIMITS, NOON) is halted


def test_a_day_begins_at_midnight_utc():
    """The last moment belongs to the day before."""
    assert day_of(START + timedelta(hours=23, minutes=59)) == START
