"""What each sensor answers to, and that one cause starts one run."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime

import dagster as dg
import pytest

from tests.thunes_pipelines.houses import DeadMarket, house_at
from tests.thunes_pipelines.test_schedules import running
from thunes_core.adapters.stream.board import Board
from thunes_core.clock import to_millis
from thunes_pipelines import partitions, policies, sensors

STUDY = "sma_crossover.BTCUSDT.1h"
BAR = datetime(2025, 3, 10, 11, tzinfo=UTC).isoformat()


@pytest.fixture
def instance():
    """A Dagster instance of its own, in memory."""
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def looking(instance, cursor=None):
    """Return what the daemon hands to a sensor."""
    return dg.build_sensor_context(instance=instance, cursor=cursor)


def test_a_closed_bar_that_nobody_decided_on_starts_a_tick(instance, tmp_path):
    """At 12:05 the bar of 11:00 has closed; one run is asked for, keyed by the bar."""
    result = sensors.new_bar(looking(instance), house_at(tmp_path))
    assert [request.run_key for request in result.run_requests] == [f"bar-{BAR}"]
    assert result.cursor == BAR


def test_the_same_bar_starts_no_second_tick(instance, tmp_path):
    """The cursor holds the bar answered for; the ledger is not even opened."""
    outcome = sensors.new_bar(looking(instance, BAR), house_at(tmp_path / "never-made"))
    assert isinstance(outcome, dg.SkipReason)
    assert not (tmp_path / "never-made").exists()


def show(house, *symbols, bar, interval="1h"):
    """Show a closed bar on the stream's board."""
    board = Board(house.settings().board_path, list(symbols), interval)
    for symbol in symbols:
        board.update(symbol, bar_open_ms=to_millis(bar))
    board.close()


def test_a_bar_on_the_board_starts_a_tick_without_asking_the_exchange(instance, tmp_path):
    """The stream saw it close; the exchange may even be out of reach."""
    house = house_at(tmp_path, DeadMarket())
    bar = datetime(2025, 3, 10, 11, tzinfo=UTC)
    show(house, "BTCUSDT", bar=bar)
    result = sensors.new_bar(looking(instance), house)
    assert [request.run_key for request in result.run_requests] == [f"bar-{BAR}"]
    again = sensors.new_bar(looking(instance, result.cursor), house)
    assert isinstance(again, dg.SkipReason)


def test_a_board_that_lags_or_is_about_something_else_is_not_followed(instance, tmp_path):
    """A symbol without the bar, another interval: the exchange is asked for its clock."""
    house = house_at(tmp_path, symbols=("BTCUSDT", "ETHUSDT"))
    old = datetime(2025, 3, 1, tzinfo=UTC)
    show(house, "BTCUSDT", bar=old)
    assert sensors.new_bar(looking(instance), house).cursor == BAR
    show(house, "BTCUSDT", "ETHUSDT", bar=old, interval="5m")
    assert sensors.new_bar(looking(instance), house).cursor == BAR
    show(house, "BTCUSDT", "ETHUSDT", bar=old)
    assert isinstance(sensors.new_bar(looking(instance, BAR), house), dg.SkipReason)


def test_a_bar_waits_for_a_running_tick(instance, tmp_path):
    """While a tick runs nothing is asked for, and the bar stays due."""
    running(instance, "trade", **policies.TRADING_LANE)
    outcome = sensors.new_bar(looking(instance), house_at(tmp_path))
    assert isinstance(outcome, dg.SkipReason)


def test_a_bar_decided_by_the_schedule_starts_no_tick(instance, tmp_path, monkeypatch):
    """The ten-minute schedule was first: the sensor only moves its cursor."""
    monkeypatch.setattr("thunes_core.adapters.ledger.Ledger.is_decided", lambda *_: True)
    result = sensors.new_bar(looking(instance), house_at(tmp_path))
    assert not result.run_requests
    assert result.cursor == BAR


def test_a_dead_exchange_is_a_skip_with_its_sentence(instance, tmp_path):
    """Sensors do not fail on an outage, they say it."""
    house = house_at(tmp_path, DeadMarket())
    outcome = sensors.new_bar(looking(instance), house)
    assert isinstance(outcome, dg.SkipReason)
    assert "start it" in outcome.skip_message


def test_configured_symbols_and_studies_become_partitions_once(instance, tmp_path):
    """Missing ones are requested; when all are known the sensor is quiet."""
    house = house_at(tmp_path, symbols="BTCUSDT,ETHUSDT")
    result = sensors.configured_partitions(looking(instance), house)
    asked = {r.partitions_def_name: r.partition_keys for r in result.dynamic_partitions_requests}
    assert asked[partitions.SYMBOL] == ["BTCUSDT", "ETHUSDT"]
    assert asked[partitions.STUDY] == [STUDY, "sma_crossover.ETHUSDT.1h"]
    for name, names in asked.items():
        instance.add_dynamic_partitions(name, names)
    assert isinstance(sensors.configured_partitions(looking(instance), house), dg.SkipReason)


def test_a_failed_run_is_told_to_the_audit(instance, tmp_path):
    """The alert names the job, the run and the reason."""

    @dg.op
    def breaks():
        raise dg.Failure("the exchange is dead")

    @dg.job
    def broken():
        breaks()

    result = broken.execute_in_process(instance=instance, raise_on_error=False)
    context = dg.build_run_status_sensor_context(
        sensor_name="run_failures",
        dagster_event=result.get_run_failure_event(),
        dagster_instance=instance,
        dagster_run=result.dagster_run,
    ).for_run_failure()
    house = house_at(tmp_path)
    sensors.run_failed(context, house)
    with closing(house.ledger()) as ledger:
        (alert,) = [event["body"] for event in ledger.audit() if event["event"] == "alert"]
    assert alert["job"] == "broken"
    assert alert["run_id"] == result.run_id
    assert alert["why"]
