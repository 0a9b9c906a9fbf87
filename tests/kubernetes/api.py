"""The part of Kubernetes' API that run launchers call, over HTTPS on loopback.

Every request needs the token of an account whose role allows it; all else is 401 and 403, as is
what is not there 404 and what is there twice 409.

Add here: an endpoint. Keep out: what it does (`cluster`).
"""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.kubernetes.cluster import JOB_LABEL, Cluster, Conflict
from tests.kubernetes.manifests import Document

PLACE = re.compile(
    r"^/(?:api/v1|apis/(?P<group>\w+)/v1)/namespaces/(?P<namespace>[\w-]+)/(?P<kind>[a-z]+)"
    r"(?:/(?P<name>[\w.-]+)(?:/(?P<part>\w+))?)?$"
)
VERBS = {"POST": "create", "GET": "get", "DELETE": "delete"}


class Api(ThreadingHTTPServer):
    """Serves a cluster; `asked` are the verbs and kinds that were allowed, in order."""

    daemon_threads = True

    def __init__(self, cluster: Cluster, certificate: Path, key: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Call)
        self.cluster = cluster
        self.asked: list[str] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.port = str(self.server_address[1])


class _Call(BaseHTTPRequestHandler):
    server: Api

    def do_GET(self) -> None:
        """Answer one request."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, answer = self._answer(json.loads(body) if body else {})
        raw = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def do_POST(self) -> None:
        """As any other."""
        self.do_GET()

    def do_DELETE(self) -> None:
        """As any other."""
        self.do_GET()

    def _answer(self, body: Document) -> tuple[int, Document | str]:
        cluster, url = self.server.cluster, urlsplit(self.path)
        account = cluster.account_of(self.headers.get("Authorization", ""))
        if account is None:
            return _refusal(401, "Unauthorized")
        place = PLACE.match(url.path)
        if place is None or place["namespace"] != cluster.namespace:
            return _refusal(404, f"nothing at {url.path}")
        verb = "list" if self.command == "GET" and not place["name"] else VERBS[self.command]
        resource = "/".join(filter(None, (place["kind"], place["part"])))
        if not cluster.may(account, verb, place["group"] or "", resource):
            return _refusal(403, f"{account} cannot {verb} {resource}")
        self.server.asked.append(f"{verb} {resource}")
        try:
            return CALLS[f"{verb} {resource}"](cluster, place["name"], parse_qs(url.query), body)
        except KeyError as missing:
            return _refusal(404, f"{missing} not found")
        except Conflict as there:
            return _refusal(409, f"{there} already exists")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _refusal(code: int, message: str) -> tuple[int, Document]:
    return code, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message}


def _list(kind: str, version: str, items: list[Document]) -> tuple[int, Document]:
    return 200, {"kind": kind, "apiVersion": version, "metadata": {}, "items": items}


def _selected(query: dict[str, list[str]]) -> tuple[str, str]:
    """Return key and value of the one selector that launchers use; names of objects by default."""
    (selector,) = [*query.get("fieldSelector", []), *query.get("labelSelector", [])]
    key, _, value = selector.partition("=")
    return key, value


def _list_jobs(cluster: Cluster, _: str, query: Any, __: Document) -> tuple[int, Document]:
    _, name = _selected(query)
    return _list("JobList", "batch/v1", [cluster.job(name)] if name in cluster.jobs else [])


def _list_pods(cluster: Cluster, _: str, query: Any, __: Document) -> tuple[int, Document]:
    key, value = _selected(query)
    with cluster.lock:
        known = list(cluster.pods.values())
    pods = [pod for pod in known if value == (pod.job if key == JOB_LABEL else pod.name)]
    return _list("PodList", "v1", [cluster.shown(pod) for pod in pods])


def _pod_log(cluster: Cluster, name: str, _: Any, __: Document) -> tuple[int, str]:
    log = cluster.pods[name].log
    return 200, log.read_text(errors="replace")[-4000:] if log else ""


def _delete_job(cluster: Cluster, name: str, _: Any, __: Document) -> tuple[int, Document]:
    cluster.delete_job(name)
    return 200, {"kind": "Status", "apiVersion": "v1", "status": "Success"}


def _delete_pod(cluster: Cluster, name: str, _: Any, __: Document) -> tuple[int, Document]:
    shown = cluster.shown(cluster.pods[name])
    threading.Thread(target=cluster.delete_pod, args=(name,), daemon=True).start()
    return 200, shown


CALLS: dict[str, Callable[[Cluster, str, Any, Document], tuple[int, Document | str]]] = {
    "create jobs": lambda cluster, _, __, body: (201, cluster.create_job(body)),
    "get jobs": lambda cluster, name, _, __: (200, cluster.job(name)),
    "get jobs/status": lambda cluster, name, _, __: (200, cluster.job(name)),
    "list jobs": _list_jobs,
    "delete jobs": _delete_job,
    "get pods": lambda cluster, name, _, __: (200, cluster.shown(cluster.pods[name])),
    "list pods": _list_pods,
    "delete pods": _delete_pod,
    "get pods/log": _pod_log,
    "list events": lambda *_: _list("EventList", "v1", []),
}


@contextmanager
def served(cluster: Cluster, certificate: Path, key: Path) -> Iterator[Api]:
    """Serve a cluster until the block ends; its pods end with it."""
    api = Api(cluster, certificate, key)
    thread = threading.Thread(target=api.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield api
    finally:
        api.shutdown()
        thread.join(timeout=10)
        api.server_close()
        cluster.close()
