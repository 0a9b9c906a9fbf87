"""What the tick's asset shows, and how it fails."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import dagster as dg
import pytest
from dagster._core.errors import DagsterExecutionInterruptedError

from tests.thunes_pipelines.houses import NOON
from thunes_core.domain.orders import Leg, OrderRequest, OrderStatus, OrderType, Side
from thunes_core.domain.portfolio import Position, TradingState
from thunes_core.domain.records import OrderRecord, StateRecord
from thunes_core.domain.signal import Decision
from thunes_core.errors import BreakerOpen, ExchangeUnavailable, LeaseHeld, OutcomeUnknown
from thunes_core.trading.world import TickReport
from thunes_pipelines import policies
from thunes_pipelines.assets.trading import trade_tick
from thunes_pipelines.resources.house import House

BAR = datetime(2025, 3, 10, 11, tzinfo=UTC)


def report_of(state=TradingState.ACTIVE, status=OrderStatus.FILLED):
    """Return the report of a tick that bought."""
    request = OrderRequest(
        "BTCUSDT", Side.BUY, OrderType.MARKET, Decimal("0.01"), "th-1", Leg.ENTRY
    )
    book = Position("sma_crossover", "BTCUSDT", cash=Decimal(1000))
    decision = Decision(
        "sma_crossover", "BTCUSDT", BAR, 1.0, 0.0, (request,), book, "exposure rises to 1"
    )
    return TickReport(
        server_time=NOON,
        state=StateRecord(state, "the daily loss limit", "thunes", NOON),
        decisions=(decision,),
        orders=(OrderRecord(request, "sma_crossover", BAR, status, NOON),),
        equity=Decimal("1000.50"),
        notes=("a note",),
    )


def run_tick(outcome):
    """Run the asset once with a house whose tick returns or raises `outcome`."""

    class Given(House):
        def tick(self):
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [trade_tick], resources={"house": Given()}, instance=instance, raise_on_error=False
        )
        return result, instance.get_run_by_id(result.run_id)


def test_the_decision_is_seen_first_in_words_and_numbers():
    """Sentence, state, equity and tables stand in the metadata; the run carries a short tag."""
    result, run = run_tick(report_of())
    (made,) = result.asset_materializations_for_node("trade_tick")
    shown = {name: value.value for name, value in made.metadata.items()}
    assert shown["decision"] == "sma_crossover BTCUSDT, bar 2025-03-10 11:00: exposure rises to 1."
    assert shown["state"] == "ACTIVE"
    assert shown["equity"] == 1000.5
    assert shown["sma_crossover.BTCUSDT.target"] == 1.0
    assert "| th-1 | BTCUSDT | BUY | MARKET | 0.01 | signal | FILLED |  |" in shown["orders"]
    assert shown["fills"] == "nothing"
    assert shown["notes"] == "- a note"
    assert run.tags[policies.DECISION] == "BTCUSDT 0 to 1"


@pytest.mark.parametrize(
    ("report", "failing"),
    [
        (report_of(), set()),
        (report_of(state=TradingState.REDUCING), {"free_to_trade"}),
        (report_of(status=OrderStatus.UNKNOWN), {"orders_resolved"}),
    ],
)
def test_checks_warn_and_hold_nothing_back(report, failing):
    """A limit that was hit or an order of unknown outcome warns; the run is a success."""
    result, _ = run_tick(report)
    evaluations = result.get_asset_check_evaluations()
    assert result.success
    assert {e.check_name for e in evaluations if not e.passed} == failing
    assert {e.severity for e in evaluations} == {dg.AssetCheckSeverity.WARN}


@pytest.mark.parametrize(
    "error",
    [
        ExchangeUnavailable("exchange: expected an answer; none came; start it"),
        OutcomeUnknown("order th-1: it may exist; the next tick asks"),
    ],
)
def test_an_expected_error_fails_once_with_its_sentence(error):
    """The failed step shows the message alone and is never tried again."""
    result, _ = run_tick(error)
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    told = failed.step_failure_data
    assert not result.success
    assert told.user_failure_data.description == str(error)
    assert told.user_failure_data.metadata["error"].value == type(error).__name__
    assert not [event for event in result.all_events if event.is_step_up_for_retry]


@pytest.mark.parametrize("error", [LeaseHeld("lease: it runs"), BreakerOpen("breaker: open")])
def test_a_tick_that_may_not_run_now_is_skipped_and_no_failure(error):
    """The run succeeds, nothing is materialised, the sentence stands at the checks and the tag."""
    result, run = run_tick(error)
    assert result.success
    assert not result.asset_materializations_for_node("trade_tick")
    told = {e.description for e in result.get_asset_check_evaluations()}
    assert told == {f"skipped: {error}"}
    assert run.tags[policies.DECISION] == "skipped"


def test_an_interrupt_passes_through():
    """SIGTERM in a tick ends it as an interrupt, not as an error that was told plainly."""
    result, _ = run_tick(DagsterExecutionInterruptedError())
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert failed.step_failure_data.error.cls_name == "DagsterExecutionInterruptedError"
    assert failed.step_failure_data.user_failure_data is None
