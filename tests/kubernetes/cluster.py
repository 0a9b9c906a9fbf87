"""A cluster in one process: applied objects, jobs with a pod each, and who may do what.

Jobs behave as the documents of Kubernetes say: one pod for a job that may not be repeated, counted
as active, succeeded or failed. Rights are those of the applied roles.

Add here: a kind of object that has a life. Keep out: HTTP (`api`), processes (`kubelet`).
"""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.kubernetes import kubelet
from tests.kubernetes.kubelet import Pod, Store
from tests.kubernetes.manifests import Document

JOB_LABEL = "job-name"


class Conflict(Exception):
    """There is one of that name already."""


@dataclass
class Cluster:
    """What the API serves."""

    folder: Path
    namespace: str
    tokens: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, Document] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    rules: dict[str, list[Document]] = field(default_factory=dict)
    lock: Any = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.store = Store(self.folder)

    def apply(self, documents: list[Document]) -> None:
        """Take objects as they were applied; every account gets a token."""
        of = {kind: [d for d in documents if d["kind"] == kind] for kind in _KINDS}
        for one in of["ConfigMap"]:
            self.store.maps[_name(one)] = dict(one["data"])
        for one in of["ServiceAccount"]:
            self.store.accounts.add(_name(one))
            self.tokens[_name(one)] = secrets.token_hex(16)
        self.store.claims |= {_name(one) for one in of["PersistentVolumeClaim"]}
        roles = {_name(one): one["rules"] for one in of["Role"]}
        for one in of["RoleBinding"]:
            for subject in one["subjects"]:
                self.rules.setdefault(subject["name"], []).extend(roles[one["roleRef"]["name"]])

    def account_of(self, header: str) -> str | None:
        """Return the account of an Authorization header, or None."""
        given = header.partition(" ")[2]
        return next((name for name, token in self.tokens.items() if token == given), None)

    def may(self, account: str, verb: str, group: str, resource: str) -> bool:
        """True when a role of the account allows it."""
        return any(
            verb in rule["verbs"] and group in rule["apiGroups"] and resource in rule["resources"]
            for rule in self.rules.get(account, [])
        )

    def create_job(self, job: Document) -> Document:
        """Take a job and start its pod."""
        with self.lock:
            name = _name(job)
            if name in self.jobs:
                raise Conflict(name)
            self.jobs[name] = job
            template = job["spec"]["template"]
            template.setdefault("metadata", {}).setdefault("labels", {})[JOB_LABEL] = name
            pod = Pod(f"{name}-{secrets.token_hex(3)}", template, name)
            self.pods[pod.name] = pod
            kubelet.start(pod, self.store)
            return self.job(name)

    def job(self, name: str) -> Document:
        """Return a job as it is now; `KeyError` where there is none."""
        with self.lock:
            job = self.jobs[name]
            pods = [pod for pod in self.pods.values() if pod.job == name]
            phases = [pod.phase for pod in pods]
            counted = {
                "active": sum(phase in {"Pending", "Running"} for phase in phases),
                "succeeded": phases.count("Succeeded"),
                "failed": phases.count("Failed"),
            }
            begun = {"startTime": pods[0].started.isoformat()} if pods else {}
            return {**job, "status": {**begun, **{k: n for k, n in counted.items() if n}}}

    def delete_job(self, name: str) -> None:
        """Forget a job, not its pod; `KeyError` where there is none."""
        with self.lock:
            del self.jobs[name]

    def delete_pod(self, name: str) -> None:
        """End a pod and forget it; `KeyError` where there is none."""
        with self.lock:
            pod = self.pods.pop(name)
        pod.end()

    def pod_of(self, job: str) -> Pod:
        """Return the one pod of a job."""
        with self.lock:
            (pod,) = [pod for pod in self.pods.values() if pod.job == job]
            return pod

    def shown(self, pod: Pod) -> Document:
        """Return a pod as the API shows it."""
        metadata = {**pod.document["metadata"], "name": pod.name, "namespace": self.namespace}
        status = {"phase": pod.phase, "containerStatuses": [_container_status(pod)]}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": metadata,
            "spec": pod.document["spec"],
            "status": status,
        }

    def close(self) -> None:
        """End every pod that runs."""
        for name in list(self.pods):
            self.delete_pod(name)


_KINDS = ("ConfigMap", "ServiceAccount", "PersistentVolumeClaim", "Role", "RoleBinding")


def _name(document: Document) -> str:
    return str(document["metadata"]["name"])


def _container_status(pod: Pod) -> Document:
    state: Document = {"running": {"startedAt": pod.started.isoformat()}}
    if pod.process is None:
        state = {"waiting": {"reason": "CreateContainerConfigError", "message": pod.why}}
    elif pod.process.poll() is not None:
        code = pod.process.returncode
        state = {"terminated": {"exitCode": code if code >= 0 else 128 - code, "reason": "Error"}}
    return {
        "name": pod.container["name"],
        "image": pod.container["image"],
        "imageID": pod.container["image"],
        "ready": "running" in state,
        "restartCount": 0,
        "state": state,
    }
