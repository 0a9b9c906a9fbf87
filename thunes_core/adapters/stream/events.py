"""What a message of the market streams says. REST is the truth; a stream only tells sooner.

Add here: a kind of message the feed acts on. Keep out: connections, storage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import polars as pl

from thunes_core.domain.bars import SCHEMA


@dataclass(frozen=True, slots=True)
class ClosedBar:
    """A bar that has closed. `open_ms` in ms since 1970 UTC; `bars` one row of the bars schema."""

    symbol: str
    interval: str
    open_ms: int
    bars: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Quote:
    """Best bid and ask, quote units."""

    symbol: str
    bid: float
    ask: float


@dataclass(frozen=True, slots=True)
class Shutdown:
    """The server is about to cut the connection."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What one message says: the exchange's clock (ms, 0 when not told) and what happened."""

    at_ms: int = 0
    news: ClosedBar | Quote | Shutdown | None = None


def read_message(text: str | bytes) -> Heard:
    """Read one message, of a single or combined stream; what is not understood says nothing."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        return Heard()
    if not isinstance(document, dict):
        return Heard()
    data = document.get("data", document)
    if not isinstance(data, dict):
        return Heard()
    try:
        return Heard(int(data.get("E", 0)), _news(data))
    except (KeyError, TypeError, ValueError):
        return Heard()


def _news(data: Mapping[str, Any]) -> ClosedBar | Quote | Shutdown | None:
    match data.get("e"):
        case "kline" if data["k"]["x"] is True:
            return _closed(data["k"])
        case "serverShutdown":
            return Shutdown()
        case None if "b" in data and "a" in data and "u" in data:
            return Quote(str(data["s"]), float(data["b"]), float(data["a"]))
    return None


def _closed(k: Mapping[str, Any]) -> ClosedBar:
    symbol, interval, open_ms = str(k["s"]), str(k["i"]), int(k["t"])
    numbers = [float(k[name]) for name in "ohlcvq"]
    row = [symbol, interval, open_ms * 1000, *numbers, int(k["n"]), float(k["V"]), float(k["Q"])]
    frame = pl.DataFrame([row], schema=_RAW, orient="row")
    return ClosedBar(symbol, interval, open_ms, frame.cast(SCHEMA))  # type: ignore[arg-type]


_RAW = {**SCHEMA, "open_time": pl.Int64()}
