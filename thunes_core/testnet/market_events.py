"""The market data streams' events, from the price path between two moments.

A candle that closed between them gives its closed event, however many there are, and each public
trade one; everything else gives at most one event, of the newest moment, if the price has changed.
The book's changes give one event that leads from the one moment to the other.

Add here: what another stream tells. Keep out: names of streams (`streams`), sockets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from thunes_core.domain.orders import Side
from thunes_core.testnet.long_series import longest_ms
from thunes_core.testnet.market import Traded
from thunes_core.testnet.order_documents import money
from thunes_core.testnet.quotes import (
    best_quotes,
    book_document,
    day_figures,
    full_figures,
)
from thunes_core.testnet.rest_market import aggregate_document
from thunes_core.testnet.series import Candle
from thunes_core.testnet.streams import SILENT, WINDOWS, Stream
from thunes_core.testnet.tape import PublicTrade

if TYPE_CHECKING:
    from thunes_core.testnet.matching import Exchange

Event = Any
MOST_CLOSED = 1_000
MOST_TRADES = 100


def events_between(
    exchange: Exchange, stream: Stream, after_ms: int, until_ms: int
) -> Iterator[Event]:
    """Yield what `stream` tells about (`after_ms`, `until_ms`]."""
    if stream.kind == "kline":
        yield from _klines(exchange, stream, after_ms, until_ms)
    elif not stream.symbol:
        yield from _all_symbols(exchange, stream, after_ms, until_ms)
    else:
        traded = exchange.market.find(stream.symbol)
        if stream.kind in ("trade", "aggTrade"):
            yield from _trades(traded, stream.kind, after_ms, until_ms)
        elif stream.kind == "depth" and not stream.detail:
            yield from _depth_update(exchange, traded, after_ms, until_ms)
        elif stream.kind in SILENT or not _has_moved(traded, after_ms, until_ms):
            return
        elif stream.kind == "window":
            yield _window_ticker(traded, stream.detail, until_ms)
        elif stream.kind == "depth" and stream.detail:
            yield book_document(exchange, traded, int(stream.detail))
        else:
            yield _TELLERS[stream.kind](exchange, traded, until_ms)


def _has_moved(traded: Traded, after_ms: int, until_ms: int) -> bool:
    return traded.price(after_ms) != traded.price(until_ms)


def _all_symbols(
    exchange: Exchange, stream: Stream, after_ms: int, now_ms: int
) -> Iterator[list[Event]]:
    """Yield one event of all symbols whose price has changed, if there are any."""
    every = [exchange.market.find(s) for s in exchange.market.symbols]
    moved = [traded for traded in every if _has_moved(traded, after_ms, now_ms)]
    if not moved:
        return
    if stream.detail:
        yield [_window_ticker(traded, stream.detail, now_ms) for traded in moved]
    else:
        tell = _mini_ticker if stream.kind == "miniTicker" else _full_ticker
        yield [tell(exchange, traded, now_ms) for traded in moved]


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


def _depth_update(
    exchange: Exchange, traded: Traded, after_ms: int, until_ms: int
) -> Iterator[Event]:
    """Yield what turns the book of `after_ms` into that of `until_ms`; the times are its ids."""
    if not exchange.book.is_finite and not _has_moved(traded, after_ms, until_ms):
        return
    bids, asks = (
        [[money(price), money(size)] for price, size in found]
        for found in (
            exchange.book.changes(traded, side, after_ms, until_ms)
            for side in (Side.SELL, Side.BUY)
        )
    )
    if bids or asks:
        yield {
            "e": "depthUpdate",
            "E": until_ms,
            "s": traded.listing.symbol,
            "U": after_ms + 1,
            "u": until_ms,
            "b": bids,
            "a": asks,
        }


_TELLERS: Mapping[str, Callable[[Exchange, Traded, int], Event]] = {
    "bookTicker": _book_ticker,
    "miniTicker": _mini_ticker,
    "ticker": _full_ticker,
    "avgPrice": _average,
}
