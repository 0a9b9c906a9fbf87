"""The WebSocket doors: market data streams, and the WebSocket API with its user data stream.

Every connection has a pump that looks at the exchange's clock forty times a second, lets the
market run and sends what happened since; and a reader of what the client says.

Add here: a rule of a connection. Keep out: what events say (`market_events`, `user_events`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect

from thunes_core.testnet.line import Line, Named
from thunes_core.testnet.market_events import events_between
from thunes_core.testnet.matching import Exchange
from thunes_core.testnet.refusals import Refused
from thunes_core.testnet.rest import Door
from thunes_core.testnet.socket_api import ApiSession
from thunes_core.testnet.stream_forms import Misunderstood, read_message
from thunes_core.testnet.streams import Stream, parse_stream
from thunes_core.testnet.time_units import TimeUnit, event_in, time_unit_of

PERIOD_SECONDS = 0.025
MOST_STREAMS = 1024
MOST_MESSAGES_A_SECOND = 5
USER_DATA = "userData"
GOING_AWAY = 1001
POLICY_VIOLATION = 1008


class Connection:
    """What both kinds of sockets share: reading, pumping, being cut."""

    def __init__(self, socket: WebSocket, exchange: Exchange) -> None:
        self.socket = socket
        self.exchange = exchange
        self._drops = exchange.conditions.stream_drops
        self.unit = _unit_of(socket)
        self._line = Line(exchange.faults)

    async def serve(self) -> None:
        """Serve the socket until either side ends it."""
        await self.socket.accept()
        tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._pump())]
        _, running = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in running:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.close()

    async def _read(self) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            while True:
                message = await self.socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                raw = message.get("text") or (message.get("bytes") or b"").decode(errors="replace")
                await self.heard(raw)

    async def _pump(self) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            while self._drops == self.exchange.conditions.stream_drops:
                with self.exchange.lock:
                    self.exchange.advance()
                    messages = self._line.carry(self.news(), self.exchange.present_ms)
                for message in messages:
                    await self.send(message)
                if self._line.is_cut:
                    self.socket.scope["thunes.transport"].abort()
                    return
                await asyncio.sleep(PERIOD_SECONDS)
            await self.send(self.farewell())
            await self.socket.close(GOING_AWAY)

    async def send(self, document: Any) -> None:
        """Send one JSON document."""
        await self.socket.send_text(orjson.dumps(document).decode())

    def farewell(self) -> Any:
        """Return what is said before the server cuts the connection."""
        return {"e": "serverShutdown", "E": self.exchange.present_ms}

    async def heard(self, text: str) -> None:
        """Take a message of the client."""
        raise NotImplementedError

    def news(self) -> list[Named]:
        """Return what there is to send, with its stream's name; called with the lock held."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of what the connection holds."""


def _unit_of(socket: WebSocket) -> TimeUnit:
    """Return the unit of time that the address asks for; another word means milliseconds."""
    try:
        return time_unit_of(socket.query_params.get("timeUnit"))
    except Refused:
        return TimeUnit.MILLISECOND


class MarketConnection(Connection):
    """A market data socket with its subscriptions."""

    def __init__(
        self, socket: WebSocket, exchange: Exchange, names: list[str], *, combined: bool
    ) -> None:
        super().__init__(socket, exchange)
        self._combined = combined
        self._streams: dict[str, Stream] = {}
        self._told_ms: dict[str, int] = {}
        self._heard_at: list[float] = []
        for name in names:
            self._subscribe(name)

    def _subscribe(self, name: str) -> bool:
        stream = parse_stream(name, self.exchange)
        if stream is None or len(self._streams) >= MOST_STREAMS:
            return False
        self._streams[name] = stream
        self._told_ms.setdefault(name, stream.known_until(self.exchange.present_ms))
        return True

    def news(self) -> list[Named]:
        """Return the events of every subscription since it told last."""
        if self.exchange.conditions.streams_silent:
            self._told_ms = dict.fromkeys(self._streams, self.exchange.present_ms)
            return []
        found = [
            (stream.name, event)
            for stream in self._streams.values()
            for event in event_in(self.unit, self._news_of(stream, self.exchange.present_ms))
        ]
        if not self._combined:
            return found
        return [(name, {"stream": name, "data": event}) for name, event in found]

    def _news_of(self, stream: Stream, now_ms: int) -> list[Any]:
        """Return what a stream has to tell; what it leaves out now is told with the next event."""
        told_ms, until_ms = self._told_ms[stream.name], stream.known_until(now_ms)
        if until_ms <= told_ms:
            return []
        found = list(events_between(self.exchange, stream, told_ms, until_ms))
        if found:
            self._told_ms[stream.name] = until_ms
        return found

    def farewell(self) -> Any:
        """Return the shutdown notice, wrapped on combined streams."""
        plain = super().farewell()
        return {"stream": "!serverShutdown", "data": plain} if self._combined else plain

    async def heard(self, text: str) -> None:
        """Subscribe, unsubscribe, list, set or get a property."""
        if self._is_too_much(asyncio.get_running_loop().time()):
            await self.socket.close(POLICY_VIOLATION)
            return
        try:
            said = read_message(text)
        except Misunderstood as error:
            await self.send(error.document)
            return
        result = _METHODS[said.method](self, said.params)
        await self.send({"result": result, "id": said.number})

    def _is_too_much(self, now: float) -> bool:
        self._heard_at = [*(t for t in self._heard_at if now - t < 1), now]
        return len(self._heard_at) > MOST_MESSAGES_A_SECOND

    def subscribe(self, names: list[Any]) -> None:
        """Add streams; unknown ones are accepted and stay silent, as on the real exchange."""
        for name in names:
            self._subscribe(name)

    def unsubscribe(self, names: list[Any]) -> None:
        """Drop streams."""
        for name in names:
            self._streams.pop(name, None)
            self._told_ms.pop(name, None)

    def listed(self, _: list[Any]) -> list[str]:
        """Return the names of the streams."""
        return list(self._streams)

    def set_property(self, given: list[Any]) -> None:
        """Switch the wrapping of events on or off."""
        self._combined = given[1]

    def get_property(self, _: list[Any]) -> bool:
        """Tell whether events are wrapped."""
        return self._combined


_METHODS: dict[str, Callable[[MarketConnection, list[Any]], Any]] = {
    "SUBSCRIBE": MarketConnection.subscribe,
    "UNSUBSCRIBE": MarketConnection.unsubscribe,
    "LIST_SUBSCRIPTIONS": MarketConnection.listed,
    "SET_PROPERTY": MarketConnection.set_property,
    "GET_PROPERTY": MarketConnection.get_property,
}


class ApiConnection(Connection):
    """A socket of the WebSocket API."""

    def __init__(self, socket: WebSocket, door: Door) -> None:
        super().__init__(socket, door.exchange)
        wish = socket.query_params.get("returnRateLimits", "true")
        self._session = ApiSession(door, returns_limits=wish != "false", unit=self.unit)

    async def heard(self, text: str) -> None:
        """Answer a request."""
        answer = self._session.answer(text)
        if answer is None:
            await self.socket.close(GOING_AWAY)
        elif answer:
            await self.send(answer)

    def news(self) -> list[Named]:
        """Return the account's events, one for each subscription."""
        return [(USER_DATA, event) for event in self._session.events()]

    def farewell(self) -> Any:
        """Return the shutdown notice; it has no subscription id."""
        return {"event": super().farewell()}

    def close(self) -> None:
        """End the subscriptions."""
        self._session.close()


SocketCall = Callable[[WebSocket], Awaitable[None]]


def market_call(exchange: Exchange, *, combined: bool) -> SocketCall:
    """Return what serves /ws/<stream>[/<stream>], or /stream?streams=… when `combined`."""

    async def call(socket: WebSocket) -> None:
        if combined:
            names = socket.query_params.get("streams", "")
        else:
            names = socket.path_params.get("names", "")
        asked = [name for name in names.split("/") if name]
        await MarketConnection(socket, exchange, asked, combined=combined).serve()

    return call


def api_call(door: Door) -> SocketCall:
    """Return the handler of /ws-api/v3."""

    async def call(socket: WebSocket) -> None:
        await ApiConnection(socket, door).serve()

    return call
