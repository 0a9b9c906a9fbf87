"""A loopback server that gives scripted answers and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    """One answer: status, body (JSON unless it is text), headers; `hangs` never answers."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    hangs: bool = False

    def content(self) -> bytes:
        """Return the bytes of the body."""
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


@dataclass
class Scripted:
    """The server's address, and the paths it was asked for so far."""

    url: str
    asked: list[str]


@contextmanager
def scripted(replies: Sequence[Reply]) -> Iterator[Scripted]:
    """Serve `replies` one after the other; the last one for ever."""
    asked: list[str] = []
    left = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            reply = replies[min(len(asked), len(replies) - 1)]
            asked.append(self.path)
            if reply.hangs:
                left.wait(5)
                return
            content = reply.content()
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(content)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield Scripted(f"http://127.0.0.1:{server.server_port}", asked)
    finally:
        left.set()
        server.shutdown()
        thread.join()
        server.server_close()
