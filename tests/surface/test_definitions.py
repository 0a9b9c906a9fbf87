"""What stands in the Dagster UI, by name: a change must be wanted.

After a wanted change: `THUNES_WRITE_SNAPSHOTS=1 pytest tests/surface`, and read the difference.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from thunes_pipelines import policies
from thunes_pipelines.build import build_definitions

SNAPSHOT = Path(__file__).with_name("definitions.json")
ROOT = Path(__file__).resolve().parents[2]
HEAVY = (
    "mlflow",
    "sklearn",
    "optuna",
    "binance",
    "matplotlib",
    "pandas",
    "numba",
    "plotly",
    "duckdb",
    "dagster_duckdb",
)


@pytest.fixture(scope="module")
def defs():
    """The house as it is shipped."""
    return build_definitions()


def surface(defs):
    """Return every name in the UI with what it is tied to."""
    repository = defs.get_repository_def()
    graph = defs.resolve_asset_graph()
    return {
        "assets": {
            key.to_user_string(): {
                "group": graph.get(key).group_name,
                "kinds": sorted(graph.get(key).kinds),
                "deps": sorted(parent.to_user_string() for parent in graph.get(key).parent_keys),
                "partitions": partitioning(graph.get(key).partitions_def),
            }
            for key in sorted(graph.get_all_asset_keys())
        },
        "checks": {
            f"{key.asset_key.to_user_string()}:{key.name}": (
                "blocking" if graph.get_check_spec(key).blocking else "warning"
            )
            for key in sorted(graph.asset_check_keys, key=str)
        },
        "jobs": {
            job.name: sorted(node.name for node in job.nodes)
            for job in repository.get_all_jobs()
            if not job.name.startswith("__")
        },
        "schedules": {
            s.name: [s.cron_schedule, s.job_name, s.default_status.value]
            for s in repository.schedule_defs
        },
        "sensors": {
            s.name: [[t.job_name for t in s.targets], s.default_status.value]
            for s in repository.sensor_defs
        },
    }


def partitioning(definition):
    """Return the dimensions of a partitioning by name, or the word for none."""
    if definition is None:
        return "none"
    if isinstance(definition, dg.MultiPartitionsDefinition):
        return sorted(definition.partition_dimension_names)
    return getattr(definition, "name", None) or type(definition).__name__


def test_the_surface_is_what_was_last_agreed(defs):
    """Asset keys, checks, jobs, schedules and sensors equal the snapshot."""
    found = surface(defs)
    if os.environ.get("THUNES_WRITE_SNAPSHOTS"):
        SNAPSHOT.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n")
    assert found == json.loads(SNAPSHOT.read_text())


def test_every_asset_tells_what_it_is(defs):
    """A person in the UI sees of each asset a description, an owner, a group and kinds."""
    graph = defs.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description, key
        assert node.owners, key
        assert node.kinds, key
        assert node.group_name in {
            policies.MARKET,
            policies.RESEARCH,
            policies.TRADING,
            policies.REPORTING,
        }, key


def test_every_job_schedule_and_sensor_is_described(defs):
    """Whoever launches something reads first what it does."""
    repository = defs.get_repository_def()
    jobs = [job for job in repository.get_all_jobs() if not job.name.startswith("__")]
    for named in (*jobs, *repository.schedule_defs, *repository.sensor_defs):
        assert named.description, named.name


def test_a_tick_runs_in_process_in_its_lane_without_retry(defs):
    """A killed worker must not leave a step trading on, and no order is sent again by Dagster."""
    trade = defs.resolve_job_def("trade")
    assert trade.executor_def is dg.in_process_executor
    assert trade.tags[policies.LANE] == "trading"
    assert trade.tags["dagster/max_retries"] == "0"
    assert int(trade.tags["dagster/max_runtime"]) <= 600
    (node,) = trade.nodes
    assert node.definition.pool == policies.TRADING_POOL
    assert node.definition.retry_policy is None


def test_the_asset_graph_allows_no_impossible_partition(defs):
    """Partitions of each asset map to those of what it reads."""
    graph = defs.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        for parent in graph.get(key).parent_keys:
            mapping = graph.get_partition_mapping(key, parent)
            both = graph.get(parent).partitions_def, graph.get(key).partitions_def
            if all(both):
                mapping.validate_partition_mapping(*both)


def test_loading_the_code_location_imports_nothing_heavy():
    """MLflow, Optuna, scikit-learn, python-binance and plots are imported when they are used."""
    script = (
        "import sys, thunes_pipelines.definitions\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_faulty_settings_do_not_hide_the_house(monkeypatch):
    """With a wrong setting everything still loads, and nothing that trades is switched on."""
    monkeypatch.setenv("THUNES_SYMBOLS", "not a symbol")
    monkeypatch.setenv("THUNES_SCHEDULES_RUNNING", "true")
    schedule = build_definitions().get_repository_def().get_schedule_def("trade_every_10_minutes")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
