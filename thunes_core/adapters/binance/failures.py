"""What a failed read means: worth repeating or not, and which error of ours it is.

Add here: an answer to a read that the exchange may give. Keep out: sending, orders (`classify`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import orjson
from polars.exceptions import PolarsError

from thunes_core.errors import (
    AskedToWait,
    ExchangeRejected,
    ExchangeUnavailable,
    ThunesError,
    UnknownName,
)

T = TypeVar("T")

UNKNOWN_SYMBOL_CODES = (-1120, -1121)
TOO_MANY_REQUESTS = (418, 429)
KEY_CODES = (-1022, -2014, -2015)
KEY_REMEDY = "correct the API key at the exchange (its rights, its addresses) or in the settings"
TRANSIENT_CODES = (-1000, -1001, -1006, -1007, -1008, -1016)


@dataclass(frozen=True, slots=True)
class Failure:
    """How a read failed: HTTP status (0: no answer), the exchange's code (0: none), its words."""

    status: int
    code: int
    said: str
    retry_after: str = "?"

    @property
    def is_transient(self) -> bool:
        """True when the same read may work a moment later; never for too many requests."""
        if self.status in TOO_MANY_REQUESTS:
            return False
        no_answer = self.status == 0
        return no_answer or self.status >= 500 or self.code in TRANSIENT_CODES

    def error(self, what: str) -> ThunesError:
        """Return our error for the read called `what`."""
        if self.code in UNKNOWN_SYMBOL_CODES:
            return UnknownName(
                f"{what}: the exchange knows no such symbol or interval "
                f"({self.code}: {self.said}); give one that it lists"
            )
        if self.status in TOO_MANY_REQUESTS:
            return AskedToWait(
                f"{what}: the exchange asks to wait {self.retry_after} s "
                f"(HTTP {self.status}: {self.said}); wait, then repeat"
            )
        if self.code and not self.is_transient:
            remedy = KEY_REMEDY if self.code in KEY_CODES else "correct the request"
            return ExchangeRejected(
                f"{what}: the exchange refused it ({self.code}: {self.said}); {remedy}", self.code
            )
        return ExchangeUnavailable(
            f"{what}: the exchange could not be read ({self.said}); "
            "is it up, and is the address right?"
        )


def failure_of_answer(status: int, body: bytes, retry_after: str = "?") -> Failure:
    """Return what an answer that is no 2xx says."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        return Failure(status, 0, f"HTTP {status}: {short(body.decode('utf-8', 'replace'))}")
    code = document.get("code")
    return Failure(
        status,
        code if isinstance(code, int) else 0,
        short(str(document.get("msg", ""))),
        retry_after,
    )


def short(text: str) -> str:
    """Return `text` as one line of at most 200 characters, none of which steers a terminal."""
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))[:200]


def understood(parse: Callable[[], T], *, what: str) -> T:
    """Run `parse` over an answer; `ExchangeUnavailable` when it has not the documented shape."""
    try:
        return parse()
    except (LookupError, TypeError, ValueError, ArithmeticError, PolarsError) as error:
        raise ExchangeUnavailable(
            f"{what}: expected an answer in Binance's documented shape; it was another "
            f"({type(error).__name__}: {error}); is the address right?"
        ) from error
