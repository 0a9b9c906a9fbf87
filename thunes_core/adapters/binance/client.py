"""Build python-binance's client for any host, and read through it with named errors.

`read` is for requests that may be repeated. Orders never go through it: their outcome has to be
told apart far more carefully (see `broker`).

Add here: what every request to Binance shares. Keep out: what is asked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

import stamina
from polars.exceptions import PolarsError
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from thunes_core.errors import ExchangeRejected, ExchangeUnavailable, UnknownName

if TYPE_CHECKING:
    from binance.client import Client

T = TypeVar("T")

TIMEOUT_SECONDS = (3.05, 15.0)
"""Connect and read: longer than Binance's own ten seconds, so that its −1007 arrives first."""

READ_ATTEMPTS = 3
READ_SECONDS = 45.0
UNKNOWN_SYMBOL_CODES = (-1120, -1121)
TOO_MANY_REQUESTS = (418, 429)
TRANSIENT_CODES = (-1000, -1001, -1006, -1007, -1008, -1016)

_WS_API_HOSTS = {
    "https://api.binance.com": "wss://ws-api.binance.com/ws-api/v3",
    "https://testnet.binance.vision": "wss://ws-api.testnet.binance.vision/ws-api/v3",
    "https://demo-api.binance.com": "wss://demo-ws-api.binance.com/ws-api/v3",
}

_log = logging.getLogger(__name__)


def _log_retry(details: RetryDetails) -> None:
    _log.info("read again in %.1f s after %r", details.wait_for, details.caused_by)


set_on_retry_hooks([_log_retry])  # the default prints to stdout, where `--json` writes


def make_client(
    rest_url: str,
    api_key: str | None = None,
    api_secret: str | None = None,
    private_key_file: Path | None = None,
    timeout: tuple[float, float] = TIMEOUT_SECONDS,
) -> Client:
    """Return a client that speaks to `rest_url` and to no other host; nothing is sent yet.

    `timeout` is (connect, read) in seconds. With `private_key_file` (Ed25519 or RSA, PEM) requests
    are signed by that key, else by `api_secret` (HMAC). The caller sets `timestamp_offset`.
    One client serves one thread.
    """
    from binance.client import Client

    async def build() -> Client:
        return Client(
            api_key,
            api_secret,
            requests_params={"timeout": timeout},
            private_key=Path(private_key_file) if private_key_file else None,
            ping=False,
        )

    client = _in_short_loop(build)
    base = rest_url.rstrip("/")
    client.API_URL = f"{base}/api"
    client.MARGIN_API_URL = f"{base}/sapi"
    client.ws_api._url = _WS_API_HOSTS.get(base, f"ws{base.removeprefix('http')}/ws-api/v3")
    return client


def _in_short_loop(build: Callable[[], Coroutine[None, None, T]]) -> T:
    """Run `build` in an event loop that is closed again.

    The client asks for an event loop it never uses here; left alone, it opens one in every thread
    and never closes it.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(build())
        finally:
            loop.close()
    with ThreadPoolExecutor(1) as apart:
        return apart.submit(lambda: _in_short_loop(build)).result()


def read(request: Callable[[], T], *, what: str, attempts: int = READ_ATTEMPTS) -> T:
    """Run a repeatable `request`, a few times while the exchange is out of reach.

    `what` names it in errors ("klines of BTCUSDT"). Raises `UnknownName` for an unknown symbol or
    interval, `ExchangeRejected` for any other structured refusal, `ExchangeUnavailable` for the
    rest: unreachable, 5xx, unreadable, or too many requests.
    """
    try:
        for attempt in stamina.retry_context(
            on=is_transient, attempts=attempts, timeout=READ_SECONDS, wait_max=5.0
        ):
            with attempt:
                return request()
    except _read_errors() as error:
        _translate(error, what)
    raise AssertionError("stamina returns or raises")


def understood(parse: Callable[[], T], *, what: str) -> T:
    """Run `parse` over an answer; `ExchangeUnavailable` when it has not the documented shape."""
    try:
        return parse()
    except (LookupError, TypeError, ValueError, ArithmeticError, PolarsError) as error:
        raise ExchangeUnavailable(
            f"{what}: expected an answer in Binance's documented shape; it was another "
            f"({type(error).__name__}: {error}); is the address right?"
        ) from error


def is_transient(error: Exception) -> bool:
    """True when the same read may work a moment later; never for too many requests."""
    from binance.exceptions import BinanceAPIException, BinanceRequestException
    from requests.exceptions import ChunkedEncodingError, ConnectionError, Timeout

    if isinstance(error, BinanceAPIException):
        return error.status_code >= 500 or error.code in TRANSIENT_CODES
    return isinstance(
        error, BinanceRequestException | ConnectionError | Timeout | ChunkedEncodingError
    )


def _read_errors() -> tuple[type[Exception], ...]:
    from binance.exceptions import BinanceAPIException, BinanceRequestException
    from requests.exceptions import RequestException

    return BinanceAPIException, BinanceRequestException, RequestException


def _translate(error: Exception, what: str) -> NoReturn:
    status, code = getattr(error, "status_code", 0), getattr(error, "code", 0) or 0
    said = _said(error)
    if code in UNKNOWN_SYMBOL_CODES:
        raise UnknownName(
            f"{what}: the exchange knows no such symbol or interval ({code}: {said}); "
            "give one that it lists"
        ) from None
    if status in TOO_MANY_REQUESTS:
        wait = error.response.headers.get("Retry-After", "?")  # type: ignore[attr-defined]
        raise ExchangeUnavailable(
            f"{what}: the exchange asks to wait {wait} s (HTTP {status}: {said}); wait, then repeat"
        ) from None
    if code and not is_transient(error):
        raise ExchangeRejected(
            f"{what}: the exchange refused it ({code}: {said}); correct the request", code
        ) from None
    raise ExchangeUnavailable(
        f"{what}: the exchange could not be read ({said}); is it up, and is the address right?"
    ) from error


def _said(error: Exception) -> str:
    """Return what the exchange said, or how it could not be reached, in one short line."""
    message = getattr(error, "message", None)
    if message:
        return " ".join(str(message).split())[:200]
    url = getattr(getattr(error, "request", None), "url", None) or ""
    return f"{type(error).__name__} at {url.split('?')[0]}"
