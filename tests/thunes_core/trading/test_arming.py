"""Arming inside a tick: what ends while it runs is over for what it has not sent yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.worlds import BarsMarket, Small, bars_of, small_world, wave
from thunes_core.domain.orders import Refusal
from thunes_core.domain.portfolio import Account
from thunes_core.domain.records import Arming
from thunes_core.trading.step import tick

FAR = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass
class Named:
    """A broker whose account has a name; asked for it, something may happen first."""

    inner: Any
    before: Callable[[], None] = lambda: None

    def account(self) -> Account:
        self.before()
        return replace(self.inner.account(), identity="4711")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@pytest.fixture()
def small(tmp_path):
    """Return an armed world that stands at the first buy of its strategy."""
    made = small_world(tmp_path, BarsMarket(bars_of(wave())))
    made.broker = Named(made.broker)
    made.plan = replace(made.plan, identity="4711")
    made.ledger.arm(Arming("4711", FAR, Decimal(500), "me"))
    yield made
    made.ledger.close()


def ticked(small: Small, first: int = 41, last: int = 80) -> list[Refusal]:
    """Tick bar by bar until something is refused or bought; return the codes of the refusals."""
    for bar in range(first, last):
        small.market.stand_at(bar)
        report = tick(small.world, small.plan)
        if report.refused or report.fills:
            return [one.code for one in report.refused]
    raise AssertionError("the wave never made the strategy trade")


def test_an_armed_account_is_increased(small):
    """Nothing is refused while the arming is in force."""
    assert ticked(small) == []
    assert small.ledger.positions()[0].is_open


def test_an_arming_that_a_person_ends_while_a_tick_runs_lets_nothing_more_in(small):
    """The plan was made while it was in force."""
    small.broker.before = lambda: small.ledger.arm(None)
    assert ticked(small) == [Refusal.NOT_ARMED]
    assert not small.ledger.positions()[0].is_open


def test_an_arming_that_runs_out_while_a_tick_runs_lets_nothing_more_in(small):
    """Its time is over between the plan and the order."""
    over = datetime.now(UTC) - timedelta(seconds=1)
    small.broker.before = lambda: small.ledger.arm(Arming("4711", over, Decimal(500), "me"))
    assert ticked(small) == [Refusal.NOT_ARMED]


def test_an_arming_of_another_account_lets_nothing_in(small):
    """Somebody armed another key's account meanwhile."""
    small.broker.before = lambda: small.ledger.arm(Arming("4712", FAR, Decimal(500), "me"))
    assert ticked(small) == [Refusal.NOT_ARMED]


def test_an_exit_asks_for_no_arming(small):
    """What was bought while armed is sold without."""
    ticked(small)
    small.ledger.arm(None)
    assert ticked(small, 47, 120) == []
    assert not small.ledger.positions()[0].is_open
