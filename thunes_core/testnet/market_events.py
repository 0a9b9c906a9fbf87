"""The market data streams' events, from the price path between two moments.

A candle that closed between them gives its closed event, however many there are; everything else
gives at most one event, of the newest moment, when the price has changed.

Add here: another stream of the market. Keep out: sockets, subscriptions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thunes_core.clock import from_millis, to_millis
from thunes_core.domain.bars import parse_interval
from thunes_core.errors import UnknownName
from thunes_core.testnet.market import Traded
from thunes_core.testnet.order_documents import money
from thunes_core.testnet.refusals import Refused
from thunes_core.testnet.rest_market import best_prices, book_document, day_figures, level_size
from thunes_core.testnet.series import Candle

if TYPE_CHECKING:
    from thunes_core.testnet.matching import Exchange

Event = Any
MOST_CLOSED = 1_000


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream, such as `btcusdt@kline_1h`."""

    name: str
    symbol: str
    kind: str
    detail: str = ""


_STREAM = re.compile(
    r"^(?P<symbol>[a-z0-9]{2,20})@(?P<kind>kline|bookTicker|aggTrade|trade|miniTicker|ticker|"
    r"avgPrice|depth)(?:_(?P<interval>\d+[smhdwM]))?(?P<levels>5|10|20)?(?:@\d+ms)?$"
)
_ALL = {"!miniTicker@arr": "allMini", "!ticker@arr": "allFull"}


def parse_stream(name: str, exchange: Exchange) -> Stream | None:
    """Return the stream called `name`, or None when it is not served."""
    if name in _ALL:
        return Stream(name, "", _ALL[name])
    match = _STREAM.fullmatch(name)
    if match is None or match["symbol"].upper() not in exchange.market.symbols:
        return None
    if (match["kind"] == "kline") != (match["interval"] is not None):
        return None
    if match["interval"] is not None and not _is_served(match["interval"], match, exchange):
        return None
    detail = match["interval"] or match["levels"] or ""
    return Stream(name, match["symbol"].upper(), match["kind"], detail)


def _is_served(interval: str, match: re.Match[str], exchange: Exchange) -> bool:
    try:
        parse_interval(interval)
        exchange.market.klines(match["symbol"].upper(), interval, exchange.present_ms, limit=1)
    except (UnknownName, Refused):
        return False
    return True


def events_between(
    exchange: Exchange, stream: Stream, after_ms: int, until_ms: int
) -> Iterator[Event]:
    """Yield what `stream` tells about (`after_ms`, `until_ms`]."""
    if stream.kind == "kline":
        yield from _klines(exchange, stream, after_ms, until_ms)
    elif stream.kind in ("allMini", "allFull"):
        tell = _mini_ticker if stream.kind == "allMini" else _full_ticker
        yield [tell(exchange, exchange.market.find(s), until_ms) for s in exchange.market.symbols]
    else:
        traded = exchange.market.find(stream.symbol)
        if traded.price(after_ms) == traded.price(until_ms):
            return
        if stream.kind == "depth" and stream.detail:
            yield book_document(exchange, traded, int(stream.detail))
        else:
            yield _TELLERS[stream.kind](exchange, traded, until_ms)


def _klines(exchange: Exchange, stream: Stream, after_ms: int, until_ms: int) -> Iterator[Event]:
    interval = parse_interval(stream.detail)
    step_ms = interval.minutes * 60_000
    since_ms = max(after_ms, until_ms - MOST_CLOSED * step_ms)
    candles = exchange.market.klines(
        stream.symbol,
        stream.detail,
        until_ms,
        start_ms=to_millis(interval.floor(from_millis(since_ms))),
        limit=MOST_CLOSED + 1,
    )
    for candle in candles:
        is_closed = candle.close_ms < until_ms
        told_before = (
            candle.close_ms < after_ms if is_closed else until_ms // 1000 == after_ms // 1000
        )
        if told_before:
            continue
        event_ms = candle.close_ms + 1 if is_closed else until_ms
        yield _kline_event(stream, candle, event_ms, is_closed=is_closed)


def _kline_event(stream: Stream, c: Candle, event_ms: int, *, is_closed: bool) -> Event:
    first_id = c.open_ms // 1000
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


def _book_ticker(_: Exchange, traded: Traded, now_ms: int) -> Event:
    bid, ask = best_prices(traded, now_ms)
    size = money(level_size(traded, bid))
    return {
        "u": now_ms,
        "s": traded.listing.symbol,
        "b": money(bid),
        "B": size,
        "a": money(ask),
        "A": size,
    }


def _trade(_: Exchange, traded: Traded, now_ms: int) -> Event:
    price = traded.price(now_ms)
    return {
        "e": "trade",
        "E": now_ms,
        "s": traded.listing.symbol,
        "t": now_ms,
        "p": money(price),
        "q": money(level_size(traded, price)),
        "T": now_ms,
        "m": price < traded.price(now_ms - 1),
        "M": True,
    }


def _aggregate_trade(exchange: Exchange, traded: Traded, now_ms: int) -> Event:
    one = _trade(exchange, traded, now_ms)
    number = one.pop("t")
    return {**one, "e": "aggTrade", "a": number, "f": number, "l": number}


def _mini_ticker(exchange: Exchange, traded: Traded, now_ms: int) -> Event:
    day = day_figures(exchange, traded, "MINI")
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
    day = day_figures(exchange, traded, "FULL")
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
    "trade": _trade,
    "aggTrade": _aggregate_trade,
    "miniTicker": _mini_ticker,
    "ticker": _full_ticker,
    "avgPrice": _average,
    "depth": _depth_update,
}
