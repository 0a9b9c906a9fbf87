"""Runs of one process look in the store like runs of the daemon."""

import shutil
import signal
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.workspace.load import location_origins_from_yaml_paths

from tests.thunes_pipelines.instances import blank_stores
from thunes_core.adapters.ledger import open_ledger
from thunes_core.errors import ExchangeUnavailable
from thunes_pipelines import policies
from thunes_pipelines.failures import told_plainly
from thunes_pipelines.services.session import failure_message, open_instance, run_job_in_process

ROOT = Path(__file__).resolve().parents[2]


@dg.asset(check_specs=[dg.AssetCheckSpec("seen", asset="shown")])
def shown() -> dg.MaterializeResult:
    """Succeed with metadata and a check."""
    return dg.MaterializeResult(
        metadata={"answer": 42}, check_results=[dg.AssetCheckResult(passed=True)]
    )


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["2025-03-10"]))
def dead(context: dg.AssetExecutionContext) -> None:
    """Fail as a dead exchange does."""
    with told_plainly():
        raise ExchangeUnavailable(f"{context.partition_key}: nobody answered; start it")


@dg.asset
def interrupted() -> None:
    """Be interrupted as by Ctrl-C."""
    signal.raise_signal(signal.SIGINT)


DEFS = dg.Definitions(
    assets=[shown, dead, interrupted],
    jobs=[
        dg.define_asset_job("trade", "shown", tags=policies.TICK_TAGS),
        dg.define_asset_job("report", "dead"),
        dg.define_asset_job("ingest", "interrupted"),
    ],
)


@pytest.fixture
def instance(tmp_path):
    """An instance on disk with the project's own configuration."""
    shutil.copy(ROOT / "dagster_home" / "dagster.yaml", blank_stores(tmp_path))
    with open_instance(tmp_path) as made:
        yield made


def test_a_run_is_stored_with_its_events_and_tags(instance):
    """Materialisation, check and the job's tags are there when the webserver opens the store."""
    result = run_job_in_process(DEFS, "trade", instance, tags={"thunes/day": "1"})
    run = instance.get_run_by_id(result.run_id)
    assert result.success
    assert run.status is dg.DagsterRunStatus.SUCCESS
    assert run.tags.items() >= {**policies.TICK_TAGS, "thunes/day": "1"}.items()
    made = instance.get_latest_materialization_event(dg.AssetKey("shown"))
    assert made.asset_materialization.metadata["answer"].value == 42
    assert made.run_id == run.run_id


def test_a_run_stands_under_the_job_of_the_code_location(instance):
    """Its origin is the one that `workspace.yaml` gives, so the UI shows it on the job's page."""
    run = instance.get_run_by_id(run_job_in_process(DEFS, "trade", instance).run_id)
    (location,) = location_origins_from_yaml_paths([str(ROOT / "workspace.yaml")])
    origin = run.remote_job_origin.repository_origin
    assert origin.code_location_origin.location_name == location.location_name
    assert origin.code_location_origin.loadable_target_origin.module_name == (
        location.loadable_target_origin.module_name
    )
    assert run.tags_for_storage()[".dagster/repository"] == "__repository__@thunes_pipelines"


def test_a_failed_run_raises_nothing_and_tells_its_sentence(instance):
    """The caller reads the message; the partition stands in the run's tags."""
    result = run_job_in_process(DEFS, "report", instance, partition_key="2025-03-10")
    assert not result.success
    assert failure_message(result) == "2025-03-10: nobody answered; start it"
    run = instance.get_run_by_id(result.run_id)
    assert run.tags["dagster/partition"] == "2025-03-10"


def test_an_interrupt_ends_the_run_and_reaches_the_caller(instance):
    """Ctrl-C between many runs stops them all: the run is stored as failed, not left running."""
    with pytest.raises(KeyboardInterrupt):
        run_job_in_process(DEFS, "ingest", instance)
    (run,) = instance.get_runs()
    assert run.status is dg.DagsterRunStatus.FAILURE


def test_only_dagsters_own_files_are_written_without_waiting(tmp_path):
    """A ledger opened beside it keeps waiting for the disk."""
    (tmp_path / "dagster").mkdir()
    with open_instance(tmp_path / "dagster") as instance:
        ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
        with closing(ledger), ledger._engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        with instance.event_log_storage.index_connection() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 0
