"""Build python-binance's client for any host, and read through it with named errors.

`read` is for requests that may be repeated. Orders never go through it: their outcome has to be
told apart far more carefully (see `broker`).

Add here: what every request to Binance shares. Keep out: what is asked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit, urlunsplit

import stamina
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from thunes_core.adapters.binance.apart import run_apart
from thunes_core.adapters.binance.failures import Failure, short
from thunes_core.adapters.limiter import WeightLimiter

if TYPE_CHECKING:
    from binance.client import Client

T = TypeVar("T")

TIMEOUT_SECONDS = (3.05, 15.0)
"""Connect and read: longer than Binance's own ten seconds, so that its −1007 arrives first."""
HASTE_SECONDS = (3.05, 3.0)
"""The same for what a tick can do without."""

READ_ATTEMPTS = 3
READ_SECONDS = 45.0

_WS_API_HOSTS = {
    "https://api.binance.com": "wss://ws-api.binance.com/ws-api/v3",
    "https://testnet.binance.vision": "wss://ws-api.testnet.binance.vision/ws-api/v3",
    "https://demo-api.binance.com": "wss://demo-ws-api.binance.com/ws-api/v3",
}

_log = logging.getLogger(__name__)


def import_library() -> None:
    """Import python-binance now; two threads that import it at once break what it stands on."""
    import binance.client  # noqa: F401


def _log_retry(details: RetryDetails) -> None:
    _log.info("read again in %.1f s after %r", details.wait_for, details.caused_by)


set_on_retry_hooks([_log_retry])  # the default prints to stdout, where `--json` writes


def make_client(
    rest_url: str,
    api_key: str | None = None,
    api_secret: str | None = None,
    private_key_file: Path | None = None,
    timeout: tuple[float, float] = TIMEOUT_SECONDS,
    limiter: WeightLimiter | None = None,
    latest_ms: Callable[[], int | None] | None = None,
) -> Client:
    """Return a client that speaks to `rest_url` and to no other host; nothing is sent yet.

    `timeout` is (connect, read) in seconds. With `private_key_file` (Ed25519 or RSA, PEM) requests
    are signed by that key, else by `api_secret` (HMAC). The caller sets `timestamp_offset`.
    With `limiter` every request takes its weight from that budget first. With `latest_ms` no order
    request leaves whose timestamp is later than that. One client serves one thread.
    """
    from binance.client import Client

    from thunes_core.adapters.binance.limited import LimitedAdapter
    from thunes_core.adapters.binance.session import SteadySession

    async def build() -> Client:  # it asks for an event loop and would leave one open
        return Client(
            api_key,
            api_secret,
            requests_params={"timeout": timeout},
            private_key=Path(private_key_file) if private_key_file else None,
            ping=False,
        )

    client = run_apart(build)
    base = rest_url.rstrip("/")
    client.session = SteadySession(base, client.session.headers)
    client.session.max_redirects = 0  # another host would be sent the key, and the order again
    client.API_URL = f"{base}/api"
    client.MARGIN_API_URL = f"{base}/sapi"
    client.ws_api._url = _WS_API_HOSTS.get(base, f"ws{base.removeprefix('http')}/ws-api/v3")
    if limiter is not None or latest_ms is not None:
        client.session.mount(base, LimitedAdapter(limiter, latest_ms))
    return client


def read(request: Callable[[], T], *, what: str, attempts: int = READ_ATTEMPTS) -> T:
    """Run a repeatable `request`, a few times while the exchange is out of reach.

    `what` names it in errors ("klines of BTCUSDT"). Raises `UnknownName` for an unknown symbol or
    interval, `ExchangeRejected` for any other structured refusal, `ExchangeUnavailable` for the
    rest: unreachable, 5xx, unreadable, or too many requests.
    """
    try:
        for attempt in stamina.retry_context(
            on=_is_transient, attempts=attempts, timeout=READ_SECONDS, wait_max=5.0
        ):
            with attempt:
                return request()
    except _read_errors() as error:
        raise _failure(error).error(what) from error
    raise AssertionError("stamina returns or raises")


def _is_transient(error: Exception) -> bool:
    return isinstance(error, _read_errors()) and _failure(error).is_transient


def _read_errors() -> tuple[type[Exception], ...]:
    from binance.exceptions import BinanceAPIException, BinanceRequestException
    from requests.exceptions import RequestException

    return BinanceAPIException, BinanceRequestException, RequestException


def _shown(url: str) -> str:
    """Return an address fit for messages: no query, no user, no password."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _failure(error: Exception) -> Failure:
    """Return what python-binance and requests tell of a failed read."""
    message = getattr(error, "message", None)
    if message is None:
        url = getattr(getattr(error, "request", None), "url", None) or ""
        return Failure(0, 0, f"{type(error).__name__} at {_shown(url)}")
    headers = getattr(getattr(error, "response", None), "headers", {})
    return Failure(
        getattr(error, "status_code", 0),
        getattr(error, "code", 0) or 0,
        short(str(message)),
        headers.get("Retry-After", "?"),
    )
