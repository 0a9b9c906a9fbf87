"""Public endpoints of prices now and over windows of time.

Add here: another ticker. Keep out: the figures themselves (`quotes`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from thunes_core.testnet.long_series import zone_offset_ms
from thunes_core.testnet.market import Traded
from thunes_core.testnet.order_documents import money
from thunes_core.testnet.parameters import Parameters
from thunes_core.testnet.quotes import (
    DAY_MS,
    best_quotes,
    day_figures,
    full_figures,
    mini_figures,
)
from thunes_core.testnet.refusals import Refused, bad_data, one_of
from thunes_core.testnet.rest import Endpoint, Weight
from thunes_core.testnet.symbols import asked_symbols, symbol_count, with_status

if TYPE_CHECKING:
    from thunes_core.testnet.matching import Exchange

MINUTE_MS = 60_000
_WINDOW = re.compile(r"([1-9]\d?)([mhd])")
_UNITS = {"m": (MINUTE_MS, 59), "h": (60 * MINUTE_MS, 23), "d": (DAY_MS, 7)}


def ticker_price(exchange: Exchange, parameters: Parameters) -> Any:
    """Return the last price of one symbol, of some, or of all."""

    def one(traded: Traded) -> dict[str, Any]:
        price = traded.price(exchange.clock.now_ms())
        return {"symbol": traded.listing.symbol, "price": money(price)}

    return _one_or_many(exchange, parameters, one)


def book_ticker(exchange: Exchange, parameters: Parameters) -> Any:
    """Return best bid and ask, as the book has them."""

    def one(traded: Traded) -> dict[str, Any]:
        quotes = best_quotes(exchange, traded, exchange.clock.now_ms())
        return {"symbol": traded.listing.symbol, **quotes}

    return _one_or_many(exchange, parameters, one)


def day_ticker(exchange: Exchange, parameters: Parameters) -> Any:
    """Return the figures of the last 24 hours, FULL or MINI."""
    kind, now = _kind(parameters), exchange.clock.now_ms()
    return _one_or_many(
        exchange, parameters, lambda traded: day_figures(exchange, traded, now, kind)
    )


def rolling_ticker(exchange: Exchange, parameters: Parameters) -> Any:
    """Return the figures of a window that ends now and began at a full minute."""
    _require_symbols(parameters)
    kind, now = _kind(parameters), exchange.clock.now_ms()
    start = (now - window_ms(parameters.text("windowSize") or "1d")) // MINUTE_MS * MINUTE_MS
    figures = mini_figures if kind == "MINI" else full_figures
    return _one_or_many(exchange, parameters, lambda traded: figures(traded, start, now))


def window_ms(text: str) -> int:
    """Return the length that `windowSize` says (1m to 59m, 1h to 23h, 1d to 7d), or refuse it."""
    match = _WINDOW.fullmatch(text)
    if match is None:
        raise bad_data("windowSize")
    unit, most = _UNITS[match[2]]
    if int(match[1]) > most:
        raise bad_data("windowSize")
    return int(match[1]) * unit


def trading_day(exchange: Exchange, parameters: Parameters) -> Any:
    """Return the figures since midnight of a time zone; `closeTime` is the day's end."""
    _require_symbols(parameters)
    kind, now = _kind(parameters), exchange.clock.now_ms()
    offset = zone_offset_ms(parameters.text("timeZone"))
    start = (now + offset) // DAY_MS * DAY_MS - offset
    figures = mini_figures if kind == "MINI" else full_figures

    def one(traded: Traded) -> dict[str, Any]:
        return figures(traded, start, now) | {"closeTime": start + DAY_MS - 1}

    return _one_or_many(exchange, parameters, one)


def _require_symbols(parameters: Parameters) -> None:
    if not (parameters.text("symbol") or parameters.text("symbols")):
        raise one_of("symbol", "symbols")


def _kind(parameters: Parameters) -> str:
    kind = parameters.text("type") or "FULL"
    if kind not in {"FULL", "MINI"}:
        raise Refused(-1139, "Invalid ticker type.")
    return kind


def _one_or_many(
    exchange: Exchange, parameters: Parameters, one: Callable[[Traded], dict[str, Any]]
) -> Any:
    single = parameters.text("symbol")
    asked = asked_symbols(exchange, parameters)
    wanted = with_status(exchange, parameters, asked)
    parameters.require_all_read()
    documents = [one(exchange.market.find(s)) for s in wanted]
    return documents[0] if single else documents


def _by_symbol(one: int, many: int) -> Weight:
    return lambda parameters: one if parameters.text("symbol") else many


def _day_weight(parameters: Parameters) -> int:
    count = symbol_count(parameters)
    if count is None:
        return 80
    return 2 if count <= 20 else 40 if count <= 100 else 80


def _window_weight(parameters: Parameters) -> int:
    return min(4 * (symbol_count(parameters) or 1), 200)


TICKER_ENDPOINTS = (
    Endpoint("GET", "/api/v3/ticker/price", ticker_price, _by_symbol(2, 4)),
    Endpoint("GET", "/api/v3/ticker/bookTicker", book_ticker, _by_symbol(2, 4)),
    Endpoint("GET", "/api/v3/ticker/24hr", day_ticker, _day_weight),
    Endpoint("GET", "/api/v3/ticker/tradingDay", trading_day, _window_weight),
    Endpoint("GET", "/api/v3/ticker", rolling_ticker, _window_weight),
)
