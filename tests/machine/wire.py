"""A wire without a socket: an unmodified client's requests go straight to the testnet's door.

Faults keep their meaning: a dropped answer is a broken connection, an unreadable one is cut.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from urllib3.exceptions import ProtocolError
from urllib3.response import HTTPResponse

from thunes_core.testnet.app import ENDPOINTS
from thunes_core.testnet.matching import Exchange
from thunes_core.testnet.rest import Door, Fate, Request


class DoorAdapter(BaseAdapter):
    """Hands requests to a door instead of a network."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        self._door = Door(exchange, ENDPOINTS)

    def send(self, request: requests.PreparedRequest, **_options: Any) -> requests.Response:
        parts = urlsplit(str(request.url))
        body = request.body or ""
        answer = self._door.answer(
            Request(
                str(request.method),
                parts.path,
                parts.query,
                body.decode() if isinstance(body, bytes) else body,
                request.headers.get("X-MBX-APIKEY"),
            )
        )
        if answer.fate is not Fate.SENT:
            raise requests.ConnectionError(ProtocolError("Connection aborted."))
        response = requests.Response()
        response.status_code = answer.status
        response.headers.update(answer.headers)
        response.request = request
        response.url = str(request.url)
        response.encoding = "utf-8"
        response._content = answer.body
        response.raw = HTTPResponse(answer.body)
        return response

    def close(self) -> None:
        """There is nothing to close."""


def wire_to(exchange: Exchange, *ports: Any) -> None:
    """Let the clients of `ports` reach `exchange` without a socket."""
    for port in ports:
        port.client.session.mount(f"{port.rest_url}/", DoorAdapter(exchange))
        port.client.session.trust_env = False
