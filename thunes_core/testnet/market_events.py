"""The market data streams' events, from the price path between two moments.

A candle that closed between them gives its closed event, however many there are, and each public
trade one; everything else gives at most one event, of the newest moment, if the price has changed.

Add here: another stream of the market. Keep out: sockets, subscriptions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thunes_core.testnet.long_series import longest_ms
from thunes_core.testnet.market import Traded
from thunes_core.testnet.order_documents import money
from thunes_core.testnet.quotes import (
    DAY_MS,
    best_quotes,
    book_document,
    day_figures,
    full_figures,
)
from thunes_core.testnet.refusals import Refused
from thunes_core.testnet.rest_market import aggregate_document
from thunes_core.testnet.series import Candle
from thunes_core.testnet.tape import PublicTrade

if TYPE_CHECKING:
    from thunes_core.testnet.matching import Exchange

Event = Any
MOST_CLOSED = 1_000
MOST_TRADES = 100


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream, such as `btcusdt@kline_1h`; `offset_ms` shifts the grid of its candles."""

    name: str
    symbol: str
    kind: str
    detail: str = ""
    offset_ms: int = 0


_STREAM = re.compile(
    r"(?P<symbol>[a-z0-9]{2,20})@(?P<kind>kline|bookTicker|aggTrade|trade|miniTicker|ticker|"
    r"avgPrice|depth|blockTrade|referencePrice)(?:_(?P<interval>\d+[smhdwM]))?"
    r"(?P<levels>5|10|20)?(?:@(?P<speed>\d+ms|\+08:00))?"
)
_ALL = re.compile(r"!(?P<kind>miniTicker|ticker)(?:_(?P<window>1h|4h|1d))?@arr")
WINDOWS = {"1h": 3_600_000, "4h": 4 * 3_600_000, "1d": DAY_MS}
SINGAPORE_MS = 8 * 3_600_000
SILENT = frozenset({"blockTrade", "referencePrice"})
"""Streams that exist and never have anything to tell here."""


def parse_stream(name: str, exchange: Exchange) -> Stream | None:
    """Return the stream called `name`, or None when it is not served."""
    every = _ALL.fullmatch(name)
    if every is not None:
        is_window = every["window"] is not None
        if is_window and every["kind"] == "miniTicker":
            return None
        return Stream(name, "", "all" if is_window else every["kind"], every["window"] or "")
    match = _STREAM.fullmatch(name)
    if match is None or match["symbol"].upper() not in exchange.market.symbols:
        return None
    return _symbol_stream(name, match, exchange)


def _symbol_stream(name: str, match: re.Match[str], exchange: Exchange) -> Stream | None:
    symbol, kind, interval = match["symbol"].upper(), match["kind"], match["interval"]
    if kind == "ticker" and interval in WINDOWS:
        return Stream(name, symbol, "window", interval)
    if (kind == "kline") != (interval is not None):
        return None
    offset = SINGAPORE_MS if match["speed"] == "+08:00" else 0
    if offset and kind != "kline":
        return None
    if kind == "kline" and not _is_served(symbol, interval, offset, exchange):
        return None
    return Stream(name, symbol, kind, interval or match["levels"] or "", offset)


def _is_served(symbol: str, interval: str, offset_ms: int, exchange: Exchange) -> bool:
    try:
        exchange.market.klines(symbol, interval, exchange.present_ms, limit=1, offset_ms=offset_ms)
    except Refused:
        return False
    return True


def events_between(
    exchange: Exchange, stream: Stream, after_ms: int, until_ms: int
) -> Iterator[Event]:
    """Yield what `stream` tells about (`after_ms`, `until_ms`]."""
    if stream.kind == "kline":
        yield from _klines(exchange, stream, after_ms, until_ms)
    elif not stream.symbol:
        yield _all_symbols(exchange, stream, until_ms)
    else:
        traded = exchange.market.find(stream.symbol)
        if stream.kind in ("trade", "aggTrade"):
            yield from _trades(traded, stream.kind, after_ms, until_ms)
        elif stream.kind in SILENT or traded.price(after_ms) == traded.price(until_ms):
            return
        elif stream.kind == "window":
            yield _window_ticker(traded, stream.detail, until_ms)
        elif stream.kind == "depth" and stream.detail:
            yield book_document(exchange, traded, int(stream.detail))
        else:
            yield _TELLERS[stream.kind](exchange, traded, until_ms)


def _all_symbols(exchange: Exchange, stream: Stream, now_ms: int) -> list[Event]:
    every = [exchange.market.find(s) for s in exchange.market.symbols]
    if stream.detail:
        return [_window_ticker(traded, stream.detail, now_ms) for traded in every]
    tell = _mini_ticker if stream.kind == "miniTicker" else _full_ticker
    return [tell(exchange, traded, now_ms) for traded in every]


def _klines(exchange: Exchange, stream: Stream, after_ms: int, until_ms: int) -> Iterator[Event]:
    longest = longest_ms(stream.detail)
    candles = exchange.market.klines(
        stream.symbol,
        stream.detail,
        until_ms,
        start_ms=max(after_ms - longest, until_ms - MOST_CLOSED * longest, 0),
        limit=MOST_CLOSED + 2,
        offset_ms=stream.offset_ms,
    )
    traded = exchange.market.find(stream.symbol)
    for candle in candles:
        is_closed = candle.close_ms < until_ms
        told_before = (
            candle.close_ms < after_ms if is_closed else until_ms // 1000 == after_ms // 1000
        )
        if told_before:
            continue
        event_ms = candle.close_ms + 1 if is_closed else until_ms
        first_id = traded.trade_count(candle.open_ms - 1)
        yield _kline_event(stream, candle, event_ms, first_id, is_closed=is_closed)


def _kline_event(
    stream: Stream, c: Candle, event_ms: int, first_id: int, *, is_closed: bool
) -> Event:
    return {
        "e": "kline",
        "E": event_ms,
        "s": stream.symbol,
        "k": {
            "t": c.open_ms,
            "T": c.close_ms,
            "s": stream.symbol,
            "i": stream.detail,
            "f": first_id if c.trades else -1,
            "L": first_id + c.trades - 1 if c.trades else -1,
            "o": money(c.open),
            "c": money(c.close),
            "h": money(c.high),
            "l": money(c.low),
            "v": money(c.volume),
            "n": c.trades,
            "x": is_closed,
            "q": money(c.quote_volume),
            "V": money(c.taker_base),
            "Q": money(c.taker_quote),
            "B": "0",
        },
    }


def _book_ticker(exchange: Exchange, traded: Traded, now_ms: int) -> Event:
    quotes = best_quotes(exchange, traded, now_ms)
    return {
        "u": now_ms,
        "s": traded.listing.symbol,
        "b": quotes["bidPrice"],
        "B": quotes["bidQty"],
        "a": quotes["askPrice"],
        "A": quotes["askQty"],
    }


def _trades(traded: Traded, kind: str, after_ms: int, until_ms: int) -> Iterator[Event]:
    """Yield the public trades, the newest hundred at most: a fast clock leaves older ones out."""
    first, stop = traded.trade_count(after_ms), traded.trade_count(until_ms)
    tell = _trade if kind == "trade" else _aggregate_trade
    for one in traded.tape_until(until_ms).trades(max(first, stop - MOST_TRADES), stop):
        yield tell(traded.listing.symbol, one)


def _trade(symbol: str, one: PublicTrade) -> Event:
    return {
        "e": "trade",
        "E": one.time_ms,
        "s": symbol,
        "t": one.trade_id,
        "p": money(one.price),
        "q": money(one.quantity),
        "T": one.time_ms,
        "m": one.is_buyer_maker,
        "M": True,
    }


def _aggregate_trade(symbol: str, one: PublicTrade) -> Event:
    return {"e": "aggTrade", "E": one.time_ms, "s": symbol, **aggregate_document(one)}


def _window_ticker(traded: Traded, window: str, now_ms: int) -> Event:
    start_ms = (now_ms - WINDOWS[window]) // 60_000 * 60_000
    figures = full_figures(traded, start_ms, now_ms)
    short = {key: figures[name] for key, name in _WINDOW_KEYS.items()}
    return {"e": f"{window}Ticker", "E": now_ms, "s": traded.listing.symbol, **short}


_WINDOW_KEYS = {
    "p": "priceChange",
    "P": "priceChangePercent",
    "o": "openPrice",
    "h": "highPrice",
    "l": "lowPrice",
    "c": "lastPrice",
    "w": "weightedAvgPrice",
    "v": "volume",
    "q": "quoteVolume",
    "O": "openTime",
    "C": "closeTime",
    "F": "firstId",
    "L": "lastId",
    "n": "count",
}


def _mini_ticker(exchange: Exchange, traded: Traded, now_ms: int) -> Event:
    day = day_figures(exchange, traded, now_ms, "MINI")
    return {
        "e": "24hrMiniTicker",
        "E": now_ms,
        "s": traded.listing.symbol,
        "c": day["lastPrice"],
        "o": day["openPrice"],
        "h": day["highPrice"],
        "l": day["lowPrice"],
        "v": day["volume"],
        "q": day["quoteVolume"],
    }


def _full_ticker(exchange: Exchange, traded: Traded, now_ms: int) -> Event:
    day = day_figures(exchange, traded, now_ms, "FULL")
    return {
        **_mini_ticker(exchange, traded, now_ms),
        "e": "24hrTicker",
        "p": day["priceChange"],
        "P": day["priceChangePercent"],
        "w": day["weightedAvgPrice"],
        "x": day["prevClosePrice"],
        "Q": day["lastQty"],
        "b": day["bidPrice"],
        "B": day["bidQty"],
        "a": day["askPrice"],
        "A": day["askQty"],
        "O": day["openTime"],
        "C": day["closeTime"],
        "F": day["firstId"],
        "L": day["lastId"],
        "n": day["count"],
    }


def _average(_: Exchange, traded: Traded, now_ms: int) -> Event:
    return {
        "e": "avgPrice",
        "E": now_ms,
        "s": traded.listing.symbol,
        "i": "5m",
        "w": money(traded.average_price(now_ms)),
        "T": now_ms,
    }


def _depth_update(exchange: Exchange, traded: Traded, now_ms: int) -> Event:
    book = book_document(exchange, traded, 20)
    return {
        "e": "depthUpdate",
        "E": now_ms,
        "s": traded.listing.symbol,
        "U": now_ms,
        "u": now_ms,
        "b": book["bids"],
        "a": book["asks"],
    }


_TELLERS: Mapping[str, Callable[[Exchange, Traded, int], Event]] = {
    "bookTicker": _book_ticker,
    "miniTicker": _mini_ticker,
    "ticker": _full_ticker,
    "avgPrice": _average,
    "depth": _depth_update,
}
