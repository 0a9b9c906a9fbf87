"""The REST door: one request in, one answer out; limits, keys, parameters and errors in between.

Add here: a rule that holds for every request. Keep out: what an endpoint does
(`rest_market`, `rest_trading`), sockets, HTTP itself (`app`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import orjson

from thunes_core.testnet.faults import Fault, FaultKind
from thunes_core.testnet.parameters import Parameters
from thunes_core.testnet.refusals import Refused
from thunes_core.testnet.security import (
    DEFAULT_WINDOW_MS,
    require_in_time,
    require_key,
    require_signature,
    split_signature,
)
from thunes_core.testnet.time_units import TimeUnit, answer_in, time_unit_of

if TYPE_CHECKING:
    from thunes_core.testnet.matching import Exchange


class Access(StrEnum):
    """What an endpoint asks of its caller."""

    PUBLIC = "public"
    SIGNED = "signed"


class Fate(StrEnum):
    """What becomes of an answer: sent, or the connection is cut at once or after a while."""

    SENT = "sent"
    DROPPED = "dropped"
    HUNG = "hung"


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request: raw query and body, as they were signed.

    The WebSocket API brings `signed_text` and `signature` apart, or `is_session` when the
    connection has proved its key before. `time_unit` is what the client wrote of its times.
    """

    method: str
    path: str
    query: str = ""
    body: str = ""
    api_key: str | None = None
    signed_text: str | None = None
    signature: str | None = None
    is_session: bool = False
    time_unit: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer with a JSON body; `seconds` is how long a hung one hangs."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    fate: Fate = Fate.SENT
    seconds: float = 0.0


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


def _told_of(request: Request) -> dict[str, str]:
    """Return what is remembered of a struck request: its name, and its symbol where it has one."""
    asked = dict(parse_qsl(f"{request.query}&{request.body}"))
    symbol = {"symbol": asked["symbol"]} if "symbol" in asked else {}
    return {"request": f"{request.method} {request.path}", **symbol}


class Door:
    """Answers requests for one exchange, one at a time."""

    def __init__(self, exchange: Exchange, endpoints: Iterable[Endpoint]) -> None:
        self.exchange = exchange
        self._endpoints = {(e.method, e.path): e for e in endpoints}

    def answer(self, request: Request) -> Answer:
        """Do what `request` asks and return the answer; structured errors included."""
        with self.exchange.lock:
            self.exchange.advance()
            if self.exchange.conditions.in_maintenance and request.path.startswith("/api/"):
                return failed(503)
            fault = self.exchange.faults.next_for(request.method, request.path)
            return self._answer(request) if fault is None else self._struck(fault, request)

    def find(self, request: Request) -> Endpoint | None:
        """Return the endpoint that the request names, or None."""
        return self._endpoints.get((request.method, request.path))

    def _struck(self, fault: Fault, request: Request) -> Answer:
        """Let `fault` strike `request`."""
        kind, exchange = fault.kind, self.exchange
        exchange.faults.note(fault, exchange.present_ms, **_told_of(request))
        if kind is FaultKind.THROTTLE:
            wait = {"Retry-After": str(max(1, round(fault.seconds)))}
            return Answer(429, orjson.dumps(_TOO_MANY), wait)
        if kind is FaultKind.REFUSE:
            return Answer(400, orjson.dumps({"code": fault.code, "msg": fault.message}))
        if kind is FaultKind.LATE:
            self._execute_late(fault, request)
            return failed(504)
        answer = self._answer(request) if kind in _EXECUTED else failed(fault.status)
        if kind in (FaultKind.DROP, FaultKind.DROP_AFTER):
            return replace(answer, fate=Fate.DROPPED)
        if kind in (FaultKind.HANG, FaultKind.HANG_AFTER):
            return replace(answer, fate=Fate.HUNG, seconds=fault.seconds)
        if kind is FaultKind.GARBAGE:
            return replace(answer, status=200, body=answer.body[: len(answer.body) // 2])
        return failed(fault.status)

    def _execute_late(self, fault: Fault, request: Request) -> None:
        """Execute `request` later, unless its recvWindow is over by then."""
        texts = dict(parse_qsl(f"{request.query}&{request.body}"))
        window = texts.get("recvWindow", "")
        window_ms = int(window) if window.isdecimal() else DEFAULT_WINDOW_MS
        delay_ms = round(fault.seconds * 1000)
        if delay_ms <= window_ms:
            self.exchange.schedule(
                self.exchange.present_ms + delay_ms, lambda: _forget(self._answer(request))
            )

    def _answer(self, request: Request) -> Answer:
        endpoint = self.find(request)
        if endpoint is None:
            return Answer(404, b"Not found")
        limits = self.exchange.limits
        try:
            unit = time_unit_of(request.time_unit)
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
        if unit is TimeUnit.MICROSECOND:
            body = orjson.dumps(answer_in(unit, orjson.loads(body)))
        return Answer(200, body, headers)

    def _result(self, endpoint: Endpoint, request: Request) -> Any:
        parameters = _parameters(request)
        weight = (
            endpoint.weight if isinstance(endpoint.weight, int) else endpoint.weight(parameters)
        )
        self.exchange.limits.use(weight)
        if endpoint.access is Access.SIGNED:
            self.require_signed(request, parameters)
        result = endpoint.call(self.exchange, parameters)
        if endpoint.is_order:
            self.exchange.limits.refund(weight)
        return result

    def require_signed(self, request: Request, parameters: Parameters) -> None:
        """Refuse a request whose key, time or signature is not right."""
        key = require_key(self.exchange.keys, request.api_key)
        if request.signed_text is None:
            signed_text, signature = split_signature(request.query, request.body)
            parameters.ignore(["signature"])
        else:
            signed_text, signature = request.signed_text, request.signature
        require_in_time(parameters, self.exchange.clock, self.exchange.told_ms)
        if not request.is_session:
            require_signature(key, signed_text, signature)


_EXECUTED = frozenset(
    {FaultKind.ERROR_AFTER, FaultKind.DROP_AFTER, FaultKind.HANG_AFTER, FaultKind.GARBAGE}
)
_TOO_MANY = {"code": -1003, "msg": "Too many requests queued."}
_BODIES: Mapping[int, bytes] = {
    500: b'{"code":-1000,"msg":"An unknown error occurred while processing the request."}',
    502: b"<html><head><title>502 Bad Gateway</title></head></html>",
    503: b'{"code":-1008,"msg":"Server is currently overloaded with other requests. '
    b'Please try again in a few minutes."}',
    504: b'{"code":-1007,"msg":"Timeout waiting for response from backend server. '
    b'Send status unknown; execution status unknown."}',
}


def failed(status: int) -> Answer:
    """Return the answer of a server that failed: HTML from the gateway, or an error of its own."""
    return Answer(status, _BODIES.get(status, _BODIES[500]))


def _forget(_: Answer) -> None:
    """Take an answer that nobody waits for any more."""


def _parameters(request: Request) -> Parameters:
    pairs = parse_qsl(request.query, keep_blank_values=True)
    pairs += parse_qsl(request.body, keep_blank_values=True)
    if len({name for name, _ in pairs}) < len(pairs):
        raise Refused(-1101, "Duplicate values for a parameter detected.")
    return Parameters(dict(pairs))
