"""The testnet as a server: HTTP to its doors, start and stop.

Add here: a way to serve the exchange. Keep out: what it answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from thunes_core.domain.limits import Costs
from thunes_core.errors import BadInput, OutsideFailed
from thunes_core.testnet.admin import ADMIN_CALLS
from thunes_core.testnet.clock import ExchangeClock, make_clock
from thunes_core.testnet.market import Market
from thunes_core.testnet.matching import Exchange
from thunes_core.testnet.options import Options
from thunes_core.testnet.rest import Answer, Door, Fate, Request
from thunes_core.testnet.rest_lists import LIST_ENDPOINTS
from thunes_core.testnet.rest_market import MARKET_ENDPOINTS
from thunes_core.testnet.rest_special import SPECIAL_ENDPOINTS
from thunes_core.testnet.rest_tickers import TICKER_ENDPOINTS
from thunes_core.testnet.rest_trading import TRADING_ENDPOINTS
from thunes_core.testnet.rest_wallet import WALLET_ENDPOINTS
from thunes_core.testnet.security import Key
from thunes_core.testnet.settlement import FeeAsset, terms_of
from thunes_core.testnet.sockets import api_call, market_call

ENDPOINTS = (
    *MARKET_ENDPOINTS,
    *TICKER_ENDPOINTS,
    *TRADING_ENDPOINTS,
    *LIST_ENDPOINTS,
    *SPECIAL_ENDPOINTS,
    *WALLET_ENDPOINTS,
)
_USUAL_COSTS = Costs()
_METHODS = ["GET", "POST", "PUT", "DELETE"]
HttpCall = Callable[[HttpRequest], Awaitable[Response]]


def make_exchange(
    market: Market,
    *,
    clock: ExchangeClock | str = "stepped",
    start: datetime | None = None,
    options: Options | None = None,
    keys: Mapping[str, Key] | None = None,
) -> Exchange:
    """Put an exchange on `market`; a clock given by name begins at `start`, else the market's."""
    if isinstance(clock, str):
        clock = make_clock(clock, start or market.start)
    return Exchange(market, clock, options or Options(), keys)


def make_app(exchange: Exchange) -> Starlette:
    """Return the ASGI application that serves `exchange`."""
    door = Door(exchange, ENDPOINTS)
    return Starlette(
        routes=[
            WebSocketRoute("/ws-api/v3", api_call(door)),
            WebSocketRoute("/stream", market_call(exchange, combined=True)),
            WebSocketRoute("/ws", market_call(exchange, combined=False)),
            WebSocketRoute("/ws/{names:path}", market_call(exchange, combined=False)),
            Route("/testnet/{name}", _admin_call(exchange), methods=_METHODS),
            Route("/{path:path}", _door_call(door), methods=_METHODS),
        ]
    )


def _door_call(door: Door) -> HttpCall:
    async def call(request: HttpRequest) -> Response:
        body = (await request.body()).decode("utf-8", "replace") if request.method != "GET" else ""
        answer = door.answer(
            Request(
                request.method,
                request.url.path,
                request.url.query,
                body,
                request.headers.get("x-mbx-apikey"),
                time_unit=request.headers.get("x-mbx-time-unit"),
            )
        )
        return _to_response(answer)

    return call


def _to_response(answer: Answer) -> Response:
    if answer.fate is not Fate.SENT:
        return _Cut(answer.seconds)
    headers = {"content-type": "application/json;charset=UTF-8", **answer.headers}
    return Response(answer.body, answer.status, headers)


class _Cut(Response):
    """No response: the connection is cut, at once or after some real seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, _: Send) -> None:
        """Wait for the time, or for the client to give up, and cut the connection."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(_gone(receive), self._seconds)
        scope["thunes.transport"].abort()
        await _gone(receive)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class _Protocol(HttpToolsProtocol):
    """HTTP that lets the application cut the connection."""

    def on_message_begin(self) -> None:
        """Hand the transport to the application."""
        super().on_message_begin()
        self.scope["thunes.transport"] = self.transport  # type: ignore[typeddict-unknown-key]


class _SocketProtocol(WebSocketsSansIOProtocol):
    """WebSockets that let the application cut the connection."""

    async def run_asgi(self) -> None:
        """Hand the transport to the application."""
        self.scope["thunes.transport"] = self.transport  # type: ignore[typeddict-unknown-key]
        await super().run_asgi()


def _admin_call(exchange: Exchange) -> HttpCall:
    async def call(request: HttpRequest) -> Response:
        found = ADMIN_CALLS.get((request.method, request.path_params["name"]))
        if found is None:
            return _json({"error": "not found; see docs/testnet.md"}, 404)
        body = await request.body()
        try:
            with exchange.lock:
                return _json(found(exchange, _object(body) if request.method == "POST" else {}))
        except BadInput as error:
            return _json({"error": str(error)}, 400)

    return call


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise BadInput("body: expected a JSON object; it was something else; see docs/testnet.md")
    return document


def _json(document: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(document), status, media_type="application/json")


class _Server(uvicorn.Server):
    """A uvicorn server that leaves at once when it is told to."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.left = asyncio.Event()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.ready = threading.Event()

    async def main_loop(self) -> None:
        """Wait until told to leave, looking after the date header once a second."""
        self.loop = asyncio.get_running_loop()
        await self.on_tick(0)
        self.ready.set()
        while not self.should_exit:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.left.wait(), 1.0)
            await self.on_tick(0)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGINT and SIGTERM, and end as one who was asked to: with exit code 0."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()

    def leave(self) -> None:
        """Stop serving; safe from any thread."""
        self.should_exit = True
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self.left.set)


@dataclass(slots=True)
class RunningTestnet:
    """A testnet served by a thread of this process."""

    url: str
    exchange: Exchange
    _server: _Server
    _thread: threading.Thread

    def stop(self) -> None:
        """Stop serving and wait for the thread; a second call does nothing."""
        if self._thread.is_alive():
            self._server.leave()
            self._thread.join(timeout=10)

    def __enter__(self) -> RunningTestnet:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()


def serve_in_thread(
    market: Market,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    clock: ExchangeClock | str = "stepped",
    start: datetime | None = None,
    cash: Decimal | float = 10_000,
    costs: Costs = _USUAL_COSTS,
    fee_asset: FeeAsset | str = FeeAsset.BASE,
    options: Options | None = None,
    keys: Mapping[str, Key] | None = None,
) -> RunningTestnet:
    """Serve `market` from a thread and return when it listens; port 0 takes a free one.

    `options` replaces `cash`, `costs` and `fee_asset`; `keys` replace the local key.
    """
    usual = Options(cash=Decimal(str(cash)), terms=terms_of(costs, fee_asset))
    exchange = make_exchange(market, clock=clock, start=start, options=options or usual, keys=keys)
    listener = _listen(host, port)
    server = _Server(_config(make_app(exchange)))
    thread = threading.Thread(
        target=server.run, args=([listener],), name="thunes-testnet", daemon=True
    )
    thread.start()
    if not server.ready.wait(timeout=10):
        raise OutsideFailed(f"testnet: expected to listen on {host}:{port} within 10 s; it did not")
    bound = listener.getsockname()[1]
    return RunningTestnet(f"http://{host}:{bound}", exchange, server, thread)


def serve(exchange: Exchange, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve `exchange` in this thread until SIGINT or SIGTERM; `announce` is given the URL."""
    listener = _listen(host, port)
    announce(f"http://{host}:{listener.getsockname()[1]}")
    with contextlib.suppress(KeyboardInterrupt):
        _Server(_config(make_app(exchange))).run([listener])


def _listen(host: str, port: int) -> socket.socket:
    # The protocol is named so that asyncio switches Nagle's delay off (40 ms an answer otherwise).
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise OutsideFailed(
            f"testnet: expected {host}:{port} to be free; {error.strerror}; choose another --port"
        ) from None
    listener.listen(128)
    return listener


def _config(app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        loop="asyncio",
        http=_Protocol,
        ws=_SocketProtocol,
        ws_ping_interval=20.0,
        ws_ping_timeout=60.0,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=60,
    )
