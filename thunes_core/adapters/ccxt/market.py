"""The public side of an exchange through CCXT: clock, instruments, closed bars, prices.

Implements `MarketData`. CCXT's candles carry no quote volume, trades or taker volumes: those
columns are zero, and a lake should hold bars of one source (docs/exchanges.md).

Add here: a public read the core needs. Keep out: orders, storage.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

import polars as pl

from thunes_core.adapters.binance.listings import Listings
from thunes_core.adapters.ccxt.client import Connection, connect
from thunes_core.adapters.ccxt.markets import Markets, parse_instrument
from thunes_core.adapters.limiter import WeightLimiter
from thunes_core.clock import from_millis, to_millis
from thunes_core.domain.bars import PRICES, SCHEMA, Interval
from thunes_core.domain.instrument import Instrument
from thunes_core.errors import UnknownName

PAGE_ROWS = 1000
"""Asked for at once; an exchange that gives fewer is asked again from where it stopped."""

_FIELDS = ("open_time", *PRICES, "volume")
Candle = tuple[int | float, ...]


class CcxtMarket:
    """Public market data of the exchange that CCXT calls `exchange_id`.

    `limiter` and `listings` are shared with the other processes on this machine. One object serves
    one thread. Reads raise `ExchangeUnavailable`, `ExchangeRejected` or `UnknownName` and may be
    repeated; the first use raises `SettingsInvalid` where the exchange cannot be used at all.
    """

    def __init__(
        self,
        exchange_id: str,
        rest_url: str | None = None,
        limiter: WeightLimiter | None = None,
        listings: Listings | None = None,
    ) -> None:
        self._asked = (exchange_id, rest_url)
        self._limiter = limiter
        self._listings = listings

    @cached_property
    def connection(self) -> Connection:
        """The connection, made on first use: importing CCXT takes its time."""
        exchange_id, rest_url = self._asked
        return connect(exchange_id, rest_url, limiter=self._limiter)

    @cached_property
    def markets(self) -> Markets:
        """What the exchange lists."""
        return Markets(self.connection, self._listings)

    def close(self) -> None:
        """Close the connections; the object may be used again."""
        self.connection.exchange.session.close()

    def server_time(self) -> datetime:
        """Return the exchange's clock, UTC, to the millisecond."""
        return self.connection.read(
            lambda: from_millis(int(self.connection.exchange.fetch_time())), what="server time"
        )

    def instruments(self, symbols: Sequence[str] | None = None) -> dict[str, Instrument]:
        """Return instruments by symbol; all spot markets where `symbols` is None."""
        found, mode = self.markets.all(), self.connection.exchange.precisionMode
        missing = sorted(set(symbols or ()) - set(found))
        if missing:
            raise UnknownName(
                f"instruments: the exchange does not list {', '.join(missing)}; give symbols it "
                "lists, base and quote in one word (BTCUSDT)"
            )
        return {name: parse_instrument(found[name], mode) for name in symbols or found}

    def klines(
        self, symbol: str, interval: Interval, start: datetime, end: datetime
    ) -> pl.DataFrame:
        """Return the *closed* bars with start <= open_time < end, sorted and unique.

        Closed by the exchange's own clock. `UnknownName` where it serves no such interval.
        """
        self._require_served(interval)
        end = min(end, interval.floor(self.server_time()))
        low, high = to_millis(start), to_millis(end)
        rows = self._pages(self.markets.unified(symbol), interval, low, high)
        return _bars([row for row in rows if low <= _opened(row) < high], symbol, interval)

    def price(self, symbol: str) -> Decimal:
        """Return the latest traded price, quote units."""
        unified = self.markets.unified(symbol)
        return self.connection.read(
            lambda: Decimal(self.connection.exchange.fetch_ticker(unified)["last"]),
            what=f"price of {symbol}",
        )

    def _pages(self, unified: str, interval: Interval, since: int, end: int) -> list[Candle]:
        """Read page after page; one without news is passed over, so that a hole ends nothing."""
        step, found = interval.minutes * 60_000, []
        while since < end:
            limit = min(PAGE_ROWS, -(-(end - since) // step))
            page = self._page(unified, interval, since, limit)
            fresh = [row for row in page if _opened(row) >= since]
            found += fresh
            since = max(map(_opened, fresh), default=since + (limit - 1) * step) + step
        return found

    def _page(self, unified: str, interval: Interval, since: int, limit: int) -> list[Candle]:
        exchange = self.connection.exchange
        return self.connection.read(
            lambda: [
                _candle(r) for r in exchange.fetch_ohlcv(unified, str(interval), since, limit)
            ],
            what=f"klines of {unified} {interval}",
        )

    def _require_served(self, interval: Interval) -> None:
        served = self.connection.exchange.timeframes or {}
        if str(interval) not in served:
            known = ", ".join(name for name in Interval if str(name) in served)
            raise UnknownName(
                f"interval: the exchange serves no {interval}; give one of these: {known}"
            )


def _opened(candle: Candle) -> int:
    return int(candle[0])


def _candle(row: Sequence[Any]) -> Candle:
    at, *numbers = row[: len(_FIELDS)]
    if len(numbers) != len(_FIELDS) - 1:
        raise ValueError(f"a candle of {len(numbers)} numbers")
    return (int(at), *map(float, numbers))


def _bars(rows: Sequence[Candle], symbol: str, interval: Interval) -> pl.DataFrame:
    """Return candles in the schema of bars; of two of one time the later stays."""
    known = {"open_time": pl.Int64(), **{name: pl.Float64() for name in _FIELDS[1:]}}
    lacking = [name for name in SCHEMA if name not in {"symbol", "interval", *_FIELDS}]
    return (
        pl.DataFrame(rows, schema=known, orient="row")
        .with_columns(
            (pl.col("open_time") * 1000).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
            *(pl.lit(0, dtype=SCHEMA[name]).alias(name) for name in lacking),
            symbol=pl.lit(symbol),
            interval=pl.lit(str(interval)),
        )
        .select(*SCHEMA)
        .unique("open_time", keep="last", maintain_order=True)
        .sort("open_time")
    )
