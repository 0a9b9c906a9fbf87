"""The names of the market data streams, and how often each may tell something.

Add here: another stream's name. Keep out: what it tells (`market_events`), sockets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thunes_core.testnet.quotes import DAY_MS
from thunes_core.testnet.refusals import Refused

if TYPE_CHECKING:
    from thunes_core.testnet.matching import Exchange


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream, such as `btcusdt@kline_1h`; `offset_ms` shifts the grid of its candles.

    It tells at most once in each `period_ms` of the exchange's clock, of what there was at its end:
    every connection hears the same. 0: whenever there is news.
    """

    name: str
    symbol: str
    kind: str
    detail: str = ""
    offset_ms: int = 0
    period_ms: int = 0

    def known_until(self, now_ms: int) -> int:
        """Return up to when it tells at `now_ms`: the end of the last whole period."""
        return now_ms // self.period_ms * self.period_ms if self.period_ms else now_ms


_STREAM = re.compile(
    r"(?P<symbol>[a-z0-9]{2,20})@(?P<kind>kline|bookTicker|aggTrade|trade|miniTicker|ticker|"
    r"avgPrice|depth|blockTrade|referencePrice)(?:_(?P<interval>\d+[smhdwM]))?"
    r"(?P<levels>5|10|20)?(?:@(?P<speed>100ms|1000ms|\+08:00))?"
)
_ALL = re.compile(r"!(?P<kind>miniTicker|ticker)(?:_(?P<window>1h|4h|1d))?@arr")
WINDOWS = {"1h": 3_600_000, "4h": 4 * 3_600_000, "1d": DAY_MS}
SINGAPORE_MS = 8 * 3_600_000
SECOND_MS = 1_000
FAST_MS = 100
SLOW = frozenset({"miniTicker", "ticker", "avgPrice", "depth"})
"""Streams that tell once a second; the others in real time, candles by a rule of their own."""
SILENT = frozenset({"blockTrade", "referencePrice"})
"""Streams that exist and never have anything to tell here."""


def parse_stream(name: str, exchange: Exchange) -> Stream | None:
    """Return the stream called `name`, or None when it is not served."""
    every = _ALL.fullmatch(name)
    if every is not None:
        is_window = every["window"] is not None
        if is_window and every["kind"] == "miniTicker":
            return None
        kind, window = "all" if is_window else every["kind"], every["window"] or ""
        return Stream(name, "", kind, window, period_ms=SECOND_MS)
    match = _STREAM.fullmatch(name)
    if match is None or match["symbol"].upper() not in exchange.market.symbols:
        return None
    return _symbol_stream(name, match, exchange)


def _symbol_stream(name: str, match: re.Match[str], exchange: Exchange) -> Stream | None:
    symbol, kind, interval = match["symbol"].upper(), match["kind"], match["interval"]
    if kind == "ticker" and interval in WINDOWS:
        return Stream(name, symbol, "window", interval, period_ms=SECOND_MS)
    if (kind == "kline") != (interval is not None):
        return None
    speed = match["speed"]
    if speed is not None and kind != ("kline" if speed == "+08:00" else "depth"):
        return None
    offset = SINGAPORE_MS if speed == "+08:00" else 0
    if kind == "kline" and not _is_served(symbol, interval, offset, exchange):
        return None
    period = FAST_MS if speed == "100ms" else SECOND_MS if kind in SLOW else 0
    return Stream(name, symbol, kind, interval or match["levels"] or "", offset, period)


def _is_served(symbol: str, interval: str, offset_ms: int, exchange: Exchange) -> bool:
    try:
        exchange.market.klines(symbol, interval, exchange.present_ms, limit=1, offset_ms=offset_ms)
    except Refused:
        return False
    return True
