"""Jobs run one after another in one long-lived process, each a full Dagster run.

A run costs about 0.2 s here instead of the seconds of a fresh process, and is stored like any
other: events, materialisations, checks and metadata stand in the UI under the same job and code
location. The demo, the soak and tests trade this way. Dagster's queue is not asked: the caller runs
one job at a time, and the ledger's lease guards the account all the same.

Add here: how a run is placed. Keep out: which jobs run, and when.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.execution.api import execute_run
from dagster._core.execution.execute_in_process import merge_run_tags
from dagster._core.instance.ref import InstanceRef
from dagster._core.remote_origin import RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.workspace.load import location_origin_from_module_name

from thunes_pipelines.services.state_folder import CODE_LOCATION, MODULE

REPOSITORY = "__repository__"
_NO_COMPUTE_LOGS = {
    "compute_logs": {
        "module": "dagster._core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
        "config": {},
    }
}

_INTERRUPT = DagsterExecutionInterruptedError.__name__
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""Events go to the store; the terminal belongs to the caller."""


@contextmanager
def open_instance(folder: Path) -> Iterator[dg.DagsterInstance]:
    """Open the Dagster instance stored in `folder` for many runs of this process.

    What steps print is not captured (two processes more per step would tail it), and Dagster's own
    SQLite files are written without waiting for the disk: a power cut may cost the last events
    there. The ledger always waits.
    """
    ref = InstanceRef.from_dir(str(folder), overrides=_NO_COMPUTE_LOGS)
    with _unsynced(folder.resolve()), dg.DagsterInstance.from_ref(ref) as instance:
        yield instance


@contextmanager
def _unsynced(folder: Path) -> Iterator[None]:
    from sqlite3 import Connection

    from sqlalchemy import Engine, event

    def relax(connection: Any, _record: Any) -> None:
        if not isinstance(connection, Connection):
            return
        _, _, path = connection.execute("PRAGMA database_list").fetchone()
        if path and Path(path).is_relative_to(folder):
            connection.execute("PRAGMA synchronous=OFF")

    event.listen(Engine, "connect", relax)
    try:
        yield
    finally:
        event.remove(Engine, "connect", relax)


def run_job_in_process(
    defs: dg.Definitions,
    job_name: str,
    instance: dg.DagsterInstance,
    partition_key: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> dg.JobExecutionResult:
    """Run one job of `defs` here and now and return its result; a failed step raises nothing.

    The result tells `success`, and each event. An interrupt ends the run as failed, and then raises
    `KeyboardInterrupt` here.
    """
    job = defs.resolve_job_def(job_name).as_ephemeral_job(resource_defs={}, input_values={})
    run = instance.create_run_for_job(
        job,
        run_config=_QUIET,
        tags=merge_run_tags(job, partition_key, tags, (), instance, None),
        remote_job_origin=_origin(job_name),
    )
    result = execute_run(InMemoryJob(job), run, instance)
    if _interrupted(result):
        raise KeyboardInterrupt
    return result


def _interrupted(result: dg.JobExecutionResult) -> bool:
    """Dagster notes an interrupt in the run and swallows it; who runs many jobs must stop."""
    failures = [e.job_failure_data for e in result.all_events if e.is_job_failure]
    return any(f.error and f.error.cls_name == _INTERRUPT for f in failures)


def _origin(job_name: str) -> RemoteJobOrigin:
    """Name the job as the webserver names it when it loads `workspace.yaml`."""
    location = location_origin_from_module_name(
        MODULE, attribute=None, working_directory=None, location_name=CODE_LOCATION
    )
    return RemoteRepositoryOrigin(location, REPOSITORY).get_job_origin(job_name)


def failure_message(result: dg.JobExecutionResult) -> str:
    """Return the sentence of the first failed step, or an empty text for a success."""
    for event in result.all_events:
        if event.is_step_failure:
            cause = event.step_failure_data
            told = cause.user_failure_data
            return str((told and told.description) or (cause.error and cause.error.message) or "")
    return "" if result.success else "the run failed before a step did"
