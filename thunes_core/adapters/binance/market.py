"""Binance's public side: clock, instruments, closed bars, prices. Implements `MarketData`.

Add here: a public read the core needs. Keep out: orders, storage.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from thunes_core.adapters.binance.client import make_client, read, understood
from thunes_core.adapters.binance.exchange_info import parse_instruments
from thunes_core.adapters.binance.klines import parse_klines
from thunes_core.clock import from_millis, to_millis
from thunes_core.domain.bars import Interval, empty
from thunes_core.domain.instrument import Instrument
from thunes_core.errors import UnknownName

if TYPE_CHECKING:
    from binance.client import Client

PAGE_ROWS = 1000


class BinanceMarket:
    """Public market data of the Binance spot exchange (or of anything that speaks its protocol).

    One object serves one thread. Reads raise `ExchangeUnavailable`, `ExchangeRejected` or
    `UnknownName` and may be repeated.
    """

    def __init__(self, rest_url: str) -> None:
        self.rest_url = rest_url

    @cached_property
    def client(self) -> Client:
        """The client, made on first use: importing python-binance takes more than a second."""
        return make_client(self.rest_url)

    def close(self) -> None:
        """Close the connections; the object may be used again."""
        self.client.close_connection()

    def server_time(self) -> datetime:
        """Return the exchange's clock, UTC, to the millisecond."""
        answer = read(self.client.get_server_time, what="server time")
        return understood(lambda: from_millis(answer["serverTime"]), what="server time")

    def instruments(self, symbols: Sequence[str] | None = None) -> dict[str, Instrument]:
        """Return instruments by symbol; all that are listed where `symbols` is None."""
        asked = {"symbols": json.dumps(list(symbols), separators=(",", ":"))} if symbols else {}
        what = f"exchange info of {', '.join(symbols)}" if symbols else "exchange info"
        document = read(lambda: self._get("exchangeInfo", asked), what=what)
        found = understood(lambda: parse_instruments(document), what=what)
        missing = sorted(set(symbols or ()) - set(found))
        if missing:
            raise UnknownName(
                f"{what}: the exchange does not list {', '.join(missing)}; give symbols it lists"
            )
        return found

    def klines(
        self, symbol: str, interval: Interval, start: datetime, end: datetime
    ) -> pl.DataFrame:
        """Return the *closed* bars with start <= open_time < end, sorted and unique.

        Closed by the exchange's own clock. A bar the exchange repeats counts once, the later one.
        """
        cut = min(end, interval.floor(self.server_time()))
        if cut <= start:
            return empty()
        pages = list(self._pages(symbol, interval, start, cut))
        if not pages:
            return empty()
        return pl.concat(pages).unique("open_time", keep="last").sort("open_time")

    def price(self, symbol: str) -> Decimal:
        """Return the latest traded price, quote units."""
        what = f"price of {symbol}"
        answer = read(lambda: self.client.get_symbol_ticker(symbol=symbol), what=what)
        return understood(lambda: Decimal(answer["price"]), what=what)

    def _pages(
        self, symbol: str, interval: Interval, start: datetime, end: datetime
    ) -> Iterator[pl.DataFrame]:
        since, last = to_millis(start), to_millis(end) - 1
        while since <= last:
            page = self._page(symbol, interval, since, last)
            if not page.is_empty():
                yield page
            if page.height < PAGE_ROWS:
                return
            since = to_millis(page["open_time"][-1] + interval.duration)

    def _page(self, symbol: str, interval: Interval, since: int, last: int) -> pl.DataFrame:
        what = f"klines of {symbol} {interval}"
        asked = {"startTime": since, "endTime": last, "limit": PAGE_ROWS}
        rows = read(
            lambda: self.client.get_klines(symbol=symbol, interval=str(interval), **asked),
            what=what,
        )
        return understood(lambda: parse_klines(rows, symbol, interval), what=what)

    def _get(self, path: str, asked: dict[str, str]) -> dict[str, Any]:
        document: dict[str, Any] = self.client._get(path, version="v3", data=asked)
        return document
