"""Times in microseconds, for clients that ask for them.

The exchange counts milliseconds; what it tells in microseconds is the same moment, a thousandfold.

Add here: a field that holds a time. Keep out: who asks (`rest`, `sockets`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from thunes_core.testnet.refusals import Refused


class TimeUnit(StrEnum):
    """In what a client wants its times."""

    MILLISECOND = "MILLISECOND"
    MICROSECOND = "MICROSECOND"


_TIMES = frozenset(
    {
        "authorizedSince",
        "closeTime",
        "connectedSince",
        "openTime",
        "serverTime",
        "time",
        "trailingTime",
        "transactionTime",
        "transactTime",
        "updateTime",
        "workingTime",
    }
)
_TRADED = frozenset({"E", "T"})
_WINDOW = frozenset({"E", "O", "C"})
_TOLD: Mapping[str, frozenset[str]] = {
    "kline": frozenset({"E"}),
    "trade": _TRADED,
    "aggTrade": _TRADED,
    "24hrTicker": _WINDOW,
    "1hTicker": _WINDOW,
    "4hTicker": _WINDOW,
    "1dTicker": _WINDOW,
    "avgPrice": _TRADED,
    "executionReport": frozenset({"E", "T", "O", "W", "D"}),
    "listStatus": _TRADED,
    "balanceUpdate": _TRADED,
    "outboundAccountPosition": frozenset({"E", "u"}),
}
_CANDLE = frozenset({"t", "T"})
_OPEN, _CLOSE = 0, 6


def time_unit_of(text: str | None) -> TimeUnit:
    """Return the unit that `text` names in any case, milliseconds for None; or refuse it."""
    if text is None:
        return TimeUnit.MILLISECOND
    try:
        return TimeUnit(text.upper())
    except ValueError:
        raise Refused(
            -1194, "Invalid value for time unit; expected either MICROSECOND or MILLISECOND."
        ) from None


def answer_in(unit: TimeUnit, document: Any) -> Any:
    """Return an answer of REST, or of the WebSocket API, with its times in `unit`."""
    return document if unit is TimeUnit.MILLISECOND else _answer(document)


def event_in(unit: TimeUnit, event: Any) -> Any:
    """Return an event of a stream, or a list of events, with its times in `unit`."""
    if unit is TimeUnit.MILLISECOND:
        return event
    if isinstance(event, list):
        return [event_in(unit, one) for one in event]
    if "k" in event and event.get("e") == "kline":
        event = event | {"k": _scaled(event["k"], _CANDLE)}
    return _scaled(event, _TOLD.get(str(event.get("e")), frozenset({"E"})))


def _answer(document: Any) -> Any:
    if isinstance(document, list):
        if document and isinstance(document[0], int):
            return _candle(document)
        return [_answer(one) for one in document]
    if not isinstance(document, dict):
        return document
    is_trade = {"a", "f", "l", "T"} <= document.keys()
    names = frozenset({"T"}) if is_trade else _TIMES
    return _scaled({name: _answer(value) for name, value in document.items()}, names)


def _candle(row: list[Any]) -> list[Any]:
    """Return a candle's row; its last microsecond is the last before the next candle."""
    return [
        value * 1000 if n == _OPEN else value * 1000 + 999 if n == _CLOSE else value
        for n, value in enumerate(row)
    ]


def _scaled(fields: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """Return the fields with the times among them a thousandfold; -1 means never and stays."""
    return {
        name: value * 1000 if name in names and isinstance(value, int) and value > 0 else value
        for name, value in fields.items()
    }
