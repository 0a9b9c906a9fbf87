"""What each schedule asks for, and when it skips."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from tests.thunes_pipelines.houses import NOON, DeadMarket, StillMarket, house_at
from tests.thunes_pipelines.instances import instance_at
from thunes_core.clock import SystemClock
from thunes_pipelines import partitions, policies
from thunes_pipelines.build import build_definitions
from thunes_pipelines.schedules import (
    MAX_REPORT_DAYS,
    MAX_REQUESTS,
    days_to_report,
    ingest_due,
    reports_due,
    schedules,
    studies_due,
    trade_due,
    wanted_months,
)


@pytest.fixture
def instance(tmp_path):
    """A Dagster instance of its own, on disk: schedules reopen it by reference."""
    with instance_at(tmp_path / "dagster") as made:
        yield made


@pytest.fixture
def context(instance):
    """What the daemon hands to a schedule."""
    with dg.build_schedule_context(instance=instance) as given:
        yield given


def keys(requests):
    """Return the partitions asked for."""
    assert isinstance(requests, list)
    return [str(request.partition_key) for request in requests]


def running(instance, job_name, status=dg.DagsterRunStatus.STARTED, **tags):
    """Make a run of a job that stands in `status`."""
    return create_run_for_test(instance, job_name=job_name, status=status, tags=tags)


def test_ingest_asks_for_every_month_of_a_history_not_yet_stored(context, tmp_path):
    """A new installation asks for the running month and the months of its history."""
    house = house_at(tmp_path, history_days=40)
    assert keys(ingest_due(context, house)) == [
        "2025-03|BTCUSDT",
        "2025-02|BTCUSDT",
        "2025-01|BTCUSDT",
    ]


def test_ingest_asks_only_for_the_running_month_once_history_is_stored():
    """A month that was fetched is not fetched again, except the one that still grows."""
    made = {"2025-01|BTCUSDT", "2025-02|BTCUSDT", "2025-03|BTCUSDT"}
    assert wanted_months(NOON, 40, ["BTCUSDT"], made) == ["2025-03|BTCUSDT"]


def test_ingest_on_the_first_day_asks_for_the_last_month_too():
    """Last bars of a month close after midnight and are asked for again all that day."""
    first = datetime(2025, 3, 1, 6, tzinfo=UTC)
    made = {"2025-02|BTCUSDT"}
    assert wanted_months(first, 10, ["BTCUSDT"], made) == ["2025-03|BTCUSDT", "2025-02|BTCUSDT"]


def test_ingest_leaves_months_out_that_lie_after_this_machines_clock(context, tmp_path):
    """An exchange's clock ahead of ours has no partition yet: the tick says so and skips."""
    ahead = StillMarket(SystemClock().now() + 400 * timedelta(days=1))
    outcome = ingest_due(context, house_at(tmp_path, ahead, history_days=5))
    assert isinstance(outcome, dg.SkipReason)
    assert "lies after this machine's" in outcome.skip_message


def test_ingest_never_asks_for_more_than_its_bound(context, tmp_path):
    """A long history is asked for in portions."""
    house = house_at(tmp_path, history_days=2_000, symbols="BTCUSDT,ETHUSDT")
    assert len(keys(ingest_due(context, house))) == MAX_REQUESTS


def test_ingest_leaves_out_what_is_being_fetched(context, instance, tmp_path):
    """A month whose run is queued or running is not asked for twice."""
    running(instance, "ingest", **{"dagster/partition": "2025-03|BTCUSDT"})
    outcome = ingest_due(context, house_at(tmp_path, history_days=5))
    assert isinstance(outcome, dg.SkipReason)


def test_ingest_makes_symbols_known_as_partitions(context, instance, tmp_path):
    """The first ingest of a symbol needs no hand to add it."""
    ingest_due(context, house_at(tmp_path, symbols="BTCUSDT,ETHUSDT", history_days=1))
    assert instance.get_dynamic_partitions(partitions.SYMBOL) == ["BTCUSDT", "ETHUSDT"]


def test_ingest_skips_with_the_reason_when_the_exchange_is_dead(context, tmp_path):
    """A dead exchange is a skipped tick with one sentence, not a failed one."""
    outcome = ingest_due(context, house_at(tmp_path, DeadMarket()))
    assert isinstance(outcome, dg.SkipReason)
    assert "start it" in outcome.skip_message


def test_trade_asks_for_a_tick(context):
    """Nothing in flight: one run."""
    assert isinstance(trade_due(context), dg.RunRequest)


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED])
def test_trade_skips_while_a_tick_is_queued_or_running(context, instance, status):
    """Two ticks are never asked for at once."""
    run = running(instance, "trade", status, **policies.TRADING_LANE)
    outcome = trade_due(context)
    assert isinstance(outcome, dg.SkipReason)
    assert run.run_id in outcome.skip_message


def test_trade_goes_on_after_a_failed_tick(context, instance):
    """A failed tick holds nothing back: the next one begins with reconcile."""
    running(instance, "trade", dg.DagsterRunStatus.FAILURE, **policies.TRADING_LANE)
    assert isinstance(trade_due(context), dg.RunRequest)


def test_report_is_of_the_exchanges_day(context, tmp_path):
    """The day is the exchange's, whatever the machine's clock says."""
    assert keys(reports_due(context, house_at(tmp_path))) == ["2025-03-10"]


def test_report_catches_up_days_missed_since_the_last_one():
    """Days without a report between the newest one and today are reported, oldest first."""
    made = {"2025-03-01", "2025-03-07"}
    assert days_to_report(NOON, made) == ["2025-03-08", "2025-03-09", "2025-03-10"]
    assert len(days_to_report(NOON, {"2024-01-01"})) == MAX_REPORT_DAYS


def test_report_is_written_again_on_the_same_day():
    """Asked for twice, the day is reported anew and nothing older is."""
    assert days_to_report(NOON, {"2025-03-10"}) == ["2025-03-10"]


def test_report_is_written_although_the_exchange_is_dead(context, tmp_path):
    """An outage is when a report is wanted: the day is then this machine's."""
    (day,) = keys(reports_due(context, house_at(tmp_path, DeadMarket())))
    assert day == partitions.day_key(SystemClock().now())


def test_search_is_asked_for_every_study_but_those_in_flight(context, instance, tmp_path):
    """Each configured strategy and symbol once; a study that is being searched is left alone."""
    house = house_at(tmp_path, symbols="BTCUSDT,ETHUSDT")
    running(instance, "reoptimise", **{"dagster/partition": "sma_crossover.BTCUSDT.1h"})
    assert keys(studies_due(context, house)) == ["sma_crossover.ETHUSDT.1h"]
    running(instance, "reoptimise", **{"dagster/partition": "sma_crossover.ETHUSDT.1h"})
    assert isinstance(studies_due(context, house), dg.SkipReason)


def test_only_a_setting_switches_on_what_can_change_trading():
    """Schedules that can trade or promote stand still until they are switched on."""
    on, off = dg.DefaultScheduleStatus.RUNNING, dg.DefaultScheduleStatus.STOPPED
    by_name = {s.name: s.default_status for s in schedules(running=False)}
    assert by_name["trade_every_10_minutes"] is off
    assert by_name["reoptimise_weekly"] is off
    assert by_name["ingest_hourly"] is by_name["daily_report_2300"] is on
    assert {s.default_status for s in schedules(running=True)} == {on}


def test_the_daemon_gets_what_the_functions_ask_for(instance, tmp_path):
    """Evaluated as the daemon does it: resource handed in, partitions known to the job."""
    defs = build_definitions(house=house_at(tmp_path, history_days=1))
    repository = defs.get_repository_def()
    for name, keys_wanted in (
        ("ingest_hourly", ["2025-03|BTCUSDT"]),
        ("daily_report_2300", ["2025-03-10"]),
        ("reoptimise_weekly", ["sma_crossover.BTCUSDT.1h"]),
        ("trade_every_10_minutes", [None]),
        ("tidy_daily", [None]),
    ):
        with dg.build_schedule_context(
            instance=instance,
            repository_def=repository,
            scheduled_execution_time=NOON,
            resources={"house": house_at(tmp_path, history_days=1)},
        ) as given:
            ticked = repository.get_schedule_def(name).evaluate_tick(given)
        assert [request.partition_key for request in ticked.run_requests] == keys_wanted, name
