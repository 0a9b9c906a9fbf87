"""The real daemon starts ticks by itself, one at a time, on the local testnet."""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path

import dagster as dg
import pytest

from thunes_core.adapters.ledger import open_ledger
from thunes_core.testnet.app import serve_in_thread
from thunes_core.testnet.market import generated_market
from thunes_pipelines import policies
from thunes_pipelines.services import processes

ROOT = Path(__file__).resolve().parents[2]
WORKSPACE = str(ROOT / "workspace.yaml")
LIMIT_SECONDS = 120


@contextmanager
def daemon(environment, log):
    """Run Dagster's daemon until the block ends."""
    command = (sys.executable, "-m", "dagster._daemon", "run", "-w", WORKSPACE)
    process = processes.start(command, environment, log)
    try:
        yield process
    finally:
        processes.stop(process, seconds=10, patience_seconds=0)


def wait_for(found, log):
    """Return the first true value of `found()`; fail with the daemon's log after the limit."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(0.2)
    pytest.fail(f"nothing within {LIMIT_SECONDS} s; the daemon said:\n{log.read_text()[-4000:]}")


@pytest.mark.slow
def test_a_closed_bar_starts_a_tick_by_itself(tmp_path):
    """Daemon, code server, queue and run worker are real; the tick lands in UI store and ledger."""
    home, log = tmp_path / "dagster", tmp_path / "daemon.log"
    home.mkdir()
    shutil.copy(ROOT / "dagster_home" / "dagster.yaml", home)
    with serve_in_thread(generated_market(history_days=10), clock="stepped") as testnet:
        environment = {
            "DAGSTER_HOME": str(home),
            "THUNES_HOME": str(tmp_path),
            "THUNES_BINANCE_REST_URL": testnet.url,
            "THUNES_BROKER": "exchange",
            "THUNES_SCHEDULES_RUNNING": "true",
            "THUNES_HISTORY_DAYS": "1",
        }
        finished = dg.RunsFilter(
            job_name="trade",
            statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE],
        )
        with dg.DagsterInstance.from_config(str(home)) as instance, daemon(environment, log):
            (run, *_) = wait_for(lambda: instance.get_runs(finished), log)
            assert run.status is dg.DagsterRunStatus.SUCCESS
            assert run.tags["dagster/sensor_name"] == "trade_on_new_bar"
            assert run.tags.items() >= policies.TRADING_LANE.items()
            assert instance.get_latest_materialization_event(policies.TRADE_TICK)
    with closing(open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger:
        assert ledger.last_tick() is not None
