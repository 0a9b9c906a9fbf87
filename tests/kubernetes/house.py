"""THUNES as `deploy/kubernetes` deploys it, on this machine; its daemon is this process.

The launcher is the one of `deploy/kubernetes/dagster.yaml`, configured from inside the cluster; the
code location and every run are processes of their own; all storage is one PostgreSQL.

Add here: another part of the deployment. Keep out: what is expected of it (tests).
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.selector import (
    PartitionRangeSelector,
    PartitionsByAssetSelector,
    PartitionsSelector,
)
from dagster._core.execution.backfill import PartitionBackfill
from dagster._core.instance.ref import InstanceRef
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._daemon.backfill import execute_backfill_iteration
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import (
    QueuedRunCoordinatorDaemon,
)

from tests.kubernetes import kubelet, manifests
from tests.kubernetes.api import Api, served
from tests.kubernetes.certificates import self_signed
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.kubelet import Pod

PATIENCE_SECONDS = 200
DAEMON, RUNS = "thunes-dagster", "thunes-runs"
_log = logging.getLogger("tests.kubernetes")


@dataclass
class Deployed:
    """The deployment under test; `step` does what a daemon does once."""

    cluster: Cluster
    api: Api
    instance: dg.DagsterInstance
    workspace: WorkspaceProcessContext

    def step(self) -> None:
        """Go on with backfills, start queued runs, look after started ones."""
        told = [*execute_backfill_iteration(self.workspace, _log)]
        queue = QueuedRunCoordinatorDaemon(interval_seconds=1)
        with queue:
            told += [*queue.run_iteration(self.workspace)]
        told += [*execute_run_monitoring_iteration(self.workspace, _log)]
        faults = [one.to_string() for one in told if hasattr(one, "to_string")]
        assert faults == []

    def until(self, found: Callable[[], Any], what: str, *, steps: bool = True) -> Any:
        """Step until `found()` is true and return it; fail with the pods' logs after a while."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if steps:
                self.step()
            if answer := found():
                return answer
            time.sleep(0.2)
        logs = [pod.log.read_text()[-3000:] for pod in self.cluster.pods.values() if pod.log]
        pytest.fail(f"not within {PATIENCE_SECONDS} s: {what}\n" + "\n".join(logs))

    def backfill(self, asset: dg.AssetKey, partitions: list[str]) -> str:
        """Ask for partitions of an asset, as the UI does; return the backfill's id."""
        wanted = PartitionsSelector(
            ranges=[PartitionRangeSelector(start=key, end=key) for key in partitions]
        )
        with self.workspace.create_request_context() as context:
            asked = PartitionBackfill.from_partitions_by_assets(
                backfill_id=uuid.uuid4().hex[:8],
                asset_graph=context.asset_graph,
                backfill_timestamp=time.time(),
                tags={},
                dynamic_partitions_store=self.instance,
                partitions_by_assets=[
                    PartitionsByAssetSelector(asset_key=asset, partitions=wanted)
                ],
                title=None,
                description=None,
                run_config=None,
            )
        self.instance.add_backfill(asked)
        return asked.backfill_id

    def runs(self, *statuses: dg.DagsterRunStatus) -> list[dg.DagsterRun]:
        """Return the runs of these statuses, of any where none is named."""
        return list(self.instance.get_runs(dg.RunsFilter(statuses=list(statuses))))

    def pod(self, run: dg.DagsterRun) -> Pod:
        """Return the pod of a run."""
        return self.cluster.pod_of(f"dagster-run-{run.run_id}")

    def start(self, name: str, port: str) -> None:
        """Start another Deployment's pod and wait until it is ready."""
        _start(self.cluster, name, port)

    def start_daemon(self) -> None:
        """Start the daemon's pod: what it does, this process need not do."""
        pod = Pod(
            "thunes-daemon", manifests.of_kind("Deployment")["thunes-daemon"]["spec"]["template"]
        )
        self.cluster.pods[pod.name] = pod
        kubelet.start(pod, self.cluster.store)

    def clear(self) -> None:
        """End what still runs and forget every run."""
        for name in [name for name in self.cluster.pods if name != "thunes-code"]:
            self.cluster.delete_pod(name)
        self.cluster.jobs.clear()
        for run in self.runs():
            self.instance.delete_run(run.run_id)
        self.api.asked.clear()

    def home(self) -> Path:
        """Return the folder that all pods share."""
        return self.cluster.store.claim("thunes-home")


@contextmanager
def deployed(
    folder: Path,
    settings: dict[str, str],
    secrets: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Deployed]:
    """Apply the manifests with other `settings` and the Secret; be the daemon of the deployment."""
    from kubernetes.config import incluster_config

    cluster = Cluster(folder, manifests.kustomization()["namespace"])
    cluster.apply(manifests.objects())
    cluster.store.maps["thunes-settings"] |= settings
    cluster.store.secrets["thunes-secrets"] = secrets
    certificate, key = self_signed(folder)
    token = _token_folder(cluster, DAEMON, certificate)
    with served(cluster, certificate, key) as api:
        monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token / "token"))
        monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(token / "ca.crt"))
        where = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": api.port}
        cluster.store.service = where
        for name, value in {**where, **secrets}.items():
            monkeypatch.setenv(name, value)
        logs = cluster.store.claim("thunes-home") / "compute-logs"
        monkeypatch.setenv("DAGSTER_COMPUTE_LOGS", str(logs))
        port = _start(cluster, "thunes-code", "4000")
        ref = InstanceRef.from_dir(str(_daemon_home(cluster)))
        with (
            dg.DagsterInstance.from_ref(ref) as instance,
            WorkspaceProcessContext(instance, _workspace(cluster, port)) as workspace,
        ):
            yield Deployed(cluster, api, instance, workspace)


def _daemon_home(cluster: Cluster) -> Path:
    """Return a DAGSTER_HOME with the instance's map, as it is mounted into the daemon."""
    return cluster.store.map_folder("thunes-dagster-instance")


def _pod(cluster: Cluster, name: str) -> Pod:
    """Make the pod of a Deployment."""
    template = manifests.of_kind("Deployment")[name]["spec"]["template"]
    cluster.pods[name] = Pod(name, template)
    return cluster.pods[name]


def _start(cluster: Cluster, name: str, port: str) -> str:
    """Start a Deployment's pod, on a free port of loopback instead of its own; return that port.

    Returns once the pod's own probe finds it ready.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        here = str(free.getsockname()[1])
    pod = _pod(cluster, name)
    kubelet.start(pod, cluster.store, {"0.0.0.0": "127.0.0.1", port: here})
    probe = [one.replace(port, here) for one in pod.container["readinessProbe"]["exec"]["command"]]
    deadline = time.monotonic() + PATIENCE_SECONDS
    environment = {**os.environ, "PATH": kubelet.PATH}
    while subprocess.run(probe, check=False, capture_output=True, env=environment).returncode:
        said = pod.log.read_text() if pod.log else pod.why
        assert pod.phase == "Running", said
        assert time.monotonic() < deadline, said
    return here


def _token_folder(cluster: Cluster, account: str, certificate: Path) -> Path:
    """Write what is mounted into the pods of an account that may ask the API."""
    made = cluster.folder / "tokens" / account
    made.mkdir(parents=True)
    (made / "token").write_text(cluster.tokens[account])
    shutil.copy(certificate, made / "ca.crt")
    cluster.store.tokens[account] = made
    return made


def _workspace(cluster: Cluster, port: str) -> WorkspaceFileTarget:
    """Return the deployment's workspace, its service found on loopback."""
    known = cluster.store.maps["thunes-workspace"]
    text = known["workspace.yaml"].replace("thunes-code", "127.0.0.1").replace("4000", port)
    known["workspace.yaml"] = text
    return WorkspaceFileTarget(
        [str(cluster.store.map_folder("thunes-workspace") / "workspace.yaml")]
    )
