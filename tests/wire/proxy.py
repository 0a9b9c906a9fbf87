"""A loopback TCP proxy before the testnet that breaks the connection of the request it is told to.

Add here: another way in which a connection breaks. Keep out: what an exchange answers (`testnet`).
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from enum import StrEnum
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

GONE = struct.pack("ii", 1, 0)
"""Lingering switched on with no time: closing sends a reset."""

BOUND_SECONDS = 20


class Break(StrEnum):
    """How a connection breaks, and on which side of the exchange.

    What is delayed arrives when the tick that sent it is over.
    """

    RESET_BEFORE = "reset_before"
    RESET_AFTER = "reset_after"
    DELAY = "delay"
    SWALLOW = "swallow"
    HALF = "half"


class Wire(ThreadingHTTPServer):
    """Passes requests on to `target`; `strike` breaks some of those that come."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Line)
        self.target = urlsplit(target).netloc
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.struck: list[str] = []
        self._lock = threading.Lock()
        self._kind: Break | None = None
        self._request = ""
        self._left = self._times = self._wanted = 0
        self.over, self.resumed = threading.Event(), threading.Event()

    def strike(self, kind: Break, request: str, nth: int = 1, times: int = 1) -> None:
        """Break the `nth` coming `request` (method and path), and `times` - 1 after it."""
        with self._lock:
            self._kind, self._request, self._left, self._times = kind, request, nth, times
            self._wanted = times
            self.struck.clear()
            self.over.clear()
            self.resumed.clear()

    def is_over(self) -> bool:
        """Let what is delayed arrive, and tell whether all that was to break is broken."""
        self.resumed.set()
        return self.over.wait(BOUND_SECONDS)

    def shutdown_request(self, request: Any) -> None:
        """Close without a farewell, so that a reset is the first that is heard."""
        self.close_request(request)

    def is_next(self, request: str) -> bool:
        """True when this request would be broken if it came now."""
        return self._times > 0 and request == self._request and self._left <= 1

    def due(self, request: str) -> Break | None:
        """Return how the connection of this request breaks, or None."""
        with self._lock:
            if self.is_next(request):
                self._times -= 1
                return self._kind
            if request == self._request:
                self._left -= 1
        return None

    def told(self, request: str) -> None:
        """Note a request whose connection is broken now."""
        with self._lock:
            self.struck.append(request)
            if len(self.struck) == self._wanted:
                self.over.set()

    def pass_on(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, Any, bytes]:
        """Ask the testnet; return status, headers and body."""
        with closing(HTTPConnection(self.target)) as line:
            line.request(method, path, body, dict(headers))
            answer = line.getresponse()
            return answer.status, answer.getheaders(), answer.read()


class _Line(BaseHTTPRequestHandler):
    """One connection of a client; it is kept open between requests."""

    protocol_version = "HTTP/1.1"
    server: Wire

    def do_GET(self) -> None:
        """Pass one request on, or break its connection."""
        request = f"{self.command} {self.path.partition('?')[0]}"
        kind = self.server.due(request)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = self.command, self.path, self.headers.items(), body
        if kind is None:
            self._answer(*self.server.pass_on(*asked))
            return
        with suppress(OSError):
            self._break(kind, asked)
        self.close_connection = True
        self.server.told(request)

    do_POST = do_DELETE = do_GET  # noqa: N815 - the names that the library calls

    def _break(self, kind: Break, asked: tuple[Any, ...]) -> None:
        if kind is Break.DELAY:
            self.connection.recv(1)  # returns when the client has given up and closed
            self.server.resumed.wait(BOUND_SECONDS)
        answer = None if kind is Break.RESET_BEFORE else self.server.pass_on(*asked)
        if kind is Break.SWALLOW:
            self.connection.recv(1)
        if answer is not None and kind in {Break.DELAY, Break.HALF}:
            self._answer(*answer, cut=kind is Break.HALF)
        if kind in {Break.RESET_BEFORE, Break.RESET_AFTER}:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, GONE)

    def _answer(self, status: int, headers: Any, body: bytes, *, cut: bool = False) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def wire_before(target: str) -> Iterator[Wire]:
    """Serve a proxy before `target`."""
    wire = Wire(target)
    thread = threading.Thread(target=wire.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield wire
    finally:
        wire.shutdown()
        thread.join(timeout=10)
        wire.server_close()
