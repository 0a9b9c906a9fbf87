"""Public endpoints: time, what is listed, candles, prices.

Add here: an endpoint without a signature. Keep out: the account and its orders (`rest_trading`).
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson

from thunes_core.domain.orders import Side
from thunes_core.testnet.market import Traded
from thunes_core.testnet.order_documents import money
from thunes_core.testnet.parameters import Parameters
from thunes_core.testnet.refusals import Refused, bad_combination
from thunes_core.testnet.rest import Endpoint

if TYPE_CHECKING:
    from thunes_core.testnet.matching import Exchange

DAY_MS = 86_400_000


def ping(_: Exchange, parameters: Parameters) -> dict[str, Any]:
    """Answer, nothing more."""
    parameters.require_all_read()
    return {}


def server_time(exchange: Exchange, parameters: Parameters) -> dict[str, Any]:
    """Return the exchange's time."""
    parameters.require_all_read()
    return {"serverTime": exchange.told_ms}


def exchange_info(exchange: Exchange, parameters: Parameters) -> dict[str, Any]:
    """Return limits and listings, of all symbols or of those asked for."""
    wanted = _asked_symbols(exchange, parameters) or exchange.market.symbols
    parameters.ignore(["permissions", "showPermissionSets", "symbolStatus"])
    parameters.require_all_read()
    return {
        "timezone": "UTC",
        "serverTime": exchange.told_ms,
        "rateLimits": exchange.limits.documents(),
        "exchangeFilters": [],
        "symbols": [exchange.market.listing(s).document() for s in wanted],
        "sors": [],
    }


def klines(exchange: Exchange, parameters: Parameters) -> bytes:
    """Return candles; times in milliseconds, figures as texts with eight decimals."""
    symbol, interval = parameters.need("symbol"), parameters.need("interval")
    start, end = parameters.integer("startTime"), parameters.integer("endTime")
    limit = parameters.limit(500, 1000)
    parameters.ignore(["timeZone"])
    parameters.require_all_read()
    candles = exchange.market.klines(
        symbol, interval, exchange.clock.now_ms(), start_ms=start, end_ms=end, limit=limit
    )
    return b"[" + ",".join([_ROW % c for c in candles]).encode() + b"]"


_ROW = (
    '[%d,"%.8f","%.8f","%.8f","%.8f","%.8f",%d,"%.8f",%d,"%.8f","%.8f","0"]'  # as klines has them
)


def ticker_price(exchange: Exchange, parameters: Parameters) -> Any:
    """Return the last price of one symbol, of some, or of all."""

    def one(traded: Traded) -> dict[str, Any]:
        price = traded.price(exchange.clock.now_ms())
        return {"symbol": traded.listing.symbol, "price": money(price)}

    return _one_or_many(exchange, parameters, one)


def book_ticker(exchange: Exchange, parameters: Parameters) -> Any:
    """Return best bid and ask: the ticks next to the last price."""

    def one(traded: Traded) -> dict[str, Any]:
        bid, ask = best_prices(traded, exchange.clock.now_ms())
        size = money(level_size(traded, bid))
        return {
            "symbol": traded.listing.symbol,
            "bidPrice": money(bid),
            "bidQty": size,
            "askPrice": money(ask),
            "askQty": size,
        }

    return _one_or_many(exchange, parameters, one)


def day_ticker(exchange: Exchange, parameters: Parameters) -> Any:
    """Return the figures of the last 24 hours, FULL or MINI."""
    kind = parameters.text("type") or "FULL"
    if kind not in {"FULL", "MINI"}:
        raise Refused(-1139, "Invalid ticker type.")
    return _one_or_many(exchange, parameters, lambda traded: day_figures(exchange, traded, kind))


def day_figures(exchange: Exchange, traded: Traded, kind: str) -> dict[str, Any]:
    """Return the figures of the last 24 hours of one symbol, FULL or MINI."""
    now = exchange.clock.now_ms()
    series = traded.series_until(now)
    first, last = max(series.index_at(now - DAY_MS), 0), series.index_at(now)
    candles = [series.candle_at(i, now) for i in range(first, last + 1)]
    price, opened = traded.price(now), Decimal(str(candles[0].open))
    volume, quote = sum(c.volume for c in candles), sum(c.quote_volume for c in candles)
    trades = sum(c.trades for c in candles)
    mini = {
        "symbol": traded.listing.symbol,
        "openPrice": money(opened),
        "highPrice": money(max(c.high for c in candles)),
        "lowPrice": money(min(c.low for c in candles)),
        "lastPrice": money(price),
        "volume": money(volume),
        "quoteVolume": money(quote),
        "openTime": now - DAY_MS,
        "closeTime": now,
        "firstId": 0,
        "lastId": max(trades - 1, 0),
        "count": trades,
    }
    if kind == "MINI":
        return mini
    bid, ask = best_prices(traded, now)
    size = money(level_size(traded, bid))
    return mini | {
        "priceChange": money(price - opened),
        "priceChangePercent": format((price - opened) / opened * 100, ".3f"),
        "weightedAvgPrice": money(quote / volume if volume else float(price)),
        "prevClosePrice": money(opened),
        "lastQty": size,
        "bidPrice": money(bid),
        "bidQty": size,
        "askPrice": money(ask),
        "askQty": size,
    }


def average_price(exchange: Exchange, parameters: Parameters) -> dict[str, Any]:
    """Return the average price over the last five minutes."""
    traded = exchange.market.find(parameters.need("symbol"))
    parameters.require_all_read()
    now = exchange.clock.now_ms()
    return {"mins": 5, "price": money(traded.average_price(now)), "closeTime": now}


def depth(exchange: Exchange, parameters: Parameters) -> dict[str, Any]:
    """Return the order book around the last price."""
    traded = exchange.market.find(parameters.need("symbol"))
    limit = parameters.limit(100, 5000)
    parameters.ignore(["symbolStatus"])
    parameters.require_all_read()
    return book_document(exchange, traded, limit)


def book_document(exchange: Exchange, traded: Traded, limit: int) -> dict[str, Any]:
    """Return bids and asks, `limit` levels a side at most."""
    now = exchange.clock.now_ms()

    def levels(side: Side) -> list[list[str]]:
        found = exchange.book.levels(traded, side, now, limit)
        return [[money(price), money(quantity)] for price, quantity in found]

    return {"lastUpdateId": now, "bids": levels(Side.SELL), "asks": levels(Side.BUY)}


def best_prices(traded: Traded, now_ms: int) -> tuple[Decimal, Decimal]:
    """Return best bid and ask: one tick below and above the last price."""
    price, tick = traded.price(now_ms), traded.listing.tick
    return max(price - tick, tick), price + tick


def level_size(traded: Traded, price: Decimal) -> Decimal:
    """Return about 10,000 quote units' worth, in whole steps."""
    step = traded.listing.step
    return max((Decimal(10_000) / price / step).to_integral_value() * step, step)


def _one_or_many(
    exchange: Exchange, parameters: Parameters, one: Callable[[Traded], dict[str, Any]]
) -> Any:
    single = parameters.text("symbol")
    asked = _asked_symbols(exchange, parameters)
    parameters.ignore(["symbolStatus", "type"])
    parameters.require_all_read()
    documents = [one(exchange.market.find(s)) for s in asked or exchange.market.symbols]
    return documents[0] if single else documents


def _asked_symbols(exchange: Exchange, parameters: Parameters) -> list[str]:
    single, many = parameters.text("symbol"), parameters.text("symbols")
    if single and many:
        raise bad_combination()
    names = _symbol_list(many) if many else [single] if single else []
    for name in names:
        exchange.market.find(name)
    return names


def _symbol_list(text: str) -> list[str]:
    try:
        names = orjson.loads(text)
    except orjson.JSONDecodeError:
        names = None
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise Refused(
            -1100,
            "Illegal characters found in parameter 'symbols'; legal range is "
            '\'^\\["[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}")*\\]$\'.',
        )
    return names


def _by_symbol(one: int, many: int) -> Callable[[Parameters], int]:
    return lambda parameters: one if parameters.text("symbol") else many


MARKET_ENDPOINTS = (
    Endpoint("GET", "/api/v3/ping", ping),
    Endpoint("GET", "/api/v3/time", server_time),
    Endpoint("GET", "/api/v3/exchangeInfo", exchange_info, 20),
    Endpoint("GET", "/api/v3/klines", klines, 2),
    Endpoint("GET", "/api/v3/uiKlines", klines, 2),
    Endpoint("GET", "/api/v3/ticker/price", ticker_price, _by_symbol(2, 4)),
    Endpoint("GET", "/api/v3/ticker/bookTicker", book_ticker, _by_symbol(2, 4)),
    Endpoint("GET", "/api/v3/ticker/24hr", day_ticker, _by_symbol(2, 80)),
    Endpoint("GET", "/api/v3/avgPrice", average_price, 2),
    Endpoint("GET", "/api/v3/depth", depth, 5),
)
