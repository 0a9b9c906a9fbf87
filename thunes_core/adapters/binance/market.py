"""Binance's public side: clock, instruments, closed bars, prices. Implements `MarketData`.

Add here: a public read the core needs. Keep out: orders, storage.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

import orjson
import polars as pl

from thunes_core.adapters.binance.bulk import fetch_klines, pages, parsed, query, what_is
from thunes_core.adapters.binance.client import TIMEOUT_SECONDS, make_client, read
from thunes_core.adapters.binance.exchange_info import parse_instruments, weight_per_minute
from thunes_core.adapters.binance.failures import understood
from thunes_core.adapters.binance.listings import Listings
from thunes_core.adapters.limiter import WeightLimiter
from thunes_core.clock import from_millis
from thunes_core.domain.bars import Interval
from thunes_core.domain.instrument import Instrument
from thunes_core.domain.window import Window
from thunes_core.errors import UnknownName

if TYPE_CHECKING:
    from binance.client import Client


class BinanceMarket:
    """Public market data of the Binance spot exchange (or of anything that speaks its protocol).

    `limiter` and `listings` are shared with the other processes on this machine. One object serves
    one thread. Reads raise `ExchangeUnavailable`, `ExchangeRejected` or `UnknownName` and may be
    repeated.
    """

    def __init__(
        self,
        rest_url: str,
        limiter: WeightLimiter | None = None,
        listings: Listings | None = None,
    ) -> None:
        self.rest_url = rest_url
        self._listings = listings
        self._limiter = limiter

    @cached_property
    def client(self) -> Client:
        """The client, made on first use: importing python-binance takes more than a second."""
        return make_client(self.rest_url, limiter=self._limiter)

    def close(self) -> None:
        """Close the connections; the object may be used again."""
        self.client.close_connection()

    def server_time(self) -> datetime:
        """Return the exchange's clock, UTC, to the millisecond."""
        answer = read(self.client.get_server_time, what="server time")
        return understood(lambda: from_millis(answer["serverTime"]), what="server time")

    def instruments(self, symbols: Sequence[str] | None = None) -> dict[str, Instrument]:
        """Return instruments by symbol; all that are listed where `symbols` is None."""
        what = f"exchange info of {', '.join(symbols)}" if symbols else "exchange info"
        found = understood(lambda: parse_instruments(self._listed(symbols, what)), what=what)
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
        return self.klines_many([Window(symbol, interval, start, end)])[0]

    def klines_many(self, windows: Sequence[Window]) -> list[pl.DataFrame]:
        """Return `klines` of each of `windows`, in that order, all asked for at once."""
        now = self.server_time()
        cut = [replace(one, end=min(one.end, one.interval.floor(now))) for one in windows]
        if sum(len(list(pages(one))) for one in cut) <= 1:
            found = [self._single(one) for one in cut]
        else:
            found = fetch_klines(self.rest_url, cut, self._limiter)
        return [bars.unique("open_time", keep="last").sort("open_time") for bars in found]

    def close_time(self, symbol: str, interval: Interval, open_time: datetime) -> datetime | None:
        """Return when the exchange says that a bar closed, UTC; None where it has none.

        Usually a millisecond before its end; in a halt the exchange told other moments.
        """
        window = Window(symbol, interval, open_time, open_time + interval.duration)
        (edges,) = pages(window)
        page = self._page(window, *edges)
        rows = understood(lambda: orjson.loads(page), what=what_is(window))
        return understood(lambda: from_millis(rows[0][6]) if rows else None, what=what_is(window))

    def price(self, symbol: str) -> Decimal:
        """Return the latest traded price, quote units."""
        what = f"price of {symbol}"
        answer = read(lambda: self.client.get_symbol_ticker(symbol=symbol), what=what)
        return understood(lambda: Decimal(answer["price"]), what=what)

    def _listed(self, symbols: Sequence[str] | None, what: str) -> dict[str, Any]:
        known = self._listings.get(symbols) if self._listings and symbols else None
        if known is not None:
            return {"symbols": known}
        asked = {"symbols": json.dumps(list(symbols), separators=(",", ":"))} if symbols else {}
        document = read(lambda: self._get("exchangeInfo", asked), what=what)
        if self._listings:
            self._listings.put(document)
        if self._limiter and (limit := weight_per_minute(document)):
            self._limiter.limit(limit)
        return document

    def _single(self, window: Window) -> pl.DataFrame:
        """Fetch the only page over the standing connection: a tick asks for no more."""
        return parsed(window, [self._page(window, *edges) for edges in pages(window)])

    def _page(self, window: Window, since: int, last: int) -> bytes:
        from binance.exceptions import BinanceAPIException

        def get() -> bytes:
            answer = self.client.session.get(
                f"{self.client.API_URL}/v3/klines",
                params=query(window, since, last),
                timeout=TIMEOUT_SECONDS,
            )
            if answer.status_code != 200:
                raise BinanceAPIException(answer, answer.status_code, answer.text)
            content: bytes = answer.content
            return content

        return read(get, what=what_is(window))

    def _get(self, path: str, asked: dict[str, str]) -> dict[str, Any]:
        document: dict[str, Any] = self.client._get(path, version="v3", data=asked)
        return document
