"""Public endpoints: time, what is listed, candles, the book, public trades.

Add here: an endpoint without a signature. Keep out: tickers (`rest_tickers`), orders
(`rest_trading`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from thunes_core.testnet.long_series import zone_offset_ms
from thunes_core.testnet.market import Traded
from thunes_core.testnet.order_documents import money
from thunes_core.testnet.parameters import Parameters
from thunes_core.testnet.quotes import book_document
from thunes_core.testnet.refusals import Refused, bad_combination
from thunes_core.testnet.rest import Endpoint
from thunes_core.testnet.routing import routing_groups
from thunes_core.testnet.symbols import asked_symbols, with_status
from thunes_core.testnet.tape import PublicTrade

if TYPE_CHECKING:
    from thunes_core.testnet.matching import Exchange


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
    asked = asked_symbols(exchange, parameters)
    if asked and (parameters.text("permissions") or parameters.text("symbolStatus")):
        raise bad_combination()
    wanted = with_status(exchange, parameters, asked)
    parameters.ignore(["permissions"])
    shows_sets = (parameters.text("showPermissionSets") or "").lower() != "false"
    parameters.require_all_read()
    return {
        "timezone": "UTC",
        "serverTime": exchange.told_ms,
        "rateLimits": exchange.limits.documents(),
        "exchangeFilters": list(exchange.options.exchange_filters),
        "symbols": [
            exchange.market.listing(s).document() | ({} if shows_sets else {"permissionSets": []})
            for s in wanted
        ],
        "sors": [
            {"baseAsset": base, "symbols": symbols}
            for base, symbols in routing_groups(exchange.market).items()
        ],
    }


def klines(exchange: Exchange, parameters: Parameters) -> bytes:
    """Return candles; times in milliseconds, figures as texts with eight decimals."""
    symbol, interval = parameters.need("symbol"), parameters.need("interval")
    start, end = parameters.integer("startTime"), parameters.integer("endTime")
    limit = parameters.limit(500, 1000)
    offset = zone_offset_ms(parameters.text("timeZone"))
    parameters.require_all_read()
    candles = exchange.market.klines(
        symbol,
        interval,
        exchange.clock.now_ms(),
        start_ms=start,
        end_ms=end,
        limit=limit,
        offset_ms=offset,
    )
    return b"[" + ",".join([_ROW % c for c in candles]).encode() + b"]"


_ROW = (
    '[%d,"%.8f","%.8f","%.8f","%.8f","%.8f",%d,"%.8f",%d,"%.8f","%.8f","0"]'  # as klines has them
)


def average_price(exchange: Exchange, parameters: Parameters) -> dict[str, Any]:
    """Return the average price over the last five minutes."""
    traded = exchange.market.find(parameters.need("symbol"))
    parameters.require_all_read()
    now = exchange.clock.now_ms()
    return {"mins": 5, "price": money(traded.average_price(now)), "closeTime": now}


def depth(exchange: Exchange, parameters: Parameters) -> dict[str, Any]:
    """Return the order book around the last price."""
    traded = exchange.market.find(parameters.need("symbol"))
    with_status(exchange, parameters, [traded.listing.symbol])
    limit = parameters.limit(100, 5000)
    parameters.require_all_read()
    return book_document(exchange, traded, limit)


def _depth_weight(parameters: Parameters) -> int:
    asked = parameters.text("limit") or ""
    limit = int(asked) if asked.isdecimal() else 100
    return next((weight for most, weight in _DEPTH_WEIGHTS if limit <= most), 250)


_DEPTH_WEIGHTS = ((100, 5), (500, 25), (1000, 50))


def recent_trades(exchange: Exchange, parameters: Parameters) -> list[dict[str, Any]]:
    """Return the newest public trades."""
    traded = exchange.market.find(parameters.need("symbol"))
    limit = parameters.limit(500, 1000)
    parameters.require_all_read()
    return [_trade(one) for one in _newest(exchange, traded, limit)]


def old_trades(exchange: Exchange, parameters: Parameters) -> list[dict[str, Any]]:
    """Return public trades from an id on, or the newest."""
    traded = exchange.market.find(parameters.need("symbol"))
    from_id, limit = parameters.integer("fromId"), parameters.limit(500, 1000)
    parameters.require_all_read()
    if from_id is None:
        return [_trade(one) for one in _newest(exchange, traded, limit)]
    return [_trade(one) for one in _from_id(exchange, traded, from_id, limit)]


def _newest(exchange: Exchange, traded: Traded, limit: int) -> Iterator[PublicTrade]:
    count = traded.trade_count(exchange.present_ms)
    return traded.tape_until(exchange.present_ms).trades(count - limit, count)


def _from_id(exchange: Exchange, traded: Traded, from_id: int, limit: int) -> Iterator[PublicTrade]:
    count = traded.trade_count(exchange.present_ms)
    tape = traded.tape_until(exchange.present_ms)
    return tape.trades(from_id, min(from_id + limit, count))


def _trade(one: PublicTrade) -> dict[str, Any]:
    return {
        "id": one.trade_id,
        "price": money(one.price),
        "qty": money(one.quantity),
        "quoteQty": money(one.price * one.quantity),
        "time": one.time_ms,
        "isBuyerMaker": one.is_buyer_maker,
        "isBestMatch": True,
    }


def aggregate_trades(exchange: Exchange, parameters: Parameters) -> list[dict[str, Any]]:
    """Return aggregate trades from an id on, within a time, or the newest; each is one trade."""
    traded = exchange.market.find(parameters.need("symbol"))
    from_id = parameters.integer("fromId")
    start, end = parameters.integer("startTime"), parameters.integer("endTime")
    limit = parameters.limit(500, 1000)
    parameters.require_all_read()
    if from_id is not None and (start is not None or end is not None):
        raise bad_combination()
    count = traded.trade_count(exchange.present_ms)
    tape = traded.tape_until(exchange.present_ms)
    stop = count if end is None else min(count, tape.count_until(end))
    if from_id is None:
        from_id = stop - limit if start is None else tape.count_until(start - 1)
    found = tape.trades(from_id, min(from_id + limit, stop))
    return [aggregate_document(one) for one in found]


def aggregate_document(one: PublicTrade) -> dict[str, Any]:
    """Return a trade as an aggregate of itself."""
    return {
        "a": one.trade_id,
        "p": money(one.price),
        "q": money(one.quantity),
        "f": one.trade_id,
        "l": one.trade_id,
        "T": one.time_ms,
        "m": one.is_buyer_maker,
        "M": True,
    }


def block_trades(exchange: Exchange, parameters: Parameters) -> list[dict[str, Any]]:
    """Return block trades: none ever happen here."""
    exchange.market.find(parameters.need("symbol"))
    parameters.integer("fromId")
    parameters.limit(500, 1000)
    parameters.require_all_read()
    return []


def execution_rules(exchange: Exchange, parameters: Parameters) -> dict[str, Any]:
    """Return the execution rules of symbols: nobody has one here."""
    wanted = with_status(exchange, parameters, asked_symbols(exchange, parameters))
    parameters.require_all_read()
    return {"symbolRules": [{"symbol": symbol, "rules": []} for symbol in wanted]}


def reference_price(exchange: Exchange, parameters: Parameters) -> dict[str, Any]:
    """Refuse: no symbol has a reference price here."""
    exchange.market.find(parameters.need("symbol"))
    with_status(exchange, parameters, [parameters.need("symbol")])
    parameters.require_all_read()
    raise Refused(-2043, "This symbol doesn't have a reference price.")


MARKET_ENDPOINTS = (
    Endpoint("GET", "/api/v3/ping", ping),
    Endpoint("GET", "/api/v3/time", server_time),
    Endpoint("GET", "/api/v3/exchangeInfo", exchange_info, 20),
    Endpoint("GET", "/api/v3/executionRules", execution_rules, 2),
    Endpoint("GET", "/api/v3/klines", klines, 2),
    Endpoint("GET", "/api/v3/uiKlines", klines, 2),
    Endpoint("GET", "/api/v3/avgPrice", average_price, 2),
    Endpoint("GET", "/api/v3/depth", depth, _depth_weight),
    Endpoint("GET", "/api/v3/trades", recent_trades, 25),
    Endpoint("GET", "/api/v3/historicalTrades", old_trades, 25),
    Endpoint("GET", "/api/v3/historicalBlockTrades", block_trades, 25),
    Endpoint("GET", "/api/v3/aggTrades", aggregate_trades, 4),
    Endpoint("GET", "/api/v3/referencePrice", reference_price, 2),
    Endpoint("GET", "/api/v3/referencePrice/calculation", reference_price, 2),
)
