"""What an answer to an order request proves. Every answer python-binance can give has one class.

| what came back                                      | class                 |
|-----------------------------------------------------|-----------------------|
| no connection could be made (NewConnectionError)    | `ExchangeUnavailable` |
| 429, 418 (asked to wait): nothing was done          | `AskedToWait`         |
| 4xx with the exchange's code                        | `ExchangeRejected`    |
| 409 of a replacement whose new order is unknown     | `OutcomeUnknown`      |
| 5xx, −1006, −1007, no code, unreadable, timeout, …  | `OutcomeUnknown`      |

Add here: an answer the exchange may give. Keep out: requests.
"""

from __future__ import annotations

import orjson

from thunes_core.adapters.binance.failures import TOO_MANY_REQUESTS, short
from thunes_core.errors import (
    AskedToWait,
    ExchangeRejected,
    ExchangeUnavailable,
    OutcomeUnknown,
    ThunesError,
)

UNKNOWN_CODES = (-1000, -1001, -1006, -1007)
"""Codes with which the exchange itself says that it does not know."""
Told = tuple[int, str]
"""The exchange's code and its words; 0 where there is no code."""


def request_errors() -> tuple[type[Exception], ...]:
    """Return every kind of error that a request through python-binance ends in."""
    from binance.exceptions import BinanceAPIException, BinanceRequestException
    from requests.exceptions import RequestException

    return BinanceAPIException, BinanceRequestException, RequestException


def classify(error: Exception, what: str) -> ThunesError:
    """Return the error that says what `error` proves of the request `what`."""
    status = getattr(error, "status_code", 0)
    said = " ".join(str(getattr(error, "message", None) or error).split())[:200]
    told = (getattr(error, "code", 0) or 0, said or type(error).__name__)
    return proved(what, status, told, new_order_in(_text_of(error)), left=not never_left(error))


def codes_of(error: Exception) -> tuple[int, int]:
    """Return the exchange's code, and that of a replacement's new order; 0 where there is none."""
    return getattr(error, "code", 0) or 0, new_order_in(_text_of(error))[0]


def proved(what: str, status: int, told: Told, inner: Told, *, left: bool) -> ThunesError:
    """Return the error that an HTTP `status` (0: no answer) and what the exchange said prove.

    `told` is of the whole answer, `inner` of a replacement's new order in it. `left` is False where
    no connection could be made.
    """
    (code, said), codes = told, {told[0], inner[0]}
    if not left:
        return ExchangeUnavailable(f"{what}: no connection to the exchange; nothing was sent")
    if status in TOO_MANY_REQUESTS:
        return AskedToWait(f"{what}: the exchange asks to wait (HTTP {status}: {said})")
    if inner[1]:
        said = f"{said} New order: {inner[0]}: {inner[1]}"
    if 400 <= status < 500 and code and not codes & set(UNKNOWN_CODES):
        return ExchangeRejected(f"{what}: the exchange refused it ({code}: {said})", code)
    kind = f"HTTP {status} {code}" if status else "no answer"
    return OutcomeUnknown(f"{what}: the outcome is not known ({kind}: {said}); ask, never repeat")


def new_order_in(answer: str) -> Told:
    """Return code and words with which a replacement's new order failed; 0 and nothing if none.

    >>> new_order_in('{"code":-2021,"data":{"newOrderResponse":{"code":-1013,"msg":"LOT_SIZE"}}}')
    (-1013, 'LOT_SIZE')
    """
    try:
        found = orjson.loads(answer)["data"]["newOrderResponse"]
        return int(found["code"]), short(str(found.get("msg", "")))
    except (LookupError, TypeError, ValueError, AttributeError):
        return 0, ""


def _text_of(error: Exception) -> str:
    return str(getattr(getattr(error, "response", None), "text", ""))


def never_left(error: BaseException) -> bool:
    """True when a connection was never made: the one proof that nothing was sent."""
    from urllib3.exceptions import MaxRetryError, NewConnectionError

    causes = [*getattr(error, "args", ()), error.__cause__, error.__context__]
    reasons = [c.reason if isinstance(c, MaxRetryError) else c for c in causes]
    return any(isinstance(reason, NewConnectionError) for reason in reasons)
