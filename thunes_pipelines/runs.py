"""What is running and what has been made, asked of the Dagster instance.

Add here: a question that schedules and sensors share. Keep out: what follows from the answer.
"""

from __future__ import annotations

import dagster as dg

from thunes_pipelines import policies

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
PARTITION_TAG = "dagster/partition"


def tick_in_flight(instance: dg.DagsterInstance) -> str | None:
    """Return the run id of a tick that is queued or running, or None."""
    tick = dg.RunsFilter(tags=policies.TRADING_LANE, statuses=UNFINISHED)
    runs = instance.get_runs(tick, limit=1)
    return runs[0].run_id if runs else None


def partitions_in_flight(instance: dg.DagsterInstance, job_name: str) -> set[str]:
    """Return the partitions for which a run of the job is queued or running."""
    runs = instance.get_runs(dg.RunsFilter(job_name=job_name, statuses=UNFINISHED))
    return {run.tags[PARTITION_TAG] for run in runs if PARTITION_TAG in run.tags}


def partitions_made(instance: dg.DagsterInstance, asset: dg.AssetKey) -> set[str]:
    """Return the partitions of the asset that were materialised at least once."""
    return set(instance.get_materialized_partitions(asset))
