"""Pods as local processes: command, arguments, environment and volumes of a pod's one container.

A container's paths below `/opt/thunes` lie in a folder of the pod's own, into which its volumes are
linked; words of its command and values of its environment that name such a path are rewritten, as
there is no other file system here. What a pod names and the cluster does not have keeps it from
starting.

Add here: what a kubelet does with a pod. Keep out: jobs, the API.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from tests.kubernetes.manifests import ROOT, Document
from thunes_core.clock import SystemClock

IMAGE_FOLDER = "/opt/thunes"
TOKEN_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
_WITH_TOKEN = (
    "set -e; mount --rbind /run {root}/run; mount -t tmpfs tmpfs /run; "
    "ln -s {root}/run/* /run/; mkdir -p {to}; cp {token} {to}/; exec " + '"$@"'
)
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"


class CannotStart(Exception):
    """What a pod names is not there."""


@dataclass
class Store:
    """What pods may name: maps and secrets by name, and a folder for every claim.

    `service` tells every pod where the API is; `tokens` are folders with what an account shows it.
    """

    folder: Path
    maps: dict[str, dict[str, str]] = field(default_factory=dict)
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    claims: set[str] = field(default_factory=set)
    service: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, Path] = field(default_factory=dict)
    accounts: set[str] = field(default_factory=set)

    def claim(self, name: str) -> Path:
        """Return the folder of a claim."""
        if name not in self.claims:
            raise CannotStart(f"persistentvolumeclaim {name!r} not found")
        made = self.folder / "claims" / name
        made.mkdir(parents=True, exist_ok=True)
        return made

    def map_folder(self, name: str) -> Path:
        """Return a folder with the files of a map."""
        made = self.folder / "maps" / name
        made.mkdir(parents=True, exist_ok=True)
        for key, text in _named(self.maps, name, "configmap").items():
            (made / key).write_text(text)
        return made


@dataclass
class Pod:
    """One pod; `document` is its template with name and labels."""

    name: str
    document: Document
    job: str = ""
    process: subprocess.Popen[bytes] | None = None
    log: Path | None = None
    why: str = ""
    started: datetime = field(default_factory=SystemClock().now)

    @property
    def container(self) -> Document:
        """Return its one container."""
        (only,) = self.document["spec"]["containers"]
        return dict(only)

    @property
    def phase(self) -> str:
        """Return Pending, Running, Succeeded or Failed."""
        if self.process is None:
            return "Pending"
        code = self.process.poll()
        return "Running" if code is None else "Failed" if code else "Succeeded"

    def end(self) -> None:
        """Ask it to end, and force it when it does not, as deleting a pod does."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(
                timeout=self.document["spec"].get("terminationGracePeriodSeconds", 30)
            )
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start(pod: Pod, store: Store, instead: dict[str, str] | None = None) -> None:
    """Start a pod's container; it stays Pending, with the reason, where something is missing.

    `instead` are words of its command that are replaced: addresses of this machine.
    """
    root = store.folder / "pods" / pod.name
    try:
        environment = _environment(pod.container, store)
        _mount(pod.document["spec"], store, root)
        if pod.document["spec"].get("serviceAccountName") not in store.accounts:
            raise CannotStart("serviceaccount not found")
    except CannotStart as missing:
        pod.why = str(missing)
        return
    words = [*pod.container.get("command", []), *pod.container.get("args", [])]
    command = [_word((instead or {}).get(word, word), root) for word in words]
    pod.log = root / "log"
    with pod.log.open("wb") as log:
        pod.process = subprocess.Popen(
            [*_with_token(pod.document["spec"], store, root), *command],
            env={
                "PATH": PATH,
                "PYTHONPATH": str(ROOT),
                "HOME": str(root),
                **_local(environment, root),
            },
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _with_token(spec: Document, store: Store, root: Path) -> list[str]:
    """Return what mounts the account's token before a command; nothing where it gets none.

    Only root can mount; for others a pod that asks the API does not find its token.
    """
    account = spec["serviceAccountName"]
    refused = spec.get("automountServiceAccountToken") is False
    if refused or account not in store.tokens or os.geteuid() != 0:
        return []
    (root / "run").mkdir()
    script = _WITH_TOKEN.format(root=root, to=TOKEN_FOLDER, token=f"{store.tokens[account]}/*")
    return ["unshare", "--mount", "sh", "-c", script, "pod"]


def _environment(container: Document, store: Store) -> dict[str, str]:
    found = dict(store.service)
    for source in container.get("envFrom", []):
        if named := source.get("configMapRef"):
            found |= _named(store.maps, named["name"], "configmap")
        if named := source.get("secretRef"):
            found |= _named(store.secrets, named["name"], "secret")
    for one in container.get("env", []):
        found[one["name"]] = _value(one, store)
    return found


def _value(one: Document, store: Store) -> str:
    if "valueFrom" not in one:
        return str(one.get("value", ""))
    asked = one["valueFrom"]["secretKeyRef"]
    return _named(store.secrets, asked["name"], "secret")[asked["key"]]


def _named(known: dict[str, dict[str, str]], name: str, kind: str) -> dict[str, str]:
    if name not in known:
        raise CannotStart(f"{kind} {name!r} not found")
    return known[name]


def _mount(spec: Document, store: Store, root: Path) -> None:
    """Link what a container mounts into the pod's folder."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    sources = {volume["name"]: _source(volume, store) for volume in spec.get("volumes", [])}
    (container,) = spec["containers"]
    for mount in container.get("volumeMounts", []):
        place = root / mount["mountPath"].lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(sources[mount["name"]] / mount.get("subPath", ""))


def _source(volume: Document, store: Store) -> Path:
    if claim := volume.get("persistentVolumeClaim"):
        return store.claim(claim["claimName"])
    return store.map_folder(volume["configMap"]["name"])


def _local(environment: dict[str, str], root: Path) -> dict[str, str]:
    return {name: _word(value, root) for name, value in environment.items()}


def _word(value: str, root: Path) -> str:
    return f"{root}{value}" if value.startswith(IMAGE_FOLDER) else value
