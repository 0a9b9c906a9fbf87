"""What each sensor answers to, and that one cause starts one run."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import dagster as dg
import pytest

from tests.thunes_pipelines.houses import NOON, DeadMarket, StillMarket, house_at
from tests.thunes_pipelines.test_schedules import running
from thunes_core.adapters.stream.board import Board
from thunes_core.clock import to_millis
from thunes_core.domain.parameters import Champion, ParameterSet
from thunes_core.domain.records import EquityMark
from thunes_core.research.due import Watch
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


def promote(house, version="1", at=NOON):
    """Put a champion in force, as a tick does."""
    chosen = ParameterSet("sma_crossover", {"fast": 10, "slow": 30})
    with closing(house.ledger()) as ledger:
        ledger.remember_champion(Champion(STUDY, chosen, version, "run"), at)


def mark(house, *equity, start=NOON):
    """Record one equity mark an hour."""
    with closing(house.ledger()) as ledger:
        for hour, value in enumerate(equity):
            at = start + timedelta(hours=hour)
            ledger.record_tick(EquityMark(at, Decimal(value), Decimal(value), Decimal(0)), {})


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
    for look in (sensors.new_bar, sensors.champion_due):
        outcome = look(looking(instance), house)
        assert isinstance(outcome, dg.SkipReason)
        assert "start it" in outcome.skip_message


def test_no_champion_asks_for_nothing(instance, tmp_path):
    """Before anything was promoted there is nothing to grow old."""
    result = sensors.champion_due(looking(instance), house_at(tmp_path))
    assert not result.run_requests


def test_an_old_champion_starts_one_search(instance, tmp_path):
    """Age is measured on the exchange's clock from the champion's first use."""
    market = StillMarket(NOON)
    house = house_at(tmp_path, market, champion_max_age_days=30)
    promote(house)
    first = sensors.champion_due(looking(instance), house)
    assert not first.run_requests
    market.now = NOON + timedelta(days=31)
    second = sensors.champion_due(looking(instance, first.cursor), house)
    (request,) = second.run_requests
    assert request.partition_key == STUDY
    assert request.tags[policies.CAUSE] == "age"
    third = sensors.champion_due(looking(instance, second.cursor), house)
    assert not third.run_requests


def test_a_refused_search_is_asked_for_again_after_the_cool_off(instance, tmp_path):
    """The cause stands, the champion too: it is asked again later, under another key."""
    market = StillMarket(NOON + timedelta(days=31))
    house = house_at(tmp_path, market)
    promote(house)
    first = sensors.champion_due(looking(instance), house)
    market.now += policies.REOPTIMISE_COOL_OFF
    again = sensors.champion_due(looking(instance, first.cursor), house)
    assert first.run_requests[0].run_key != again.run_requests[0].run_key


def test_a_lost_cursor_asks_under_the_same_key(instance, tmp_path):
    """Dagster drops a run key it has seen: a reset cursor cannot start a second run."""
    house = house_at(tmp_path, StillMarket(NOON + timedelta(days=31)))
    promote(house)
    asked = [sensors.champion_due(looking(instance), house).run_requests[0] for _ in range(2)]
    assert asked[0].run_key == asked[1].run_key


def test_a_deep_live_drawdown_starts_a_search(instance, tmp_path):
    """Equity fell 40 % from its peak since the champion took over; 30 % are allowed."""
    house = house_at(tmp_path, StillMarket(NOON + timedelta(days=1)), max_live_drawdown=0.3)
    promote(house)
    mark(house, 1000, 1500, 900)
    (request,) = sensors.champion_due(looking(instance), house).run_requests
    assert request.tags[policies.CAUSE] == "drawdown"
    assert "lost 40.0% live" in request.tags[policies.WHY]


def test_losses_of_an_earlier_champion_do_not_count(instance, tmp_path):
    """A new version starts with a clean sheet."""
    house = house_at(tmp_path, StillMarket(NOON + timedelta(days=2)), max_live_drawdown=0.3)
    mark(house, 1500, 900, start=NOON - timedelta(days=1))
    promote(house, version="2")
    mark(house, 900, 910)
    assert not sensors.champion_due(looking(instance), house).run_requests


def test_a_study_being_searched_is_not_asked_for(instance, tmp_path):
    """The cause is remembered as not yet asked."""
    house = house_at(tmp_path, StillMarket(NOON + timedelta(days=31)))
    promote(house)
    running(instance, "reoptimise", **{"dagster/partition": STUDY})
    result = sensors.champion_due(looking(instance), house)
    assert not result.run_requests
    assert sensors.read_watches(result.cursor)[STUDY].asked == 0


def test_watches_survive_the_cursor():
    """What is remembered is read back as it was."""
    watch = Watch(STUDY, "3", NOON, 2, NOON)
    fresh = Watch("rsi_reversion.BTCUSDT.1h", "1", NOON)
    kept = sensors.read_watches(sensors.write_watches([watch, fresh]))
    assert kept == {watch.study: watch, fresh.study: fresh}


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
