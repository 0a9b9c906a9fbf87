"""What goes wrong outside is one failed run with one clear sentence, and nothing half-written."""

from __future__ import annotations

import shutil
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from thunes_core.testnet.app import serve_in_thread
from thunes_core.testnet.market import generated_market
from thunes_pipelines import partitions
from thunes_pipelines.build import build_definitions
from thunes_pipelines.resources.house import House
from thunes_pipelines.services.session import failure_message, open_instance, run_job_in_process

ROOT = Path(__file__).resolve().parents[2]
NOBODY = "http://127.0.0.1:1"
STUDY = "sma_crossover.BTCUSDT.1h"


@pytest.fixture(scope="module")
def exchange():
    """A local testnet that stands still."""
    start = datetime(2025, 1, 2, tzinfo=UTC)
    with serve_in_thread(generated_market(start=start, history_days=40), clock="stepped") as net:
        yield net.url


@pytest.fixture
def instance(tmp_path):
    """A Dagster instance that knows one symbol and one study."""
    (tmp_path / "dagster").mkdir()
    shutil.copy(ROOT / "dagster_home" / "dagster.yaml", tmp_path / "dagster")
    with open_instance(tmp_path / "dagster") as made:
        made.add_dynamic_partitions(partitions.SYMBOL, ["BTCUSDT", "NOSUCH"])
        made.add_dynamic_partitions(partitions.STUDY, [STUDY])
        yield made


def sentence_of(instance, home, job, key=None, **settings):
    """Run a job that must fail; return what the UI shows of it."""
    house = House(overrides={"home": str(home), **settings})
    result = run_job_in_process(build_definitions(house=house), job, instance, key)
    run = instance.get_run_by_id(result.run_id)
    assert run.status is dg.DagsterRunStatus.FAILURE
    return failure_message(result)


def test_a_dead_exchange_fails_the_tick_and_leaves_no_decision(instance, tmp_path):
    """The tick says which host did not answer; the ledger holds no tick."""
    told = sentence_of(instance, tmp_path, "trade", binance_rest_url=NOBODY)
    assert NOBODY in told
    with closing(House(overrides={"home": str(tmp_path)}).ledger()) as ledger:
        assert ledger.last_tick() is None


def test_an_unknown_symbol_fails_the_ingest_and_stores_nothing(instance, exchange, tmp_path):
    """The message names the symbol; the lake stays empty."""
    key = partitions.bars_key("2025-01", "NOSUCH")
    told = sentence_of(
        instance, tmp_path, "ingest", key, binance_rest_url=exchange, symbols="NOSUCH"
    )
    assert "NOSUCH" in told
    assert not list(tmp_path.rglob("*.parquet"))


def test_research_without_bars_says_what_to_do(instance, exchange, tmp_path):
    """No history: the walk-forward names what is missing instead of failing inside a library."""
    told = sentence_of(instance, tmp_path, "reoptimise", STUDY, binance_rest_url=exchange)
    assert "BTCUSDT" in told
    assert "ingest" in told


def test_mlflow_down_fails_the_promotion_with_its_sentence(instance, tmp_path):
    """The sentence names the address and how to start the server."""
    house = House(overrides={"home": str(tmp_path), "mlflow_tracking_uri": NOBODY})
    result = (
        build_definitions(house=house)
        .resolve_job_def("promote")
        .execute_in_process(
            {"ops": {"promote_version": {"config": {"study": STUDY, "version": "1"}}}},
            instance=instance,
            raise_on_error=False,
        )
    )
    assert NOBODY in failure_message(result)


def test_faulty_settings_fail_the_run_with_every_fault(instance, tmp_path):
    """The list of faults stands in the failed run; no value is shown."""
    told = sentence_of(instance, tmp_path, "trade", symbols="not a symbol", folds="many")
    assert "THUNES_SYMBOLS" in told
    assert "THUNES_FOLDS" in told
    assert "many" not in told
