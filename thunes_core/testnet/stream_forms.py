"""What a client says on a market stream's socket, read as Binance reads it.

Add here: another form of message. Keep out: what is done for it (`sockets`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
LONGEST_ID = 36
MOST_WHOLE = 2**63


class Misunderstood(Exception):
    """A message that is none: `code` and text as published, and the message's id where known."""

    def __init__(self, code: int, message: str, **number: Any) -> None:
        super().__init__(message)
        self.document = {"code": code, "msg": message, **number}


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a client: `params` are names of streams, or a property and its value."""

    number: int | str | None
    method: str
    params: list[Any]


def read_message(text: str) -> Said:
    """Return what `text` says; `Misunderstood` when it says nothing that is served."""
    try:
        asked = orjson.loads(text)
    except orjson.JSONDecodeError:
        asked = None
    if not isinstance(asked, dict):
        raise Misunderstood(3, "Invalid JSON: expected value at line 1 column 1")
    number = asked.get("id")
    if not is_id(number):
        raise _invalid("request ID must be an unsigned integer")
    if "method" not in asked:
        raise _invalid("missing field `method`")
    method, params = asked["method"], asked.get("params") or []
    if not isinstance(method, str):
        raise _invalid("method must be a string", id=number)
    if method not in METHODS:
        known = ", ".join(f"`{one}`" for one in METHODS)
        raise _invalid(f"unknown variant `{method}`, expected one of {known}", id=number)
    if not isinstance(params, list):
        raise _invalid("params must be an array", id=number)
    said = Said(number, method, params)
    _require_params(said)
    return said


def is_id(value: Any) -> bool:
    """True for a whole number of 64 bits, a text of at most 36 characters, or null."""
    if isinstance(value, str):
        return len(value) <= LONGEST_ID
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return value is None or (is_whole and -MOST_WHOLE <= value < MOST_WHOLE)


def _require_params(said: Said) -> None:
    if said.method.endswith("SUBSCRIBE") and not all(isinstance(p, str) for p in said.params):
        raise _invalid("stream names must be strings", id=said.number)
    if not said.method.endswith("PROPERTY"):
        return
    if not said.params or not isinstance(said.params[0], str):
        raise _invalid("property name must be a string", id=said.number)
    if said.params[0] != "combined":
        raise Misunderstood(0, "Unknown property", id=said.number)
    if len(said.params) > (2 if said.method == "SET_PROPERTY" else 1):
        raise _invalid("too many parameters", id=said.number)
    if said.method == "SET_PROPERTY" and not isinstance(said.params[-1], bool):
        raise Misunderstood(1, "Invalid value type: expected Boolean", id=said.number)


def _invalid(what: str, **number: Any) -> Misunderstood:
    return Misunderstood(2, f"Invalid request: {what}", **number)
