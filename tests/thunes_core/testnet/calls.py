"""Ask a door as an HTTP client would, signed with the local key."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any
from urllib.parse import urlencode

import orjson

from thunes_core.testnet.app import ENDPOINTS
from thunes_core.testnet.matching import Exchange
from thunes_core.testnet.rest import Answer, Door, Request
from thunes_core.testnet.security import LOCAL_KEY, LOCAL_SECRET


def door_of(exchange: Exchange) -> Door:
    """Return the door to `exchange` with every endpoint."""
    return Door(exchange, ENDPOINTS)


def sign(text: str, secret: str = LOCAL_SECRET) -> str:
    """Return the HMAC signature of `text`."""
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def send(exchange: Exchange, method: str, path: str, **parameters: Any) -> Answer:
    """Send an unsigned request."""
    return door_of(exchange).answer(Request(method, f"/api/v3/{path}", urlencode(parameters)))


def send_signed(exchange: Exchange, method: str, path: str, **parameters: Any) -> Answer:
    """Send a request signed with the local key at the exchange's time."""
    text = urlencode({"timestamp": exchange.clock.now_ms(), **parameters})
    query = f"{text}&signature={sign(text)}"
    return door_of(exchange).answer(Request(method, f"/api/v3/{path}", query, "", LOCAL_KEY))


def get(exchange: Exchange, path: str, **parameters: Any) -> Any:
    """Return the document of an unsigned GET."""
    return orjson.loads(send(exchange, "GET", path, **parameters).body)


def signed(exchange: Exchange, method: str, path: str, **parameters: Any) -> Any:
    """Return the document of a signed request."""
    return orjson.loads(send_signed(exchange, method, path, **parameters).body)


def order(exchange: Exchange, side: str, kind: str, **parameters: Any) -> Any:
    """Place an order of BTCUSDT and return the answer's document."""
    return signed(exchange, "POST", "order", symbol="BTCUSDT", side=side, type=kind, **parameters)
