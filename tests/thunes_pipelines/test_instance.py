"""What the project's `dagster.yaml` promises: one tick at a time, places freed, no telemetry."""

from __future__ import annotations

import shutil
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType

from tests.thunes_pipelines.instances import blank_stores
from thunes_pipelines import policies

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def instance(tmp_path, monkeypatch):
    """The instance as the daemon opens it."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    shutil.copy(ROOT / "dagster_home" / "dagster.yaml", blank_stores(tmp_path))
    with dg.DagsterInstance.get() as made:
        yield made


def test_the_queue_never_starts_two_ticks(instance):
    """The lane of ticks has one place, and every pool one step, so the pool of ticks too."""
    config = instance.get_concurrency_config()
    lane = {"key": policies.LANE, "value": policies.TRADING_LANE[policies.LANE], "limit": 1}
    assert lane in config.run_queue_config.tag_concurrency_limits
    assert config.pool_config.default_pool_limit == 1
    assert config.pool_config.pool_granularity.value == "op"


def test_a_waiting_run_is_looked_at_every_second(instance):
    """The queue adds at most a second to a tick."""
    assert instance.run_coordinator.dequeue_interval_seconds == 1


def test_a_dead_worker_frees_its_place(instance):
    """Monitoring ends what outlives its time and frees the step's place in its pool."""
    settings = instance.run_monitoring_settings
    assert instance.run_monitoring_enabled
    assert settings["free_slots_after_run_end_seconds"] <= 60
    assert settings["poll_interval_seconds"] <= 30


def test_nobody_outside_is_told_anything(instance):
    """Telemetry and the nag screens are off."""
    assert not instance.telemetry_enabled
    assert not instance.nux_enabled


def test_ticks_of_schedules_and_sensors_are_forgotten_in_time(instance):
    """Every kind of tick has an end."""
    for kind in (InstigatorType.SCHEDULE, InstigatorType.SENSOR):
        assert all(days > 0 for days in instance.get_tick_retention_settings(kind).values())
