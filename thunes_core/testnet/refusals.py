"""Refusals: the exchange's structured errors, with their codes and texts.

Add here: an error code of the exchange, by its published text. Keep out: when it is raised.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Refused(Exception):
    """A structured refusal, proof that nothing was done: `{"code", "msg"}` with `status`."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        status: int = 400,
        headers: Mapping[str, str] | None = None,
        data: Any = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.headers = dict(headers or {})
        self.data = data

    def document(self) -> dict[str, Any]:
        """Return the error body."""
        body = {"code": self.code, "msg": self.message}
        return body if self.data is None else {**body, "data": self.data}


def missing(name: str) -> Refused:
    """A mandatory parameter was not sent, was empty or malformed."""
    return Refused(
        -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    )


def empty(name: str) -> Refused:
    """A parameter was sent without a value."""
    return Refused(-1105, f"Parameter '{name}' was empty.")


def one_of(first: str, second: str) -> Refused:
    """One of two parameters must be sent."""
    return Refused(-1102, f"Param '{first}' or '{second}' must be sent, but both were empty/null!")


def illegal(name: str, legal: str) -> Refused:
    """A parameter has characters outside of its legal range."""
    return Refused(
        -1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'."
    )


def not_required(name: str) -> Refused:
    """A parameter was sent that this order type does not take."""
    return Refused(-1106, f"Parameter '{name}' sent when not required.")


def too_precise(name: str) -> Refused:
    """A number has more decimals than the asset."""
    return Refused(-1111, f"Parameter '{name}' has too much precision.")


def overflowed(name: str) -> Refused:
    """A whole number is larger than any the exchange knows."""
    return Refused(-1108, f"Parameter '{name}' overflowed.")


def bad_data(name: str) -> Refused:
    """A parameter's value is not valid."""
    return Refused(-1130, f"Data sent for parameter '{name}' is not valid.")


def bad_combination() -> Refused:
    """Optional parameters were combined in a way that is not offered."""
    return Refused(-1128, "Combination of optional parameters invalid.")


def bad_symbol() -> Refused:
    """The symbol is not listed."""
    return Refused(-1121, "Invalid symbol.")


def bad_interval() -> Refused:
    """The candle interval is not served."""
    return Refused(-1120, "Invalid interval.")


def filter_failure(name: str) -> Refused:
    """An order breaks the filter `name`."""
    return Refused(-1013, f"Filter failure: {name}")


def rejected(reason: str) -> Refused:
    """The matching refuses a new order."""
    return Refused(-2010, reason)


def insufficient_balance() -> Refused:
    """The account cannot pay for the order."""
    return rejected("Account has insufficient balance for requested action.")


def cancel_rejected(reason: str = "Unknown order sent.") -> Refused:
    """The matching refuses a cancel."""
    return Refused(-2011, reason)


def amend_rejected(reason: str) -> Refused:
    """The matching refuses to amend an order."""
    return Refused(-2038, reason)


def no_such_order() -> Refused:
    """A query names an order that is not there (or not yet seen)."""
    return Refused(-2013, "Order does not exist.")


def market_closed() -> Refused:
    """The symbol is halted."""
    return Refused(-1013, "Market is closed.")
