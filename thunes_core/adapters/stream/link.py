"""One WebSocket connection for all symbols, over the library `websockets`.

Add here: another way to reach a stream. Keep out: what messages mean, when to reconnect.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from thunes_core.adapters.stream.feed import Link, LinkLost
from thunes_core.domain.bars import Interval

OPEN_SECONDS = 10.0
CLOSE_SECONDS = 1.0
PING_SECONDS = 20.0


class SocketLink:
    """A connection of `websockets`; pings are answered by the library."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def receive(self) -> str | bytes:
        """Return the next message; raises `LinkLost`."""
        try:
            return await self._socket.recv()
        except (ConnectionClosed, OSError) as error:
            raise LinkLost(str(error)) from error

    async def close(self) -> None:
        """End the connection, at once where there is no time for a farewell."""
        try:
            await self._socket.close()
        finally:
            self._socket.transport.abort()


def stream_names(symbols: Sequence[str], interval: Interval) -> list[str]:
    """Return the streams of closed bars and quotes of `symbols`."""
    low = [symbol.lower() for symbol in symbols]
    return [*(f"{s}@kline_{interval}" for s in low), *(f"{s}@bookTicker" for s in low)]


def opener(
    stream_url: str, symbols: Sequence[str], interval: Interval
) -> Callable[[], Awaitable[Link]]:
    """Return what opens one connection for all `symbols`; it raises `LinkLost` when that fails."""
    address = f"{stream_url.rstrip('/')}/stream?streams={'/'.join(stream_names(symbols, interval))}"

    async def open_link() -> Link:
        try:
            socket = await connect(
                address,
                open_timeout=OPEN_SECONDS,
                close_timeout=CLOSE_SECONDS,
                ping_interval=PING_SECONDS,
                proxy=None,
            )
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI) as error:
            raise LinkLost(f"{type(error).__name__} at {stream_url}") from error
        return SocketLink(socket)

    return open_link
