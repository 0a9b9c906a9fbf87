"""The run launcher of `thunes up`: workers are forked by the warm process, where one serves.

Elsewhere, and whenever that server cannot, a run starts as Dagster's own default starts it: in a
fresh process of its code server. A run is started one way or the other, never both.

Who works is written in the run's tags before it begins: the worker writes them too, and of two that
write at once one would be lost. A run that repeats another inherits its tags: each worker is noted
with the run it is for.

Add here: what is asked of a worker after its start. Keep out: how it is forked (`run_server`).
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import dagster as dg
from dagster import _check as check
from dagster._core.errors import DagsterLaunchFailedError
from dagster._core.launcher import (
    CheckRunHealthResult,
    DefaultRunLauncher,
    LaunchRunContext,
    WorkerStatus,
)
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import serialize_value

from thunes_pipelines.services import processes
from thunes_pipelines.services.run_server import NotBegun, ask

WORKER_TAG = "thunes/worker"
"""A run's id, and its worker as `processes.identity` names it."""

GOING_SECONDS = 5.0
"""A worker that has not begun is gone so long after it was asked to end."""


class WarmRunLauncher(DefaultRunLauncher):
    """Launches each run in a fork of the warm process, or in a fresh one where that is not there.

    `run_launcher: {module: thunes_pipelines.services.run_launcher, class: WarmRunLauncher}` in
    `dagster.yaml`; nothing to configure.
    """

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the worker of a run; `DagsterLaunchFailedError` when it was gone at once."""
        run = context.dagster_run
        origin = check.not_none(context.job_code_origin)
        asked = ExecuteRunArgs(origin, run.run_id, self._instance.get_ref())

        def note(pid: int) -> None:
            if (worker := processes.identity(pid)) is None:
                raise NotBegun(f"process {pid} was gone before it began")
            self._instance.add_run_tags(run.run_id, {WORKER_TAG: f"{run.run_id} {worker}"})
            if self._stopped_before(run.run_id):
                raise NotBegun(f"process {pid} was not to begin: the run was stopped before")

        try:
            is_forked = ask(Path(self._instance.root_directory), serialize_value(asked), note)
        except NotBegun as error:
            raise DagsterLaunchFailedError(str(error)) from error  # type: ignore[no-untyped-call]
        if not is_forked:
            super().launch_run(context)

    def terminate(self, run_id: str) -> bool:
        """Ask a run to end, by SIGTERM to its worker; False when there is none to ask.

        A worker that has not begun ends without a word, so that the run is over when it has gone.
        """
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished or (worker := worker_of(run)) is None:
            return bool(super().terminate(run_id))  # type: ignore[no-untyped-call]
        self._instance.report_run_canceling(run)
        with suppress(ProcessLookupError):
            if pid := processes.living(worker):
                os.kill(pid, signal.SIGTERM)
        if processes.ends(worker, 0.0 if self._has_begun(run_id) else GOING_SECONDS):
            self._stopped_before(run_id)
        return True

    def _has_begun(self, run_id: str) -> bool:
        record = self._instance.get_run_record_by_id(run_id)
        return record is not None and record.start_time is not None

    def _stopped_before(self, run_id: str) -> bool:
        """End a run that is to stop and that nobody does; False when it is not to stop."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.status is not dg.DagsterRunStatus.CANCELING:
            return False
        self._instance.report_run_canceled(run, "The run was stopped; no worker does it.")
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        """True: a worker that was killed is noticed by run monitoring."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Tell whether the worker of a run lives; its code server watches over any other."""
        worker = worker_of(run)
        if worker is None or processes.living(worker) is not None:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"process {worker} has ended")


def worker_of(run: dg.DagsterRun) -> str | None:
    """Return the worker that was forked for this run, as `processes.identity` names it."""
    for_run, _, worker = run.tags.get(WORKER_TAG, "").partition(" ")
    return worker if for_run == run.run_id else None
