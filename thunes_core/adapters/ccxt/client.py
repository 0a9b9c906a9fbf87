"""Build CCXT's client for an exchange, spot only, and read through it with named errors.

Numbers stay text from the wire to `Decimal` or to a frame: CCXT is told to make no floats of them.

Add here: an option that every use of CCXT shares. Keep out: what is asked, orders' outcomes.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import orjson
import stamina

from thunes_core.adapters.binance.client import READ_ATTEMPTS, READ_SECONDS
from thunes_core.adapters.binance.exchange_info import weight_per_minute
from thunes_core.adapters.binance.failures import Failure, failure_of_answer, short
from thunes_core.adapters.binance.limited import weight_of
from thunes_core.adapters.ccxt.wire import Weigh, Wire, weightless
from thunes_core.adapters.limiter import WeightLimiter
from thunes_core.errors import ExchangeRejected, SettingsInvalid, ThunesError, UnknownName

T = TypeVar("T")

NEEDED = {"fetchTime": "tells its clock", "fetchOHLCV": "tells candles"}
"""What an exchange must offer through CCXT; what is closed is decided by its clock."""

WEIGHTS: dict[str, Weigh] = {"binance": weight_of, "binanceus": weight_of}
"""Exchanges whose request weights are known; the others wait by CCXT's own rate limit."""

_OPTIONS: dict[str, Any] = {
    "defaultType": "spot",
    "fetchMarkets": {"types": ["spot"]},
    "fetchCurrencies": False,
    "fetchMargins": False,
    "maxRetriesOnFailure": 0,
    "warnOnFetchOpenOrdersWithoutSymbol": False,
}


@dataclass(frozen=True, slots=True)
class Keys:
    """What signs private requests; never shown."""

    api_key: str = ""
    secret: str = ""

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "Keys(…)"


NO_KEYS = Keys()


def keys_of(api_key: str, secret: str | None, private_key_file: Path | None) -> Keys:
    """Return the keys; a private key file (Ed25519 or RSA, PEM) wins over a secret."""
    pem = private_key_file.expanduser().read_text().strip() if private_key_file else None
    return Keys(api_key, pem or secret or "")


@dataclass(frozen=True, slots=True)
class Connection:
    """CCXT's client of one exchange and the wire below it. One object serves one thread."""

    exchange: Any
    wire: Wire

    def read(self, request: Callable[[], T], *, what: str) -> T:
        """Run a repeatable `request`, a few times while the exchange is out of reach.

        Raises `UnknownName` for an unknown symbol, `ExchangeRejected` for another structured
        refusal, `ExchangeUnavailable` for the rest, an answer of another shape included.
        """
        from ccxt import BaseError, OperationFailed

        def is_transient(error: Exception) -> bool:
            found = self.failure(error) if isinstance(error, BaseError) else None
            answered = self.wire.status or isinstance(error, OperationFailed)
            return bool(found and found.is_transient and answered)

        try:
            for attempt in stamina.retry_context(
                on=is_transient, attempts=READ_ATTEMPTS, timeout=READ_SECONDS, wait_max=5.0
            ):
                with attempt:
                    self.wire.forget()
                    return request()
        except BaseError as error:
            raise self._read_error(error, what) from error
        except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
            unreadable = Failure(0, 0, f"an answer of another shape, {type(error).__name__}")
            raise unreadable.error(what) from error
        raise AssertionError("stamina returns or raises")

    def failure(self, error: Exception) -> Failure:
        """Return how a request failed; the words are the exchange's, never an address."""
        if not self.wire.status:
            return Failure(0, 0, type(error.__cause__ or error).__name__)
        body = (self.exchange.last_http_response or "").encode()
        return failure_of_answer(self.wire.status, body, self.wire.retry_after)

    def learn_limit(self) -> None:
        """Tell the shared budget the limit that the last answer named, if it named one."""
        document = orjson.loads(self.exchange.last_http_response or "{}")
        named = weight_per_minute(document) if isinstance(document, dict) else None
        if named and self.wire.limiter is not None:
            self.wire.limiter.limit(named)

    def _read_error(self, error: Exception, what: str) -> ThunesError:
        from ccxt import BadSymbol, ExchangeError

        found = self.failure(error)
        if isinstance(error, BadSymbol):
            return UnknownName(f"{what}: the exchange lists no such symbol; give one that it lists")
        if isinstance(error, ExchangeError) and found.status < 300 and not found.code:
            said = short(str(error))
            return ExchangeRejected(f"{what}: the exchange refused it ({said}); correct it")
        return found.error(what)


def connect(
    exchange_id: str,
    rest_url: str | None = None,
    keys: Keys = NO_KEYS,
    limiter: WeightLimiter | None = None,
) -> Connection:
    """Return a connection to the exchange that CCXT calls `exchange_id`; nothing is sent yet.

    With `rest_url`, every address is on that host and on no other. Raises `SettingsInvalid` when
    CCXT is not installed, does not know the exchange, or cannot do what THUNES needs there.
    """
    exchange = _exchange(exchange_id, keys)
    weigh = WEIGHTS.get(exchange_id, weightless)
    exchange.enableRateLimit = weigh is weightless
    exchange.session.max_redirects = 0  # another host would be sent the key, and the order again
    if rest_url:
        exchange.urls["api"] = _moved(exchange.urls["api"], rest_url.rstrip("/"))
    wire = Wire(limiter, weigh)
    exchange.session.mount("https://", wire)
    exchange.session.mount("http://", wire)
    return Connection(exchange, wire)


def _exchange(exchange_id: str, keys: Keys) -> Any:
    try:
        import ccxt
    except ImportError:
        raise SettingsInvalid(
            f"exchange ccxt:{exchange_id}: expected the library CCXT, which is not installed; "
            "install THUNES with its extra `ccxt` (pip install -r requirements-ccxt.lock)"
        ) from None
    if exchange_id not in ccxt.exchanges:
        near = ", ".join(difflib.get_close_matches(exchange_id, ccxt.exchanges)) or "see its list"
        raise SettingsInvalid(
            f"exchange ccxt:{exchange_id}: CCXT {ccxt.__version__} knows none of that name; "
            f"give one that it knows ({near})"
        )
    made = getattr(ccxt, exchange_id)({"apiKey": keys.api_key, "secret": keys.secret})
    lacking = [told for name, told in NEEDED.items() if not made.has.get(name)]
    if lacking:
        raise SettingsInvalid(
            f"exchange ccxt:{exchange_id}: expected one that {' and '.join(NEEDED.values())}; "
            f"through CCXT none that {' or '.join(lacking)} is to be had; choose another"
        )
    made.number = str
    made.options.update(_OPTIONS)
    made.has["fetchCurrencies"] = False  # would need rights that a trading key should not have
    return made


def _moved(address: Any, base: str) -> Any:
    """Return CCXT's addresses, however nested, on the host of `base`."""
    if isinstance(address, dict):
        return {name: _moved(one, base) for name, one in address.items()}
    return f"{base}{urlsplit(address).path}" if isinstance(address, str) else address
