"""Subscribe to the account's events by the WebSocket API, with a signed request.

There is no listen key any more: one signed request subscribes a connection, and every new
connection needs its own. Keys and signature stand in that message alone.

Add here: another way to subscribe. Keep out: when to reconnect (see `stream.user`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from thunes_core.adapters.stream.feed import LinkLost
from thunes_core.adapters.stream.link import (
    CLOSE_SECONDS,
    OPEN_SECONDS,
    PING_SECONDS,
    SocketLink,
)
from thunes_core.errors import OutsideFailed

SUBSCRIBE, ALIVE = "subscribe", "alive"
Signer = Callable[[], dict[str, Any]]


class UserSocket(SocketLink):
    """A connection that is subscribed to the account's events."""

    async def ask_alive(self) -> None:
        """Ask which subscriptions this connection has; a lost connection shows in `receive`."""
        try:
            await self._send(ALIVE, "session.subscriptions", {})
        except LinkLost:
            return

    def is_gone(self, document: dict[str, Any]) -> bool:
        """True when the answer to `ask_alive` names no subscription, or is a refusal."""
        return document.get("id") == ALIVE and not document.get("result")

    async def close(self) -> None:
        """End the connection, at once where there is no time for a farewell."""
        try:
            await self._socket.close()
        finally:
            self._socket.transport.abort()

    async def subscribe(self, parameters: dict[str, Any]) -> None:
        """Subscribe with signed `parameters`; raises `LinkLost` when that is refused."""
        await self._send(SUBSCRIBE, "userDataStream.subscribe.signature", parameters)
        while True:
            answer = orjson.loads(await self.receive())
            if answer.get("id") == SUBSCRIBE:
                break
        if answer.get("status") != 200:
            error = answer.get("error") or {}
            raise LinkLost(f"subscription refused: {error.get('code')} {error.get('msg')}")

    async def _send(self, number: str, method: str, parameters: dict[str, Any]) -> None:
        message = {"id": number, "method": method, "params": parameters}
        try:
            await self._socket.send(orjson.dumps(message).decode())
        except (ConnectionClosed, OSError) as error:
            raise LinkLost(str(error)) from error


def subscriber(ws_api_url: str, sign: Signer) -> Callable[[], Awaitable[UserSocket]]:
    """Return what opens one subscribed connection; it raises `LinkLost` when that fails.

    `sign` returns the complete parameters of a fresh subscription; it may ask the exchange for its
    clock, so it runs in a thread.
    """

    async def open_link() -> UserSocket:
        try:
            parameters = await asyncio.to_thread(sign)
            raw = await connect(
                ws_api_url,
                open_timeout=OPEN_SECONDS,
                close_timeout=CLOSE_SECONDS,
                ping_interval=PING_SECONDS,
                proxy=None,
            )
        except OutsideFailed as error:
            raise LinkLost(str(error)) from error
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI) as error:
            raise LinkLost(f"{type(error).__name__} at the WebSocket API") from error
        socket = UserSocket(raw)
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await socket.subscribe(parameters)
        except (LinkLost, TimeoutError, orjson.JSONDecodeError) as error:
            await socket.close()
            raise LinkLost(str(error) or "no answer to the subscription") from error
        except asyncio.CancelledError:
            raw.transport.abort()
            raise
        return socket

    return open_link
