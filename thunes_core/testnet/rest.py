"""The REST door: one request in, one answer out; limits, keys, parameters and errors in between.

Add here: a rule that holds for every request. Keep out: what an endpoint does
(`rest_market`, `rest_trading`), sockets, HTTP itself (`app`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import orjson

from thunes_core.testnet.parameters import Parameters
from thunes_core.testnet.refusals import Refused
from thunes_core.testnet.security import (
    require_in_time,
    require_key,
    require_signature,
    split_signature,
)

if TYPE_CHECKING:
    from thunes_core.testnet.matching import Exchange


class Access(StrEnum):
    """What an endpoint asks of its caller."""

    PUBLIC = "public"
    SIGNED = "signed"


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request: raw query and body, as they were signed."""

    method: str
    path: str
    query: str = ""
    body: str = ""
    api_key: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer with a JSON body."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


Call = Callable[["Exchange", Parameters], Any]
Weight = int | Callable[[Parameters], int]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method and path: who may call it, what it weighs, what it does.

    `is_order` endpoints weigh nothing when they succeed and show the order counts.
    """

    method: str
    path: str
    call: Call
    weight: Weight = 1
    access: Access = Access.PUBLIC
    is_order: bool = False


class Door:
    """Answers requests for one exchange, one at a time."""

    def __init__(self, exchange: Exchange, endpoints: Iterable[Endpoint]) -> None:
        self.exchange = exchange
        self._endpoints = {(e.method, e.path): e for e in endpoints}

    def answer(self, request: Request) -> Answer:
        """Do what `request` asks and return the answer; structured errors included."""
        with self.exchange.lock:
            self.exchange.advance()
            return self._answer(request)

    def find(self, request: Request) -> Endpoint | None:
        """Return the endpoint that the request names, or None."""
        return self._endpoints.get((request.method, request.path))

    def _answer(self, request: Request) -> Answer:
        endpoint = self.find(request)
        if endpoint is None:
            return Answer(404, b"Not found")
        limits = self.exchange.limits
        try:
            result = self._result(endpoint, request)
        except Refused as refused:
            return Answer(
                refused.status,
                orjson.dumps(refused.document()),
                {**limits.headers(), **refused.headers},
            )
        headers = limits.headers()
        if endpoint.is_order:
            headers |= limits.order_headers()
        body = result if isinstance(result, bytes) else orjson.dumps(result)
        return Answer(200, body, headers)

    def _result(self, endpoint: Endpoint, request: Request) -> Any:
        parameters = _parameters(request)
        weight = (
            endpoint.weight if isinstance(endpoint.weight, int) else endpoint.weight(parameters)
        )
        self.exchange.limits.use(weight)
        if endpoint.access is Access.SIGNED:
            self._require_signed(request, parameters)
        result = endpoint.call(self.exchange, parameters)
        if endpoint.is_order:
            self.exchange.limits.refund(weight)
        return result

    def _require_signed(self, request: Request, parameters: Parameters) -> None:
        key = require_key(self.exchange.keys, request.api_key)
        signed_text, signature = split_signature(request.query, request.body)
        if signature is not None:
            parameters.ignore(["signature"])
        require_in_time(parameters, self.exchange.clock)
        require_signature(key, signed_text, signature)


def _parameters(request: Request) -> Parameters:
    pairs = parse_qsl(request.query, keep_blank_values=True)
    pairs += parse_qsl(request.body, keep_blank_values=True)
    if len({name for name, _ in pairs}) < len(pairs):
        raise Refused(-1101, "Duplicate values for a parameter detected.")
    return Parameters(dict(pairs))
