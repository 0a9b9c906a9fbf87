"""Unmodified python-binance clients pointed at a local server."""

from __future__ import annotations

import asyncio
from typing import Any

from binance import Client

from thunes_core.testnet.security import LOCAL_KEY, LOCAL_SECRET


def make_client(
    url: str, key: str = LOCAL_KEY, secret: str | None = LOCAL_SECRET, **more: Any
) -> Client:
    """Return a synchronous client of the server at `url`.

    It is built inside an event loop that is closed again: left alone it opens one for itself.
    """

    async def build() -> Client:
        return Client(key, secret, ping=False, **more)

    client = asyncio.run(build())
    client.API_URL = f"{url}/api"
    client.MARGIN_API_URL = f"{url}/sapi"
    return client
