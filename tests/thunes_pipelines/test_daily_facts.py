"""Facts of a day come from the ledger, exact, and only of that day."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from tests.thunes_pipelines.houses import house_at
from thunes_core.domain.parameters import Champion, ParameterSet
from thunes_core.domain.portfolio import Position, TradingState
from thunes_core.domain.records import EquityMark
from thunes_pipelines.daily_facts import Surroundings, daily_facts

DAY = date(2025, 3, 10)
MIDNIGHT = datetime(2025, 3, 10, tzinfo=UTC)
STUDY = "sma_crossover.BTCUSDT.1h"


def at(hours: float) -> datetime:
    """Return a time so many hours after midnight."""
    return MIDNIGHT + timedelta(hours=hours)


@pytest.fixture
def house(tmp_path):
    """A house on an empty home."""
    return house_at(tmp_path)


@pytest.fixture
def ledger(house):
    """Its ledger."""
    with closing(house.ledger()) as opened:
        yield opened


def mark(ledger, hours: float, equity: str) -> None:
    """Store the end of a tick."""
    value = Decimal(equity)
    ledger.record_tick(EquityMark(at(hours), value, value, Decimal(0)), {})


def facts(house, ledger, day=DAY, **around):
    """Gather the facts of the day, looked at in its last hour unless told otherwise."""
    given = Surroundings(**{"now": at(23.5), **around})
    return daily_facts(ledger, day, house.settings(), [STUDY], given)


def test_an_empty_ledger_gives_a_report_of_unknowns(house, ledger):
    """The first report comes before the first tick."""
    found = facts(house, ledger)
    assert (found.pnl, found.trades, found.positions, found.champions) == (None, (), (), ())
    assert found.audit.intact
    assert found.health.last_tick is None


def test_pnl_is_the_last_mark_less_the_one_before_midnight(house, ledger):
    """Exact to the last digit, whatever floats would say."""
    for hours, equity in ((-1, "1000.1"), (1, "1000.2"), (22, "1000.30000001"), (25, "5")):
        mark(ledger, hours, equity)
    assert facts(house, ledger).pnl == Decimal("0.20000001")


def test_pnl_starts_at_the_equity_of_midnight_where_the_tick_stored_it(house, ledger):
    """The day's loss limit and the report speak of the same number."""
    mark(ledger, -1, "1000")
    mark(ledger, 1, "1000")
    ledger.set_day_start(MIDNIGHT, Decimal(1002))
    assert facts(house, ledger).pnl == Decimal(-2)


def test_a_first_day_starts_at_its_first_mark(house, ledger):
    """Nothing before it is known."""
    mark(ledger, 5, "1000")
    mark(ledger, 6, "1010")
    assert facts(house, ledger).pnl == Decimal(10)


def test_ticks_are_those_of_the_day(house, ledger):
    """Midnight belongs to the day it begins."""
    for hours in (-0.1, 0, 12, 24):
        mark(ledger, hours, "1")
    found = facts(house, ledger)
    assert found.health.ticks == 2
    assert found.health.last_tick == at(12)


def test_a_past_day_is_told_as_known_at_its_end(house, ledger):
    """A report that is caught up later does not age its bars to today."""
    assert facts(house, ledger, now=at(100)).now == at(24)


def test_an_open_position_entered_today_is_a_trade_without_exit(house, ledger):
    """It is seen among the trades and among the positions, at the price of now."""
    book = Position(
        "sma_crossover",
        "BTCUSDT",
        cash=Decimal(1),
        quantity=Decimal("0.5"),
        average_price=Decimal(100),
        entry_time=at(3),
    )
    ledger.save_position(book)
    found = facts(house, ledger, prices={"BTCUSDT": Decimal(110)})
    assert [t.exit_time for t in found.trades] == [None]
    assert [p.unrealised for p in found.positions] == [Decimal(5)]


def test_state_and_champion_are_those_in_force(house, ledger):
    """With the evidence where it could be asked for."""
    ledger.set_trading_state(TradingState.HALTED, reason="by hand", author="anna", since=at(1))
    ledger.remember_champion(Champion(STUDY, ParameterSet("sma_crossover", {"fast": 5}), "3", "r"))
    found = facts(house, ledger, evidence={STUDY: {"dsr": 0.9}})
    assert (found.risk.state, found.risk.author) == (TradingState.HALTED, "anna")
    (champion,) = found.champions
    assert (champion.version, champion.values, champion.evidence) == (
        "3",
        {"fast": 5},
        {"dsr": 0.9},
    )


def test_a_fitted_model_is_told_by_its_hash(house, ledger):
    """A model of kilobytes would bury the report; its text stands in the registry."""
    fitted = ParameterSet("learned_direction", {"kind": "logistic", "model": "x" * 5000})
    ledger.remember_champion(Champion(STUDY, fitted, "3", "r"))
    (champion,) = facts(house, ledger).champions
    assert champion.values["kind"] == "logistic"
    assert champion.values["model"].startswith("sha256:")
    assert len(champion.values["model"]) < 30
