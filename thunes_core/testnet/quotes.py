"""What the market looks like at a moment: best prices, the book, the figures of a window of time.

Add here: a view of prices that REST and streams share. Keep out: where it is served.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from thunes_core.domain.orders import Side
from thunes_core.testnet.market import Traded
from thunes_core.testnet.order_documents import money

if TYPE_CHECKING:
    from thunes_core.testnet.matching import Exchange

DAY_MS = 86_400_000


def best_quotes(exchange: Exchange, traded: Traded, now_ms: int) -> dict[str, str]:
    """Return best bid and ask with their quantities: the first levels of the book."""
    found = {"bid": Side.SELL, "ask": Side.BUY}
    quotes: dict[str, str] = {}
    for name, side in found.items():
        level = next(exchange.book.levels(traded, side, now_ms, 1), None)
        price, quantity = level or (traded.listing.tick, traded.listing.step)
        quotes |= {f"{name}Price": money(price), f"{name}Qty": money(quantity)}
    return quotes


def book_document(exchange: Exchange, traded: Traded, limit: int) -> dict[str, Any]:
    """Return bids and asks, `limit` levels a side at most."""
    now = exchange.clock.now_ms()

    def levels(side: Side) -> list[list[str]]:
        found = exchange.book.levels(traded, side, now, limit)
        return [[money(price), money(quantity)] for price, quantity in found]

    return {"lastUpdateId": now, "bids": levels(Side.SELL), "asks": levels(Side.BUY)}


def mini_figures(traded: Traded, start_ms: int, now_ms: int) -> dict[str, Any]:
    """Return what happened to a symbol from `start_ms` to `now_ms`."""
    seen = traded.between(start_ms, now_ms)
    first, after = traded.trade_count(start_ms - 1), traded.trade_count(now_ms)
    return {
        "symbol": traded.listing.symbol,
        "openPrice": money(seen.open),
        "highPrice": money(seen.high),
        "lowPrice": money(seen.low),
        "lastPrice": money(traded.price(now_ms)),
        "volume": money(seen.volume),
        "quoteVolume": money(seen.quote_volume),
        "openTime": start_ms,
        "closeTime": now_ms,
        "firstId": first if after > first else -1,
        "lastId": after - 1 if after > first else -1,
        "count": after - first,
    }


def full_figures(traded: Traded, start_ms: int, now_ms: int) -> dict[str, Any]:
    """Return the same with changes and averages."""
    mini = mini_figures(traded, start_ms, now_ms)
    opened, last = Decimal(mini["openPrice"]), Decimal(mini["lastPrice"])
    volume, quote = Decimal(mini["volume"]), Decimal(mini["quoteVolume"])
    return mini | {
        "priceChange": money(last - opened),
        "priceChangePercent": format((last - opened) / opened * 100, ".3f"),
        "weightedAvgPrice": format(quote / volume if volume else last, ".8f"),
    }


def day_figures(exchange: Exchange, traded: Traded, now_ms: int, kind: str) -> dict[str, Any]:
    """Return the figures of the last 24 hours of one symbol, FULL or MINI."""
    if kind == "MINI":
        return mini_figures(traded, now_ms - DAY_MS, now_ms)
    full = full_figures(traded, now_ms - DAY_MS, now_ms)
    quotes = best_quotes(exchange, traded, now_ms)
    last = {"prevClosePrice": full["openPrice"], "lastQty": quotes["bidQty"]}
    return full | last | quotes
