"""The objects of `deploy/kubernetes`, as `kubectl apply -k` makes and the client reads them.

Add here: another way in which a manifest is read. Keep out: what is expected of it (tests).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy/kubernetes"
VERSIONS = {
    "v1": {"Namespace", "ServiceAccount", "ConfigMap", "PersistentVolumeClaim", "Service"},
    "apps/v1": {"Deployment"},
    "rbac.authorization.k8s.io/v1": {"Role", "RoleBinding"},
    "networking.k8s.io/v1": {"NetworkPolicy"},
}
Document = dict[str, Any]


def kustomization() -> Document:
    """Return what says which files belong together."""
    return dict(yaml.safe_load((FOLDER / "kustomization.yaml").read_text()))


def objects() -> list[Document]:
    """Return every object: those of the files, and the maps that are generated from files."""
    known = kustomization()
    texts = [(FOLDER / name).read_text() for name in known["resources"]]
    found = [document for text in texts for document in yaml.safe_load_all(text)]
    maps = [_config_map(one, known["namespace"]) for one in known["configMapGenerator"]]
    return [*found, *maps]


def of_kind(kind: str) -> dict[str, Document]:
    """Return the objects of a kind by name."""
    return {one["metadata"]["name"]: one for one in objects() if one["kind"] == kind}


def pod_specs() -> dict[str, Document]:
    """Return the pod of every Deployment by name."""
    return {name: one["spec"]["template"]["spec"] for name, one in of_kind("Deployment").items()}


def _config_map(generator: Document, namespace: str) -> Document:
    data = {name: (FOLDER / name).read_text() for name in generator["files"]}
    named = {"name": generator["name"], "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": named, "data": data}


@dataclass
class _Answer:
    """What the client deserialises: an answer's text."""

    data: str


def read_back(document: Document) -> Document:
    """Return a document as the client understood it: what it does not know is gone.

    Raises `ValueError` where a field is missing or of a value that is not allowed.
    """
    from kubernetes.client import ApiClient

    with ApiClient() as client:
        model = client.deserialize(_Answer(json.dumps(document)), f"V1{document['kind']}")
        return dict(client.sanitize_for_serialization(model))
