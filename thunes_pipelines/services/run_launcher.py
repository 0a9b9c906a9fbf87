"""The run launcher of `thunes up`: workers are forked by the warm process, where one serves.

Elsewhere, and whenever that server cannot, a run starts as Dagster's own default starts it: in a
fresh process of its code server. A run is started one way or the other, never both.

Add here: what is asked of a worker after its start. Keep out: how it is forked (`run_server`).
"""

from __future__ import annotations

import os
import signal
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
from thunes_pipelines.services.run_server import NoAnswer, ask

WORKER_TAG = "thunes/worker"
"""Process id and start of a run's worker, as `processes.Identity` writes them."""


class WarmRunLauncher(DefaultRunLauncher):
    """Launches each run in a fork of the warm process, or in a fresh one where that is not there.

    `run_launcher: {module: thunes_pipelines.services.run_launcher, class: WarmRunLauncher}` in
    `dagster.yaml`; nothing to configure.
    """

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the worker of a run; `DagsterLaunchFailedError` when it may or may not run."""
        run = context.dagster_run
        origin = check.not_none(context.job_code_origin)
        asked = ExecuteRunArgs(origin, run.run_id, self._instance.get_ref())
        try:
            pid = ask(Path(self._instance.root_directory), serialize_value(asked))
        except NoAnswer as error:
            raise DagsterLaunchFailedError(str(error)) from error  # type: ignore[no-untyped-call]
        if pid is None:
            super().launch_run(context)
        elif worker := processes.identity(pid):
            self._instance.add_run_tags(run.run_id, {WORKER_TAG: worker})

    def terminate(self, run_id: str) -> bool:
        """Ask a run to end, by SIGTERM to its worker; False when there is none to ask."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished or WORKER_TAG not in run.tags:
            return bool(super().terminate(run_id))  # type: ignore[no-untyped-call]
        self._instance.report_run_canceling(run)
        pid = processes.living(run.tags[WORKER_TAG])
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
        return pid is not None

    @property
    def supports_check_run_worker_health(self) -> bool:
        """True: a worker that was killed is noticed by run monitoring."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Tell whether the worker of a run lives; its code server watches over any other."""
        worker = run.tags.get(WORKER_TAG)
        if worker is None or processes.living(worker) is not None:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"process {worker} has ended")
